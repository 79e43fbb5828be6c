/* Kernels over planar float32 samples at 48 kHz. n = 0 is allowed everywhere and changes nothing. */
#ifndef KB_KERNELS_H
#define KB_KERNELS_H

#include <stddef.h>

/* The gain at sample i is g0 + i·(g1 − g0)/n: the block ends one step before g1, where the next one begins.
 * These equal the numpy reference bit for bit. `out` and `src` must not overlap. */
void kb_mix_ramp(float *restrict out, const float *restrict src, size_t n, float g0, float g1);
void kb_apply_ramp(float *restrict samples, size_t n, float g0, float g1);

/* out[i] = a[i]·(1 − w) + b[i]·w with w = (i + 0.5)/n. `out` may be `a` or `b`, but not between them. */
void kb_crossfade(float *out, const float *a, const float *b, size_t n);

/* Reductions: the order of the additions is the compiler's, so equality with numpy is within 1e-5 relative. */
float kb_energy(const float *samples, size_t n); /* sum of squares; 0 for n = 0 */
float kb_peak(const float *samples, size_t n);   /* largest |x|; 0 for n = 0, NaN if there is one */

/* 1 when every sample is a number of at most `limit`, else 0. A NaN is never at most anything. */
int kb_all_within(const float *samples, size_t n, float limit);

/* Makes 0 of every sample that is no number or beyond ±limit, and of denormals, which cost a hundred times as much
 * in any filter behind. Returns how many were beyond. Equals the reference bit for bit. */
size_t kb_sanitize(float *samples, size_t n, float limit);

/* True peak: the sample peak and three interpolated points on either side of a sample, each by 16 taps.
 * out[i] covers (i − 1, i + 1); reads samples[i − 8 … i + 8], so `samples` has 8 valid samples on both sides. */
#define KB_TRUE_PEAK_TAPS 16
#define KB_TRUE_PEAK_REACH 8
/* No interpolated point exceeds the sample peak by more: the largest sum of |tap| over the three phases. */
#define KB_TRUE_PEAK_BOUND 2.18f
void kb_true_peak(float *restrict out, const float *restrict samples, size_t n);

/* 10·log10 of the mean square, floored at −127 dBFS (a full-scale square is 0 dBFS, a sine −3). */
float kb_level_db(float energy, size_t n);

#endif
