/* True-peak limiter with look-ahead: no output above −1 dBTP, gain changes without corners, a slow way back up.
 *
 * The gain falls within the look-ahead and rises by a constant amount per sample: in a sustained overload it hardly
 * moves between two peaks, so that a loud 100 Hz tone keeps its shape, and after 1.37 s at the latest it is exactly
 * 1 again. At rest the limiter remembers nothing but its window: `kb_limiter_equals` says when two hold the same. */
#ifndef KB_LIMITER_H
#define KB_LIMITER_H

#include "kb_kernels.h"

#include <stddef.h>
#include <stdint.h>

/* The output is this much later than the input: 1.33 ms. */
#define KB_LIMITER_DELAY 64
/* The gain is seen this far ahead and smoothed over as much; the rest of the delay feeds the interpolator. */
#define KB_LIMITER_WINDOW (KB_LIMITER_DELAY - KB_TRUE_PEAK_REACH + 1)
#define KB_LIMITER_MAX_BLOCK 960
/* −1.05 dBTP: the smoothed gain bends the interpolated waveform by less than the 0.05 dB in hand. */
#define KB_LIMITER_CEILING 0.8861f
/* The gain rises by this per sample, 0.73 per second: 0.4 % between two peaks of a 100 Hz tone (0.1 % of third
 * harmonic), 3 dB in 0.4 s. A power of two: the sums are exact, 1 is met exactly. */
#define KB_LIMITER_RISE (1.0f / 65536.0f)
/* What no mix of sources within ±8 reaches; beyond it, and for NaN, a sample counts as 0. */
#define KB_LIMITER_SANE 1024.0f

#define KB_LIMITER_PAST (KB_LIMITER_DELAY + KB_TRUE_PEAK_REACH)

/* No padding: compared as bytes. */
typedef struct kb_limiter {
    float past[KB_LIMITER_PAST];                 /* the last inputs, oldest first */
    float wanted[KB_LIMITER_WINDOW - 1];         /* the last gains that each sample alone would need */
    float eased[KB_LIMITER_WINDOW - 1];          /* the last minima over a window of those, slowly rising */
    float ceiling, ceiling_target, ceiling_step; /* now; where it goes, by how much per sample */
    uint32_t ceiling_left;                       /* samples until it is there */
    int32_t is_open;                             /* every gain above is 1: nothing to compute */
} kb_limiter;

void kb_limiter_reset(kb_limiter *limiter);

/* Moves the ceiling linearly to `by_db` ≥ 0 below its own within `samples`, from where it is; 0 dB moves it back. From
 * 480 samples on nothing of it is heard beside a tone at the ceiling (below −60 dBFS). */
void kb_limiter_lower(kb_limiter *limiter, float by_db, uint32_t samples);

/* Replaces n ≤ KB_LIMITER_MAX_BLOCK samples by the limited ones of 64 samples earlier. With x the input:
 * wanted[i] = min(1, ceiling[i]/true_peak(x)[i]), least[i] = min wanted[i … i+56],
 * eased[i] = min(least[i], eased[i−1] + rise), gain[i] = mean eased[i−56 … i]. */
void kb_limiter_run(kb_limiter *limiter, float *samples, size_t n);

/* The least gain of the last samples, 1 at rest. */
static inline float kb_limiter_gain(const kb_limiter *limiter)
{
    return limiter->eased[KB_LIMITER_WINDOW - 2];
}

/* 1 when both give the same for the same input from now on, bit for bit. True for two that rest (no overload for
 * 1.4 s, the ceiling unmoved) and were fed the same for 72 samples; and after any overload that both saw and that
 * was deeper than what either still remembered. */
int kb_limiter_equals(const kb_limiter *limiter, const kb_limiter *other);

#endif
