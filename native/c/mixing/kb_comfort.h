/* The background of a speaker's room, kept to be given out when nothing else comes: silence would sound like a fault.
 *
 * 40 ms of the quietest sound are remembered and said again in grains from random places, so that spectrum and level are
 * the room's and nothing repeats audibly.
 */
#ifndef KB_COMFORT_H
#define KB_COMFORT_H

#include <stddef.h>
#include <stdint.h>

#define KB_COMFORT_KEPT 1920
#define KB_COMFORT_GRAIN 480 /* each begins half a grain after the one before */

typedef struct kb_comfort {
    float kept[KB_COMFORT_KEPT];
    size_t kept_at;
    size_t kept_count; /* of kept, ≤ KB_COMFORT_KEPT */
    uint32_t random;
    size_t phase; /* within half a grain */
    size_t rising, falling; /* where in `kept` the two current grains begin */
} kb_comfort;

/* Sound in which nobody speaks. */
void kb_comfort_keep(kb_comfort *comfort, const float *samples, size_t n);

/* Adds noise times a ramp from g0 to g1; adds nothing before 20 ms were kept. */
void kb_comfort_add(kb_comfort *comfort, float *out, size_t n, float g0, float g1);

#endif
