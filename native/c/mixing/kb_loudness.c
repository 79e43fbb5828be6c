#include "kb_loudness.h"
#include "kb_kernels.h"

#include <math.h>
#include <string.h>

#define SANE 8.0f
#define OFFSET_LU (-0.691f) /* BS.1770: makes a 997 Hz sine of 0 dBFS in one channel −3.01 LUFS */

static float lufs_of(float mean_square)
{
    if (!(mean_square > 0.0f))
        return KB_LOUDNESS_SILENCE;
    const float lufs = OFFSET_LU + 10.0f * log10f(mean_square);
    return lufs > KB_LOUDNESS_SILENCE ? lufs : KB_LOUDNESS_SILENCE;
}

static float mean_square_of(float lufs)
{
    return powf(10.0f, (lufs - OFFSET_LU) * 0.1f);
}

void kb_loudness_reset(kb_loudness *loudness)
{
    memset(loudness, 0, sizeof *loudness);
    loudness->momentary_lufs = loudness->short_term_lufs = loudness->gated_lufs = KB_LOUDNESS_SILENCE;
}

/* The mean of the blocks louder than `gate`; 0 when none is. */
static float mean_above(const float *blocks, uint32_t count, float gate)
{
    float sum = 0.0f;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (blocks[i] <= gate)
            continue;
        sum += blocks[i];
        kept++;
    }
    return kept ? sum / (float)kept : 0.0f;
}

static void end_hop(kb_loudness *loudness)
{
    loudness->hops[loudness->hop_at] = loudness->sum / (float)KB_LOUDNESS_HOP;
    loudness->hop_at = (loudness->hop_at + 1) % KB_LOUDNESS_HOPS;
    loudness->hop_count += loudness->hop_count < KB_LOUDNESS_HOPS;
    loudness->sum = 0.0f;
    loudness->sum_samples = 0;

    float in_order[KB_LOUDNESS_HOPS], blocks[KB_LOUDNESS_HOPS], all = 0.0f;
    const uint32_t first = (loudness->hop_at + KB_LOUDNESS_HOPS - loudness->hop_count) % KB_LOUDNESS_HOPS;
    float quietest = INFINITY;
    for (uint32_t i = 0; i < loudness->hop_count; i++) {
        in_order[i] = loudness->hops[(first + i) % KB_LOUDNESS_HOPS];
        all += in_order[i];
        quietest = in_order[i] < quietest ? in_order[i] : quietest;
    }
    /* Before 3 s are over there was silence, for the short-term reading and for who begins with a voice. */
    loudness->quietest = loudness->hop_count < KB_LOUDNESS_HOPS ? 0.0f : quietest;
    loudness->short_term_lufs = lufs_of(all / (float)KB_LOUDNESS_HOPS);
    if (loudness->hop_count < KB_LOUDNESS_BLOCK)
        return;
    const uint32_t count = loudness->hop_count - KB_LOUDNESS_BLOCK + 1;
    for (uint32_t i = 0; i < count; i++)
        blocks[i] = (in_order[i] + in_order[i + 1] + in_order[i + 2] + in_order[i + 3]) / KB_LOUDNESS_BLOCK;
    loudness->momentary_lufs = lufs_of(blocks[count - 1]);
    const float absolute = mean_square_of(-70.0f);
    const float relative = 0.1f * mean_above(blocks, count, absolute);
    loudness->gated_lufs = lufs_of(mean_above(blocks, count, relative > absolute ? relative : absolute));
}

void kb_loudness_run(kb_loudness *loudness, const float *samples, size_t n)
{
    float weighted[KB_LOUDNESS_MAX_BLOCK];
    if (!kb_all_within(samples, n, SANE)) {
        memset(&loudness->weighting, 0, sizeof loudness->weighting);
        memset(weighted, 0, n * sizeof *weighted);
    } else {
        kb_weigh_k(&loudness->weighting, weighted, samples, n);
    }
    float energy = 0.0f;
    for (size_t done = 0; done < n;) {
        const size_t left = KB_LOUDNESS_HOP - loudness->sum_samples;
        const size_t part = n - done < left ? n - done : left;
        const float squares = kb_energy(weighted + done, part);
        energy += squares;
        loudness->sum += squares;
        loudness->sum_samples += (uint32_t)part;
        if (loudness->sum_samples == KB_LOUDNESS_HOP)
            end_hop(loudness);
        done += part;
    }
    static const float least = 1.17259e-6f; /* mean_square_of(KB_LOUDNESS_VOICE_LUFS) */
    static const float factor = 3.98107f;   /* KB_LOUDNESS_VOICE_LU as a ratio of powers */
    const float mean = n ? energy / (float)n : 0.0f;
    if (mean > least && mean > factor * loudness->quietest)
        loudness->voice_left = KB_LOUDNESS_VOICE_SAMPLES;
    else
        loudness->voice_left -= (uint32_t)n < loudness->voice_left ? (uint32_t)n : loudness->voice_left;
}
