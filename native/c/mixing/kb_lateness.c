#include "kb_lateness.h"

#include <string.h>

#pragma GCC optimize("O3", "no-trapping-math")

#define NS_PER_MS 1000000LL
#define FAST_PACKETS 300.0f /* memory of the two estimates: 6 s and 60 s of 20 ms packets */
#define SLOW_PACKETS 3000.0f
#define SLOW_YOUNG 1000.0f /* memory of the slow one while it knows less: before, one stall would be a habit */
#define HABIT_PACKETS 500u /* a loss within 10 s of another one is no accident */
#define BURST_MOST 4 /* losses in a row; more are an outage, of which no copy helps */
#define BURST_SHARE 0.4f
#define KNOWN_AFTER 50u /* packets before the target may go below its start */
#define CHEAPER 5.6f    /* 0.134 / 0.024, G.107's two slopes of the delay impairment */
#define BEYOND_SHARE 0.25f
#define BEYOND 6 /* half of each packet's weight goes to a sixth more lateness than it had */
#define RARE 0.02f
#define STALL_NS (35 * NS_PER_MS)
#define BURST_SPACING 3 /* in a burst packets follow each other in less than a third of their duration */

void kb_lateness_init(kb_lateness *lateness, const kb_jitter_settings *settings)
{
    memset(lateness, 0, sizeof *lateness);
    lateness->target_ms = settings->start_ms;
    lateness->slow[0] = 1.0f;
    lateness->since_copy = HABIT_PACKETS;
}

static int64_t ns_of(int64_t samples)
{
    return samples * 62500 / 3;
}

static void begin_timeline(kb_lateness *lateness, int64_t transit, int64_t second)
{
    for (int i = 0; i < KB_LATENESS_MINIMA; i++)
        lateness->minima[i] = transit;
    lateness->minima_second = second;
    lateness->least_transit = transit;
}

static void note_transit(kb_lateness *lateness, int64_t transit, int64_t second)
{
    int64_t passed = second - lateness->minima_second;
    if (passed > KB_LATENESS_MINIMA)
        passed = KB_LATENESS_MINIMA;
    for (int64_t i = 1; i <= passed; i++)
        lateness->minima[(second - passed + i) % KB_LATENESS_MINIMA] = transit;
    if (passed > 0)
        lateness->minima_second = second;
    int64_t *current = &lateness->minima[lateness->minima_second % KB_LATENESS_MINIMA];
    if (transit < *current)
        *current = transit;
    int64_t least = lateness->minima[0];
    for (int i = 1; i < KB_LATENESS_MINIMA; i++)
        least = lateness->minima[i] < least ? lateness->minima[i] : least;
    lateness->least_transit = least;
}

static int bin_of(int64_t late_ns)
{
    const int64_t ms = late_ns / NS_PER_MS;
    return ms < 0 ? 0 : ms < KB_LATENESS_BINS ? (int)ms : KB_LATENESS_BINS - 1;
}

static float weight_of(uint32_t observed, float least, float most)
{
    const float packets = (float)observed + 1.0f;
    return 1.0f / (packets < least ? least : packets < most ? packets : most);
}

static void note_lateness(float *histogram, int bin, float weight)
{
    const float keep = 1.0f - weight;
    for (int i = 0; i < KB_LATENESS_BINS; i++)
        histogram[i] *= keep;
    /* The latest so far is not the latest there will be. */
    const int beyond = bin == 0 ? 0 : bin + bin / BEYOND + 2;
    histogram[bin] += (1.0f - BEYOND_SHARE) * weight;
    histogram[beyond < KB_LATENESS_BINS ? beyond : KB_LATENESS_BINS - 1] += BEYOND_SHARE * weight;
}

/* 1 for a packet that came only because the one before it did at last: part of a stall that is counted already. */
static int follows_in_burst(kb_lateness *lateness, int64_t at_ns, int64_t timestamp)
{
    const int64_t since = at_ns - lateness->last_at_ns;
    const int64_t duration = ns_of(timestamp - lateness->last_timestamp);
    if (duration <= 0)
        return lateness->in_burst;
    if (since - duration >= STALL_NS) {
        lateness->in_burst = 1;
        return 0;
    }
    lateness->in_burst = lateness->in_burst && since < duration / BURST_SPACING;
    return lateness->in_burst;
}

static void update_cost(kb_lateness *lateness, const kb_jitter_settings *settings)
{
    const float worth = 100.0f * (float)settings->cost_ms;
    const float cheap = (float)settings->cheap_ms;
    float fast = 0.0f, slow = 0.0f, best_cost = 1e30f;
    int32_t best = settings->max_ms;
    for (int32_t d = KB_LATENESS_BINS - 1; d >= 0; d--) {
        fast += lateness->fast[d];
        slow += lateness->slow[d];
        const float late = fast > slow ? fast : slow;
        const float ms = (float)d;
        const float delay = ms < cheap ? ms / CHEAPER : cheap / CHEAPER + (ms - cheap);
        lateness->cost[d] = delay + worth * late;
        if (late <= RARE)
            lateness->rare_ms = d;
        if (d >= settings->min_ms && d <= settings->max_ms && lateness->cost[d] <= best_cost) {
            best_cost = lateness->cost[d];
            best = d;
        }
    }
    if (lateness->observed < KNOWN_AFTER && best < settings->start_ms)
        best = settings->start_ms;
    lateness->target_ms = best;
}

void kb_lateness_observe(kb_lateness *lateness, const kb_jitter_settings *settings, int64_t at_ns, int64_t timestamp,
                         int begins_timeline)
{
    const int64_t transit = at_ns - ns_of(timestamp);
    const int64_t second = at_ns / (1000 * NS_PER_MS);
    if (lateness->observed == 0 || begins_timeline)
        begin_timeline(lateness, transit, second);
    else
        note_transit(lateness, transit, second);

    const int bin = bin_of(transit - lateness->least_transit);
    const int is_counted = lateness->observed > 0 && follows_in_burst(lateness, at_ns, timestamp);
    note_lateness(lateness->fast, is_counted ? 0 : bin, weight_of(lateness->observed, 1.0f, FAST_PACKETS));
    note_lateness(lateness->slow, bin, weight_of(lateness->observed, SLOW_YOUNG, SLOW_PACKETS));
    if (lateness->since_copy < HABIT_PACKETS)
        lateness->since_copy++;
    lateness->reordered +=
        ((timestamp < lateness->last_timestamp ? 1.0f : 0.0f) - lateness->reordered) / SLOW_PACKETS;
    if (lateness->observed == 0 || begins_timeline || timestamp > lateness->last_timestamp) {
        lateness->last_at_ns = at_ns;
        lateness->last_timestamp = timestamp;
    }
    if (lateness->observed < UINT32_MAX)
        lateness->observed++;
    update_cost(lateness, settings);
}

void kb_lateness_observe_copy(kb_lateness *lateness, int32_t samples, int lost)
{
    const int is_burst = lost > 1 && lost <= BURST_MOST;
    const float share = lateness->since_copy < HABIT_PACKETS ? 1.0f : is_burst ? BURST_SHARE : 0.0f;
    lateness->since_copy = 0;
    if (share <= 0.0f)
        return;
    const int64_t transit = lateness->last_at_ns - ns_of(lateness->last_timestamp - samples);
    const int bin = bin_of(transit - lateness->least_transit);
    note_lateness(lateness->fast, bin, share * weight_of(lateness->observed, 1.0f, FAST_PACKETS));
    note_lateness(lateness->slow, bin, share * weight_of(lateness->observed, SLOW_YOUNG, SLOW_PACKETS));
}

float kb_lateness_cost(const kb_lateness *lateness, float ms)
{
    if (ms < 0.0f)
        return lateness->cost[0] + 100.0f * -ms; /* nothing would be in time */
    return lateness->cost[ms < (float)(KB_LATENESS_BINS - 1) ? (int)ms : KB_LATENESS_BINS - 1];
}

kb_jitter_network kb_lateness_network(const kb_lateness *lateness)
{
    float fast = 0.0f, slow = 0.0f;
    int ms = KB_LATENESS_BINS - 1;
    for (; ms > 0; ms--) {
        fast += lateness->fast[ms];
        slow += lateness->slow[ms];
        if (fast > 0.05f || slow > 0.05f)
            break;
    }
    return (kb_jitter_network){lateness->observed ? (float)ms : 0.0f, lateness->reordered};
}
