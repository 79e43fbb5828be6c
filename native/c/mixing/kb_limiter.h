/* True-peak limiter with look-ahead: no output above −1 dBTP, gain changes without corners, no memory beyond its
 * window: two limiters fed the same 960 samples hold the same state, which is what lets rows share an encoder. */
#ifndef KB_LIMITER_H
#define KB_LIMITER_H

#include "kb_kernels.h"

#include <stddef.h>

/* The output is this much later than the input: 1.33 ms. */
#define KB_LIMITER_DELAY 64
/* The gain is seen this far ahead and smoothed over as much; the rest of the delay feeds the interpolator. */
#define KB_LIMITER_WINDOW (KB_LIMITER_DELAY - KB_TRUE_PEAK_REACH + 1)
#define KB_LIMITER_MAX_BLOCK 960
/* −1.05 dBTP: the smoothed gain bends the interpolated waveform by less than the 0.05 dB in hand. */
#define KB_LIMITER_CEILING 0.8861f

#define KB_LIMITER_PAST (KB_LIMITER_DELAY + KB_TRUE_PEAK_REACH)

typedef struct kb_limiter {
    float past[KB_LIMITER_PAST];                 /* the last inputs, oldest first */
    float wanted[KB_LIMITER_WINDOW - 1];         /* the last gains that each sample alone would need */
    float least[KB_LIMITER_WINDOW - 1];          /* the last minima over a window of those */
    int is_open;                                 /* every gain above is 1: nothing to compute */
} kb_limiter;

void kb_limiter_reset(kb_limiter *limiter);

/* Replaces n ≤ KB_LIMITER_MAX_BLOCK samples by the limited ones of 64 samples earlier. With x the input:
 * wanted[i] = min(1, ceiling/true_peak(x)[i]), least[i] = min wanted[i … i+56], gain[i] = mean least[i−56 … i]. */
void kb_limiter_run(kb_limiter *limiter, float *samples, size_t n);

#endif
