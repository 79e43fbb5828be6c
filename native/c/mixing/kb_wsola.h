/* Time edits of running sound: where one period of it may be left out or said twice without a seam (WSOLA). */
#ifndef KB_WSOLA_H
#define KB_WSOLA_H

#include <stddef.h>
#include <stdint.h>

#define KB_WSOLA_OVERLAP 240 /* 5 ms of crossfade, and what is compared */
#define KB_WSOLA_LEAST 120   /* 2.5 ms: periods from 400 Hz … */
#define KB_WSOLA_MOST 600    /* … to 80 Hz; a man's voice has none below 8 ms to offer */

typedef struct kb_wsola_match {
    int32_t at;
    float likeness; /* normalised correlation, −1 … 1; 0 where either side is silent */
} kb_wsola_match;

/* Which of candidates[at … at + OVERLAP), 0 ≤ at < count, resembles model[0 … OVERLAP) most; the first of equals. */
kb_wsola_match kb_wsola_search(const float *model, const float *candidates, int32_t count);

/* Leaves samples[0 … lag) out, fading into what follows; returns how many remain. n ≥ lag + OVERLAP. */
size_t kb_wsola_cut(float *samples, size_t n, size_t lag);

/* Repeats the `lag` samples before samples[0], fading into and seamlessly out of them; returns how many there are now,
 * n + lag, for which there must be room. n ≥ OVERLAP. */
size_t kb_wsola_insert(float *samples, size_t n, size_t lag);

#endif
