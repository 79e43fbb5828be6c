/* Video: which layer a slot gets, key frames asked for, losses asked for again. */
#define _GNU_SOURCE
#include "kb_state.h"

/* One layer is one source: asked at most so often. All layers of a track together: twice in a second, so that a layer
 * that is left can be asked for beside one that was just asked for. */
#define ASK_EVERY_NS 500000000
#define ASK_TWICE_NS 1000000000
/* Nobody needs the key frame that did not come in this time: the source is gone, or cannot make one. */
#define ASK_FOR_NS 10000000000
/* A layer this far behind the others stands still: who has it gets the next lower one that runs. */
#define LAYER_STANDS_NS 500000000
/* And this far: the publisher dropped it. Until then it counts: an encoder that keeps to its rate leaves out pictures
 * after a large key frame (Chromium's lowest layer, 150 kb/s: 0.8 to 1.0 s), and who is to have that layer must not be
 * given a higher one meanwhile. */
#define LAYER_GONE_NS 3000000000
#define RATE_NS 500000000
/* A quarter of each new half second: 2 s of a layer's swinging bitrate are what its allocation goes by. */
#define STEADY_SHARE 4
#define UNKNOWN_RTT_NS 100000000
#define NACKS_PER_TURN 256u
/* A publisher without transport-wide feedback hears this once a second: more than the three layers of a 1080p camera
 * have together (≈ 3.5 Mb/s), so that loss alone slows it down. */
#define REMB_BPS 4000000u
#define REMB_EVERY_NS 1000000000

static kb_reading *layer_reading(kb_track *track, int layer, enum kb_layer_reading reading)
{
    return &track->readings[KB_TRACK_LAYERS + layer * KB_LAYER_READINGS + (int)reading];
}

static bool heard_within(const kb_track *track, int layer, int64_t ns)
{
    const kb_layer *at = &track->layers[layer];
    return at->has_ssrc && track->last_ns - at->last_ns < ns;
}

bool kb_layer_exists(const kb_track *track, int layer)
{
    return heard_within(track, layer, LAYER_GONE_NS);
}

int kb_slot_target(const kb_slot *slot, const kb_track *track)
{
    if (slot->paused || slot->starved)
        return -1;
    int most = slot->limit < slot->allocated ? slot->limit : slot->allocated;
    int waits = -1;
    for (int layer = track->setup.layers - 1; layer >= 0; layer--) {
        if (layer > most || !kb_layer_exists(track, layer))
            continue;
        if (heard_within(track, layer, LAYER_STANDS_NS))
            return layer;
        waits = waits < 0 ? layer : waits;
    }
    for (int above = most + 1; waits < 0 && above < track->setup.layers; above++)
        if (kb_layer_exists(track, above))
            return above; /* better more than wanted than nothing */
    return waits;
}

static bool may_ask(const kb_track *track, int layer, int64_t now_ns)
{
    int64_t asked_ns = track->layers[layer].asked_ns, twice_ns = track->asked_ns[1];
    return (asked_ns == 0 || now_ns - asked_ns >= ASK_EVERY_NS) && (twice_ns == 0 || now_ns - twice_ns >= ASK_TWICE_NS);
}

/* One datagram asks for every layer that is wanted. */
static void ask_now(kb_plane *plane, kb_track *track, int64_t now_ns)
{
    kb_peer *peer = &plane->peers[track->peer];
    if (!peer->transmit || !kb_peer_egress(peer))
        return;
    uint8_t *packet = kb_outbound_claim(plane, peer);
    size_t bytes = 0;
    for (int layer = 0; layer < track->setup.layers; layer++) {
        kb_layer *at = &track->layers[layer];
        if (!at->key_wanted || !at->has_ssrc || !may_ask(track, layer, now_ns))
            continue;
        at->asked_ns = now_ns;
        bytes += kb_rtcp_write_pli(packet + bytes, peer->rtcp_ssrc, at->ssrc);
        kb_reading_add(layer_reading(track, layer, KB_LAYER_PLIS), 1);
    }
    if (bytes == 0)
        return;
    track->asked_ns[1] = track->asked_ns[0];
    track->asked_ns[0] = now_ns;
    if (kb_rtcp_send(plane, peer, packet, bytes))
        KB_COUNT(plane, plis_sent);
}

void kb_track_ask(kb_plane *plane, kb_track *track, int layer, int64_t now_ns)
{
    if (!track->setup.pli || layer < 0 || !track->layers[layer].has_ssrc)
        return;
    kb_layer *at = &track->layers[layer];
    if (!at->key_wanted) {
        at->key_wanted = true;
        at->key_wanted_ns = now_ns;
    }
    if (may_ask(track, layer, now_ns))
        ask_now(plane, track, now_ns);
}

void kb_slot_ask(kb_plane *plane, kb_slot *slot, int64_t now_ns)
{
    kb_track *track = slot->pending ? slot->pending : slot->source;
    if (!track || !slot->video)
        return;
    int target = kb_slot_target(slot, track);
    kb_reading_set(&slot->readings[KB_SLOT_WANTED], (uint64_t)(target + 1));
    if (target >= 0 && (slot->pending || slot->layer != target) && !track->layers[target].key_wanted)
        kb_track_ask(plane, track, target, now_ns);
}

void kb_slot_limit(kb_plane *plane, kb_slot *slot, const kb_limit_slot *limit, int64_t now_ns)
{
    slot->limit = limit->layer;
    slot->paused = limit->paused;
    if (slot->paused && slot->video) {
        kb_slot_stop(slot); /* it begins again with a key frame */
        kb_freeze_reset(&slot->freeze);
    }
    /* Before anything is asked for: a key frame of the layer from before would delay that of the right one. */
    kb_downlink_allocate(plane, &plane->peers[slot->peer], now_ns);
    kb_slot_ask(plane, slot, now_ns);
}

void kb_slot_allocate(kb_plane *plane, kb_slot *slot, int target, bool at_once, int64_t now_ns)
{
    slot->starved = target < 0;
    slot->allocated = (uint8_t)(target < 0 ? 0 : target);
    if (slot->layer >= 0 && (slot->starved || (at_once && target < slot->layer)))
        kb_slot_stop(slot);
    kb_slot_ask(plane, slot, now_ns);
}

void kb_video_add_track(kb_plane *plane, kb_track *track)
{
    track->video = true;
    for (int layer = 0; layer < track->setup.layers; layer++)
        track->layers[layer].video = track->setup.video + layer;
    track->previous_video = NULL;
    track->next_video = plane->video_tracks;
    if (track->next_video)
        track->next_video->previous_video = track;
    plane->video_tracks = track;
}

void kb_video_remove_track(kb_plane *plane, kb_track *track)
{
    if (!track->video)
        return;
    *(track->previous_video ? &track->previous_video->next_video : &plane->video_tracks) = track->next_video;
    if (track->next_video)
        track->next_video->previous_video = track->previous_video;
}

void kb_video_add_slot(kb_plane *plane, kb_slot *slot)
{
    slot->video = true;
    slot->previous_video = NULL;
    slot->next_video = plane->video_slots;
    if (slot->next_video)
        slot->next_video->previous_video = slot;
    plane->video_slots = slot;
}

void kb_video_remove_slot(kb_plane *plane, kb_slot *slot)
{
    if (!slot->video)
        return;
    kb_backlog_remove_slot(plane, slot);
    *(slot->previous_video ? &slot->previous_video->next_video : &plane->video_slots) = slot->next_video;
    if (slot->next_video)
        slot->next_video->previous_video = slot->previous_video;
}

static void ask_for_lost(kb_plane *plane, kb_track *track, int layer, int64_t now_ns)
{
    kb_peer *peer = &plane->peers[track->peer];
    kb_layer *at = &track->layers[layer];
    kb_loss *loss = &at->video->loss;
    if (loss->gave_up) {
        loss->gave_up = false;
        if (track->listeners || track->waiting)
            kb_track_ask(plane, track, layer, now_ns);
    }
    if (!track->setup.nack || loss->count == 0 || !peer->transmit || !kb_peer_egress(peer))
        return;
    uint16_t due[NACKS_PER_TURN];
    int64_t rtt_ns = peer->rtt_ns ? peer->rtt_ns : UNKNOWN_RTT_NS;
    size_t count = kb_loss_due(loss, now_ns, rtt_ns, due, NACKS_PER_TURN);
    if (count == 0)
        return;
    uint8_t *packet = kb_outbound_claim(plane, peer);
    size_t bytes = kb_rtcp_write_nack(packet, peer->rtcp_ssrc, at->ssrc, due, count);
    kb_reading_add(layer_reading(track, layer, KB_LAYER_NACKS), count);
    if (kb_rtcp_send(plane, peer, packet, bytes))
        KB_COUNT(plane, nacks_sent);
}

static void read_rates(kb_track *track, int64_t now_ns)
{
    uint64_t passed_ms = (uint64_t)(now_ns - track->rated_ns) / 1000000;
    for (int layer = 0; layer < track->setup.layers; layer++) {
        kb_layer *at = &track->layers[layer];
        if (track->rated_ns && passed_ms) {
            uint64_t bps = at->rate_bytes * 8000 / passed_ms;
            kb_reading_set(layer_reading(track, layer, KB_LAYER_BITRATE), bps);
            int64_t apart = (int64_t)bps - (int64_t)at->steady_bps;
            at->steady_bps = at->steady_bps ? (uint64_t)((int64_t)at->steady_bps + apart / STEADY_SHARE) : bps;
        }
        at->rate_bytes = 0;
    }
    track->rated_ns = now_ns;
}

static void send_remb(kb_plane *plane, kb_track *track, int64_t now_ns)
{
    kb_peer *peer = &plane->peers[track->peer];
    const kb_layer *layer = &track->layers[0];
    for (int i = 0; i < track->setup.layers && !layer->has_ssrc; i++)
        layer = &track->layers[i];
    if (!layer->has_ssrc || now_ns - track->last_ns > REMB_EVERY_NS || !peer->transmit || !kb_peer_egress(peer))
        return;
    track->remb_ns = now_ns;
    uint8_t *packet = kb_outbound_claim(plane, peer);
    if (kb_rtcp_send(plane, peer, packet, kb_rtcp_write_remb(packet, peer->rtcp_ssrc, layer->ssrc, REMB_BPS)))
        KB_COUNT(plane, rembs_sent);
}

static void run_track(kb_plane *plane, kb_track *track, int64_t now_ns)
{
    bool wanted = false;
    for (int layer = 0; layer < track->setup.layers; layer++) {
        kb_layer *at = &track->layers[layer];
        if (!at->has_ssrc)
            continue;
        ask_for_lost(plane, track, layer, now_ns);
        if (at->key_wanted && (now_ns - at->key_wanted_ns > ASK_FOR_NS || (!track->listeners && !track->waiting)))
            at->key_wanted = false;
        wanted |= at->key_wanted && may_ask(track, layer, now_ns);
    }
    if (wanted)
        ask_now(plane, track, now_ns);
    if (track->setup.remb && !track->setup.transport_cc && now_ns - track->remb_ns >= REMB_EVERY_NS)
        send_remb(plane, track, now_ns);
    if (now_ns - track->rated_ns >= RATE_NS)
        read_rates(track, now_ns);
}

void kb_video_run(kb_plane *plane, int64_t now_ns)
{
    for (kb_slot *slot = plane->video_slots; slot; slot = slot->next_video) {
        const kb_peer *peer = &plane->peers[slot->peer];
        kb_slot_ask(plane, slot, now_ns);
        if (!peer->tracks && slot->mask & 1u << KB_EXT_PLAYOUT_DELAY && slot->setup.rtx_ssrc)
            kb_patience_run(&slot->patience, peer->rtt_ns, now_ns);
    }
    for (kb_track *track = plane->video_tracks; track; track = track->next_video)
        run_track(plane, track, now_ns);
}
