/* From one track to all who listen: the fan-out, and which slot hears which track. */
#define _GNU_SOURCE
#include "kb_bytes.h"
#include "kb_state.h"

/* Datagrams sent for injected packets before the socket is looked at again: ≈ 0.6 ms. */
#define SENDS_PER_TURN 256u

static void set_source_reading(kb_slot *slot)
{
    kb_reading_set(&slot->readings[KB_SLOT_SOURCE], slot->source ? slot->source->handle : 0);
}

static void set_layer(kb_slot *slot, int layer)
{
    if (layer != slot->layer)
        kb_backlog_forget(slot);
    slot->layer = (int8_t)layer;
    kb_reading_set(&slot->readings[KB_SLOT_LAYER], (uint64_t)(layer + 1));
}

void kb_slot_stop(kb_slot *slot)
{
    set_layer(slot, -1);
}

static void listen_to(kb_slot *slot, kb_track *track)
{
    slot->source = track;
    slot->changed = true;
    set_layer(slot, slot->video ? -1 : 0);
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
    set_layer(slot, -1);
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

void kb_slot_set_source(kb_plane *plane, kb_slot *slot, kb_track *track, int64_t now_ns)
{
    stop_waiting(slot);
    if (!track) {
        stop_listening(slot);
        kb_freeze_reset(&slot->freeze);
        plane->slot_reports[kb_handle_index(slot->handle)] = INT64_MAX;
    } else if (!slot->source) {
        listen_to(slot, track);
    } else if (slot->source != track) {
        /* The old source is heard until the new one speaks: a switch to silence would be a gap. */
        wait_for(slot, track);
    }
    if (slot->video)
        kb_downlink_allocate(plane, &plane->peers[slot->peer], now_ns);
    kb_slot_ask(plane, slot, now_ns);
}

void kb_track_abandon(kb_plane *plane, kb_track *track, int64_t now_ns)
{
    while (track->waiting)
        stop_waiting(track->waiting);
    while (track->listeners) {
        kb_slot *slot = track->listeners;
        kb_track *wanted = slot->pending;
        kb_slot_set_source(plane, slot, NULL, now_ns);
        if (wanted)
            kb_slot_set_source(plane, slot, wanted, now_ns);
    }
}

/* The counter of a packet as the listener sees it: after a switch it goes on by one. */
static uint16_t map_counter(kb_counter_map *map, uint16_t value, bool rebased, uint16_t modulo_mask)
{
    if (rebased || !map->started) {
        map->offset = map->started ? (uint16_t)(map->last + 1 - value) : 0;
        map->started = true;
        map->last = (uint16_t)(value + map->offset) & modulo_mask;
        return map->last;
    }
    uint16_t mapped = (uint16_t)(value + map->offset) & modulo_mask;
    /* Ahead by less than half the range: what is older than the furthest one leaves it. */
    if ((uint16_t)((mapped - map->last) & modulo_mask) <= modulo_mask / 2)
        map->last = mapped;
    return mapped;
}

static void map_counters(kb_slot *slot, const kb_media *media, bool rebased, kb_sent *numbers)
{
    const kb_frame_info *frame = &media->frame;
    if (frame->picture_at)
        numbers->picture =
            map_counter(&slot->picture, frame->picture, rebased, frame->long_picture ? 0x7fff : 0x7f);
    if (frame->tl0_at)
        numbers->tl0 = (uint8_t)map_counter(&slot->tl0, frame->tl0, rebased, 0xff);
    if (kb_rtp_has(&media->extensions, KB_EXT_DEPENDENCY)) {
        const uint8_t *value = media->packet + media->extensions.at[KB_EXT_DEPENDENCY];
        numbers->frame_number =
            map_counter(&slot->frame_number, (uint16_t)(value[1] << 8 | value[2]), rebased, 0xffff);
    }
}

static void note_picture(kb_plane *plane, kb_slot *slot, uint32_t timestamp, int64_t now_ns)
{
    enum kb_freeze_found found = kb_freeze_packet(&slot->freeze, timestamp, now_ns);
    if (found == KB_SAME_PICTURE)
        return;
    kb_reading_set(&slot->readings[KB_SLOT_PICTURES], slot->freeze.pictures);
    if (found == KB_FREEZE_ENDED) {
        kb_reading_set(&slot->readings[KB_SLOT_FREEZES], slot->freeze.freezes);
        kb_reading_set(&slot->readings[KB_SLOT_FROZEN_NS], (uint64_t)slot->freeze.frozen_ns);
        KB_COUNT(plane, picture_freezes);
    } else if (found == KB_PAUSE_ENDED) {
        kb_reading_set(&slot->readings[KB_SLOT_PAUSES], slot->freeze.pauses);
        kb_reading_set(&slot->readings[KB_SLOT_PAUSED_NS], (uint64_t)slot->freeze.paused_ns);
        KB_COUNT(plane, picture_pauses);
    }
}

void kb_slot_forward(kb_plane *plane, kb_slot *slot, const kb_track *track, const kb_media *media, int64_t now_ns)
{
    kb_peer *peer = &plane->peers[slot->peer];
    if (!peer->transmit || !kb_peer_egress(peer)) {
        KB_COUNT(plane, rtp_unsendable);
        return;
    }
    if (!slot->has_type[media->codec]) {
        KB_COUNT(plane, rtp_unreceivable);
        return;
    }
    /* A copy opens no source: it is older than the packet that does. */
    if (media->audience == KB_FOR_PLAIN && (slot->remap.rebase || slot->remap.source_ssrc != media->rtp.ssrc))
        return;
    kb_remap_out mapped;
    if (kb_remap_next(&slot->remap, &media->rtp, &mapped) != 0) {
        KB_COUNT(plane, rtp_late);
        return;
    }
    kb_sent numbers = {
        .sent_ns = now_ns,
        .track = track->handle,
        .layer = media->layer,
        .sequence = mapped.sequence,
        .source_sequence = media->rtp.sequence,
        .timestamp = mapped.timestamp,
        /* The marker of audio says that a talk spurt begins, that of video that a frame ends. */
        .marker = media->marker || (mapped.rebased && !slot->video),
    };
    if (slot->video)
        map_counters(slot, media, mapped.rebased, &numbers);
    if (kb_slot_send(plane, slot, media, &numbers, false, now_ns) == 0)
        return;
    size_t bytes = media->bytes;
    if (kb_slot_takes_red(slot, media)) {
        bytes = kb_red_bytes(media->red, kb_slot_red_within(slot, media));
        KB_COUNT(plane, red_sent);
    }
    if (slot->video)
        note_picture(plane, slot, mapped.timestamp, now_ns);
    slot->packets++;
    slot->octets += (uint32_t)bytes;
    if (mapped.rebased) {
        plane->slot_reports[kb_handle_index(slot->handle)] = now_ns;
        plane->reports_now = true;
        if (slot->changed) {
            slot->changed = false;
            kb_reading_add(&slot->readings[KB_SLOT_SOURCE_CHANGES], 1);
            KB_COUNT(plane, source_changes);
        }
    }
    KB_COUNT(plane, rtp_forwarded);
    kb_reading_add(&slot->readings[KB_SLOT_PACKETS], 1);
    kb_reading_add(&slot->readings[KB_SLOT_BYTES], bytes);
    kb_reading_set(&slot->readings[KB_SLOT_LAST_NS], (uint64_t)now_ns);
}

/* The timestamp of a layer's packet on another layer's clock, from the publisher's reports about both. */
static void align(const kb_track *track, int before, kb_remap_in *in, int after)
{
    const kb_layer *from = &track->layers[before], *to = &track->layers[after];
    if (!from->sr_ntp || !to->sr_ntp)
        return;
    int64_t apart = (int64_t)(to->sr_ntp - from->sr_ntp); /* 32.32 s */
    int64_t ticks = (apart >> 16) * (int64_t)track->setup.clock_rate / 65536;
    in->aligned = true;
    in->aligned_timestamp = in->timestamp - to->sr_timestamp + from->sr_timestamp + (uint32_t)ticks;
}

/* Whether the slot takes this packet; a key frame of the layer it is to have moves it there. */
static bool takes_packet(kb_slot *slot, const kb_track *track, kb_media *media)
{
    if (slot->paused)
        return false;
    if (slot->layer == media->layer)
        return true;
    if (!media->frame.key || kb_slot_target(slot, track) != media->layer)
        return false;
    if (slot->layer >= 0) {
        align(track, slot->layer, &media->rtp, media->layer);
        kb_reading_add(&slot->readings[KB_SLOT_LAYER_SWITCHES], 1);
    }
    set_layer(slot, media->layer);
    slot->key_timestamp = media->rtp.timestamp;
    kb_remap_switch(&slot->remap);
    return true;
}

static void forward_video(kb_plane *plane, kb_track *track, const kb_media *media, int64_t now_ns)
{
    if (media->frame.key) {
        for (kb_slot *slot = track->waiting, *next; slot; slot = next) {
            next = slot->next_waiting;
            if (kb_slot_target(slot, track) != media->layer || !slot->has_type[media->codec])
                continue;
            stop_waiting(slot);
            stop_listening(slot);
            listen_to(slot, track);
        }
    }
    for (kb_slot *slot = track->listeners; slot; slot = slot->next) {
        kb_media aligned;
        if (slot->layer == media->layer && !slot->paused) {
            bool paced = slot->down && slot->down->pacer.ns_per_byte;
            if (!paced || !kb_backlog_takes(plane, slot, media, now_ns))
                kb_slot_forward(plane, slot, track, media, now_ns);
            continue;
        }
        if (!media->frame.key || !slot->video)
            continue;
        aligned = *media;
        if (takes_packet(slot, track, &aligned))
            kb_slot_forward(plane, slot, track, &aligned, now_ns);
    }
}

static bool is_for(const kb_media *media, const kb_slot *slot)
{
    return media->audience == KB_FOR_ALL || (media->audience == KB_FOR_RED) == slot->has_type[KB_CODEC_RED];
}

void kb_forward(kb_plane *plane, kb_track *track, const kb_media *media, int64_t now_ns)
{
    if (track->video) {
        kb_outbound_hold(plane, true); /* the packets of a picture come together */
        forward_video(plane, track, media, now_ns);
        kb_outbound_hold(plane, !media->marker);
        return;
    }
    while (track->waiting && media->audience == KB_FOR_ALL) {
        kb_slot *slot = track->waiting;
        stop_waiting(slot);
        stop_listening(slot);
        listen_to(slot, track);
    }
    for (kb_slot *slot = track->listeners; slot; slot = slot->next)
        if (!slot->paused && is_for(media, slot))
            kb_slot_forward(plane, slot, track, media, now_ns);
}

void kb_forward_empty(kb_track *track, int layer, uint16_t sequence)
{
    for (kb_slot *slot = track->listeners; slot; slot = slot->next)
        if (slot->layer == layer && !(slot->waits && (int16_t)(sequence - slot->cursor) >= 0))
            kb_remap_skip(&slot->remap, sequence);
}

void kb_forward_restart(kb_track *track, int layer)
{
    for (kb_slot *slot = track->listeners; slot; slot = slot->next)
        if (slot->layer == layer)
            set_layer(slot, -1);
}

static void inject(kb_plane *plane, const kb_bus_packet *packet, int64_t now_ns)
{
    kb_track *track = kb_track_at(plane, packet->number);
    if (!track || !track->injected || packet->payload_bytes == 0 || packet->payload_bytes > KB_BUS_PAYLOAD_BYTES) {
        KB_COUNT(plane, injected_unrouted);
        return;
    }
    kb_layer *layer = &track->layers[0];
    layer->anchored = true;
    layer->anchor_timestamp = packet->rtp_timestamp;
    /* When its sound was captured, as with a track that is forwarded: so lips and voice stand on one clock. */
    layer->anchor_ns = packet->at_ns - (int64_t)packet->delay_us * 1000;
    uint64_t captured = kb_ntp(plane, layer->anchor_ns);
    uint8_t extensions[9] = {packet->audio_level};
    kb_put32(extensions + 1, (uint32_t)(captured >> 32));
    kb_put32(extensions + 5, (uint32_t)captured);
    kb_media media = {
        .packet = extensions,
        .payload = packet->payload,
        .bytes = packet->payload_bytes,
        .rtp = {.timestamp = packet->rtp_timestamp,
                .sequence = track->injected_sequence++,
                .nominal = true,
                .at_ns = packet->at_ns},
        .codec = KB_CODEC_OPUS,
        .marker = packet->marker,
    };
    if (packet->audio_level != 0x7f) {
        media.extensions.mask = 1u << KB_EXT_LEVEL;
        media.extensions.bytes[KB_EXT_LEVEL] = 1;
    }
    media.extensions.mask |= 1u << KB_EXT_CAPTURE_TIME;
    media.extensions.at[KB_EXT_CAPTURE_TIME] = 1;
    media.extensions.bytes[KB_EXT_CAPTURE_TIME] = 8;
    track->last_ns = now_ns;
    kb_reading_add(&track->readings[KB_TRACK_PACKETS], 1);
    kb_reading_add(&track->readings[KB_TRACK_BYTES], media.bytes);
    kb_reading_set(&track->readings[KB_TRACK_LAST_NS], (uint64_t)now_ns);
    kb_reading_set(&track->readings[KB_TRACK_LEVEL], packet->audio_level);
    KB_COUNT(plane, injected);
    kb_red red;
    if (kb_red_make(&red, &track->kept, packet->rtp_timestamp, packet->payload, packet->payload_bytes))
        media.red = &red;
    kb_forward(plane, track, &media, now_ns);
    kb_red_keep(&track->kept, packet->rtp_timestamp, packet->payload, packet->payload_bytes);
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
