#include "kb_allocation.h"

#include <string.h>

/* 20 %: measured bitrates swing by that much, and a layer that must be left again costs a key frame each way. */
#define HEADROOM(bps) ((bps) + (bps) / 5)
#define BIN_NS 500000000
#define HOLD_NS (KB_ALLOCATION_BINS * (int64_t)BIN_NS)
/* The last picture stays until it is clearly too much: an estimate is 15 % below what a full path carries, and what is
 * left beside the sound bears that and the swing of a measured bitrate. */
#define CLEARLY(bps) ((bps) * 3 / 5)

typedef struct budget {
    uint64_t free; /* what is left */
    bool generous; /* what is above the present layer must fit with room to spare */
} budget;

/* The lowest layer above `layer` that is there and shown, or −1. */
static int next_layer(const kb_allocation_slot *slot, int layer)
{
    int most = slot->limit < KB_ALLOCATION_LAYERS ? slot->limit : KB_ALLOCATION_LAYERS - 1;
    for (layer++; layer <= most && !slot->paused; layer++)
        if (slot->layer_bps[layer])
            return layer;
    return -1;
}

static uint64_t price(const kb_allocation_slot *slot, int layer, bool generous)
{
    uint64_t bps = layer < 0 ? 0 : slot->layer_bps[layer];
    return generous && layer > slot->current ? HEADROOM(bps) : bps;
}

/* Lifts the slot by one layer if that fits. */
static void lift(kb_allocation_slot *slot, budget *left)
{
    int layer = next_layer(slot, slot->target);
    if (layer < 0)
        return;
    uint64_t now = price(slot, slot->target, left->generous), then = price(slot, layer, left->generous);
    if (then > now && then - now > left->free)
        return;
    left->free = left->free + now - then;
    slot->target = (int8_t)layer;
}

/* Lowest layers of all in order of priority, then the others one step at a time, the most important slot first. */
static void divide(kb_allocation_slot *slots, size_t count, budget left)
{
    for (size_t i = 0; i < count; i++)
        slots[i].target = -1;
    for (int round = 0; round < KB_ALLOCATION_LAYERS; round++)
        for (int priority = 255; priority >= 0;) {
            int lower = -1;
            for (size_t i = 0; i < count; i++) {
                if (slots[i].priority == priority && (round == 0 || slots[i].target >= 0))
                    lift(&slots[i], &left);
                else if (slots[i].priority < priority && slots[i].priority > lower)
                    lower = slots[i].priority;
            }
            priority = lower;
        }
}

/* The most important slot that may be shown, or `count`. */
static size_t foremost(const kb_allocation_slot *slots, size_t count)
{
    size_t best = count;
    for (size_t i = 0; i < count; i++)
        if (next_layer(&slots[i], -1) >= 0 && (best == count || slots[i].priority > slots[best].priority))
            best = i;
    return best;
}

/* The present layer, or, when it is gone or no longer shown, the nearest below it, or else the lowest. */
static int stays(const kb_allocation_slot *slot)
{
    int layer = -1;
    for (int next; (next = next_layer(slot, layer)) >= 0 && next <= slot->current;)
        layer = next;
    return layer < 0 && slot->current >= 0 ? next_layer(slot, -1) : layer;
}

/* Whether the slot has less than it had, and not because it shows less. */
static bool falls(const kb_allocation_slot *slot, int keep)
{
    return !slot->paused && keep < slot->current && keep < slot->limit && slot->layer_bps[slot->current];
}

/* The lowest estimate since the beginning of the oldest half second: an estimate that swings is worth its lower end. */
static uint64_t sustained(kb_allocation *state, uint64_t estimate_bps, int64_t now_ns)
{
    int64_t bin = now_ns / BIN_NS + 1;
    int64_t from = state->bin ? state->bin + 1 : bin - KB_ALLOCATION_BINS + 1;
    if (from < bin - KB_ALLOCATION_BINS + 1)
        from = bin - KB_ALLOCATION_BINS + 1;
    for (; from <= bin; from++)
        state->least_bps[from % KB_ALLOCATION_BINS] = estimate_bps;
    state->bin = bin;
    uint64_t *newest = &state->least_bps[bin % KB_ALLOCATION_BINS], least = estimate_bps;
    *newest = *newest < estimate_bps ? *newest : estimate_bps;
    for (int i = 0; i < KB_ALLOCATION_BINS; i++)
        least = state->least_bps[i] < least ? state->least_bps[i] : least;
    return least;
}

bool kb_allocate(kb_allocation *state, uint64_t estimate_bps, uint64_t audio_bps, kb_allocation_slot *slots,
                 size_t count, bool probed, int64_t now_ns)
{
    uint64_t video_bps = estimate_bps > audio_bps ? estimate_bps - audio_bps : 0;
    int8_t keep[KB_ALLOCATION_SLOTS];
    count = count < KB_ALLOCATION_SLOTS ? count : KB_ALLOCATION_SLOTS;
    divide(slots, count, (budget){.free = video_bps});
    for (size_t i = 0; i < count; i++)
        keep[i] = slots[i].target;
    size_t first = foremost(slots, count);
    if (first < count && keep[first] < 0) {
        int lowest = next_layer(&slots[first], -1);
        if (slots[first].current >= 0 && video_bps >= CLEARLY((uint64_t)slots[first].layer_bps[lowest])) {
            memset(keep, -1, sizeof keep); /* it alone: less important ones would be beyond the estimate */
            keep[first] = (int8_t)lowest;
        }
    }
    uint64_t steady_bps = sustained(state, estimate_bps, now_ns);
    uint64_t trusted_bps = probed ? estimate_bps : steady_bps;
    uint64_t spare_bps = trusted_bps > audio_bps ? trusted_bps - audio_bps : 0;
    divide(slots, count, (budget){.free = spare_bps, .generous = true});
    bool fell = false, higher = false;
    for (size_t i = 0; i < count; i++) {
        fell = fell || falls(&slots[i], keep[i]);
        higher = higher || slots[i].target > slots[i].current;
    }
    if (fell)
        state->fell_ns = now_ns;
    else if (state->fell_ns && now_ns - state->fell_ns >= HOLD_NS)
        state->fell_ns = 0;
    bool up = higher && !fell;
    /* Head-room is for going up: what runs stays as long as it fits without. A black tile does not wait for head-room,
     * unless its picture was just taken away. */
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        bool starts = slots[i].current < 0 && keep[i] >= 0 && state->fell_ns == 0;
        if (starts)
            keep[i] = (int8_t)next_layer(&slots[i], -1);
        else if (keep[i] > slots[i].current)
            keep[i] = (int8_t)stays(&slots[i]);
        int layer = up && slots[i].target > keep[i] ? slots[i].target : keep[i];
        total += price(&slots[i], layer, false);
    }
    bool differs = false;
    for (size_t i = 0; i < count; i++) {
        if (!up || total > video_bps || slots[i].target < keep[i])
            slots[i].target = keep[i];
        differs = differs || slots[i].target != slots[i].current;
    }
    return differs;
}

uint64_t kb_allocation_wanted(const kb_allocation_slot *slots, size_t count, uint64_t audio_bps)
{
    uint64_t all = audio_bps;
    bool more = false;
    for (size_t i = 0; i < count; i++) {
        int top = -1;
        for (int layer; (layer = next_layer(&slots[i], top)) >= 0;)
            top = layer;
        if (top < 0)
            continue;
        all += HEADROOM((uint64_t)slots[i].layer_bps[top]);
        more = more || top > slots[i].current;
    }
    return more ? all : 0;
}
