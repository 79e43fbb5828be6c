/* How fast pictures may go out to one subscriber: a leaky bucket, sans I/O, the time passed in. One per peer with video
 * slots; sound, reports and retransmissions fill it but are never held by it.
 *
 * What fits into KB_PACER_BURST_NS goes at once, so an ordinary picture stays one group of segments; of a key frame the
 * rest follows at the paced rate. */
#ifndef KB_PACER_H
#define KB_PACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One picture at 30 Hz of a stream that takes 60 % of the rate; sound that comes just behind waits that long. */
#define KB_PACER_BURST_NS 20000000
/* On a path that is known to be full, what waits for longer is given up. A key frame of ten ordinary pictures takes a
 * path that has 20 % to spare for them 280 ms; what it takes longer, those behind it may wait longer. */
#define KB_PACER_LONGEST_NS 800000000
/* Whoever is behind for so long asks whether the path carries more by now (kb_bwe_doubt). */
#define KB_PACER_BEHIND_NS 1000000000
/* From here on pictures that no other one needs are left out: half of them where three temporal layers are sent. */
#define KB_PACER_THIN_NS 100000000

typedef struct kb_pacer {
    uint32_t ns_per_byte; /* 0 = nothing is known of the path: nothing waits */
    uint32_t slots;       /* that have pictures waiting */
    uint64_t served;      /* numbers what they sent */
    bool full;            /* the path carries no more than the paced rate */
    int64_t behind_ns;    /* since when pictures wait */
    int64_t clear_ns;     /* when all that went out would have left at the paced rate */
} kb_pacer;

/* 0 = unknown. */
void kb_pacer_rate(kb_pacer *pacer, uint32_t bps);
/* Bytes went out, of whatever kind. */
void kb_pacer_sent(kb_pacer *pacer, size_t bytes, int64_t now_ns);
/* Whether a picture's next packet may go now. */
bool kb_pacer_allows(const kb_pacer *pacer, int64_t now_ns);

#endif
