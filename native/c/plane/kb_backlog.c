/* Pictures that wait for their turn on a narrow path. A layer keeps its last packets anyway, so what waits is a place in
 * them: packets get their numbers when they go out, in the source's order, and what the source lost meanwhile may still
 * come. Nothing of it is touched while nobody's path is behind. */
#define _GNU_SOURCE
#include "kb_state.h"

/* 5 ms of the paced rate are less than a packet below 2 Mb/s. */
#define EVERY_NS 5000000

static void begin(kb_plane *plane, kb_slot *slot, uint16_t sequence, int64_t now_ns)
{
    kb_pacer *pacer = &slot->down->pacer;
    slot->waits = true;
    slot->cursor = sequence;
    slot->key_waited_ns = 0;
    if (pacer->slots++ == 0)
        pacer->behind_ns = now_ns;
    if (slot->in_backlogs)
        return;
    slot->in_backlogs = true;
    slot->previous_backlog = NULL;
    slot->next_backlog = plane->backlogs;
    if (slot->next_backlog)
        slot->next_backlog->previous_backlog = slot;
    plane->backlogs = slot;
}

static void end(kb_slot *slot)
{
    slot->waits = false;
    slot->down->pacer.slots--;
}

void kb_backlog_remove_slot(kb_plane *plane, kb_slot *slot)
{
    kb_backlog_forget(slot);
    if (!slot->in_backlogs)
        return;
    *(slot->previous_backlog ? &slot->previous_backlog->next_backlog : &plane->backlogs) = slot->next_backlog;
    if (slot->next_backlog)
        slot->next_backlog->previous_backlog = slot->previous_backlog;
    slot->in_backlogs = false;
}

void kb_backlog_forget(kb_slot *slot)
{
    if (!slot->waits)
        return;
    const kb_layer *layer = slot->source && slot->layer >= 0 ? &slot->source->layers[slot->layer] : NULL;
    uint16_t waiting = layer && layer->video ? (uint16_t)(layer->video->loss.highest - slot->cursor + 1) : 0;
    slot->left_waiting += waiting < KB_STORED_PACKETS ? waiting : 0;
    end(slot);
}

bool kb_backlog_takes(kb_plane *plane, kb_slot *slot, const kb_media *media, int64_t now_ns)
{
    kb_pacer *pacer = &slot->down->pacer;
    uint16_t sequence = media->rtp.sequence;
    if (slot->waits)
        return (int16_t)(sequence - slot->cursor) >= 0; /* what was repaired too late for its place goes now */
    if (media->frame.key)
        slot->key_timestamp = media->rtp.timestamp;
    if (slot->remap.rebase || (int16_t)(sequence - slot->remap.highest) <= 0)
        return false; /* the first packet fixes the numbers; a repaired one has its number */
    /* Where another slot waits, this one takes turns with it. */
    if (pacer->slots == 0 && kb_pacer_allows(pacer, now_ns))
        return false;
    begin(plane, slot, sequence, now_ns);
    KB_COUNT(plane, video_held);
    return true;
}

static const kb_stored *stored_at(const kb_slot *slot, uint16_t sequence)
{
    const kb_video_layer *video = slot->source->layers[slot->layer].video;
    const kb_stored *stored = &video->stored[sequence % KB_STORED_PACKETS];
    bool same = stored->used && stored->media.rtp.sequence == sequence;
    return same && (int16_t)(video->loss.highest - sequence) >= 0 ? stored : NULL;
}

/* Leaves out the picture that opens at the cursor, if it is late, whole, and needed by none: numbers and picture ids
 * close up behind it. Not while something before it may still come, whose number would not be known any more. */
static bool thin(kb_plane *plane, kb_slot *slot, const kb_media *first, int64_t now_ns)
{
    if (!first->frame.optional || now_ns - first->rtp.at_ns <= KB_PACER_THIN_NS ||
        slot->source->layers[slot->layer].video->loss.count ||
        (uint16_t)(slot->remap.highest + 1) != slot->cursor || kb_rtp_has(&first->extensions, KB_EXT_DEPENDENCY))
        return false;
    uint16_t end = slot->cursor;
    for (bool last = false; !last; end++) {
        const kb_stored *stored = stored_at(slot, end);
        if (!stored || stored->media.rtp.timestamp != first->rtp.timestamp)
            return false;
        last = stored->media.marker;
    }
    while (slot->cursor != end)
        kb_remap_skip(&slot->remap, slot->cursor++);
    if (first->frame.picture_at)
        slot->picture.offset--;
    KB_COUNT(plane, video_thinned);
    return true;
}

/* Nothing more before the next key frame, which begins without delay: of this layer, or of the one that fits by now. A
 * picture that stutters is better than none, and sound is not to pay for it. */
static void give_up(kb_plane *plane, kb_slot *slot, int64_t now_ns)
{
    kb_slot_stop(slot);
    kb_downlink_allocate(plane, &plane->peers[slot->peer], now_ns);
    kb_slot_ask(plane, slot, now_ns);
}

/* The slot's next packet, NULL when none waits any more. */
static const kb_stored *next_of(kb_plane *plane, kb_slot *slot, int64_t now_ns)
{
    uint16_t highest = slot->source->layers[slot->layer].video->loss.highest;
    if ((uint16_t)(highest - slot->cursor) >= KB_STORED_PACKETS && (int16_t)(highest - slot->cursor) > 0) {
        give_up(plane, slot, now_ns);
        KB_COUNT(plane, video_overrun);
        return NULL;
    }
    while ((int16_t)(highest - slot->cursor) >= 0) {
        const kb_stored *stored = stored_at(slot, slot->cursor);
        if (stored && stored->media.bytes) {
            if (thin(plane, slot, &stored->media, now_ns))
                continue;
            return stored;
        }
        /* Padding has no number; what was lost on its way to us goes, when it comes after all, as a repaired one. */
        if (stored)
            kb_remap_skip(&slot->remap, slot->cursor);
        slot->cursor++;
    }
    end(slot);
    return NULL;
}

/* Slots take turns: a face does not stand still while a slide comes. */
static kb_slot *next_in_turn(kb_plane *plane, kb_peer *peer, const kb_stored **packet, int64_t now_ns)
{
    kb_slot *first = NULL;
    for (kb_slot *slot = peer->slots; slot; slot = slot->next_of_peer) {
        const kb_stored *next = slot->waits ? next_of(plane, slot, now_ns) : NULL;
        if (!next || (first && slot->served >= first->served))
            continue;
        first = slot;
        *packet = next;
    }
    return first;
}

static void send_waiting(kb_plane *plane, kb_peer *peer, int64_t now_ns)
{
    const kb_stored *packet = NULL;
    kb_slot *slot;
    while (peer->down->pacer.slots && (slot = next_in_turn(plane, peer, &packet, now_ns)) != NULL) {
        const kb_media *media = &packet->media;
        int64_t age_ns = now_ns - media->rtp.at_ns;
        if (media->frame.key)
            slot->key_timestamp = media->rtp.timestamp;
        /* A key frame takes its time: instead of it there would only be another one. So does what catches up behind it. */
        if (media->rtp.timestamp == slot->key_timestamp) {
            slot->key_waited_ns = age_ns;
        } else if (age_ns - slot->key_waited_ns > KB_PACER_LONGEST_NS && peer->down->pacer.full) {
            give_up(plane, slot, now_ns);
            KB_COUNT(plane, video_given_up);
            continue;
        }
        if (!kb_pacer_allows(&peer->down->pacer, now_ns))
            return;
        slot->cursor++;
        slot->served = ++peer->down->pacer.served;
        kb_slot_forward(plane, slot, slot->source, media, now_ns);
    }
}

void kb_backlogs_run(kb_plane *plane, int64_t now_ns)
{
    if (now_ns - plane->backlogs_ns < EVERY_NS)
        return;
    plane->backlogs_ns = now_ns;
    for (kb_slot *slot = plane->backlogs; slot; slot = slot->next_backlog)
        if (slot->waits)
            send_waiting(plane, &plane->peers[slot->peer], now_ns);
    for (kb_slot *slot = plane->backlogs, *next; slot; slot = next) {
        next = slot->next_backlog;
        kb_reading_add(&plane->counters[KB_COUNT_video_dropped], slot->left_waiting);
        slot->left_waiting = 0;
        if (!slot->waits)
            kb_backlog_remove_slot(plane, slot);
    }
}
