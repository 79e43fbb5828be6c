/* How much a path to one subscriber carries: delay trend, rate control, loss and probes of Google congestion control
 * (draft-ietf-rmcat-gcc-02; Carlucci et al., MMSys 2016), sans I/O, the time passed in. One per peer with video slots.
 *
 *   - with each datagram sent (media, RTX, padding; audio too when it is counted in feedback):
 *     kb_bwe_sent(b, bytes, now_ns);
 *   - with each feedback: kb_bwe_feedback(b, samples, count, now_ns); with a REMB: kb_bwe_remb(b, bps, now_ns);
 *   - when the layers are allocated, ≤ every 100 ms: kb_bwe_want(b, kb_allocation_wanted(…)); 0 = nothing to gain;
 *   - in the timer turn, every ≤ 10 ms: kb_bwe_advance(b, now_ns); then, while (n = kb_bwe_padding(b, now_ns)) > 0, send
 *     padding of up to n bytes (RTX of recent packets, or ≤ 255 bytes of RTP padding per packet on the RTX SSRC; not on
 *     a media SSRC unless its remap accounts for it), each through kb_bwe_sent and kb_twcc_sent with kb_bwe_probing;
 *   - kb_bwe_bps(b) is the estimate that kb_allocate divides; after a change of it, allocate at once.
 */
#ifndef KB_BWE_H
#define KB_BWE_H

#include "kb_trend.h"

#define KB_BWE_BINS 32

typedef struct kb_bwe_config {
    uint32_t start_bps; /* 0 = 400 000 */
    uint32_t min_bps;   /* 0 = 30 000 */
    uint32_t max_bps;   /* 0 = 20 000 000 */
} kb_bwe_config;

/* Bytes per 25 ms over the last 800 ms. */
typedef struct kb_bwe_meter {
    int64_t bin; /* number of the newest */
    int64_t first;
    bool started;
    uint32_t bytes[KB_BWE_BINS];
} kb_bwe_meter;

typedef struct kb_bwe_probe {
    bool active;    /* padding is being sent */
    bool measuring; /* feedback is awaited */
    uint32_t bps;
    uint32_t bytes, sent;
    uint32_t refused; /* probes in a row that the path did not carry */
    int64_t begin_ns, end_ns, next_ns;
    uint32_t packets, received_bytes, first_bytes, last_bytes;
    int64_t first_sent_ns, last_sent_ns, first_arrival_ns, last_arrival_ns;
} kb_bwe_probe;

typedef struct kb_bwe {
    kb_bwe_config config;
    double bps; /* what delay and loss allow together */
    double delay_bps, loss_bps, remb_bps;
    int64_t remb_ns;
    uint64_t want_bps;
    kb_trend trend;
    double capacity_bps, capacity_deviation; /* what arrived when it was too much; 0 = unknown */
    int64_t full_ns; /* when the path was last seen to carry no more */
    int64_t increased_ns, decreased_ns, feedback_ns, sent_ns, starved_ns;
    int64_t rtt_ns;
    int64_t loss_ns;
    uint32_t loss_expected, loss_lost;
    double loss; /* of the last full window, 0 … 1 */
    kb_bwe_meter arrived, sent;
    kb_bwe_probe probe;
    uint32_t probes, probes_good; /* readings */
} kb_bwe;

/* `config` may be NULL: all defaults. */
void kb_bwe_init(kb_bwe *bwe, const kb_bwe_config *config, int64_t now_ns);
void kb_bwe_sent(kb_bwe *bwe, size_t bytes, int64_t now_ns);
void kb_bwe_feedback(kb_bwe *bwe, const kb_twcc_sample *samples, size_t count, int64_t now_ns);
/* The receiver's own estimate: a cap for 5 s; the only source where no transport-wide feedback comes. */
void kb_bwe_remb(kb_bwe *bwe, uint64_t bps, int64_t now_ns);
/* What the subscriber would use if the path were free; probes go no further. 0 stops them. */
void kb_bwe_want(kb_bwe *bwe, uint64_t bps);
void kb_bwe_advance(kb_bwe *bwe, int64_t now_ns);
/* When `kb_bwe_advance` is next needed at the latest. */
int64_t kb_bwe_deadline(const kb_bwe *bwe);
/* Bytes of padding to send now; 0 = none. The bytes are taken as sent when `kb_bwe_sent` hears of them. */
size_t kb_bwe_padding(kb_bwe *bwe, int64_t now_ns);
/* Whether what goes out now belongs to a probe: mark it in the history. */
bool kb_bwe_probing(const kb_bwe *bwe);
uint32_t kb_bwe_bps(const kb_bwe *bwe);
/* How fast pictures may leave: what the path was seen to carry, or, while it was never full, well beyond
 * the estimate. */
uint32_t kb_bwe_pace_bps(const kb_bwe *bwe);
/* Whether the path was seen full within the last 10 s: then more than `kb_bwe_pace_bps` only makes a queue. */
bool kb_bwe_is_full(const kb_bwe *bwe, int64_t now_ns);
/* What is sent does not suffice: a capacity that was not met for 10 s is forgotten, and so tried. */
void kb_bwe_doubt(kb_bwe *bwe, int64_t now_ns);
/* No probe begins in the next 100 ms: what waits to be sent says nothing of the path. */
void kb_bwe_postpone(kb_bwe *bwe, int64_t now_ns);

#endif
