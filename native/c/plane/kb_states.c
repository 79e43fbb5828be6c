/* Up to Python: DTLS datagrams by a ring that may drop, states by one word each that may not be lost. */
#define _GNU_SOURCE
#include "kb_state.h"

#define DATAGRAM_SLOTS 512u /* a flight is ≤ 4 datagrams: a hundred handshakes while Python is blocked */
#define NOTHING UINT32_MAX

typedef struct datagram {
    uint32_t peer;
    uint32_t bytes;
    uint8_t data[KB_DATAGRAM_BYTES];
} datagram;

int kb_states_init(kb_plane *plane)
{
    kb_states *states = &plane->states;
    uint32_t count = plane->config.max_peers + plane->config.max_tracks;
    uint32_t slots = 64;
    while (slots < count)
        slots *= 2;
    states->reading = NOTHING;
    states->words = calloc(count, sizeof *states->words);
    states->queued = calloc(count, sizeof *states->queued);
    states->reported = calloc(count, sizeof *states->reported);
    if (!states->words || !states->queued || !states->reported ||
        kb_ring_init(&states->dirty, slots, sizeof(uint32_t)) != 0)
        return -1;
    return kb_ring_init(&plane->datagrams, DATAGRAM_SLOTS, sizeof(datagram));
}

void kb_states_free(kb_plane *plane)
{
    free(plane->states.words);
    free(plane->states.queued);
    free(plane->states.reported);
    kb_ring_free(&plane->states.dirty);
    kb_ring_free(&plane->datagrams);
}

static void publish(kb_plane *plane, uint32_t entity, uint64_t word)
{
    kb_states *states = &plane->states;
    atomic_store_explicit(&states->words[entity], word, memory_order_relaxed);
    plane->wake_python = true;
    /* Exchanges on both sides: whoever comes second sees what the first one wrote before. */
    if (atomic_exchange_explicit(&states->queued[entity], 1, memory_order_acq_rel))
        return;
    uint32_t *slot = kb_ring_claim(&states->dirty);
    if (slot) { /* always: an entity stands in the ring once, and the ring holds all of them */
        *slot = entity;
        kb_ring_publish(&states->dirty);
    }
}

void kb_states_peer(kb_plane *plane, const kb_peer *peer)
{
    uint32_t index = kb_handle_index(peer->handle);
    publish(plane, index,
            (uint64_t)peer->handle << 32 | (uint64_t)peer->nominations << 8 |
                (uint64_t)plane->peer_clocks[index].state);
}

void kb_states_track(kb_plane *plane, const kb_track *track)
{
    uint32_t index = kb_handle_index(track->handle);
    publish(plane, plane->config.max_peers + index,
            (uint64_t)track->handle << 32 | (uint64_t)plane->track_clocks[index].state);
}

void kb_states_datagram(kb_plane *plane, const kb_peer *peer, const uint8_t *data, size_t size)
{
    datagram *slot = kb_ring_claim(&plane->datagrams);
    if (!slot || size > KB_DATAGRAM_BYTES) {
        KB_COUNT(plane, dtls_dropped);
        return;
    }
    slot->peer = peer->handle;
    slot->bytes = (uint32_t)size;
    memcpy(slot->data, data, size);
    kb_ring_publish(&plane->datagrams);
    plane->wake_python = true;
}

static uint32_t peer_difference(kb_reported *known, uint16_t nominations, uint8_t state)
{
    if (known->nominations != nominations) {
        known->nominations = nominations;
        return KB_NOMINATED;
    }
    if (known->state == state)
        return 0;
    if (known->state > state) {
        known->state = state;
        return KB_PEER_RESUMED;
    }
    known->state++;
    return known->state == KB_STALLED ? KB_PEER_STALLED : KB_PEER_LOST;
}

static uint32_t track_difference(kb_reported *known, uint8_t state)
{
    if (known->state == state)
        return 0;
    if (known->state == KB_TRACK_SILENT) {
        known->state = KB_TRACK_RUNNING;
        return KB_TRACK_STARTED;
    }
    known->state = state;
    return state == KB_TRACK_QUIET ? KB_TRACK_STALLED : KB_TRACK_RESUMED;
}

/* The next step from what Python knows about the entity to what is. */
static bool next_difference(kb_plane *plane, uint32_t entity, kb_event *event)
{
    uint64_t word = atomic_load_explicit(&plane->states.words[entity], memory_order_relaxed);
    kb_reported *known = &plane->states.reported[entity];
    uint32_t handle = (uint32_t)(word >> 32);
    if (known->handle != handle)
        *known = (kb_reported){.handle = handle};
    event->handle = handle;
    event->bytes = 0;
    event->kind = entity < plane->config.max_peers ? peer_difference(known, (uint16_t)(word >> 8), (uint8_t)word)
                                                   : track_difference(known, (uint8_t)word);
    return event->kind != 0;
}

bool kb_plane_poll(kb_plane *plane, kb_event *event)
{
    kb_states *states = &plane->states;
    for (;;) {
        if (states->reading != NOTHING && next_difference(plane, states->reading, event))
            return true;
        const uint32_t *slot = kb_ring_peek(&states->dirty);
        if (!slot)
            break;
        states->reading = *slot;
        kb_ring_release(&states->dirty);
        atomic_exchange_explicit(&states->queued[states->reading], 0, memory_order_acq_rel);
    }
    states->reading = NOTHING;
    const datagram *received = kb_ring_peek(&plane->datagrams);
    if (!received)
        return false;
    event->kind = KB_DTLS_RECEIVED;
    event->handle = received->peer;
    event->bytes = received->bytes;
    memcpy(event->data, received->data, received->bytes);
    kb_ring_release(&plane->datagrams);
    return true;
}
