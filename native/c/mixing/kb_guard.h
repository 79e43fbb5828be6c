/* Hearing protection for what an interpreter hears: stands where another row has its limiter, and is as late.
 *
 *   1  ceiling     no peak above that of a sine of 100 dB SPL, nor above −1 dBTP
 *   2  sustained   the mean of 100 ms at most 94 dB(A)
 *      loudness    400 ms at most 5 LU over the target, which keeps the short-term loudness within 6
 *   3  dose        a minute above 80 dB(A): two beeps, then none for 30 minutes; exposure of the day
 *
 * Levels in dB SPL are as true as `spl_at_full_scale_db`, which a headset, its amplifier and the page's volume make:
 * without a calibration the loudness limit is what protects, and readings are relative. */
#ifndef KB_GUARD_H
#define KB_GUARD_H

#include "kb_dose.h"
#include "kb_limiter.h"
#include "kb_weighting.h"

#define KB_GUARD_DELAY KB_LIMITER_DELAY
#define KB_GUARD_MAX_BLOCK KB_LIMITER_MAX_BLOCK
#define KB_GUARD_STEP 120             /* 2.5 ms: the gain is found anew so often, and reached within 1 ms */
#define KB_GUARD_SUSTAINED_STEPS 40   /* 100 ms */
#define KB_GUARD_LOUDNESS_STEPS 160   /* 400 ms */

typedef struct kb_guard_settings {
    float spl_at_full_scale_db; /* dB SPL of a signal whose mean square is 1 (a sine of 0 dBFS is 3 dB less) */
    float target_lufs;          /* what voices are ridden to */
} kb_guard_settings;

/* 94: a voice at −20 LUFS is then heard with 74 dB(A), loud speech at 1 m; 80 dB(A) are 6 LU over it. */
#define KB_GUARD_DEFAULTS ((kb_guard_settings){94.0f, -20.0f})

typedef struct kb_guard {
    kb_weighting a, k;
    float sustained[KB_GUARD_SUSTAINED_STEPS]; /* A-weighted mean squares of the input, a ring */
    float loudness[KB_GUARD_LOUDNESS_STEPS];   /* K-weighted ones */
    uint32_t step;                             /* counts on, where in the rings the next goes */
    float sustained_most, loudness_most;       /* the limits as mean squares */
    float pressure;                            /* squared pressure over that of 0 dB, of a mean square of 1 */
    float sustained_gain, loudness_gain;       /* at most 1 */
    float gain;                                /* the lesser, as it was applied last */
    uint32_t beep_left;                        /* samples of the warning still to come */
    float beep_amplitude;
    kb_dose dose;
    kb_limiter limiter;
    kb_guard_settings settings;
} kb_guard;

typedef struct kb_guard_readings {
    double l_ex_db;                          /* exposure so far as dB(A) over 8 h */
    double dose_80_percent, dose_85_percent; /* of the lower and the upper action value */
    double minute_db;                        /* mean of the last minute, dB(A) */
    double exposure;                         /* for kb_guard_init when the same person comes back */
    uint32_t warnings;
    float ceiling_db, sustained_db, loudness_db; /* what each takes off now, ≤ 0 */
} kb_guard_readings;

/* `exposure`: of the same person before, today (from the readings); 0 to begin a day. */
void kb_guard_init(kb_guard *guard, const kb_guard_settings *settings, double exposure);

/* Another calibration or target: from the next block on, without a step. */
void kb_guard_configure(kb_guard *guard, const kb_guard_settings *settings);

/* Replaces n ≤ 960 samples, a multiple of 120, by the guarded ones of 64 samples earlier. Where nothing is too loud
 * they are the same to the bit. What is no number, or beyond ±8, becomes silence. */
void kb_guard_run(kb_guard *guard, float *samples, size_t n);

kb_guard_readings kb_guard_read(const kb_guard *guard);

/* 1 when both leave what comes next alone, if it is not too loud, and then give the same. */
int kb_guard_equals(const kb_guard *guard, const kb_guard *other);

#endif
