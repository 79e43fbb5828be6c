#include "kb_row.h"
#include "kb_kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES_PER_MS (KB_FRAME / KB_FRAME_MS)
/* libopus at 48 kHz, VOIP: 2.5 ms of overlap and 4 ms of delay compensation (OPUS_GET_LOOKAHEAD says 312). */
#define ENCODER_DELAY 312
/* The delay that is told follows the sources' in about 3 s: receivers fit a line through 20 s of our reports. */
#define DELAY_SHARE (1.0f / 128.0f)
#define DELAY_JUMP_MS 80.0f
#define VOICE_DB (-50.0f) /* above it a packet is marked as voice (RFC 6464 V bit), and an interpreter speaks */
/* A row that opens under an interpreter at work has the original down from its first frame. */
#define RECENT_TICKS 100
#define CARE_DB 3.0f
#define RIDE_STEP 1.0069317f /* 0.06 dB per 20 ms, 3 dB/s: a rider's quicker pace */
#define CARE_SAMPLES 4800 /* 100 ms */

kb_row *kb_row_new(const kb_opus_table *opus, const kb_opus_voice *voice, int is_guarded, uint32_t track)
{
    kb_row *row = aligned_alloc(64, (sizeof *row + 63u) & ~(size_t)63u);
    if (!row)
        return NULL;
    memset(row, 0, sizeof *row);
    row->track = track;
    row->voice = *voice;
    row->loss_percent = (uint8_t)voice->loss_percent;
    row->encoder_bytes = (size_t)opus->encoder_bytes(1);
    row->encoder = malloc(row->encoder_bytes);
    row->guard = is_guarded ? aligned_alloc(64, (sizeof *row->guard + 63u) & ~(size_t)63u) : NULL;
    if (!row->encoder || (is_guarded && !row->guard) || kb_opus_voice_init(opus, row->encoder, voice)) {
        kb_row_free(row);
        return NULL;
    }
    kb_limiter_reset(&row->limiter);
    if (row->guard)
        kb_guard_init(row->guard, &KB_GUARD_DEFAULTS, 0.0);
    kb_ducking_init(&row->ducking, &KB_DUCKING_DEFAULTS);
    atomic_store_explicit(&row->readings.mix_db, -127.0f, memory_order_relaxed);
    atomic_store_explicit(&row->readings.interpreter_db, -127.0f, memory_order_relaxed);
    atomic_store_explicit(&row->readings.original_db, -127.0f, memory_order_relaxed);
    return row;
}

void kb_row_free(kb_row *row)
{
    if (!row)
        return;
    free(row->encoder);
    free(row->guard);
    free(row);
}

/* ---- the plan ----------------------------------------------------------------------------------------------- */

static const kb_row_entry *find(const kb_row_entry *entries, uint32_t count, const kb_source *source,
                                uint8_t is_interpreter)
{
    for (uint32_t i = 0; i < count; i++)
        if (entries[i].source == source && entries[i].is_interpreter == is_interpreter)
            return &entries[i];
    return NULL;
}

static void add(kb_row *row, const kb_row_entry *old, uint32_t old_count, kb_source *source,
                uint8_t is_interpreter, uint64_t tick)
{
    const kb_row_entry *known = find(old, old_count, source, is_interpreter);
    kb_row_entry *entry = &row->entries[row->entry_count++];
    if (known && known->target > 0.0f)
        *entry = *known;
    else
        *entry = (kb_row_entry){.source = source,
                                .gain = known ? known->gain : 0.0f,
                                .target = 1.0f,
                                .ride_from = known ? known->ride : row->rides ? source->rider.gain : 1.0f,
                                .ride = known ? known->ride : row->rides ? source->rider.gain : 1.0f,
                                .is_interpreter = is_interpreter,
                                .is_voiced = !row->leader && source->voiced_tick > 0 &&
                                             source->voiced_tick + RECENT_TICKS > tick,
                                .added_tick = tick};
}

void kb_row_plan(kb_row *row, kb_source *const *floor, uint32_t floor_count, kb_source *const *interpreters,
                 uint32_t interpreter_count, uint64_t tick)
{
    kb_row_entry old[KB_ROW_ENTRIES];
    const uint32_t old_count = row->entry_count;
    memcpy(old, row->entries, old_count * sizeof *old);
    row->entry_count = 0;
    for (uint32_t i = 0; i < floor_count; i++)
        add(row, old, old_count, floor[i], 0, tick);
    for (uint32_t i = 0; i < interpreter_count; i++)
        add(row, old, old_count, interpreters[i], 1, tick);

    row->signature = 14695981039346656037u; /* FNV-1a over the numbers, in the plan's order */
    for (uint32_t i = 0; i < row->entry_count; i++)
        row->signature = (row->signature ^ row->entries[i].source->number) * 1099511628211u;

    /* Leaving ones fade out behind the plan's; without room they end at once, which no plan of ours reaches. */
    const uint32_t planned = row->entry_count;
    for (uint32_t i = 0; i < old_count && row->entry_count < KB_ROW_ENTRIES; i++) {
        if (old[i].gain <= 0.0f || find(row->entries, planned, old[i].source, old[i].is_interpreter))
            continue;
        row->entries[row->entry_count] = old[i];
        row->entries[row->entry_count++].target = 0.0f;
    }
}

void kb_row_end_ramps(kb_row *row)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < row->entry_count; i++) {
        row->entries[i].gain = row->entries[i].target;
        row->entries[i].ride_from = row->entries[i].ride;
        if (row->entries[i].target > 0.0f)
            row->entries[kept++] = row->entries[i];
    }
    row->entry_count = kept;
}

/* ---- one tick ----------------------------------------------------------------------------------------------- */

/* Which of several interpreters says what the original does. */
static const unsigned char RANK[KB_DUCKING_INPUTS] = {
    [KB_DUCKING_NOBODY] = 0, [KB_DUCKING_STAFFED] = 1, [KB_DUCKING_SILENT] = 2, [KB_DUCKING_VOICED] = 3};

/* The first packet of one counts as a voice: it comes with the microphone, before the first word is over. */
static kb_ducking_input heard_of(kb_row_entry *entry)
{
    const kb_source *source = entry->source;
    const int is_first = !entry->is_voiced;
    if (source->voiced_tick > 0 && source->voiced_tick >= entry->added_tick)
        entry->is_voiced = 1;
    if (!entry->is_voiced)
        return KB_DUCKING_STAFFED;
    return is_first || source->level_db > VOICE_DB ? KB_DUCKING_VOICED : KB_DUCKING_SILENT;
}

/* Voices are brought to one loudness where several are mixed. One that is alone is what it is, because it may just as
 * well be forwarded untouched; on the way there and back the gain moves as slowly as a rider's. Who is guarded hears
 * everything through the engine. */
static void ride(kb_row *row)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < row->entry_count; i++)
        count += row->entries[i].target > 0.0f;
    for (uint32_t i = 0; i < row->entry_count; i++) {
        kb_row_entry *entry = &row->entries[i];
        const float goal = row->rides && (count > 1 || row->guard) ? entry->source->rider.gain : 1.0f;
        const float most = entry->ride_from * RIDE_STEP, least = entry->ride_from / RIDE_STEP;
        entry->ride = !row->leader || (goal <= most && goal >= least) ? goal : goal > most ? most : least;
    }
}

void kb_row_advance(kb_row *row)
{
    kb_ducking_input input = KB_DUCKING_NOBODY;
    int is_plain = 1;
    for (uint32_t i = 0; i < row->entry_count; i++) {
        kb_row_entry *entry = &row->entries[i];
        if (entry->gain != 1.0f || entry->target != 1.0f || entry->is_interpreter)
            is_plain = 0;
        if (!entry->is_interpreter || entry->target <= 0.0f)
            continue;
        const kb_ducking_input heard = heard_of(entry);
        if (RANK[heard] > RANK[input])
            input = heard;
    }
    ride(row);
    kb_ducking_receive(&row->ducking, input);
    row->duck_moved = (uint8_t)kb_ducking_advance(&row->ducking, KB_FRAME_MS, row->duck_gains);
    if (!kb_ducking_is_open(&row->ducking) || row->duck_moved)
        is_plain = 0;
    row->settled_ticks = is_plain ? row->settled_ticks + (row->settled_ticks < UINT32_MAX) : 0;
}

/* 1 when `row` may go on with the encoder and limiter of `other`: nobody heard it, or both limiters do the same. */
static int can_take_over(const kb_row *row, const kb_row *other)
{
    if (!row->leader)
        return 1;
    if (!other->leader)
        return 0;
    if (row->guard)
        return kb_guard_equals(row->leader->guard, other->leader->guard);
    return kb_limiter_equals(&row->leader->limiter, &other->leader->limiter);
}

int kb_row_equals(const kb_row *row, const kb_row *other)
{
    if (row->voice.bitrate_bps != other->voice.bitrate_bps || !row->guard != !other->guard)
        return 0;
    const int are_settled =
        row->settled_ticks >= KB_ROW_SETTLED_TICKS && other->settled_ticks >= KB_ROW_SETTLED_TICKS;
    const int were_shared = row->leader == other->leader; /* or were both unheard, and both begin clean */
    if ((!were_shared && !(are_settled && can_take_over(row, other))) || row->signature != other->signature ||
        row->entry_count != other->entry_count ||
        memcmp(row->duck_gains, other->duck_gains, sizeof row->duck_gains) != 0)
        return 0;
    for (uint32_t i = 0; i < row->entry_count; i++) {
        const kb_row_entry *a = &row->entries[i], *b = &other->entries[i];
        if (a->source != b->source || a->is_interpreter != b->is_interpreter || a->gain != b->gain ||
            a->target != b->target || a->ride_from != b->ride_from || a->ride != b->ride)
            return 0;
    }
    return 1;
}

void kb_row_clone(kb_row *row, const kb_row *from)
{
    memcpy(row->encoder, from->encoder, row->encoder_bytes);
    row->limiter = from->limiter;
    if (row->guard && from->guard)
        *row->guard = *from->guard;
    row->voice = from->voice;
    row->is_careful = from->is_careful;
}

void kb_row_reset(kb_row *row, const kb_opus_table *opus)
{
    opus->encoder_ctl(row->encoder, KB_OPUS_RESET_STATE);
    kb_limiter_reset(&row->limiter);
    row->is_careful = 0;
}

#define PUBLISH(field, value) atomic_store_explicit(&row->readings.field, value, memory_order_relaxed)

static void mix(kb_row *row, float *out, uint8_t is_interpreter)
{
    memset(out, 0, KB_FRAME * sizeof *out);
    for (uint32_t i = 0; i < row->entry_count; i++) {
        const kb_row_entry *entry = &row->entries[i];
        if (entry->is_interpreter == is_interpreter)
            kb_mix_ramp(out, entry->source->block, KB_FRAME, entry->gain * entry->ride_from,
                        entry->target * entry->ride);
    }
}

static void duck(kb_row *row, float *samples)
{
    if (!row->duck_moved) {
        if (row->duck_gains[0] != 1.0f)
            kb_apply_ramp(samples, KB_FRAME, row->duck_gains[0], row->duck_gains[0]);
        return;
    }
    for (int ms = 0; ms < KB_FRAME_MS; ms++)
        kb_apply_ramp(samples + ms * SAMPLES_PER_MS, SAMPLES_PER_MS, row->duck_gains[ms],
                      row->duck_gains[ms + 1]);
}

/* Whose lips a listener may see: the loudest on the floor, else the loudest interpreter. NULL: nobody speaks. */
static const kb_source *seen(const kb_row *row)
{
    for (uint8_t is_interpreter = 0; is_interpreter < 2; is_interpreter++) {
        const kb_source *loudest = NULL;
        for (uint32_t i = 0; i < row->entry_count; i++) {
            const kb_source *source = row->entries[i].source;
            if (row->entries[i].is_interpreter == is_interpreter && row->entries[i].target > 0.0f &&
                source->delay_ms > 0.0f && source->level_db > VOICE_DB &&
                (!loudest || source->level_db > loudest->level_db))
                loudest = source;
        }
        if (loudest)
            return loudest;
    }
    return NULL;
}

static void follow_delay(kb_row *row)
{
    const kb_source *source = seen(row);
    if (!source)
        return;
    const float apart = source->delay_ms - row->delay_ms;
    row->delay_ms += row->delay_ms <= 0.0f || fabsf(apart) > DELAY_JUMP_MS ? apart : apart * DELAY_SHARE;
}

uint32_t kb_row_delay_us(const kb_row *row)
{
    const float fixed_ms = (float)(KB_LIMITER_DELAY + ENCODER_DELAY) / SAMPLES_PER_MS;
    return (uint32_t)((row->delay_ms + fixed_ms) * 1000.0f);
}

/* An original that comes back is suddenly 18 dB louder: for a second its peaks are held 3 dB lower. */
static void take_care(kb_row *row)
{
    const uint8_t is_careful = (uint8_t)kb_ducking_needs_care(&row->ducking);
    if (is_careful != row->is_careful)
        kb_limiter_lower(&row->limiter, is_careful ? CARE_DB : 0.0f, CARE_SAMPLES);
    row->is_careful = is_careful;
}

static void protect(kb_row *row)
{
    if (row->guard) {
        kb_guard_run(row->guard, row->mix, KB_FRAME);
        PUBLISH(warnings, (int32_t)row->guard->dose.warnings);
        PUBLISH(l_ex_db, (float)kb_dose_l_ex_db(&row->guard->dose));
        return;
    }
    take_care(row);
    kb_limiter_run(&row->limiter, row->mix, KB_FRAME);
}

void kb_row_render(kb_row *row)
{
    follow_delay(row);
    mix(row, row->floor, 0);
    duck(row, row->floor);
    mix(row, row->mix, 1);
    PUBLISH(original_db, kb_level_db(kb_energy(row->floor, KB_FRAME), KB_FRAME));
    PUBLISH(interpreter_db, kb_level_db(kb_energy(row->mix, KB_FRAME), KB_FRAME));
    kb_mix_ramp(row->mix, row->floor, KB_FRAME, 1.0f, 1.0f);
    protect(row);
    kb_row_end_ramps(row);

    const float db = kb_level_db(kb_energy(row->mix, KB_FRAME), KB_FRAME);
    const float below = db < 0.0f ? -db : 0.0f;
    row->level = (uint8_t)((uint8_t)(below + 0.5f) | (db > VOICE_DB ? 0x80 : 0));
    PUBLISH(mix_db, db);
    PUBLISH(duck_db, row->ducking.db);
    PUBLISH(is_heard, 1);
    PUBLISH(is_shared, 0);
}

void kb_row_set_voice(kb_row *row, const kb_opus_table *opus, int complexity, int loss_percent)
{
    if (complexity != row->voice.complexity)
        opus->encoder_ctl(row->encoder, KB_OPUS_SET_COMPLEXITY, complexity);
    if (loss_percent != row->voice.loss_percent)
        opus->encoder_ctl(row->encoder, KB_OPUS_SET_PACKET_LOSS_PERC, loss_percent);
    row->voice.complexity = complexity;
    row->voice.loss_percent = loss_percent;
}

int32_t kb_row_encode(kb_row *row, const kb_opus_table *opus)
{
    row->packet_bytes = opus->encode(row->encoder, row->mix, KB_FRAME, row->packet, KB_PACKET_BYTES);
    return row->packet_bytes;
}

/* Nobody listens: levels come from the sources' own, summed as powers, and every ramp is over. */
void kb_row_skip(kb_row *row)
{
    kb_row_end_ramps(row);
    float power[2] = {0.0f, 0.0f};
    for (uint32_t i = 0; i < row->entry_count; i++)
        power[row->entries[i].is_interpreter] += powf(10.0f, row->entries[i].source->level_db * 0.1f);
    power[0] *= row->duck_gains[KB_FRAME_MS] * row->duck_gains[KB_FRAME_MS];
    PUBLISH(original_db, kb_level_db(power[0], 1));
    PUBLISH(interpreter_db, kb_level_db(power[1], 1));
    PUBLISH(mix_db, kb_level_db(power[0] + power[1], 1));
    PUBLISH(duck_db, row->ducking.db);
    PUBLISH(is_heard, 0);
    PUBLISH(is_shared, 0);
    row->packet_bytes = 0;
}

void kb_row_follow(kb_row *row, const kb_row *leader)
{
    PUBLISH(original_db, atomic_load_explicit(&leader->readings.original_db, memory_order_relaxed));
    PUBLISH(mix_db, atomic_load_explicit(&leader->readings.mix_db, memory_order_relaxed));
    PUBLISH(interpreter_db, atomic_load_explicit(&leader->readings.interpreter_db, memory_order_relaxed));
    PUBLISH(duck_db, row->ducking.db);
    PUBLISH(is_heard, 1);
    PUBLISH(is_shared, 1);
    kb_row_end_ramps(row);
}

#define READ(field) (double)atomic_load_explicit(&row->readings.field, memory_order_relaxed)

void kb_row_read(const kb_row *row, double *values)
{
    const double read[KB_ROW_READINGS] = {
        READ(interpreter_db), READ(original_db), READ(mix_db),   READ(duck_db),
        READ(l_ex_db),        READ(warnings),    READ(is_heard), READ(is_shared),
    };
    memcpy(values, read, sizeof read);
}
