#include "kb_phase.h"

/* Below it the clock's own and the packets' small unsteadiness would move the tick to and fro. */
#define TOLERATED_MS 0.3f
/* Whoever is later than that is late by the network: the jitter buffer's business, not a matter of phase. */
#define LATE_MS (-10.0f)

void kb_phase_begin(kb_phase *phase)
{
    phase->least_ms = KB_PHASE_NOBODY;
}

void kb_phase_tell(kb_phase *phase, float spare_ms)
{
    if (spare_ms > LATE_MS && spare_ms < phase->least_ms)
        phase->least_ms = spare_ms;
}

int64_t kb_phase_move_ns(const kb_phase *phase)
{
    const float spare_ms = phase->least_ms;
    if (spare_ms >= KB_PHASE_NOBODY || (spare_ms > -TOLERATED_MS && spare_ms < TOLERATED_MS))
        return 0;
    const int64_t move_ns = (int64_t)(spare_ms * -1e6f);
    if (move_ns > KB_PHASE_MOST_NS)
        return KB_PHASE_MOST_NS;
    return move_ns < -KB_PHASE_MOST_NS ? -KB_PHASE_MOST_NS : move_ns;
}
