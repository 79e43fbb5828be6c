#include "kb_limiter.h"
#include "kb_isa.h"

#include <math.h>
#include <string.h>

#pragma GCC optimize("O3", "no-math-errno", "no-trapping-math", "associative-math", "no-signed-zeros")

#define EDGE (KB_LIMITER_WINDOW - 1)
#define SPAN (KB_LIMITER_MAX_BLOCK + EDGE)

_Static_assert(sizeof(kb_limiter) == (KB_LIMITER_PAST + 2 * EDGE + 5) * sizeof(float), "compared as bytes");

void kb_limiter_reset(kb_limiter *limiter)
{
    memset(limiter, 0, sizeof *limiter);
    for (size_t i = 0; i < EDGE; i++)
        limiter->wanted[i] = limiter->eased[i] = 1.0f;
    limiter->ceiling = limiter->ceiling_target = KB_LIMITER_CEILING;
    limiter->is_open = 1;
}

void kb_limiter_lower(kb_limiter *limiter, float by_db, uint32_t samples)
{
    const float target = by_db > 0.0f ? KB_LIMITER_CEILING * powf(10.0f, by_db * -0.05f) : KB_LIMITER_CEILING;
    if (target == limiter->ceiling_target)
        return;
    limiter->ceiling_target = target;
    limiter->ceiling_left = samples;
    limiter->ceiling_step = samples ? (target - limiter->ceiling) / (float)samples : 0.0f;
    if (!samples)
        limiter->ceiling = target;
}

int kb_limiter_equals(const kb_limiter *limiter, const kb_limiter *other)
{
    return memcmp(limiter, other, sizeof *limiter) == 0;
}

KB_CLONES static void want(float *restrict out, const float *restrict peaks, size_t n, float ceiling, float step)
{
    for (int32_t i = 0; i < (int32_t)n; i++) {
        const float gain = (ceiling + step * (float)i) / (peaks[i] > 1e-9f ? peaks[i] : 1e-9f);
        out[i] = gain < 1.0f ? gain : 1.0f;
    }
}

/* The ceiling's ramp and what follows it, each in one pass. */
static void want_under_moving(kb_limiter *limiter, float *out, const float *peaks, size_t n)
{
    const size_t moving = limiter->ceiling_left < n ? limiter->ceiling_left : n;
    want(out, peaks, moving, limiter->ceiling, limiter->ceiling_step);
    limiter->ceiling_left -= (uint32_t)moving;
    limiter->ceiling += limiter->ceiling_step * (float)moving;
    if (limiter->ceiling_left)
        return;
    limiter->ceiling = limiter->ceiling_target;
    limiter->ceiling_step = 0.0f;
    want(out + moving, peaks + moving, n - moving, limiter->ceiling, 0.0f);
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

KB_CLONES static void tilt(float *restrict out, const float *restrict in, size_t n)
{
    for (int32_t i = 0; i < (int32_t)n; i++)
        out[i] = in[i] - KB_LIMITER_RISE * (float)i;
}

KB_CLONES static void tilt_back(float *restrict out, const float *restrict in, size_t n)
{
    for (int32_t i = 0; i < (int32_t)n; i++)
        out[i] = in[i] + KB_LIMITER_RISE * (float)i;
}

/* values[i] = min(values[i], values[i − 1] + rise) from i = 1 on. Against a line that rises as fast this is the
 * running minimum, which doubling finds without waiting for each sample's forerunner. */
static void ease(float *values, size_t n)
{
    float a[SPAN], b[SPAN];
    float *from = a, *to = b;
    tilt(from, values, n);
    for (size_t step = 1; step < n; step *= 2) {
        memcpy(to, from, step * sizeof *to);
        least_of_pair(to + step, from, n - step, step);
        float *swapped = from;
        from = to;
        to = swapped;
    }
    tilt_back(values, from, n);
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

/* A number that is none would stay in no state here, but in an encoder behind: it ends as a sample of silence. */
static void silence_insane(float *samples, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(samples[i]) <= KB_LIMITER_SANE))
            samples[i] = 0.0f;
}

void kb_limiter_run(kb_limiter *limiter, float *samples, size_t n)
{
    float line[KB_LIMITER_PAST + KB_LIMITER_MAX_BLOCK];
    if (n == 0)
        return;
    memcpy(line, limiter->past, sizeof limiter->past);
    memcpy(line + KB_LIMITER_PAST, samples, n * sizeof *samples);

    /* The newest sample whose interpolation is complete lies 8 before the end of the line. */
    const float *out = line + KB_TRUE_PEAK_REACH;
    const size_t fresh = KB_LIMITER_PAST - KB_TRUE_PEAK_REACH;
    float loudest = kb_peak(line + fresh - KB_TRUE_PEAK_REACH, n + 2 * KB_TRUE_PEAK_REACH);
    if (!(loudest <= KB_LIMITER_SANE)) {
        silence_insane(line + KB_LIMITER_PAST, n);
        loudest = kb_peak(line + fresh - KB_TRUE_PEAK_REACH, n + 2 * KB_TRUE_PEAK_REACH);
    }
    memcpy(limiter->past, line + n, sizeof limiter->past);
    if (limiter->is_open && !limiter->ceiling_left && loudest * KB_TRUE_PEAK_BOUND <= limiter->ceiling) {
        memcpy(samples, out, n * sizeof *samples);
        return;
    }

    float peaks[KB_LIMITER_MAX_BLOCK], wanted[SPAN], eased[SPAN], gain[KB_LIMITER_MAX_BLOCK];
    kb_true_peak(peaks, line + fresh, n);
    memcpy(wanted, limiter->wanted, sizeof limiter->wanted);
    want_under_moving(limiter, wanted + EDGE, peaks, n);
    memcpy(eased, limiter->eased, sizeof limiter->eased);
    windowed_least(eased + EDGE, wanted, n);
    ease(eased + EDGE - 1, n + 1);
    windowed_mean(gain, eased, n);
    multiply(samples, out, gain, n);
    memcpy(limiter->wanted, wanted + n, sizeof limiter->wanted);
    memcpy(limiter->eased, eased + n, sizeof limiter->eased);
    limiter->is_open = all_open(limiter->wanted, EDGE) && all_open(limiter->eased, EDGE);
}
