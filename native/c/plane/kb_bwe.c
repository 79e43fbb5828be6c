#include "kb_bwe.h"

#include <math.h>
#include <string.h>

#define MS 1000000LL
#define SECOND 1000000000LL

/* Rate control. */
#define DECREASE 0.85
#define DECREASE_UNSURE 0.95
#define INCREASE_PER_S 1.08
#define METER_NS (25 * MS)
#define METER_WINDOW 20 /* 500 ms: three pictures at the lowest rate */
#define STARVED_NS SECOND

/* Loss (draft §6): above 10 % less, below no reason to be careful; random loss of 5 % is Wi-Fi, not a full queue. */
#define LOSS_HIGH 0.10
#define LOSS_WINDOW_NS (500 * MS)
#define LOSS_LEAST 20u

/* Probes: long enough for five packets, and for the 5 … 10 ms of the plane's timer not to matter. */
#define PROBE_NS (80 * MS)
#define PROBE_PACKET_BYTES 1200u
#define PROBE_LEAST_PACKETS 5u
#define PROBE_EVERY_NS (3 * SECOND)
#define PROBE_AGAIN_NS (200 * MS)
#define PROBE_REFUSALS 4u
#define PROBE_AFTER_FALL_NS (2 * SECOND)
#define PROBE_WAIT_NS SECOND
#define PROBE_RETRY_NS (100 * MS)
#define PROBE_SHADOW_NS (300 * MS) /* after a round trip: the queue that a probe made is not the path's */
#define FORGET_NS (500 * MS)
#define REMB_LASTS_NS (5 * SECOND)

/* Pacing. A path that was never seen full carries more than the estimate says: libwebrtc's factor, which only takes the
 * edge off a burst; and not less than this, as an estimate begins at a guess. A known bottleneck gets what it
 * carries: what is beyond stands in its queue, where it delays sound and is lost, or here, where neither is so. */
#define PACE_UNKNOWN 2.5
#define PACE_UNKNOWN_LEAST_BPS 2500000.0
#define PACE_DRAINS 0.85 /* after a queue was noticed, until the estimate is there again */
#define PACE_LEAST 0.9   /* of the estimate: layers are chosen by it */
#define PACE_MOST 1.5
#define FULL_LASTS_NS (10 * SECOND)

static double least(double a, double b)
{
    return a < b ? a : b;
}

static double most(double a, double b)
{
    return a > b ? a : b;
}

static void meter_advance(kb_bwe_meter *meter, int64_t now_ns)
{
    int64_t bin = now_ns / METER_NS;
    if (!meter->started || bin - meter->bin >= KB_BWE_BINS) {
        memset(meter->bytes, 0, sizeof meter->bytes);
        meter->first = meter->started ? bin - KB_BWE_BINS : bin;
        meter->bin = bin;
        meter->started = true;
    }
    while (meter->bin < bin)
        meter->bytes[++meter->bin % KB_BWE_BINS] = 0;
}

static void meter_add(kb_bwe_meter *meter, size_t bytes, int64_t at_ns)
{
    meter_advance(meter, at_ns);
    int64_t bin = at_ns / METER_NS;
    if (meter->bin - bin < KB_BWE_BINS)
        meter->bytes[bin % KB_BWE_BINS] += (uint32_t)bytes;
}

/* Over the last `bins` whole ones and the present one; 0 = too little was seen to say. */
static double meter_bps(const kb_bwe_meter *meter, int bins)
{
    if (!meter->started)
        return 0;
    int64_t have = meter->bin - meter->first + 1;
    if (have < 6)
        return 0;
    int64_t count = have < bins ? have : bins;
    uint64_t bytes = 0;
    for (int64_t bin = meter->bin - count + 1; bin <= meter->bin; bin++)
        bytes += meter->bytes[bin % KB_BWE_BINS];
    return (double)bytes * 8e9 / (double)(count * METER_NS);
}

void kb_bwe_init(kb_bwe *b, const kb_bwe_config *config, int64_t now_ns)
{
    memset(b, 0, sizeof *b);
    if (config)
        b->config = *config;
    if (!b->config.start_bps)
        b->config.start_bps = 400000;
    if (!b->config.min_bps)
        b->config.min_bps = 30000;
    if (!b->config.max_bps)
        b->config.max_bps = 20000000;
    b->bps = b->delay_bps = b->config.start_bps;
    b->loss_bps = b->config.max_bps;
    kb_trend_init(&b->trend);
    b->rtt_ns = 200 * MS;
    b->increased_ns = b->loss_ns = now_ns;
    b->probe.next_ns = now_ns;
}

static void settle(kb_bwe *b, int64_t now_ns)
{
    double bps = least(b->delay_bps, b->loss_bps);
    if (b->remb_ns && now_ns - b->remb_ns < REMB_LASTS_NS)
        bps = least(bps, b->remb_bps);
    b->bps = least(most(bps, b->config.min_bps), b->config.max_bps);
    b->delay_bps = least(most(b->delay_bps, b->config.min_bps), b->config.max_bps);
}

void kb_bwe_sent(kb_bwe *b, size_t bytes, int64_t now_ns)
{
    meter_add(&b->sent, bytes, now_ns);
    if (b->sent_ns == 0)
        b->starved_ns = now_ns;
    b->sent_ns = now_ns;
    if (b->probe.active)
        b->probe.sent += (uint32_t)bytes;
}

static void know_capacity(kb_bwe *b, double bps)
{
    if (b->capacity_bps <= 0) {
        b->capacity_bps = bps;
        b->capacity_deviation = 0.1 * bps;
        return;
    }
    double error = bps - b->capacity_bps;
    if (fabs(error) > 3 * most(b->capacity_deviation, 0.05 * b->capacity_bps)) {
        b->capacity_bps = bps; /* another bottleneck */
        b->capacity_deviation = 0.1 * bps;
        return;
    }
    b->capacity_deviation += 0.1 * (fabs(error) - b->capacity_deviation);
    b->capacity_bps += 0.1 * error;
}

/* `carried_bps`: what the path was seen to carry; 0 = it was not seen full. */
static void decrease(kb_bwe *b, double carried_bps, int64_t now_ns)
{
    /* One round trip must pass before what was done can show, unless it was by far too little. */
    bool again = now_ns - b->decreased_ns >= b->rtt_ns + 100 * MS;
    if (!again && (carried_bps <= 0 || carried_bps > b->delay_bps / 2))
        return;
    /* A delay that grows on a path that was never full is a radio that pauses, or jitter: a step, not a fall to what
     * happened to be sent. */
    double bps = carried_bps > 0 ? DECREASE * carried_bps : DECREASE_UNSURE * b->delay_bps;
    if (carried_bps > 0) {
        know_capacity(b, carried_bps);
        b->full_ns = now_ns;
    }
    b->delay_bps = least(b->delay_bps, bps);
    b->decreased_ns = now_ns;
    b->probe.next_ns = now_ns + PROBE_AFTER_FALL_NS;
    b->probe.active = b->probe.measuring = false;
}

static void increase(kb_bwe *b, double arrived_bps, int64_t now_ns)
{
    double s = least((double)(now_ns - b->increased_ns) / 1e9, 1);
    bool near = b->capacity_bps > 0 &&
                fabs(arrived_bps - b->capacity_bps) < 3 * most(b->capacity_deviation, 0.02 * b->capacity_bps);
    if (b->capacity_bps > 0 && arrived_bps > b->capacity_bps + 3 * most(b->capacity_deviation, 0.02 * b->capacity_bps))
        b->capacity_bps = 0;
    double more = near ? most(4000, PROBE_PACKET_BYTES * 8 / ((double)(b->rtt_ns + 100 * MS) / 1e9)) * s
                       : b->delay_bps * (pow(INCREASE_PER_S, s) - 1);
    /* Never far beyond what was tried: the rest is for probes. */
    double tried = 1.5 * arrived_bps + 10000;
    if (b->capacity_bps > 0)
        tried = least(tried, 1.15 * b->capacity_bps);
    if (b->delay_bps < tried)
        b->delay_bps = least(b->delay_bps + more, tried);
}

static void take_loss(kb_bwe *b, double arrived_bps, int64_t now_ns)
{
    if (now_ns - b->loss_ns < LOSS_WINDOW_NS || b->loss_expected < LOSS_LEAST)
        return;
    double s = least((double)(now_ns - b->loss_ns) / 1e9, 2);
    b->loss = (double)b->loss_lost / b->loss_expected;
    b->loss_expected = b->loss_lost = 0;
    b->loss_ns = now_ns;
    if (b->loss > LOSS_HIGH)
        /* Less than what gets through does not help, the path is not full then but bad. */
        b->loss_bps = most(least(b->loss_bps, b->bps) * (1 - 0.5 * b->loss), 0.85 * arrived_bps);
    else
        b->loss_bps = least(b->loss_bps * pow(b->loss < 0.06 ? 1.5 : INCREASE_PER_S, s), b->config.max_bps);
}

static void probe_result(kb_bwe *b, int64_t now_ns)
{
    kb_bwe_probe *p = &b->probe;
    p->measuring = false;
    p->next_ns = now_ns + PROBE_AGAIN_NS; /* it may have said nothing: a key frame came between, it was over too soon */
    if (p->packets < PROBE_LEAST_PACKETS)
        return;
    double sent_s = (double)(p->last_sent_ns - p->first_sent_ns) / 1e9;
    double arrived_s = (double)(p->last_arrival_ns - p->first_arrival_ns) / 1e9;
    if (sent_s < 0.02 || arrived_s < 0.01 || arrived_s > 2)
        return;
    /* n packets are n − 1 gaps: the last to leave, the first to arrive do not count. */
    double sent_bps = (p->received_bytes - p->last_bytes) * 8 / sent_s;
    double arrived_bps = (p->received_bytes - p->first_bytes) * 8 / arrived_s;
    bool full = arrived_bps < 0.9 * sent_bps;
    double bps = full ? 0.95 * arrived_bps : least(sent_bps, arrived_bps);
    bool raised = bps > b->bps;
    if (full)
        b->full_ns = now_ns;
    if (raised) {
        if (full)
            know_capacity(b, arrived_bps);
        else if (bps > b->capacity_bps)
            b->capacity_bps = 0;
        b->delay_bps = most(b->delay_bps, bps);
        b->loss_bps = most(b->loss_bps, bps);
        b->probes_good++;
    }
    /* Go on doubling while it holds; each probe of a full path costs the sound a delay, so ever more rarely. */
    p->refused = full && !raised ? p->refused + (p->refused < PROBE_REFUSALS) : 0;
    p->next_ns = now_ns + (p->refused ? PROBE_EVERY_NS + (p->refused - 1) * SECOND : full ? SECOND : 0);
}

static void take_probe(kb_bwe *b, const kb_twcc_sample *s)
{
    kb_bwe_probe *p = &b->probe;
    if (!s->probe || s->lost || !p->measuring || s->sent_ns < p->begin_ns)
        return;
    if (p->packets++ == 0) {
        p->first_sent_ns = s->sent_ns;
        p->first_arrival_ns = s->arrival_ns;
        p->first_bytes = s->bytes;
    }
    p->received_bytes += s->bytes;
    p->last_bytes = s->bytes;
    p->last_sent_ns = s->sent_ns;
    p->last_arrival_ns = s->arrival_ns > p->last_arrival_ns || p->packets == 1 ? s->arrival_ns : p->last_arrival_ns;
}

void kb_bwe_feedback(kb_bwe *b, const kb_twcc_sample *samples, size_t count, int64_t now_ns)
{
    if (!count)
        return;
    int64_t newest_ns = 0;
    for (size_t i = 0; i < count; i++) {
        const kb_twcc_sample *s = &samples[i];
        b->loss_expected++;
        newest_ns = s->sent_ns > newest_ns ? s->sent_ns : newest_ns;
        take_probe(b, s);
        if (s->lost) {
            b->loss_lost++;
            continue;
        }
        meter_add(&b->arrived, s->bytes, s->arrival_ns);
        kb_trend_receive(&b->trend, s);
    }
    /* Of the newest packet: the wait for the feedback is in it, as it is in how soon anything can be noticed. */
    int64_t rtt_ns = now_ns - newest_ns;
    b->rtt_ns += ((rtt_ns < SECOND ? rtt_ns : SECOND) - b->rtt_ns) / 4;
    b->feedback_ns = b->starved_ns = now_ns;
    double arrived_bps = meter_bps(&b->arrived, METER_WINDOW);
    if (b->probe.measuring && newest_ns >= b->probe.end_ns && !b->probe.active)
        probe_result(b, now_ns);
    bool own_queue = b->probe.active || b->probe.measuring || now_ns - b->probe.end_ns < b->rtt_ns + PROBE_SHADOW_NS;
    if (b->trend.usage != KB_BWE_NORMAL && b->probe.sent && own_queue) {
        /* Whoever asks whether twice as much fits finds a queue when it does not. */
    } else if (b->trend.usage == KB_BWE_OVERUSE) {
        decrease(b, kb_trend_carried_bps(&b->trend), now_ns);
    } else if (b->trend.usage == KB_BWE_NORMAL) {
        increase(b, arrived_bps, now_ns);
    }
    b->increased_ns = now_ns;
    take_loss(b, arrived_bps, now_ns);
    settle(b, now_ns);
}

void kb_bwe_remb(kb_bwe *b, uint64_t bps, int64_t now_ns)
{
    b->remb_bps = (double)bps;
    b->remb_ns = now_ns;
    if (b->feedback_ns == 0 || now_ns - b->feedback_ns > REMB_LASTS_NS)
        b->delay_bps = (double)bps; /* nothing else to go by */
    settle(b, now_ns);
}

void kb_bwe_want(kb_bwe *b, uint64_t bps)
{
    b->want_bps = bps;
}

static void begin_probe(kb_bwe *b, int64_t now_ns)
{
    kb_bwe_probe *p = &b->probe;
    double bps = least(least(2 * b->bps, 1.1 * (double)b->want_bps), b->config.max_bps);
    if (bps < 1.1 * b->bps)
        return;
    *p = (kb_bwe_probe){
        .active = true, .measuring = true, .bps = (uint32_t)bps, .begin_ns = now_ns, .refused = p->refused};
    uint32_t bytes = (uint32_t)(bps / 8 * (double)PROBE_NS / 1e9);
    p->bytes = bytes > 6 * PROBE_PACKET_BYTES ? bytes : 6 * PROBE_PACKET_BYTES;
    p->end_ns = INT64_MAX;
    p->next_ns = now_ns + PROBE_EVERY_NS;
    b->probes++;
}

void kb_bwe_advance(kb_bwe *b, int64_t now_ns)
{
    kb_bwe_probe *p = &b->probe;
    if (p->active && (p->sent >= p->bytes || now_ns - p->begin_ns > 500 * MS)) {
        p->active = false;
        p->end_ns = b->sent_ns;
    }
    if (p->measuring && !p->active && now_ns - p->end_ns > PROBE_WAIT_NS)
        p->measuring = false;
    /* What the last groups said is old: with nothing sent, nothing would ever take it back. */
    if (b->trend.usage != KB_BWE_NORMAL && now_ns - b->feedback_ns >= FORGET_NS)
        kb_trend_forget(&b->trend);
    if (!p->active && !p->measuring && now_ns >= p->next_ns && (double)b->want_bps > b->bps) {
        p->next_ns = now_ns + PROBE_RETRY_NS;
        if (b->trend.usage == KB_BWE_NORMAL && b->loss <= LOSS_HIGH)
            begin_probe(b, now_ns);
    }
    /* Packets go out and nothing is told of them: the path is choked or gone. Only where feedback ever came. */
    if (b->feedback_ns && b->sent_ns > b->feedback_ns && now_ns - b->starved_ns >= STARVED_NS) {
        b->starved_ns = now_ns;
        b->delay_bps = 0.7 * b->bps;
        settle(b, now_ns);
    }
    if (b->remb_ns && now_ns - b->remb_ns >= REMB_LASTS_NS) {
        b->remb_ns = 0;
        settle(b, now_ns);
    }
}

int64_t kb_bwe_deadline(const kb_bwe *b)
{
    const kb_bwe_probe *p = &b->probe;
    int64_t at = b->starved_ns + STARVED_NS;
    if (!b->feedback_ns || b->sent_ns <= b->feedback_ns)
        at = INT64_MAX;
    if (b->remb_ns && b->remb_ns + REMB_LASTS_NS < at)
        at = b->remb_ns + REMB_LASTS_NS;
    int64_t probe_ns = INT64_MAX;
    if (p->active)
        probe_ns = p->begin_ns + 500 * MS + 1;
    else if (p->measuring)
        probe_ns = p->end_ns + PROBE_WAIT_NS + 1;
    else if ((double)b->want_bps > b->bps)
        probe_ns = p->next_ns;
    return probe_ns < at ? probe_ns : at;
}

size_t kb_bwe_padding(kb_bwe *b, int64_t now_ns)
{
    const kb_bwe_probe *p = &b->probe;
    if (!p->active || p->sent >= p->bytes)
        return 0;
    /* 10 ms ahead, at least one packet at once. */
    double allowed = (double)p->bps / 8 * (double)(now_ns - p->begin_ns + 10 * MS) / 1e9;
    uint32_t due = allowed < p->bytes ? (uint32_t)allowed : p->bytes;
    if (due <= p->sent)
        return 0;
    return due - p->sent < PROBE_PACKET_BYTES ? due - p->sent : PROBE_PACKET_BYTES;
}

bool kb_bwe_probing(const kb_bwe *b)
{
    return b->probe.active;
}

uint32_t kb_bwe_bps(const kb_bwe *b)
{
    return (uint32_t)b->bps;
}

uint32_t kb_bwe_pace_bps(const kb_bwe *b)
{
    if (b->capacity_bps <= 0) /* no guess any more: it was seen full, or the receiver tells */
        return (uint32_t)most(PACE_UNKNOWN * b->bps, b->remb_ns || b->full_ns ? 0 : PACE_UNKNOWN_LEAST_BPS);
    double bps = least(most(b->bps, PACE_DRAINS * b->capacity_bps), b->capacity_bps);
    return (uint32_t)least(most(bps, PACE_LEAST * b->bps), PACE_MOST * b->bps);
}

bool kb_bwe_is_full(const kb_bwe *b, int64_t now_ns)
{
    return b->capacity_bps > 0 && b->full_ns && now_ns - b->full_ns < FULL_LASTS_NS;
}

void kb_bwe_doubt(kb_bwe *b, int64_t now_ns)
{
    if (!kb_bwe_is_full(b, now_ns))
        b->capacity_bps = 0;
}

void kb_bwe_postpone(kb_bwe *b, int64_t now_ns)
{
    if (b->probe.next_ns < now_ns + PROBE_RETRY_NS)
        b->probe.next_ns = now_ns + PROBE_RETRY_NS;
}
