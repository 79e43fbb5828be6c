#include "kb_guard.h"
#include "kb_kernels.h"

#include <math.h>
#include <string.h>

/* A free order of additions: the sums over the rings, 1,600 values a block, vectorise. */
#pragma GCC optimize("O3", "no-math-errno", "no-trapping-math", "associative-math", "no-signed-zeros")

#define SANE 8.0f
#define CEILING_DB 100.0f
#define SUSTAINED_DB 94.0f
/* The gain for 400 ms is found while they pass: a shout 16 LU over the target overshoots 3 s of it by 1.2 LU. */
#define LOUDNESS_LU 5.0f
#define BS1770_OFFSET_LU (-0.691f)
#define SINE_DB 3.0103f /* peak over mean square */
#define ATTACK 48       /* 1 ms */
#define RISE 1.001728f  /* per step of 2.5 ms: 6 dB/s */
#define BEEP_DB 70.0f
#define BEEP_HZ 1000.0f
#define BEEP 4800      /* 100 ms each, and 100 ms between */
#define BEEP_EDGE 240  /* 5 ms: without a click */
#define WARNING (3 * BEEP)
#define PI 3.14159265358979f

static float power_of(float db)
{
    return powf(10.0f, db * 0.1f);
}

static void take(kb_guard *guard, const kb_guard_settings *settings, uint32_t within)
{
    const float full_scale_db = settings->spl_at_full_scale_db;
    guard->settings = *settings;
    guard->pressure = power_of(full_scale_db);
    guard->sustained_most = power_of(SUSTAINED_DB - full_scale_db);
    guard->loudness_most = power_of(settings->target_lufs + LOUDNESS_LU - BS1770_OFFSET_LU);
    guard->beep_amplitude = fminf(powf(10.0f, (BEEP_DB - full_scale_db + SINE_DB) * 0.05f), 0.25f);
    const float ceiling_db = CEILING_DB - full_scale_db + SINE_DB;
    const float own_db = 20.0f * log10f(KB_LIMITER_CEILING);
    kb_limiter_lower(&guard->limiter, own_db - ceiling_db, within);
}

void kb_guard_init(kb_guard *guard, const kb_guard_settings *settings, double exposure)
{
    memset(guard, 0, sizeof *guard);
    guard->sustained_gain = guard->loudness_gain = guard->gain = 1.0f;
    kb_limiter_reset(&guard->limiter);
    kb_dose_init(&guard->dose, exposure);
    take(guard, settings, 0);
}

void kb_guard_configure(kb_guard *guard, const kb_guard_settings *settings)
{
    take(guard, settings, KB_GUARD_MAX_BLOCK);
}

/* The gain that brings the mean of these mean squares to `most`: at once when it is less, else slowly. */
static float follow(float gain, const float *mean_squares, size_t n, float most)
{
    float sum = 0.0f;
    for (size_t i = 0; i < n; i++)
        sum += mean_squares[i];
    const float over = sum / (float)n / most;
    const float wanted = over > 1.0f ? 1.0f / sqrtf(over) : 1.0f;
    const float risen = gain * RISE;
    return wanted < risen ? wanted : risen;
}

static void warn(kb_guard *guard, float *samples, size_t n)
{
    for (size_t i = 0; i < n && guard->beep_left; i++, guard->beep_left--) {
        const uint32_t at = WARNING - guard->beep_left;
        if (at >= BEEP && at < 2 * BEEP)
            continue;
        const uint32_t within = at % BEEP, to_edge = within < BEEP - within ? within : BEEP - within;
        const float edge = to_edge < BEEP_EDGE ? 0.5f - 0.5f * cosf(PI * (float)to_edge / BEEP_EDGE) : 1.0f;
        samples[i] += guard->beep_amplitude * edge * sinf(2.0f * PI * BEEP_HZ / 48000.0f * (float)within);
    }
}

static void guard_step(kb_guard *guard, float *samples, const float *a, const float *k)
{
    const float heard = kb_energy(a, KB_GUARD_STEP) / KB_GUARD_STEP;
    guard->sustained[guard->step % KB_GUARD_SUSTAINED_STEPS] = heard;
    guard->loudness[guard->step % KB_GUARD_LOUDNESS_STEPS] = kb_energy(k, KB_GUARD_STEP) / KB_GUARD_STEP;
    guard->step = (guard->step + 1) % (KB_GUARD_SUSTAINED_STEPS * KB_GUARD_LOUDNESS_STEPS);
    guard->sustained_gain =
        follow(guard->sustained_gain, guard->sustained, KB_GUARD_SUSTAINED_STEPS, guard->sustained_most);
    guard->loudness_gain =
        follow(guard->loudness_gain, guard->loudness, KB_GUARD_LOUDNESS_STEPS, guard->loudness_most);

    const float before = guard->gain;
    guard->gain = fminf(guard->sustained_gain, guard->loudness_gain);
    if (before != 1.0f || guard->gain != 1.0f) {
        kb_apply_ramp(samples, ATTACK, before, guard->gain);
        kb_apply_ramp(samples + ATTACK, KB_GUARD_STEP - ATTACK, guard->gain, guard->gain);
    }
    /* Without the beeps: at 70 dB they are a tenth of the least that warns. */
    const double mean = (double)heard * (double)(guard->gain * guard->gain) * (double)guard->pressure;
    if (kb_dose_add(&guard->dose, mean, KB_GUARD_STEP))
        guard->beep_left = WARNING;
}

void kb_guard_run(kb_guard *guard, float *samples, size_t n)
{
    float a[KB_GUARD_MAX_BLOCK], k[KB_GUARD_MAX_BLOCK];
    kb_sanitize(samples, n, SANE);
    kb_weigh_a(&guard->a, a, samples, n);
    kb_weigh_k(&guard->k, k, samples, n);
    const uint32_t beep_left = guard->beep_left;
    for (size_t i = 0; i + KB_GUARD_STEP <= n; i += KB_GUARD_STEP)
        guard_step(guard, samples + i, a + i, k + i);
    if (beep_left) /* one that became due now begins with the next block: kb_guard_equals must have seen it */
        warn(guard, samples, n);
    kb_limiter_run(&guard->limiter, samples, n);
}

static float db_of_gain(float gain)
{
    return gain < 1.0f ? 20.0f * log10f(gain > 1e-6f ? gain : 1e-6f) : 0.0f;
}

kb_guard_readings kb_guard_read(const kb_guard *guard)
{
    return (kb_guard_readings){
        .l_ex_db = kb_dose_l_ex_db(&guard->dose),
        .dose_80_percent = kb_dose_percent(&guard->dose, 80.0),
        .dose_85_percent = kb_dose_percent(&guard->dose, 85.0),
        .minute_db = kb_dose_minute_db(&guard->dose),
        .exposure = guard->dose.exposure,
        .warnings = guard->dose.warnings,
        .ceiling_db = db_of_gain(kb_limiter_gain(&guard->limiter)),
        .sustained_db = db_of_gain(guard->sustained_gain),
        .loudness_db = db_of_gain(guard->loudness_gain),
    };
}

int kb_guard_equals(const kb_guard *guard, const kb_guard *other)
{
    const kb_guard_settings *own = &guard->settings, *others = &other->settings;
    return guard->gain == 1.0f && other->gain == 1.0f && !guard->beep_left && !other->beep_left &&
           own->spl_at_full_scale_db == others->spl_at_full_scale_db && own->target_lufs == others->target_lufs &&
           kb_limiter_equals(&guard->limiter, &other->limiter);
}
