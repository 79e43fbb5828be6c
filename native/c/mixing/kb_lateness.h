/* How late packets come, and the delay that is worth it.
 *
 * `d` is how much longer than the fastest of the last 10 s a packet travelled. Two histograms of it, with a memory of 300
 * and of 3000 packets, give P(late > d): the larger, so that it rises quickly and falls surely. The delay to have is
 * the d that minimises  w(d) + 100·C·P(late > d).
 *
 * w(d) is d, but below `cheap_ms` a ms counts 1/5.6: by the E-model (G.107) a ms of delay costs 0.024 of R up to 177 ms
 * from mouth to ear and 0.134 beyond. So while the whole path is short, nearly nothing comes too late, and on a
 * bad path C decides.
 *
 * A stall (everything waits, then comes at once) is one event and not as many as there were packets: it
 * counts once in the fast histogram and fully in the slow one, so one stall leaves no delay and ten a minute do. A
 * lost packet whose copy (FEC) came counts as one that came with its copy, unless it is alone in 10 s: where
 * losses are frequent it is worth waiting for copies, where one is lost it is not. A short burst alone counts so
 * much that it is waited for during 2 s.
 */
#ifndef KB_LATENESS_H
#define KB_LATENESS_H

#include <stdint.h>

#define KB_LATENESS_BINS 512 /* of 1 ms; the last also holds everything later */
#define KB_LATENESS_MINIMA 10 /* seconds */

typedef struct kb_jitter_settings {
    int32_t cost_ms; /* C: ms of delay that one per cent of late packets is worth */
    int32_t min_ms;
    int32_t start_ms; /* until enough packets were seen to know better */
    int32_t max_ms;   /* beyond it packets are dropped rather than played so late */
    int32_t cheap_ms; /* up to here a ms of delay counts 1/5.6; 0: it always counts fully */
} kb_jitter_settings;

/* Of both memories, the worse: a change for the worse shows in seconds, one for the better in a minute. */
typedef struct kb_jitter_network {
    float late_p95_ms; /* so much longer than the fastest did 95 % of the packets travel, at most (and a sixth) */
    float reordered;   /* share of packets that came after one sent later; repairs (RED, RTX) are among them */
} kb_jitter_network;

typedef struct kb_lateness {
    int64_t minima[KB_LATENESS_MINIMA]; /* least transit per second, ns */
    int64_t minima_second;
    int64_t least_transit; /* arrival minus timestamp, ns */
    int64_t last_at_ns, last_timestamp;
    uint32_t observed;
    uint32_t since_copy; /* packets since a lost one had a copy */
    uint8_t in_burst; /* behind a stall */
    float fast[KB_LATENESS_BINS], slow[KB_LATENESS_BINS];
    float cost[KB_LATENESS_BINS]; /* of having this delay */
    float reordered;
    int32_t target_ms;
    int32_t rare_ms; /* 2 % of the packets or fewer come later than this */
} kb_lateness;

void kb_lateness_init(kb_lateness *lateness, const kb_jitter_settings *settings);

/* A packet of `samples` came. With `begins_timeline` the sender's clock is a new one. */
void kb_lateness_observe(kb_lateness *lateness, const kb_jitter_settings *settings, int64_t at_ns, int64_t timestamp,
                         int begins_timeline);

/* The packet just observed has the copy of a lost one `samples` before it, the last of `lost` in a row. */
void kb_lateness_observe_copy(kb_lateness *lateness, int32_t samples, int lost);

/* What a delay of `ms` above the fastest path costs, in ms of w. */
float kb_lateness_cost(const kb_lateness *lateness, float ms);

kb_jitter_network kb_lateness_network(const kb_lateness *lateness);

#endif
