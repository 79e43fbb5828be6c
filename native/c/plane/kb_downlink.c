/* The path to a subscriber: what it tells of it, what it might carry, and the layers that follow. */
#define _GNU_SOURCE
#include "kb_state.h"

#define ALLOCATE_EVERY_NS 100000000
#define ADVANCE_EVERY_NS 10000000
#define PROBES_PER_TURN 64
/* Opus at 64 kbit/s with headers, for each slot of sound. */
#define AUDIO_BPS 90000u

/* What a layer takes before it was measured (Chromium's 360p, 540p, 1080p). */
static const uint32_t guessed_bps[KB_LAYERS] = {150000, 500000, 1500000};

static kb_bwe *bwe_of(kb_downlink *down, int64_t now_ns)
{
    if (!down->started) {
        kb_twcc_history_init(&down->history);
        kb_bwe_init(&down->bwe, NULL, now_ns);
        down->started = true;
    }
    return &down->bwe;
}

void kb_downlink_sent(kb_peer *peer, const uint16_t *sequence, size_t bytes, int64_t now_ns)
{
    if (!peer->down)
        return;
    kb_bwe *bwe = bwe_of(peer->down, now_ns);
    kb_bwe_sent(bwe, bytes, now_ns);
    if (peer->down->pacer.ns_per_byte)
        kb_pacer_sent(&peer->down->pacer, bytes, now_ns);
    if (sequence)
        kb_twcc_sent(&peer->down->history, *sequence, bytes, kb_bwe_probing(bwe), now_ns);
}

static void pace(kb_downlink *down, int64_t now_ns)
{
    if (!down->heard)
        return;
    kb_pacer_rate(&down->pacer, kb_bwe_pace_bps(&down->bwe));
    down->pacer.full = kb_bwe_is_full(&down->bwe, now_ns);
}

bool kb_downlink_feedback(kb_plane *plane, kb_peer *peer, const kb_rtcp_packet *packet, int64_t now_ns)
{
    kb_downlink *down = peer->down;
    if (!down)
        return true;
    kb_bwe *bwe = bwe_of(down, now_ns);
    int count = kb_twcc_read(&down->history, packet->body, packet->body_bytes, now_ns, plane->samples);
    if (count < 0)
        return false;
    down->heard |= count > 0;
    kb_bwe_feedback(bwe, plane->samples, (size_t)count, now_ns);
    pace(down, now_ns);
    return true;
}

void kb_downlink_remb(kb_peer *peer, uint64_t bps, int64_t now_ns)
{
    if (!peer->down)
        return;
    kb_bwe_remb(bwe_of(peer->down, now_ns), bps, now_ns);
    peer->down->heard = true;
    pace(peer->down, now_ns);
}

static void fill(const kb_slot *slot, kb_allocation_slot *out)
{
    const kb_track *track = slot->pending ? slot->pending : slot->source;
    *out = (kb_allocation_slot){
        .priority = 0,
        .limit = slot->limit,
        .paused = slot->paused || !track,
        .current = slot->starved ? (int8_t)-1 : slot->allocated == KB_ANY_LAYER ? slot->layer : (int8_t)slot->allocated,
        .target = -1,
    };
    for (int layer = 0; track && layer < track->setup.layers; layer++) {
        if (!kb_layer_exists(track, layer))
            continue;
        uint64_t bps = track->layers[layer].steady_bps;
        out->layer_bps[layer] = bps ? (uint32_t)bps : guessed_bps[layer];
    }
}

void kb_downlink_allocate(kb_plane *plane, kb_peer *peer, int64_t now_ns)
{
    kb_downlink *down = peer->down;
    if (!down || !down->heard)
        return;
    kb_allocation_slot wanted[KB_ALLOCATION_SLOTS];
    kb_slot *slots[KB_ALLOCATION_SLOTS];
    size_t count = 0;
    uint64_t audio_bps = 0;
    for (kb_slot *slot = peer->slots; slot; slot = slot->next_of_peer) {
        if (!slot->video) {
            audio_bps += slot->source ? AUDIO_BPS : 0;
        } else if (count < KB_ALLOCATION_SLOTS) {
            slots[count] = slot;
            fill(slot, &wanted[count++]);
        }
    }
    bool probed = down->bwe.probes_good != down->probes_good;
    down->probes_good = down->bwe.probes_good;
    down->bps = kb_bwe_bps(&down->bwe);
    down->allocated_ns = now_ns;
    kb_allocate(&down->allocation, down->bps, audio_bps, wanted, count, probed, now_ns);
    kb_bwe_want(&down->bwe, kb_allocation_wanted(wanted, count, audio_bps));
    for (size_t i = 0; i < count; i++) {
        kb_reading_set(&slots[i]->readings[KB_SLOT_ESTIMATE_BPS], down->bps);
        if (wanted[i].paused)
            continue;
        /* Far beyond what the path carries, the present layer arrives nowhere: it is only in the way of the next one. */
        bool at_once = slots[i]->layer >= 0 && wanted[i].layer_bps[slots[i]->layer] / 2 > down->bps;
        kb_slot_allocate(plane, slots[i], wanted[i].target, at_once, now_ns);
    }
}

static void probe(kb_plane *plane, kb_peer *peer, int64_t now_ns)
{
    kb_slot *slot = peer->slots;
    while (slot && !(slot->video && slot->setup.rtx_ssrc && slot->mask & 1u << KB_EXT_TRANSPORT_CC && slot->packets))
        slot = slot->next_of_peer;
    if (!slot || !peer->transmit || !kb_peer_egress(peer))
        return;
    kb_pacer before = peer->down->pacer; /* pictures need not wait because more than the estimate is tried */
    for (int i = 0; i < PROBES_PER_TURN; i++) {
        size_t bytes = kb_bwe_padding(&peer->down->bwe, now_ns);
        if (bytes == 0 || kb_slot_probe(plane, slot, bytes, now_ns) == 0)
            break;
    }
    peer->down->pacer = before;
}

static void run_peer(kb_plane *plane, kb_peer *peer, int64_t now_ns)
{
    kb_downlink *down = peer->down;
    down->advanced_ns = now_ns;
    if (!down->heard)
        return;
    if (down->pacer.slots)
        kb_bwe_postpone(&down->bwe, now_ns);
    if (down->pacer.slots && now_ns - down->pacer.behind_ns > KB_PACER_BEHIND_NS)
        kb_bwe_doubt(&down->bwe, now_ns);
    kb_bwe_advance(&down->bwe, now_ns);
    pace(down, now_ns);
    probe(plane, peer, now_ns);
    if (now_ns - down->allocated_ns >= ALLOCATE_EVERY_NS || kb_bwe_bps(&down->bwe) < down->bps)
        kb_downlink_allocate(plane, peer, now_ns);
}

void kb_downlinks_run(kb_plane *plane, int64_t now_ns)
{
    if (now_ns - plane->downlinks_ns < ADVANCE_EVERY_NS)
        return;
    plane->downlinks_ns = now_ns;
    for (kb_slot *slot = plane->video_slots; slot; slot = slot->next_video) {
        kb_peer *peer = &plane->peers[slot->peer];
        if (peer->down && peer->down->advanced_ns != now_ns)
            run_peer(plane, peer, now_ns);
    }
}
