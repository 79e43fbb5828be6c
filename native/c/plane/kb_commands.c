/* What Python wants done, applied between two batches of packets. */
#define _GNU_SOURCE
#include "kb_state.h"

static void reset_readings(kb_reading *readings, size_t count, uint32_t handle)
{
    for (size_t i = 1; i < count; i++)
        kb_reading_set(&readings[i], 0);
    kb_reading_set(&readings[0], handle);
}

static void add_peer(kb_plane *plane, uint32_t handle, const kb_add_peer *with, int64_t now_ns)
{
    uint32_t index = kb_handle_index(handle);
    kb_peer *peer = &plane->peers[index];
    memset(peer, 0, offsetof(kb_peer, readings));
    peer->handle = handle;
    peer->rtcp_ssrc = with->rtcp_ssrc;
    kb_peer_credentials(&peer->credentials[0], with);
    peer->nominated = peer->validated = -1;
    if (kb_peer_register(plane, peer) != 0) {
        peer->handle = 0;
        KB_COUNT(plane, commands_stale);
        return;
    }
    reset_readings(peer->readings, KB_PEER_READINGS, handle);
    /* A peer that never comes is lost like one that went. */
    plane->peer_clocks[index] = (kb_peer_clock){.heard_ns = now_ns, .report_ns = INT64_MAX, .state = KB_LIVE};
    if (index >= plane->peer_end)
        plane->peer_end = index + 1;
}

static void remove_slot(kb_plane *plane, kb_slot *slot, int64_t now_ns)
{
    kb_slot_set_source(plane, slot, NULL, now_ns);
    kb_video_remove_slot(plane, slot);
    kb_slot **link = &plane->peers[slot->peer].slots;
    while (*link && *link != slot)
        link = &(*link)->next_of_peer;
    if (*link)
        *link = slot->next_of_peer;
    slot->handle = 0;
    slot->setup.video = NULL; /* freed by who gave it, now that this is applied */
    kb_reading_set(&slot->readings[KB_SLOT_HANDLE], 0);
}

static void remove_track(kb_plane *plane, kb_track *track, int64_t now_ns)
{
    kb_track_abandon(plane, track, now_ns);
    kb_video_remove_track(plane, track);
    if (!track->injected) {
        kb_track **link = &plane->peers[track->peer].tracks;
        while (*link && *link != track)
            link = &(*link)->next_of_peer;
        if (*link)
            *link = track->next_of_peer;
    }
    plane->track_clocks[kb_handle_index(track->handle)].state = KB_TRACK_SILENT;
    track->handle = 0;
    kb_reading_set(&track->readings[KB_TRACK_HANDLE], 0);
}

static void remove_peer(kb_plane *plane, kb_peer *peer, int64_t now_ns)
{
    while (peer->slots)
        remove_slot(plane, peer->slots, now_ns);
    while (peer->tracks)
        remove_track(plane, peer->tracks, now_ns);
    kb_egress_flush(plane->egress); /* its close_notify, before its TCP connection ends */
    kb_outbound_leave(plane, peer);
    kb_peer_unregister(plane, peer);
    peer->up = NULL; /* freed by who gave them */
    peer->down = NULL;
    plane->peer_clocks[kb_handle_index(peer->handle)] = (kb_peer_clock){.report_ns = INT64_MAX};
    kb_reading_set(&peer->readings[KB_PEER_HANDLE], 0);
    plane->config.crypto.cleanse(peer, offsetof(kb_peer, readings));
}

static void add_track(kb_plane *plane, uint32_t handle, const kb_add_track *with)
{
    kb_peer *peer = kb_peer_at(plane, with->peer);
    if (with->peer && !peer) {
        KB_COUNT(plane, commands_stale);
        return;
    }
    uint32_t index = kb_handle_index(handle);
    kb_track *track = &plane->tracks[index];
    memset(track, 0, offsetof(kb_track, readings));
    track->handle = handle;
    track->setup = *with;
    track->injected = !peer;
    if (track->setup.layers == 0)
        track->setup.layers = 1;
    if (with->kind == KB_KIND_VIDEO && with->video)
        kb_video_add_track(plane, track);
    if (peer) {
        track->peer = kb_handle_index(with->peer);
        track->next_of_peer = peer->tracks;
        peer->tracks = track;
        if (with->up)
            peer->up = with->up;
        for (int kind = 0; kind < KB_EXT_COUNT; kind++)
            if (with->ids[kind])
                peer->ids.kind[with->ids[kind]] = (uint8_t)(kind + 1);
    }
    reset_readings(track->readings, KB_TRACK_READINGS, handle);
    kb_reading_set(&track->readings[KB_TRACK_LEVEL], 0x7f);
    plane->track_clocks[index] = (kb_track_clock){.state = KB_TRACK_SILENT};
    if (index >= plane->track_end)
        plane->track_end = index + 1;
}

static void add_slot(kb_plane *plane, uint32_t handle, const kb_add_slot *with)
{
    kb_peer *peer = kb_peer_at(plane, with->peer);
    if (!peer) {
        KB_COUNT(plane, commands_stale);
        return;
    }
    uint32_t index = kb_handle_index(handle);
    kb_slot *slot = &plane->slots[index];
    memset(slot, 0, offsetof(kb_slot, readings));
    slot->handle = handle;
    slot->peer = kb_handle_index(with->peer);
    slot->setup = *with;
    plane->indices[index] = (kb_slot_index){0};
    slot->next_of_peer = peer->slots;
    peer->slots = slot;
    if (with->down)
        peer->down = with->down;
    slot->down = peer->down;
    kb_remap_init(&slot->remap, with->clock_rate, with->first_sequence, with->first_timestamp);
    slot->layer = -1;
    slot->limit = slot->allocated = KB_ANY_LAYER;
    slot->rtx_sequence = with->first_rtx_sequence;
    for (uint8_t i = 0; i < with->payload_type_count; i++) {
        slot->types[with->payload_types[i].codec] = with->payload_types[i];
        slot->has_type[with->payload_types[i].codec] = true;
    }
    for (int kind = 0; kind < KB_EXT_COUNT; kind++)
        if (with->ids[kind] && (kind != KB_EXT_MID || with->mid_bytes))
            slot->mask |= (uint16_t)(1u << kind);
    if (with->kind == KB_KIND_VIDEO && with->video) {
        slot->remap.video = true;
        kb_video_add_slot(plane, slot);
    }
    reset_readings(slot->readings, KB_SLOT_READINGS, handle);
    plane->slot_reports[index] = INT64_MAX;
    if (index >= plane->slot_end)
        plane->slot_end = index + 1;
}

static void set_keys(kb_plane *plane, kb_peer *peer, const kb_set_keys *with)
{
    peer->receive = with->receive;
    peer->transmit = with->transmit;
    peer->gcm = with->gcm;
    peer->tag_bytes = with->tag_bytes;
    kb_outbound_join(plane, peer);
}

static void send_datagram(kb_plane *plane, const kb_peer *peer, const uint8_t *data, uint32_t bytes)
{
    const kb_address *to = kb_peer_egress(peer);
    if (!to || bytes > KB_DATAGRAM_BYTES) {
        KB_COUNT(plane, dtls_unsendable);
        return;
    }
    memcpy(kb_egress_claim(plane->egress), data, bytes);
    kb_egress_commit(plane->egress, bytes, to);
    KB_COUNT(plane, dtls_sent);
}

static bool apply_to_peer(kb_plane *plane, const kb_command *command, int64_t now_ns)
{
    kb_peer *peer = kb_peer_at(plane, command->handle);
    if (!peer)
        return false;
    if (command->kind == KB_SET_KEYS)
        set_keys(plane, peer, &command->with.set_keys);
    else if (command->kind == KB_SEND)
        send_datagram(plane, peer, command->with.datagram.data, command->with.datagram.bytes);
    else if (command->kind == KB_RESTART_ICE)
        return kb_peer_restart(plane, peer, &command->with.restart) == 0;
    else
        remove_peer(plane, peer, now_ns);
    return true;
}

static bool apply_to_track(kb_plane *plane, const kb_command *command, int64_t now_ns)
{
    kb_track *track = kb_track_at(plane, command->handle);
    if (!track)
        return false;
    if (command->kind == KB_FEED_MIX)
        track->mix_source = command->with.number;
    else
        remove_track(plane, track, now_ns);
    return true;
}

static bool apply_to_slot(kb_plane *plane, const kb_command *command, int64_t now_ns)
{
    kb_slot *slot = kb_slot_at(plane, command->handle);
    if (!slot)
        return false;
    if (command->kind == KB_REMOVE_SLOT) {
        remove_slot(plane, slot, now_ns);
        return true;
    }
    if (command->kind == KB_LIMIT_SLOT) {
        kb_slot_limit(plane, slot, &command->with.limit_slot, now_ns);
        return true;
    }
    kb_track *track = kb_track_at(plane, command->with.number);
    /* A slot of pictures and a track of sound, say: nothing that the listener could decode. */
    if (track && track->video != slot->video)
        return false;
    kb_slot_set_source(plane, slot, track, now_ns);
    return track || command->with.number == 0;
}

void kb_command_apply(kb_plane *plane, const kb_command *command, int64_t now_ns)
{
    bool applied = true;
    switch ((kb_command_kind)command->kind) {
    case KB_ADD_PEER:
        add_peer(plane, command->handle, &command->with.add_peer, now_ns);
        break;
    case KB_ADD_TRACK:
        add_track(plane, command->handle, &command->with.add_track);
        break;
    case KB_ADD_SLOT:
        add_slot(plane, command->handle, &command->with.add_slot);
        break;
    case KB_SET_KEYS:
    case KB_SEND:
    case KB_REMOVE_PEER:
    case KB_RESTART_ICE:
        applied = apply_to_peer(plane, command, now_ns);
        break;
    case KB_FEED_MIX:
    case KB_REMOVE_TRACK:
        applied = apply_to_track(plane, command, now_ns);
        break;
    case KB_SET_SLOT_SOURCE:
    case KB_REMOVE_SLOT:
    case KB_LIMIT_SLOT:
        applied = apply_to_slot(plane, command, now_ns);
        break;
    }
    if (!applied)
        KB_COUNT(plane, commands_stale);
    KB_COUNT(plane, commands_applied);
    atomic_store_explicit(&plane->applied, atomic_load_explicit(&plane->applied, memory_order_relaxed) + 1,
                          memory_order_release);
}

void kb_commands_drain(kb_plane *plane, int64_t now_ns)
{
    kb_command *command;
    while ((command = kb_ring_peek(&plane->commands)) != NULL) {
        kb_command_apply(plane, command, now_ns);
        if (command->kind == KB_ADD_PEER || command->kind == KB_RESTART_ICE) /* the password */
            plane->config.crypto.cleanse(command, sizeof *command);
        kb_ring_release(&plane->commands);
    }
}
