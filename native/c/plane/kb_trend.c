#include "kb_trend.h"

#include <math.h>
#include <string.h>

#define MS 1000000LL

#define BURST_NS (5 * MS)
#define SMOOTHING 0.9
#define GAIN 4.0
#define MOST_DELTAS 60u
#define THRESHOLD_MS 12.5
#define THRESHOLD_UP 0.0087
#define THRESHOLD_DOWN 0.039
#define OVERUSE_MS 10.0
#define CLOCK_STEP_MS 3000

/* A path that narrows to a fifth fills a queue of 300 ms in 75 ms, long before a trend over 20 groups is sure. So: four
 * packets in a row, each later than the one before, together by 60 ms and by half of the time in which they left, none by
 * most of it. A pause (Wi-Fi) is one step, and what waited then arrives at once, each less late than the one before. */
#define COLLAPSE_STEPS 3u
#define COLLAPSE_LATER_NS (60 * MS)
/* What a path carries is read off the packets of its last 200 ms: of at least so many bytes and so long. */
#define CARRIED_BYTES 2000u
#define CARRIED_LEAST_NS (60 * MS)
#define CARRIED_MOST_NS (200 * MS)
#define BASE_SHARE 4096
/* The trend is sure when the queue is already on its way back. */
#define CARRIED_LASTS_NS (500 * MS)

static double least(double a, double b)
{
    return a < b ? a : b;
}

static double most(double a, double b)
{
    return a > b ? a : b;
}

void kb_trend_init(kb_trend *t)
{
    memset(t, 0, sizeof *t);
    t->threshold_ms = THRESHOLD_MS;
}

void kb_trend_forget(kb_trend *t)
{
    double threshold_ms = t->threshold_ms;
    int64_t threshold_ns = t->threshold_ns;
    memset(t, 0, sizeof *t);
    t->threshold_ms = threshold_ms;
    t->threshold_ns = threshold_ns;
}

/* Slope of the smoothed delay over the arrivals, by least squares; 0 while the line has no length. */
static double slope_of(const kb_trend *t)
{
    double x = 0, y = 0, n = t->count, above = 0, below = 0;
    for (unsigned i = 0; i < t->count; i++) {
        x += t->x[i] / n;
        y += t->y[i] / n;
    }
    for (unsigned i = 0; i < t->count; i++) {
        above += (t->x[i] - x) * (t->y[i] - y);
        below += (t->x[i] - x) * (t->x[i] - x);
    }
    return below > 0 ? above / below : 0;
}

static void adapt_threshold(kb_trend *t, double slope, int64_t now_ns)
{
    double size = fabs(slope);
    double ms = t->threshold_ns ? least((double)(now_ns - t->threshold_ns) / 1e6, 100) : 0;
    t->threshold_ns = now_ns;
    if (size > t->threshold_ms + 15) /* a spike, as when the route changes, is no measure of what is usual */
        return;
    t->threshold_ms += (size < t->threshold_ms ? THRESHOLD_DOWN : THRESHOLD_UP) * (size - t->threshold_ms) * ms;
    t->threshold_ms = least(most(t->threshold_ms, 6), 600);
}

static void judge(kb_trend *t, double sent_ms, int64_t arrival_ns)
{
    double slope = t->count >= 2 ? slope_of(t) : 0;
    double steep = t->count < KB_TREND_POINTS / 2 ? 0 : (t->deltas < MOST_DELTAS ? t->deltas : MOST_DELTAS) * slope * GAIN;
    if (steep > t->threshold_ms) {
        t->over_ms = t->over_count ? t->over_ms + sent_ms : sent_ms / 2;
        t->over_count++;
        if (t->over_ms > OVERUSE_MS && t->over_count > 1 && slope >= t->slope_before) {
            t->over_ms = 0;
            t->over_count = 0;
            t->usage = KB_BWE_OVERUSE;
        }
    } else {
        t->over_ms = 0;
        t->over_count = 0;
        t->usage = steep < -t->threshold_ms ? KB_BWE_UNDERUSE : KB_BWE_NORMAL;
    }
    t->slope_before = slope;
    adapt_threshold(t, steep, arrival_ns);
}

/* The group is complete: how much later did it come than the one before, beyond how much later it left? */
static void compare(kb_trend *t)
{
    double sent_ms = (double)(t->group.last_sent_ns - t->before.last_sent_ns) / 1e6;
    double arrived_ms = (double)(t->group.last_arrival_ns - t->before.last_arrival_ns) / 1e6;
    if (arrived_ms < 0 || sent_ms < 0) /* reordered */
        return;
    if (arrived_ms - sent_ms > CLOCK_STEP_MS) { /* the other's clock or the path was away */
        kb_trend_forget(t);
        return;
    }
    if (t->deltas == 0)
        t->first_arrival_ns = t->group.last_arrival_ns;
    t->deltas++;
    t->accumulated_ms += arrived_ms - sent_ms;
    t->smoothed_ms = SMOOTHING * t->smoothed_ms + (1 - SMOOTHING) * t->accumulated_ms;
    t->x[t->at] = (double)(t->group.last_arrival_ns - t->first_arrival_ns) / 1e6;
    t->y[t->at] = t->smoothed_ms;
    t->at = (t->at + 1) % KB_TREND_POINTS;
    if (t->count < KB_TREND_POINTS)
        t->count++;
    judge(t, sent_ms, t->group.last_arrival_ns);
}

static const kb_trend_packet *packet(const kb_trend *t, unsigned back)
{
    return &t->packets[(t->received - 1 - back) % KB_TREND_PACKETS];
}

static int64_t delay_ns(const kb_trend_packet *packet)
{
    return packet->arrival_ns - packet->sent_ns; /* of two clocks: only differences mean anything */
}

static void judge_collapse(kb_trend *t)
{
    int64_t largest_ns = 0;
    for (unsigned steps = 1; steps < KB_TREND_PACKETS && steps < t->received; steps++) {
        int64_t step_ns = delay_ns(packet(t, steps - 1)) - delay_ns(packet(t, steps));
        if (step_ns <= 0)
            return;
        largest_ns = step_ns > largest_ns ? step_ns : largest_ns;
        int64_t later_ns = delay_ns(packet(t, 0)) - delay_ns(packet(t, steps));
        int64_t sent_ns = packet(t, 0)->sent_ns - packet(t, steps)->sent_ns;
        if (steps >= COLLAPSE_STEPS && later_ns >= COLLAPSE_LATER_NS && 2 * later_ns >= sent_ns &&
            3 * largest_ns <= 2 * later_ns) {
            t->usage = KB_BWE_OVERUSE;
            return;
        }
    }
}

/* While each packet left before the one ahead of it had arrived, base delay apart, the path was never idle: what arrived
 * meanwhile is what it carries. */
static void judge_carried(kb_trend *t)
{
    uint64_t bytes = 0;
    const kb_trend_packet *last = packet(t, 0);
    for (unsigned steps = 1; steps < KB_TREND_PACKETS && steps < t->received; steps++) {
        const kb_trend_packet *first = packet(t, steps), *next = packet(t, steps - 1);
        int64_t passed_ns = last->arrival_ns - first->arrival_ns;
        if (next->sent_ns - first->sent_ns >= delay_ns(first) - t->base_ns || passed_ns > CARRIED_MOST_NS)
            return;
        bytes += next->bytes;
        if (bytes < CARRIED_BYTES || passed_ns < CARRIED_LEAST_NS)
            continue;
        t->carried_bps = (uint32_t)((double)bytes * 8e9 / (double)passed_ns);
        t->carried_ns = last->arrival_ns;
    }
}

static void follow_packets(kb_trend *t, const kb_twcc_sample *s)
{
    if (t->received && s->arrival_ns < packet(t, 0)->arrival_ns)
        return; /* reordered */
    t->packets[t->received++ % KB_TREND_PACKETS] = (kb_trend_packet){s->sent_ns, s->arrival_ns, s->bytes};
    int64_t now_ns = delay_ns(packet(t, 0));
    /* The least delay of late is the path without a queue; let go slowly, so that it follows clocks and routes. */
    t->base_ns = t->received == 1 || now_ns < t->base_ns ? now_ns : t->base_ns + (now_ns - t->base_ns) / BASE_SHARE;
    judge_carried(t);
    judge_collapse(t);
}

uint32_t kb_trend_carried_bps(const kb_trend *t)
{
    bool recent = t->received && packet(t, 0)->arrival_ns - t->carried_ns <= CARRIED_LASTS_NS;
    return recent ? t->carried_bps : 0;
}

void kb_trend_receive(kb_trend *t, const kb_twcc_sample *s)
{
    kb_trend_group *group = &t->group;
    follow_packets(t, s);
    bool belongs = false;
    if (t->has_group) {
        if (s->sent_ns < group->first_sent_ns)
            return;
        int64_t arrived_ns = s->arrival_ns - group->last_arrival_ns;
        int64_t sent_ns = s->sent_ns - group->last_sent_ns;
        /* Packets that a link let go together (after a Wi-Fi pause) tell nothing about each other. */
        belongs = s->sent_ns - group->first_sent_ns <= BURST_NS ||
                  (arrived_ns >= 0 && arrived_ns <= BURST_NS && arrived_ns < sent_ns &&
                   s->sent_ns - group->first_sent_ns < 100 * MS);
    }
    if (!belongs) {
        if (t->has_before)
            compare(t);
        t->before = *group;
        t->has_before = t->has_group;
        *group = (kb_trend_group){s->sent_ns, s->sent_ns, s->arrival_ns};
        t->has_group = true;
        return;
    }
    group->last_sent_ns = s->sent_ns > group->last_sent_ns ? s->sent_ns : group->last_sent_ns;
    group->last_arrival_ns = s->arrival_ns > group->last_arrival_ns ? s->arrival_ns : group->last_arrival_ns;
}
