#include "kb_weighting.h"
#include "kb_isa.h"

#include <math.h>
#include <string.h>

#pragma GCC optimize("O3", "no-math-errno", "no-trapping-math", "associative-math", "no-signed-zeros")

#define STEP KB_WEIGHTING_STEP
/* Below it a state is silence, −300 dB: it would end among the denormals, each of them a hundred times as slow. */
#define FADED 1e-15f

/* Four lanes exist everywhere; eight would be emulated, ten times as slow, where there is no AVX. */
typedef float quad __attribute__((vector_size(16)));

typedef struct kb_weighting_table {
    float direct[STEP][STEP];  /* [input][output] */
    float observe[STEP][STEP]; /* [state][output] */
    float enter[STEP][STEP];   /* [input][state] */
    float advance[STEP][STEP]; /* [state before][state after] */
} kb_weighting_table;

#include "kb_weighting_tables.h"

static inline __attribute__((always_inline)) quad four(const float *values)
{
    quad taken;
    memcpy(&taken, values, sizeof taken);
    return taken;
}

static inline __attribute__((always_inline)) void weigh(const kb_weighting_table *table, const int order, float *state,
                                                        float *out, const float *samples, size_t n)
{
    float now[STEP];
    memcpy(now, state, sizeof now);
    for (size_t i = 0; i + STEP <= n; i += STEP) {
        /* What needs the last step's state is added up apart and last: only that much waits for it. */
        quad heard[2] = {{0}}, next[2] = {{0}}, seen[2] = {{0}}, kept[2] = {{0}};
#pragma GCC unroll 8
        for (int k = 0; k < STEP; k++) {
            const float x = samples[i + (size_t)k];
            if (k < 4) /* later inputs do not reach the first four outputs */
                heard[0] += four(table->direct[k]) * x;
            heard[1] += four(table->direct[k] + 4) * x;
            next[0] += four(table->enter[k]) * x;
            if (order > 4)
                next[1] += four(table->enter[k] + 4) * x;
        }
#pragma GCC unroll 8
        for (int k = 0; k < order; k++) {
            kept[0] += four(table->advance[k]) * now[k];
            if (order > 4)
                kept[1] += four(table->advance[k] + 4) * now[k];
            seen[0] += four(table->observe[k]) * now[k];
            seen[1] += four(table->observe[k] + 4) * now[k];
        }
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            heard[half] += seen[half];
            next[half] += kept[half];
        }
        memcpy(out + i, heard, sizeof heard);
        memcpy(now, next, sizeof now);
    }
    float largest = 0.0f;
    for (int k = 0; k < STEP; k++)
        largest = fabsf(now[k]) > largest ? fabsf(now[k]) : largest;
    if (largest < FADED)
        memset(now, 0, sizeof now);
    memcpy(state, now, sizeof now);
}

KB_CLONES void kb_weigh_k(kb_weighting *weighting, float *out, const float *samples, size_t n)
{
    weigh(&K_WEIGHTING, 4, weighting->state, out, samples, n);
}

KB_CLONES void kb_weigh_a(kb_weighting *weighting, float *out, const float *samples, size_t n)
{
    weigh(&A_WEIGHTING, 6, weighting->state, out, samples, n);
}
