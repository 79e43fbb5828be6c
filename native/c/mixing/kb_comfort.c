#include "kb_comfort.h"

#include <math.h>

#define HALF (KB_COMFORT_GRAIN / 2)
#define LEAST_KEPT 960

void kb_comfort_keep(kb_comfort *comfort, const float *samples, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        comfort->kept[comfort->kept_at] = samples[i];
        comfort->kept_at = (comfort->kept_at + 1) % KB_COMFORT_KEPT;
    }
    comfort->kept_count += n;
    if (comfort->kept_count > KB_COMFORT_KEPT)
        comfort->kept_count = KB_COMFORT_KEPT;
}

static size_t somewhere(kb_comfort *comfort)
{
    comfort->random = comfort->random * 1664525u + 1013904223u;
    return (comfort->random >> 8) % (comfort->kept_count - KB_COMFORT_GRAIN + 1);
}

void kb_comfort_add(kb_comfort *comfort, float *out, size_t n, float g0, float g1)
{
    if (comfort->kept_count < LEAST_KEPT)
        return;
    const float step = (g1 - g0) / (float)n;
    for (size_t i = 0; i < n; i++) {
        if (comfort->phase == 0) {
            comfort->falling = comfort->rising;
            comfort->rising = somewhere(comfort);
        }
        /* sin² + cos² = 1: two unrelated noises keep the power of one. */
        const float turn = (float)M_PI_2 * ((float)comfort->phase + 0.5f) / (float)HALF;
        const float up = comfort->kept[comfort->rising + comfort->phase];
        const float down = comfort->kept[comfort->falling + HALF + comfort->phase];
        out[i] += (g0 + step * (float)i) * (sinf(turn) * up + cosf(turn) * down);
        comfort->phase = (comfort->phase + 1) % HALF;
    }
}
