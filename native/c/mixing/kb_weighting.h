/* The weightings of loudness (K, ITU-R BS.1770-4) and of noise dose (A, IEC 61672-1) at 48 kHz, eight samples a step:
 * with the filter as a state space, eight outputs and the eighth state after are sums of the eight inputs and the
 * present state, which vectorise; a recursion sample by sample does not. */
#ifndef KB_WEIGHTING_H
#define KB_WEIGHTING_H

#include <stddef.h>

#define KB_WEIGHTING_STEP 8

typedef struct kb_weighting {
    float state[KB_WEIGHTING_STEP]; /* zeros to begin with */
} kb_weighting;

/* out[i] is samples[i] weighted; `out` may be `samples`. n is a multiple of 8, other samples at the end are left out.
 * Samples must be numbers: `kb_sanitize` before. Equals numpy within 1e-5 of the largest sample. */
void kb_weigh_k(kb_weighting *weighting, float *out, const float *samples, size_t n);
void kb_weigh_a(kb_weighting *weighting, float *out, const float *samples, size_t n);

#endif
