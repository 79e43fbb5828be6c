/* From one track to all who listen: the fan-out, and which slot hears which track. */
#define _GNU_SOURCE
#include "kb_state.h"

/* Datagrams sent for injected packets before the socket is looked at again: ≈ 0.6 ms. */
#define SENDS_PER_TURN 256u

static void set_source_reading(kb_slot *slot)
{
    kb_reading_set(&slot->readings[KB_SLOT_SOURCE], slot->source ? slot->source->handle : 0);
}

static void listen_to(kb_slot *slot, kb_track *track)
{
    slot->source = track;
    slot->next = NULL;
    slot->previous = track->last_listener;
    if (track->last_listener)
        track->last_listener->next = slot;
    else
        track->listeners = slot;
    track->last_listener = slot;
    kb_remap_switch(&slot->remap);
    set_source_reading(slot);
}

static void stop_listening(kb_slot *slot)
{
    kb_track *track = slot->source;
    if (!track)
        return;
    *(slot->previous ? &slot->previous->next : &track->listeners) = slot->next;
    *(slot->next ? &slot->next->previous : &track->last_listener) = slot->previous;
    slot->source = NULL;
    slot->next = slot->previous = NULL;
    kb_remap_switch(&slot->remap);
    set_source_reading(slot);
}

static void wait_for(kb_slot *slot, kb_track *track)
{
    slot->pending = track;
    slot->previous_waiting = NULL;
    slot->next_waiting = track->waiting;
    if (track->waiting)
        track->waiting->previous_waiting = slot;
    track->waiting = slot;
}

static void stop_waiting(kb_slot *slot)
{
    kb_track *track = slot->pending;
    if (!track)
        return;
    *(slot->previous_waiting ? &slot->previous_waiting->next_waiting : &track->waiting) = slot->next_waiting;
    if (slot->next_waiting)
        slot->next_waiting->previous_waiting = slot->previous_waiting;
    slot->pending = NULL;
    slot->next_waiting = slot->previous_waiting = NULL;
}

void kb_slot_set_source(kb_plane *plane, kb_slot *slot, kb_track *track)
{
    stop_waiting(slot);
    if (!track) {
        stop_listening(slot);
        plane->slot_reports[kb_handle_index(slot->handle)] = INT64_MAX;
    } else if (!slot->source) {
        listen_to(slot, track);
    } else if (slot->source != track) {
        /* The old source is heard until the new one speaks: a switch to silence would be a gap. */
        wait_for(slot, track);
    }
}

void kb_track_abandon(kb_plane *plane, kb_track *track)
{
    while (track->listeners) {
        kb_slot *slot = track->listeners;
        kb_track *wanted = slot->pending;
        kb_slot_set_source(plane, slot, NULL);
        if (wanted)
            kb_slot_set_source(plane, slot, wanted);
    }
    while (track->waiting)
        stop_waiting(track->waiting);
}

static void send_to_slot(kb_plane *plane, kb_slot *slot, const kb_media *media, int64_t now_ns)
{
    kb_peer *peer = &plane->peers[slot->peer];
    const kb_address *to = kb_peer_egress(peer);
    if (!peer->transmit || !to) {
        KB_COUNT(plane, rtp_unsendable);
        return;
    }
    kb_remap_out mapped;
    if (kb_remap_next(&slot->remap, &media->rtp, &mapped) != 0) {
        KB_COUNT(plane, rtp_late);
        return;
    }
    kb_rtp_out header = {
        .ssrc = slot->setup.ssrc,
        .timestamp = mapped.timestamp,
        .sequence = mapped.sequence,
        .payload_type = slot->setup.payload_type,
        .marker = media->marker || mapped.rebased,
        .mid_id = slot->setup.mid_bytes ? slot->setup.mid_id : 0,
        .mid_bytes = slot->setup.mid_bytes,
        .mid = slot->setup.mid,
        .level_id = media->has_level ? slot->setup.level_id : 0,
        .level = media->level,
    };
    uint8_t *packet = kb_egress_claim(plane->egress);
    size_t header_bytes = kb_rtp_write(packet, &header);
    if (header_bytes + media->bytes + peer->tag_bytes > KB_EGRESS_BUFFER_BYTES) {
        KB_COUNT(plane, protect_failed);
        return;
    }
    memcpy(packet + header_bytes, media->payload, media->bytes);
    int bytes = (int)(header_bytes + media->bytes);
    if (plane->config.srtp.protect(peer->transmit, packet, &bytes) != KB_SRTP_OK) {
        KB_COUNT(plane, protect_failed);
        return;
    }
    kb_egress_commit(plane->egress, (size_t)bytes, to);
    slot->packets++;
    slot->octets += (uint32_t)media->bytes;
    if (mapped.rebased) {
        plane->slot_reports[kb_handle_index(slot->handle)] = now_ns;
        plane->reports_now = true;
        kb_reading_add(&slot->readings[KB_SLOT_SOURCE_CHANGES], 1);
        KB_COUNT(plane, source_changes);
    }
    KB_COUNT(plane, rtp_forwarded);
    kb_reading_add(&slot->readings[KB_SLOT_PACKETS], 1);
    kb_reading_add(&slot->readings[KB_SLOT_BYTES], media->bytes);
    kb_reading_set(&slot->readings[KB_SLOT_LAST_NS], (uint64_t)now_ns);
    kb_reading_add(&peer->readings[KB_PEER_PACKETS_SENT], 1);
    kb_reading_add(&peer->readings[KB_PEER_BYTES_SENT], (uint64_t)bytes);
}

void kb_forward(kb_plane *plane, kb_track *track, const kb_media *media, int64_t now_ns)
{
    while (track->waiting) {
        kb_slot *slot = track->waiting;
        stop_waiting(slot);
        stop_listening(slot);
        listen_to(slot, track);
    }
    for (kb_slot *slot = track->listeners; slot; slot = slot->next)
        send_to_slot(plane, slot, media, now_ns);
}

static void inject(kb_plane *plane, const kb_bus_packet *packet, int64_t now_ns)
{
    kb_track *track = kb_track_at(plane, packet->number);
    if (!track || !track->injected || packet->payload_bytes == 0 || packet->payload_bytes > KB_BUS_PAYLOAD_BYTES) {
        KB_COUNT(plane, injected_unrouted);
        return;
    }
    kb_media media = {
        .payload = packet->payload,
        .bytes = packet->payload_bytes,
        .rtp = {.timestamp = packet->rtp_timestamp,
                .sequence = track->injected_sequence++,
                .nominal = true,
                .at_ns = packet->at_ns},
        .marker = packet->marker,
        .has_level = packet->audio_level != 0x7f,
        .level = packet->audio_level,
    };
    track->anchored = true;
    track->anchor_timestamp = packet->rtp_timestamp;
    track->anchor_ns = packet->at_ns;
    track->last_ns = now_ns;
    kb_reading_add(&track->readings[KB_TRACK_PACKETS], 1);
    kb_reading_add(&track->readings[KB_TRACK_BYTES], media.bytes);
    kb_reading_set(&track->readings[KB_TRACK_LAST_NS], (uint64_t)now_ns);
    kb_reading_set(&track->readings[KB_TRACK_LEVEL], media.level);
    KB_COUNT(plane, injected);
    kb_forward(plane, track, &media, now_ns);
}

bool kb_forward_injected(kb_plane *plane, int64_t now_ns)
{
    uint64_t before = atomic_load_explicit(&plane->counters[KB_COUNT_rtp_forwarded], memory_order_relaxed);
    const kb_bus_packet *packet;
    while ((packet = kb_ring_peek(&plane->bus->from_mix)) != NULL) {
        uint64_t sent = atomic_load_explicit(&plane->counters[KB_COUNT_rtp_forwarded], memory_order_relaxed) - before;
        if (sent >= SENDS_PER_TURN)
            return true;
        inject(plane, packet, now_ns);
        kb_ring_release(&plane->bus->from_mix);
    }
    return false;
}
