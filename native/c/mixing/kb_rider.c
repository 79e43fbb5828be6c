#include "kb_rider.h"
#include "kb_kernels.h"

#include <math.h>
#include <string.h>

#define SANE 8.0f

void kb_rider_init(kb_rider *rider, const kb_rider_settings *settings)
{
    memset(rider, 0, sizeof *rider);
    kb_loudness_reset(&rider->loudness);
    rider->settings = *settings;
    rider->gain = 1.0f;
}

void kb_rider_configure(kb_rider *rider, const kb_rider_settings *settings)
{
    rider->settings = *settings;
}

/* Where the gain is to go; where it is when nothing is to move. */
static float wanted_db(const kb_rider *rider)
{
    const float range_db = rider->settings.range_db;
    if (!(range_db > 0.0f))
        return 0.0f;
    if (!kb_loudness_is_voiced(&rider->loudness) || rider->loudness.gated_lufs <= KB_LOUDNESS_SILENCE)
        return rider->gain_db;
    const float db = rider->settings.target_lufs - rider->loudness.gated_lufs;
    return db > range_db ? range_db : db < -range_db ? -range_db : db;
}

void kb_rider_follow(kb_rider *rider, const float *samples, size_t n)
{
    kb_loudness_run(&rider->loudness, samples, n);
    const float off_db = wanted_db(rider) - rider->gain_db;
    if (off_db != 0.0f) {
        const float seconds = (float)n / 48000.0f;
        const float down = -KB_RIDER_DOWN_DB_PER_S * seconds, up = KB_RIDER_UP_DB_PER_S * seconds;
        rider->gain_db += off_db < down ? down : off_db > up ? up : off_db;
        if (fabsf(rider->gain_db) < 1e-4f && !(rider->settings.range_db > 0.0f))
            rider->gain_db = 0.0f;
        rider->gain = rider->gain_db == 0.0f ? 1.0f : powf(10.0f, rider->gain_db * 0.05f);
    }
}

void kb_rider_run(kb_rider *rider, float *samples, size_t n)
{
    const float before = rider->gain;
    kb_sanitize(samples, n, SANE);
    kb_rider_follow(rider, samples, n);
    if (before != 1.0f || rider->gain != 1.0f)
        kb_apply_ramp(samples, n, before, rider->gain);
}
