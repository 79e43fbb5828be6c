/* When in its 20 ms the engine ticks. A packet that came just after a tick waits 20 ms for the next, one that came just
 * before it waits for nothing: so the tick moves, slowly, to where the talker whose packets wait least waits for no more
 * than the jitter buffer's target. Pure: told what waits, says how far to move. */
#ifndef KB_PHASE_H
#define KB_PHASE_H

#include <stdint.h>

/* Per tick, 1 % of it: receivers follow that as they follow a clock. A whole turn takes 2 s. */
#define KB_PHASE_MOST_NS 200000LL

typedef struct kb_phase {
    float least_ms; /* of this tick; KB_PHASE_NOBODY before the first talker */
} kb_phase;

#define KB_PHASE_NOBODY 1e9f

void kb_phase_begin(kb_phase *phase);

/* A talker's next frame could be made `spare_ms` earlier (below 0: needs so much later) than the next tick and its
 * packets would still come in time. */
void kb_phase_tell(kb_phase *phase, float spare_ms);

/* How much longer (below 0: shorter) than 20 ms it shall be to the next tick, ns. */
int64_t kb_phase_move_ns(const kb_phase *phase);

#endif
