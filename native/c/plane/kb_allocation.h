/* Which layer each video slot of one subscriber gets of the estimate. Pure: state in, state out.
 *
 * One `kb_allocation` per peer with video slots. Every 100 ms, and at once when kb_bwe_bps fell, a slot was limited,
 * paused or got another source: fill an array from the peer's video slots (on the stack; ≤ KB_ALLOCATION_SLOTS), call
 * kb_allocate, then write `target` into kb_slot.allocated (−1 = send nothing) and let the switch happen at a key frame.
 * `current` is what is sent, or what a pending switch was ordered to. Then kb_bwe_want(bwe, kb_allocation_wanted(…)).
 */
#ifndef KB_ALLOCATION_H
#define KB_ALLOCATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KB_ALLOCATION_LAYERS 4
#define KB_ALLOCATION_SLOTS 64

#define KB_ALLOCATION_BINS 5

typedef struct kb_allocation {
    int64_t fell_ns; /* the last time something was taken away, 0 = never */
    int64_t bin;     /* number of the newest, 0 = none yet */
    uint64_t least_bps[KB_ALLOCATION_BINS]; /* the lowest estimate of each half second */
} kb_allocation;

typedef struct kb_allocation_slot {
    uint32_t layer_bps[KB_ALLOCATION_LAYERS]; /* measured, lowest layer first; 0 = not there. A layer
                                               * that exists but stands still (a shared document) counts 1. */
    uint8_t priority; /* higher first; equal ones in order of the array */
    uint8_t limit;    /* highest layer that is shown; 255 = any */
    bool paused;
    int8_t current; /* −1 = nothing */
    int8_t target;  /* out; −1 = nothing */
} kb_allocation_slot;

/* Sets every `target`. Audio is taken off first. Down at once; up when the estimate had 20 % to spare for it during all
 * of the last 2.5 s (so at once when a tile grew on a path that is known), or now after a `probed` success; the first
 * layer of a slot that had none starts as soon as it fits. Lowest layers of all before higher ones of any. Returns
 * whether a target differs from its `current`. */
bool kb_allocate(kb_allocation *state, uint64_t estimate_bps, uint64_t audio_bps, kb_allocation_slot *slots,
                 size_t count, bool probed, int64_t now_ns);
/* What all would take if the path were free, head-room included; 0 when every slot has what it is shown. */
uint64_t kb_allocation_wanted(const kb_allocation_slot *slots, size_t count, uint64_t audio_bps);

#endif
