#include "kb_limiter.h"
#include "kb_isa.h"

#include <string.h>

#pragma GCC optimize("O3", "no-math-errno", "no-trapping-math", "associative-math", "no-signed-zeros")

#define EDGE (KB_LIMITER_WINDOW - 1)
#define SPAN (KB_LIMITER_MAX_BLOCK + EDGE)

void kb_limiter_reset(kb_limiter *limiter)
{
    memset(limiter->past, 0, sizeof limiter->past);
    for (size_t i = 0; i < EDGE; i++)
        limiter->wanted[i] = limiter->least[i] = 1.0f;
    limiter->is_open = 1;
}

KB_CLONES static void want(float *restrict out, const float *restrict peaks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const float gain = KB_LIMITER_CEILING / (peaks[i] > 1e-9f ? peaks[i] : 1e-9f);
        out[i] = gain < 1.0f ? gain : 1.0f;
    }
}

KB_CLONES static void least_of_pair(float *restrict out, const float *restrict in, size_t n, size_t step)
{
    for (size_t i = 0; i < n; i++)
        out[i] = in[i] < in[i + step] ? in[i] : in[i + step];
}

KB_CLONES static void sum_of_pair(float *restrict out, const float *restrict in, size_t n, size_t step)
{
    for (size_t i = 0; i < n; i++)
        out[i] = in[i] + in[i + step];
}

/* least[i] = min in[i … i+56] for n outputs, by doubling: 2, 4, 8, 16, 32, then two overlapping 32s make 57. */
static void windowed_least(float *restrict out, const float *restrict in, size_t n)
{
    float a[SPAN], b[SPAN];
    size_t left = n + EDGE;
    least_of_pair(a, in, left -= 1, 1);
    least_of_pair(b, a, left -= 2, 2);
    least_of_pair(a, b, left -= 4, 4);
    least_of_pair(b, a, left -= 8, 8);
    least_of_pair(a, b, left -= 16, 16);
    least_of_pair(out, a, n, KB_LIMITER_WINDOW - 32);
}

KB_CLONES static void gather_mean(float *restrict out, const float *restrict in, const float *restrict eights,
                                  const float *restrict sixteens, const float *restrict doubled, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (doubled[i] + sixteens[i + 32] + eights[i + 48] + in[i + 56]) / (float)KB_LIMITER_WINDOW;
}

/* out[i] = mean in[i … i+56]: 57 = 32 + 16 + 8 + 1. A running sum would drift; 57 ones give exactly 1 here. */
static void windowed_mean(float *restrict out, const float *restrict in, size_t n)
{
    float a[SPAN], b[SPAN], eights[SPAN], sixteens[SPAN];
    size_t left = n + EDGE;
    sum_of_pair(a, in, left -= 1, 1);
    sum_of_pair(b, a, left -= 2, 2);
    sum_of_pair(eights, b, left -= 4, 4);
    sum_of_pair(sixteens, eights, left -= 8, 8);
    sum_of_pair(a, sixteens, left -= 16, 16);
    gather_mean(out, in, eights, sixteens, a, n);
}

_Static_assert(KB_LIMITER_WINDOW == 57, "the sums and minima above are written for 57");

static int all_open(const float *gains, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (gains[i] < 1.0f)
            return 0;
    return 1;
}

KB_CLONES static void multiply(float *restrict out, const float *restrict in, const float *restrict gain, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = in[i] * gain[i];
}

void kb_limiter_run(kb_limiter *limiter, float *samples, size_t n)
{
    float line[KB_LIMITER_PAST + KB_LIMITER_MAX_BLOCK];
    if (n == 0)
        return;
    memcpy(line, limiter->past, sizeof limiter->past);
    memcpy(line + KB_LIMITER_PAST, samples, n * sizeof *samples);
    memcpy(limiter->past, line + n, sizeof limiter->past);

    /* The newest sample whose interpolation is complete lies 8 before the end of the line. */
    const float *out = line + KB_TRUE_PEAK_REACH;
    const size_t fresh = KB_LIMITER_PAST - KB_TRUE_PEAK_REACH;
    const float loudest = kb_peak(line + fresh - KB_TRUE_PEAK_REACH, n + 2 * KB_TRUE_PEAK_REACH);
    if (limiter->is_open && loudest * KB_TRUE_PEAK_BOUND <= KB_LIMITER_CEILING) {
        memcpy(samples, out, n * sizeof *samples);
        return;
    }

    float peaks[KB_LIMITER_MAX_BLOCK], wanted[SPAN], least[SPAN], gain[KB_LIMITER_MAX_BLOCK];
    kb_true_peak(peaks, line + fresh, n);
    memcpy(wanted, limiter->wanted, sizeof limiter->wanted);
    want(wanted + EDGE, peaks, n);
    memcpy(least, limiter->least, sizeof limiter->least);
    windowed_least(least + EDGE, wanted, n);
    windowed_mean(gain, least, n);
    multiply(samples, out, gain, n);
    memcpy(limiter->wanted, wanted + n, sizeof limiter->wanted);
    memcpy(limiter->least, least + n, sizeof limiter->least);
    limiter->is_open = all_open(limiter->wanted, EDGE) && all_open(limiter->least, EDGE);
}
