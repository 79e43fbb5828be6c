#include "kb_impair.h"

#include <stdlib.h>
#include <string.h>

enum draw { DRAW_STATE, DRAW_LOSS, DRAW_JITTER, DRAW_REORDER, DRAW_DEPTH, DRAW_DUPLICATE, DRAW_CORRUPT, DRAW_BIT };

typedef struct slot {
    int64_t due_ns;
    uint64_t order; /* of equals, the earlier first */
    uint64_t index; /* on its link */
    uint32_t link, bytes;
    uint32_t at; /* in the heap */
    uint8_t data[KB_IMPAIR_DATAGRAM];
} slot;

typedef struct held_packet {
    uint32_t slot;
    uint64_t until; /* the index of the follower that sets it free */
} held_packet;

typedef struct link_state {
    uint64_t key;
    uint64_t count;   /* packets that entered */
    uint64_t newest;  /* highest index that left, plus one */
    int64_t free_ns;  /* when the bottleneck has sent all that waits */
    int64_t last_ns;  /* when the last packet leaves */
    bool is_bad;
    uint32_t held_count;
    held_packet held[KB_IMPAIR_HELD];
} link_state;

struct kb_impair {
    kb_impair_settings settings[2];
    kb_impair_counters counters[2];
    link_state *links;
    slot *slots;
    uint32_t *heap, *unused;
    uint32_t waiting, spare, link_count, last;
    uint64_t order;
};

/* The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every output bit depends on every input bit. */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint64_t draw(const link_state *link, uint64_t index, enum draw what)
{
    return mix(link->key ^ mix(index << 3 | (uint64_t)what));
}

static bool happens(const link_state *link, uint64_t index, enum draw what, double chance)
{
    return (double)(draw(link, index, what) >> 11) * 0x1p-53 < chance;
}

kb_impair *kb_impair_new(uint64_t seed, uint32_t links, uint32_t packets)
{
    kb_impair *impair = calloc(1, sizeof *impair);
    if (!impair)
        return NULL;
    impair->links = calloc(links, sizeof *impair->links);
    impair->slots = malloc((size_t)packets * sizeof *impair->slots); /* not touched before it is used */
    impair->heap = calloc(packets, sizeof *impair->heap);
    impair->unused = calloc(packets, sizeof *impair->unused);
    if (!impair->links || !impair->slots || !impair->heap || !impair->unused) {
        kb_impair_free(impair);
        return NULL;
    }
    impair->link_count = links;
    impair->last = UINT32_MAX;
    for (uint32_t i = 0; i < links; i++)
        impair->links[i] = (link_state){.key = mix(mix(seed) + i), .free_ns = INT64_MIN, .last_ns = INT64_MIN};
    for (uint32_t i = 0; i < packets; i++)
        impair->unused[impair->spare++] = packets - 1 - i;
    return impair;
}

void kb_impair_free(kb_impair *impair)
{
    if (!impair)
        return;
    free(impair->links);
    free(impair->slots);
    free(impair->heap);
    free(impair->unused);
    free(impair);
}

void kb_impair_set(kb_impair *impair, int direction, const kb_impair_settings *settings)
{
    impair->settings[direction & 1] = *settings;
}

const kb_impair_counters *kb_impair_count(const kb_impair *impair, int direction)
{
    return &impair->counters[direction & 1];
}

static bool before(const kb_impair *impair, uint32_t a, uint32_t b)
{
    const slot *x = &impair->slots[a], *y = &impair->slots[b];
    return x->due_ns != y->due_ns ? x->due_ns < y->due_ns : x->order < y->order;
}

static void put(kb_impair *impair, uint32_t at, uint32_t number)
{
    impair->heap[at] = number;
    impair->slots[number].at = at;
}

static void rise(kb_impair *impair, uint32_t number)
{
    uint32_t at = impair->slots[number].at;
    while (at > 0 && before(impair, number, impair->heap[(at - 1) / 2])) {
        put(impair, at, impair->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(impair, at, number);
}

static void sink(kb_impair *impair, uint32_t number)
{
    uint32_t at = impair->slots[number].at;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= impair->waiting)
            break;
        if (child + 1 < impair->waiting && before(impair, impair->heap[child + 1], impair->heap[child]))
            child++;
        if (!before(impair, impair->heap[child], number))
            break;
        put(impair, at, impair->heap[child]);
        at = child;
    }
    put(impair, at, number);
}

/* The slot of a new packet on its way, UINT32_MAX when there is none left. */
static uint32_t enqueue(kb_impair *impair, uint32_t link, uint64_t index, const uint8_t *data, size_t bytes,
                        int64_t due_ns)
{
    if (impair->spare == 0)
        return UINT32_MAX;
    uint32_t number = impair->unused[--impair->spare];
    slot *s = &impair->slots[number];
    s->due_ns = due_ns;
    s->order = impair->order++;
    s->index = index;
    s->link = link;
    s->bytes = (uint32_t)bytes;
    memcpy(s->data, data, bytes);
    put(impair, impair->waiting++, number);
    rise(impair, number);
    return number;
}

/* When the bottleneck has sent the packet; INT64_MAX when its queue is full. */
static int64_t through_bottleneck(link_state *link, const kb_impair_settings *set, size_t bytes, int64_t now_ns)
{
    if (set->rate_bps == 0)
        return now_ns;
    int64_t start_ns = link->free_ns > now_ns ? link->free_ns : now_ns;
    double bytes_per_ns = (double)set->rate_bps / 8e9;
    double queued = (double)(start_ns - now_ns) * bytes_per_ns;
    double size = (double)(bytes + KB_IMPAIR_OVERHEAD);
    if ((set->queue_ns && start_ns - now_ns > set->queue_ns) ||
        (set->queue_bytes && queued + size > (double)set->queue_bytes))
        return INT64_MAX;
    link->free_ns = start_ns + (int64_t)(size / bytes_per_ns);
    return link->free_ns;
}

/* Packets that waited for this one go right behind it. */
static void let_go(kb_impair *impair, link_state *link, uint64_t index, int64_t due_ns)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < link->held_count; i++) {
        held_packet held = link->held[i];
        if (index < held.until) {
            link->held[kept++] = held;
            continue;
        }
        slot *s = &impair->slots[held.slot];
        if (due_ns < s->due_ns) {
            s->due_ns = due_ns;
            s->order = impair->order++;
            rise(impair, held.slot);
        }
    }
    link->held_count = kept;
}

void kb_impair_receive(kb_impair *impair, uint32_t number, const uint8_t *data, size_t bytes, int64_t now_ns)
{
    if (number >= impair->link_count)
        return;
    link_state *link = &impair->links[number];
    const kb_impair_settings *set = &impair->settings[number & 1];
    kb_impair_counters *counters = &impair->counters[number & 1];
    uint64_t index = link->count++;
    counters->received++;
    /* The state moves with every packet, whatever happens to it. */
    if (happens(link, index, DRAW_STATE, link->is_bad ? set->bad_to_good : set->good_to_bad))
        link->is_bad = !link->is_bad;
    if (bytes > KB_IMPAIR_DATAGRAM || (set->mtu_bytes && bytes + KB_IMPAIR_OVERHEAD > set->mtu_bytes)) {
        counters->too_large++;
        return;
    }
    if (set->blackout) {
        counters->blacked_out++;
        return;
    }
    if (happens(link, index, DRAW_LOSS, link->is_bad ? set->bad_loss : set->good_loss)) {
        counters->lost++;
        return;
    }
    int64_t due_ns = through_bottleneck(link, set, bytes, now_ns);
    if (due_ns == INT64_MAX) {
        counters->queue_drops++;
        return;
    }
    due_ns += set->delay_ns;
    if (set->jitter_ns > 0)
        due_ns += (int64_t)((double)(draw(link, index, DRAW_JITTER) >> 11) * 0x1p-53 * (double)set->jitter_ns);
    if (due_ns < link->last_ns)
        due_ns = link->last_ns;
    bool held = set->reorder_packets > 0 && link->held_count < KB_IMPAIR_HELD &&
                happens(link, index, DRAW_REORDER, set->reorder);
    uint32_t taken = enqueue(impair, number, index, data, bytes, held ? due_ns + KB_IMPAIR_HOLD_NS : due_ns);
    if (taken == UINT32_MAX) {
        counters->exhausted++;
        return;
    }
    if (bytes > 0 && happens(link, index, DRAW_CORRUPT, set->corrupt)) {
        uint64_t bit = draw(link, index, DRAW_BIT) % (8 * bytes);
        impair->slots[taken].data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        counters->corrupted++;
    }
    let_go(impair, link, index, due_ns);
    if (held) {
        uint64_t depth = 1 + draw(link, index, DRAW_DEPTH) % set->reorder_packets;
        link->held[link->held_count++] = (held_packet){taken, index + depth};
        return;
    }
    link->last_ns = due_ns;
    if (happens(link, index, DRAW_DUPLICATE, set->duplicate) &&
        enqueue(impair, number, index, impair->slots[taken].data, bytes, due_ns) != UINT32_MAX)
        counters->duplicated++;
}

static void forget_held(link_state *link, uint32_t number)
{
    for (uint32_t i = 0; i < link->held_count; i++)
        if (link->held[i].slot == number) {
            link->held[i] = link->held[--link->held_count];
            return;
        }
}

bool kb_impair_poll(kb_impair *impair, int64_t now_ns, kb_impair_packet *out)
{
    if (impair->last != UINT32_MAX) { /* the caller is done with it */
        impair->unused[impair->spare++] = impair->last;
        impair->last = UINT32_MAX;
    }
    if (impair->waiting == 0 || impair->slots[impair->heap[0]].due_ns > now_ns)
        return false;
    uint32_t number = impair->heap[0];
    uint32_t moved = impair->heap[--impair->waiting];
    if (moved != number) {
        impair->slots[moved].at = 0;
        sink(impair, moved);
    }
    slot *s = &impair->slots[number];
    link_state *link = &impair->links[s->link];
    kb_impair_counters *counters = &impair->counters[s->link & 1];
    forget_held(link, number);
    counters->forwarded++;
    counters->bytes += s->bytes;
    if (s->index + 1 < link->newest)
        counters->reordered++;
    else
        link->newest = s->index + 1;
    impair->last = number;
    *out = (kb_impair_packet){s->link, s->bytes, s->due_ns, s->data};
    return true;
}

int64_t kb_impair_deadline(const kb_impair *impair)
{
    return impair->waiting ? impair->slots[impair->heap[0]].due_ns : INT64_MAX;
}
