#include "kb_wsola.h"
#include "kb_isa.h"
#include "kb_kernels.h"

#include <math.h>
#include <string.h>

/* As in kb_reductions.c: sums in any order. */
#pragma GCC optimize("O3", "no-math-errno", "no-trapping-math", "associative-math", "no-signed-zeros")

#define SILENT_ENERGY 1e-6f /* of OVERLAP samples: −84 dBFS */

KB_CLONES kb_wsola_match kb_wsola_search(const float *model, const float *candidates, int32_t count)
{
    float model_energy = 0.0f;
    for (int i = 0; i < KB_WSOLA_OVERLAP; i++)
        model_energy += model[i] * model[i];
    kb_wsola_match best = {0, -2.0f};
    for (int32_t at = 0; at < count; at++) {
        const float *candidate = candidates + at;
        float product = 0.0f, energy = 0.0f;
        for (int i = 0; i < KB_WSOLA_OVERLAP; i++) {
            product += model[i] * candidate[i];
            energy += candidate[i] * candidate[i];
        }
        const int is_silent = energy < SILENT_ENERGY || model_energy < SILENT_ENERGY;
        const float likeness = is_silent ? 0.0f : product / sqrtf(model_energy * energy);
        if (likeness > best.likeness)
            best = (kb_wsola_match){at, likeness};
    }
    return best;
}

size_t kb_wsola_cut(float *samples, size_t n, size_t lag)
{
    kb_crossfade(samples, samples, samples + lag, KB_WSOLA_OVERLAP);
    memmove(samples + KB_WSOLA_OVERLAP, samples + KB_WSOLA_OVERLAP + lag,
            (n - KB_WSOLA_OVERLAP - lag) * sizeof *samples);
    return n - lag;
}

size_t kb_wsola_insert(float *samples, size_t n, size_t lag)
{
    float joined[KB_WSOLA_OVERLAP];
    memmove(samples + lag, samples, n * sizeof *samples);
    memmove(samples, samples - lag, lag * sizeof *samples);
    kb_crossfade(joined, samples + lag, samples, KB_WSOLA_OVERLAP);
    memcpy(samples, joined, sizeof joined);
    return n + lag;
}
