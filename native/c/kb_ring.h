/* Single-producer single-consumer ring of equal slots: the only thing threads of Kabina share.
 *
 * One thread calls the `_claim`/`_publish` pair, one other thread `_peek`/`_release`; neither ever waits. A full
 * ring refuses the claim and the producer counts the drop: late media is worth less than a stalled thread.
 * Header-only so that each extension has its own copy of the code and none has static state.
 */
#ifndef KB_RING_H
#define KB_RING_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct kb_ring {
    alignas(64) _Atomic uint32_t head; /* next slot to write; only the producer stores it */
    alignas(64) _Atomic uint32_t tail; /* next slot to read; only the consumer stores it */
    alignas(64) uint32_t mask;
    uint32_t slot_bytes;
    unsigned char *slots;
} kb_ring;

/* Returns 0, or -1 without memory. `slot_count` is a power of two; `slot_bytes` is rounded up to 64. */
static inline int kb_ring_init(kb_ring *ring, uint32_t slot_count, uint32_t slot_bytes)
{
    slot_bytes = (slot_bytes + 63u) & ~63u;
    atomic_init(&ring->head, 0);
    atomic_init(&ring->tail, 0);
    ring->mask = slot_count - 1;
    ring->slot_bytes = slot_bytes;
    ring->slots = aligned_alloc(64, (size_t)slot_count * slot_bytes);
    if (!ring->slots)
        return -1;
    /* Touched now, so that the first lap faults no page in on a real-time thread. */
    memset(ring->slots, 0, (size_t)slot_count * slot_bytes);
    return 0;
}

static inline void kb_ring_free(kb_ring *ring)
{
    free(ring->slots);
    ring->slots = NULL;
}

/* Producer: the slot to fill, or NULL when the ring is full. Nothing is visible before `_publish`. */
static inline void *kb_ring_claim(kb_ring *ring)
{
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    if (head - tail > ring->mask)
        return NULL;
    return ring->slots + (size_t)(head & ring->mask) * ring->slot_bytes;
}

static inline void kb_ring_publish(kb_ring *ring)
{
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
}

/* Consumer: the oldest unread slot, or NULL when empty. It stays valid until `_release`. */
static inline void *kb_ring_peek(kb_ring *ring)
{
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    if (head == tail)
        return NULL;
    return ring->slots + (size_t)(tail & ring->mask) * ring->slot_bytes;
}

static inline void kb_ring_release(kb_ring *ring)
{
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
}

/* The same for several slots at once: the counters then change hands once for all of them. */

/* Producer: the slot `ahead` after the next one, or NULL when there is no room for so many. */
static inline void *kb_ring_claim_ahead(kb_ring *ring, uint32_t ahead)
{
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed) + ahead;
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    if (head - tail > ring->mask)
        return NULL;
    return ring->slots + (size_t)(head & ring->mask) * ring->slot_bytes;
}

static inline void kb_ring_publish_many(kb_ring *ring, uint32_t count)
{
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    atomic_store_explicit(&ring->head, head + count, memory_order_release);
}

/* Consumer: how many slots are unread. */
static inline uint32_t kb_ring_ready(kb_ring *ring)
{
    return atomic_load_explicit(&ring->head, memory_order_acquire) -
           atomic_load_explicit(&ring->tail, memory_order_relaxed);
}

/* Consumer: the unread slot `ahead` after the oldest; there are more than `ahead`. */
static inline void *kb_ring_peek_ahead(kb_ring *ring, uint32_t ahead)
{
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed) + ahead;
    return ring->slots + (size_t)(tail & ring->mask) * ring->slot_bytes;
}

static inline void kb_ring_release_many(kb_ring *ring, uint32_t count)
{
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    atomic_store_explicit(&ring->tail, tail + count, memory_order_release);
}

#endif
