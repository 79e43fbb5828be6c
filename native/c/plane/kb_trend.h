/* Whether the queue of a path grows, from when packets left and when they arrived (draft-ietf-rmcat-gcc-02 §5, with the
 * trend line of Carlucci et al., MMSys 2016, §4), and how much a path that suddenly narrowed still lets through. Pure. */
#ifndef KB_TREND_H
#define KB_TREND_H

#include "kb_twcc.h"

#define KB_TREND_POINTS 20
#define KB_TREND_PACKETS 32

typedef enum kb_bwe_usage { KB_BWE_NORMAL, KB_BWE_OVERUSE, KB_BWE_UNDERUSE } kb_bwe_usage;

/* Packets that left together, within 5 ms. */
typedef struct kb_trend_group {
    int64_t first_sent_ns, last_sent_ns, last_arrival_ns;
} kb_trend_group;

typedef struct kb_trend_packet {
    int64_t sent_ns, arrival_ns;
    uint32_t bytes;
} kb_trend_packet;

typedef struct kb_trend {
    kb_bwe_usage usage;
    int64_t base_ns;      /* the delay of the path without a queue, clocks apart */
    uint32_t carried_bps; /* what the path let through while it was never idle, up to carried_ns in arrival time */
    int64_t carried_ns;
    kb_trend_packet packets[KB_TREND_PACKETS]; /* a ring of the last ones */
    uint32_t received;
    kb_trend_group group, before;
    bool has_group, has_before;
    double x[KB_TREND_POINTS], y[KB_TREND_POINTS]; /* ms */
    unsigned count, at, deltas;
    double accumulated_ms, smoothed_ms, slope_before, threshold_ms, over_ms;
    int64_t threshold_ns, first_arrival_ns, over_count;
} kb_trend;

void kb_trend_init(kb_trend *trend);
/* What the last groups said is old. The threshold stays: it is the path's. */
void kb_trend_forget(kb_trend *trend);
/* What the path carries, if that could be seen in the last half second, else 0. */
uint32_t kb_trend_carried_bps(const kb_trend *trend);
/* One packet that arrived, in the order in which they were sent. */
void kb_trend_receive(kb_trend *trend, const kb_twcc_sample *sample);

#endif
