#include "kb_jitter.h"

#include <string.h>

#pragma GCC optimize("O3", "no-trapping-math")

#define NS_PER_MS 1000000LL
#define STRAYS_BELIEVED 3
/* A transit this far from the usual is another time line (a paused or restarted sender), not network delay. */
#define TIMELINE_BREAK_NS (2000 * NS_PER_MS)
#define RESUME_BREAK_NS (40 * NS_PER_MS)
/* After this much waiting the stream has stopped: the extrapolation is silent since 120 ms. */
#define GIVE_UP_SAMPLES (400 * 48)
#define START_BACKLOG_NS (20 * NS_PER_MS) /* one packet more than the target may wait at the start */
/* A guess of at most 20 ms may stand for the beginning of the packet that came too late; beyond, words would be lost. */
#define SKIP_MOST 960
#define OVERDUE_MOST_MS 400 /* then the sender has stopped */
#define PAYS_WITHIN_NS (6000 * NS_PER_MS)
#define LEAST_GAIN 1.0f /* ms of kb_lateness_cost: keeps cut and insert from taking turns */

static int64_t ns_of(int64_t samples)
{
    return samples * 62500 / 3;
}

static kb_jitter_slot *slot_of(kb_jitter *jitter, uint16_t sequence)
{
    return &jitter->slots[sequence & (KB_JITTER_SLOTS - 1)];
}

static kb_jitter_slot *stored(kb_jitter *jitter, uint16_t sequence)
{
    kb_jitter_slot *slot = slot_of(jitter, sequence);
    return slot->is_stored && slot->sequence == sequence ? slot : NULL;
}

static void forget_packets(kb_jitter *jitter)
{
    for (uint32_t i = 0; i < KB_JITTER_SLOTS; i++)
        jitter->slots[i].is_stored = jitter->slots[i].was_seen = 0;
    jitter->state = KB_JITTER_EMPTY;
    jitter->has_position = 0;
    jitter->held_samples = 0;
    jitter->stray_count = 0;
}

void kb_jitter_init(kb_jitter *jitter, const kb_jitter_settings *settings)
{
    memset(jitter, 0, sizeof *jitter);
    jitter->settings = *settings;
    kb_lateness_init(&jitter->lateness, settings);
    jitter->target_ms = settings->start_ms;
}

static void observe(kb_jitter *jitter, const kb_jitter_packet *packet, int64_t timestamp)
{
    const int64_t late = packet->at_ns - ns_of(timestamp) - jitter->lateness.least_transit;
    const int is_resumed = jitter->state == KB_JITTER_EMPTY;
    const int begins_timeline = late > TIMELINE_BREAK_NS || late < -TIMELINE_BREAK_NS ||
                                (is_resumed && late > RESUME_BREAK_NS);
    kb_lateness_observe(&jitter->lateness, &jitter->settings, packet->at_ns, timestamp, begins_timeline);
    jitter->target_ms = jitter->lateness.target_ms;

    const uint16_t before = (uint16_t)(packet->sequence - 1u);
    const kb_jitter_slot *slot = slot_of(jitter, before);
    const int lost = jitter->has_position ? (int16_t)(packet->sequence - jitter->highest_sequence) - 1 : 0;
    if (lost > 0 && packet->has_fec && !(slot->was_seen && slot->sequence == before))
        kb_lateness_observe_copy(&jitter->lateness, packet->samples, lost);
}

/* ---- packets in --------------------------------------------------------------------------------------------- */

static void store(kb_jitter *jitter, const kb_jitter_packet *packet, int64_t timestamp, const uint8_t *payload)
{
    kb_jitter_slot *slot = slot_of(jitter, packet->sequence);
    slot->timestamp = timestamp;
    slot->at_ns = packet->at_ns;
    slot->sequence = packet->sequence;
    slot->bytes = packet->bytes;
    slot->samples = packet->samples;
    slot->has_fec = packet->has_fec;
    slot->is_stored = slot->was_seen = 1;
    memcpy(slot->payload, payload, packet->bytes);
    if (jitter->state == KB_JITTER_EMPTY) {
        jitter->state = KB_JITTER_FILLING;
        jitter->has_position = 1;
        jitter->next_sequence = jitter->highest_sequence = packet->sequence;
        jitter->next_timestamp = timestamp;
        jitter->held_samples = 0;
        return;
    }
    if ((int16_t)(packet->sequence - jitter->highest_sequence) > 0)
        jitter->highest_sequence = packet->sequence;
}

/* 1 when the packet cannot belong where its sequence number puts it: far below, or below on another time line. A
 * merely late one does belong. */
static int is_stray(const kb_jitter *jitter, uint16_t sequence, int64_t timestamp)
{
    if (!jitter->has_position)
        return 0;
    const int16_t ahead = (int16_t)(sequence - jitter->next_sequence);
    const int64_t apart = timestamp - jitter->next_timestamp;
    const int64_t far = TIMELINE_BREAK_NS / NS_PER_MS * 48;
    return ahead < -(int16_t)KB_JITTER_SLOTS || (ahead < 0 && (apart > far || apart < -far));
}

/* 1 with the third stray in order: the sender began again, this was not a ghost. */
static int is_believed(kb_jitter *jitter, uint16_t sequence)
{
    const int follows = jitter->stray_count > 0 && sequence == (uint16_t)(jitter->stray_sequence + 1);
    jitter->stray_count = follows ? jitter->stray_count + 1 : 1;
    jitter->stray_sequence = sequence;
    return jitter->stray_count >= STRAYS_BELIEVED;
}

kb_jitter_verdict kb_jitter_receive(kb_jitter *jitter, const kb_jitter_packet *packet, const uint8_t *payload)
{
    kb_jitter_verdict verdict = KB_JITTER_STORED;
    if (!jitter->has_stream || jitter->ssrc != packet->ssrc) {
        forget_packets(jitter);
        jitter->has_stream = 1;
        jitter->ssrc = packet->ssrc;
        jitter->last_timestamp = packet->timestamp;
        verdict = KB_JITTER_RESTARTED;
    }
    const int64_t timestamp =
        jitter->last_timestamp + (int32_t)(packet->timestamp - (uint32_t)jitter->last_timestamp);
    const kb_jitter_slot *slot = slot_of(jitter, packet->sequence);
    if (slot->was_seen && slot->sequence == packet->sequence && slot->timestamp == timestamp)
        return KB_JITTER_DUPLICATE;
    if (is_stray(jitter, packet->sequence, timestamp)) {
        if (!is_believed(jitter, packet->sequence))
            return KB_JITTER_LATE;
        forget_packets(jitter);
        verdict = KB_JITTER_RESTARTED;
    }
    jitter->stray_count = 0;
    jitter->last_timestamp = timestamp;
    observe(jitter, packet, timestamp);

    const int16_t ahead = (int16_t)(packet->sequence - jitter->next_sequence);
    if (jitter->has_position && ahead < 0) {
        const int fits_before = jitter->state == KB_JITTER_FILLING &&
                                (uint16_t)(jitter->highest_sequence - packet->sequence) < KB_JITTER_SLOTS;
        if (!fits_before)
            return KB_JITTER_LATE;
        jitter->next_sequence = packet->sequence;
        jitter->next_timestamp = timestamp;
    } else if (jitter->state != KB_JITTER_EMPTY && ahead >= (int16_t)KB_JITTER_SLOTS) {
        forget_packets(jitter);
        verdict = KB_JITTER_RESTARTED;
    }
    store(jitter, packet, timestamp, payload);
    return verdict;
}

/* ---- what is due -------------------------------------------------------------------------------------------- */

static int64_t slack_ns(const kb_jitter *jitter, int64_t now_ns, int64_t timestamp)
{
    return now_ns - jitter->lateness.least_transit - ns_of(timestamp);
}

static kb_jitter_slot *later_packet(kb_jitter *jitter)
{
    const int16_t span = (int16_t)(jitter->highest_sequence - jitter->next_sequence);
    for (int16_t i = 1; i <= span; i++) {
        kb_jitter_slot *slot = stored(jitter, (uint16_t)(jitter->next_sequence + i));
        if (slot)
            return slot;
    }
    return NULL;
}

static float cost_of(const kb_jitter *jitter, int64_t delay_ns)
{
    return kb_lateness_cost(&jitter->lateness, (float)delay_ns / (float)NS_PER_MS);
}

/* Takes `samples` at `timestamp` as played; returns how many of them the guess may stand for. What was waited longer, or
 * leaves the delay nearer to its best, was time put in. */
static int32_t skip_held(kb_jitter *jitter, int64_t now_ns, int64_t timestamp, int32_t samples)
{
    const int32_t held = jitter->held_samples;
    jitter->held_samples = 0;
    if (held == 0 || held > SKIP_MOST || timestamp != jitter->next_timestamp)
        return 0;
    const int64_t slack = slack_ns(jitter, now_ns, timestamp);
    if (cost_of(jitter, slack - ns_of(held)) > cost_of(jitter, slack))
        return 0;
    const int32_t skipped = held < samples ? held : samples;
    jitter->held_samples = held - skipped;
    return skipped;
}

static kb_jitter_step play(kb_jitter *jitter, kb_jitter_slot *slot, int64_t now_ns)
{
    const int is_in_place = slot->timestamp == jitter->next_timestamp;
    const int32_t held = is_in_place ? jitter->held_samples : 0;
    const int32_t skipped = skip_held(jitter, now_ns, slot->timestamp, slot->samples);
    slot->is_stored = 0;
    jitter->next_sequence = (uint16_t)(slot->sequence + 1);
    jitter->next_timestamp = slot->timestamp + slot->samples;
    return (kb_jitter_step){KB_JITTER_PLAY, slot->samples - skipped, slot, held, skipped};
}

static kb_jitter_step conceal(kb_jitter *jitter, int64_t samples)
{
    jitter->next_timestamp += samples;
    return (kb_jitter_step){KB_JITTER_CONCEAL, (int32_t)samples, NULL, 0, 0};
}

static kb_jitter_step hold(kb_jitter *jitter, int32_t samples)
{
    if (jitter->held_samples >= GIVE_UP_SAMPLES) {
        jitter->state = KB_JITTER_EMPTY;
        return (kb_jitter_step){KB_JITTER_SILENCE, samples, NULL, 0, 0};
    }
    const int32_t held = jitter->held_samples;
    jitter->held_samples += samples;
    return (kb_jitter_step){KB_JITTER_HOLD, samples, NULL, held, 0};
}

static int64_t least_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Repairs come late, if they come (a copy in a later packet, a packet that was asked for, another path): where enough of
 * them do, the target is longer than the delay, and waiting makes it so. The wait is extrapolated once; it has to pay
 * within the 6 s that the fast estimate looks back. */
static int is_worth_waiting(const kb_jitter *jitter, int64_t slack)
{
    const int64_t target = jitter->target_ms * NS_PER_MS;
    if (slack >= target)
        return 0;
    const float once = 100.0f * (float)jitter->settings.cost_ms * (float)(target - slack) / (float)PAYS_WITHIN_NS;
    return cost_of(jitter, slack) - cost_of(jitter, target) > LEAST_GAIN + once;
}

/* The expected packet is missing and `later` is here: a loss. Everything but the last stretch is extrapolated,
 * the last comes from the copy in `later` if that has one. What was held already counts as extrapolated. */
static kb_jitter_step pass_loss(kb_jitter *jitter, kb_jitter_slot *later, int64_t now_ns, int32_t samples)
{
    const int64_t gap = later->timestamp - jitter->next_timestamp;
    const int64_t last = least_of(gap, later->samples);
    const int has_copy = later->has_fec && gap == later->samples;
    if (!has_copy && is_worth_waiting(jitter, slack_ns(jitter, now_ns, jitter->next_timestamp)))
        return hold(jitter, samples);
    if (gap > last) {
        const int is_overdue = slack_ns(jitter, now_ns, later->timestamp) >= jitter->target_ms * NS_PER_MS;
        const int64_t skip = is_overdue ? gap - last : least_of(gap - last, jitter->held_samples);
        jitter->next_timestamp += skip;
        jitter->held_samples -= (int32_t)least_of(skip, jitter->held_samples);
        if (gap - skip > last)
            return conceal(jitter, least_of(gap - skip - last, samples));
    }
    const int32_t held = jitter->held_samples;
    jitter->next_sequence = later->sequence;
    if (later->has_fec && last == later->samples) { /* a copy is as long as its carrier */
        const int32_t skipped = skip_held(jitter, now_ns, jitter->next_timestamp, (int32_t)last);
        jitter->next_timestamp = later->timestamp;
        return (kb_jitter_step){KB_JITTER_RECOVER, (int32_t)last - skipped, later, held, skipped};
    }
    jitter->held_samples = 0;
    if (held >= last) {
        jitter->next_timestamp = later->timestamp;
        return play(jitter, later, now_ns);
    }
    return conceal(jitter, last);
}

static void leave_out(kb_jitter *jitter, kb_jitter_slot *slot)
{
    slot->is_stored = 0;
    jitter->next_sequence++;
    jitter->next_timestamp = slot->timestamp + slot->samples;
    jitter->held_samples = 0;
    jitter->skipped++;
}

/* A stream that begins with a burst (FFmpeg sends its first second at once) would be late by it until its first
 * pause. Nothing of it was heard yet, so nobody misses its beginning. */
static void leave_out_backlog(kb_jitter *jitter, int64_t now_ns)
{
    const int64_t most_ns = jitter->target_ms * NS_PER_MS + START_BACKLOG_NS;
    kb_jitter_slot *next;
    while ((next = stored(jitter, jitter->next_sequence)) && later_packet(jitter) &&
           slack_ns(jitter, now_ns, next->timestamp) > most_ns)
        leave_out(jitter, next);
}

kb_jitter_step kb_jitter_poll(kb_jitter *jitter, int64_t now_ns, int32_t samples)
{
    const int64_t target_ns = jitter->target_ms * NS_PER_MS;
    if (jitter->state == KB_JITTER_FILLING) {
        /* Starting at the nearest block is up to half a block early, not up to a whole one late. */
        if (slack_ns(jitter, now_ns, jitter->next_timestamp) < target_ns - ns_of(samples) / 2)
            return (kb_jitter_step){KB_JITTER_SILENCE, samples, NULL, 0, 0};
        jitter->state = KB_JITTER_PLAYING;
        leave_out_backlog(jitter, now_ns);
    }
    if (jitter->state == KB_JITTER_EMPTY)
        return (kb_jitter_step){KB_JITTER_SILENCE, samples, NULL, 0, 0};

    for (;;) {
        kb_jitter_slot *next = stored(jitter, jitter->next_sequence);
        kb_jitter_slot *later = later_packet(jitter);
        if (!next) {
            if (!later)
                return hold(jitter, samples);
            if (later->timestamp > jitter->next_timestamp)
                return pass_loss(jitter, later, now_ns, samples);
            jitter->next_sequence = later->sequence; /* the sender's clock went back */
            continue;
        }
        const int64_t slack = slack_ns(jitter, now_ns, next->timestamp);
        if (later && slack > jitter->settings.max_ms * NS_PER_MS) {
            leave_out(jitter, next);
            continue;
        }
        const int64_t pause = next->timestamp - jitter->next_timestamp;
        if (pause > 0 && slack < target_ns)
            return conceal(jitter, least_of(pause, samples)); /* DTX: no packet was sent for this stretch */
        return play(jitter, next, now_ns);
    }
}

int32_t kb_jitter_wish(const kb_jitter *jitter, int64_t now_ns, int32_t ready, int32_t block)
{
    if (jitter->state != KB_JITTER_PLAYING || jitter->held_samples > 0)
        return 0;
    const int32_t odd = ready % block;
    const int64_t step = ns_of(block);
    int64_t delay = slack_ns(jitter, now_ns, jitter->next_timestamp) + ns_of(ready - odd);
    /* Half a ms, so that a reader who follows the target is not between two blocks. */
    const int64_t target = jitter->target_ms * NS_PER_MS - NS_PER_MS / 2;
    if (kb_jitter_is_overdue(jitter, now_ns))
        return block - odd;
    const int64_t blocks = (target - delay) / step;
    delay += blocks * step;
    int64_t more = 0;
    if (delay > target && cost_of(jitter, delay - step) + LEAST_GAIN < cost_of(jitter, delay))
        more = -1;
    else if (delay < target && cost_of(jitter, delay + step) + LEAST_GAIN < cost_of(jitter, delay))
        more = 1;
    return (int32_t)((blocks + more) * block) - odd;
}

int kb_jitter_is_overdue(const kb_jitter *jitter, int64_t now_ns)
{
    if (jitter->state != KB_JITTER_PLAYING)
        return 0;
    const kb_jitter_slot *newest = &jitter->slots[jitter->highest_sequence & (KB_JITTER_SLOTS - 1)];
    int64_t end = jitter->next_timestamp;
    if (newest->is_stored && newest->sequence == jitter->highest_sequence)
        end = newest->timestamp + newest->samples;
    const int64_t late = slack_ns(jitter, now_ns, end);
    const int64_t rare = jitter->lateness.rare_ms * NS_PER_MS;
    return late > rare && late < OVERDUE_MOST_MS * NS_PER_MS;
}

double kb_jitter_delay_ms(const kb_jitter *jitter, int64_t now_ns)
{
    if (jitter->state != KB_JITTER_PLAYING)
        return 0.0;
    return (double)slack_ns(jitter, now_ns, jitter->next_timestamp) / (double)NS_PER_MS;
}

int64_t kb_jitter_ideal_ns(const kb_jitter *jitter)
{
    if (jitter->state != KB_JITTER_PLAYING)
        return 0;
    return jitter->lateness.least_transit + ns_of(jitter->next_timestamp);
}

int32_t kb_jitter_here(const kb_jitter *jitter)
{
    if (jitter->state != KB_JITTER_PLAYING)
        return 0;
    int64_t position = jitter->next_timestamp;
    for (uint16_t i = 0; i < KB_JITTER_SLOTS; i++) {
        const uint16_t sequence = (uint16_t)(jitter->next_sequence + i);
        const kb_jitter_slot *slot = &jitter->slots[sequence & (KB_JITTER_SLOTS - 1)];
        const int is_next_here = slot->is_stored && slot->sequence == sequence;
        const kb_jitter_slot *after = &jitter->slots[(sequence + 1u) & (KB_JITTER_SLOTS - 1)];
        const int has_copy = !is_next_here && after->is_stored && after->has_fec &&
                             after->sequence == (uint16_t)(sequence + 1u) &&
                             after->timestamp - position == after->samples;
        if (!(is_next_here && slot->timestamp <= position) && !has_copy)
            break;
        position = is_next_here ? slot->timestamp + slot->samples : after->timestamp;
    }
    const int64_t samples = position - jitter->next_timestamp;
    return samples > 0 ? (int32_t)samples : 0;
}

kb_jitter_network kb_jitter_network_of(const kb_jitter *jitter)
{
    return kb_lateness_network(&jitter->lateness);
}

int32_t kb_jitter_buffered(const kb_jitter *jitter)
{
    if (jitter->state == KB_JITTER_EMPTY)
        return 0;
    const kb_jitter_slot *newest = &jitter->slots[jitter->highest_sequence & (KB_JITTER_SLOTS - 1)];
    if (!newest->is_stored || newest->sequence != jitter->highest_sequence)
        return 0;
    const int64_t samples = newest->timestamp + newest->samples - jitter->next_timestamp;
    return samples > 0 && samples < 48000 * 60 ? (int32_t)samples : 0;
}
