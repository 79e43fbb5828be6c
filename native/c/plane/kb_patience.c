#include "kb_patience.h"

#define EVERY_NS 1000000000
#define LOSSY_PACKETS 2u /* in a second; one is chance */
#define SPARE_MS 100     /* until the next packet shows that one is missing, and for the listener to ask */
#define MOST_MS 500
#define CALM_NS 30000000000
#define UNKNOWN_RTT_NS 100000000
/* Two numbers of 12 bits, in 10 ms. What libwebrtc takes where nothing is said: 10 s at most. */
#define STEP_MS 10u
#define MOST_STEPS 1000u

void kb_patience_run(kb_patience *patience, int64_t rtt_ns, int64_t now_ns)
{
    if (now_ns - patience->looked_ns < EVERY_NS)
        return;
    patience->looked_ns = now_ns;
    uint32_t asked = patience->asked - patience->asked_before;
    patience->asked_before = patience->asked;
    if (asked >= LOSSY_PACKETS) {
        /* Two round trips: the repair may be lost as well. */
        int64_t ms = 2 * (rtt_ns ? rtt_ns : UNKNOWN_RTT_NS) / 1000000 + SPARE_MS;
        ms = ms > MOST_MS ? MOST_MS : ms;
        patience->ms = ms > patience->ms ? (uint16_t)ms : patience->ms;
        patience->asked_ns = now_ns;
        patience->told = true;
    } else if (now_ns - patience->asked_ns >= CALM_NS) {
        patience->ms = 0;
    }
}

void kb_patience_write(const kb_patience *patience, const uint8_t *theirs, uint8_t out[KB_PLAYOUT_DELAY_BYTES])
{
    unsigned least = (patience->ms + STEP_MS - 1) / STEP_MS, most = MOST_STEPS;
    if (theirs) {
        unsigned their_least = (unsigned)theirs[0] << 4 | theirs[1] >> 4;
        unsigned their_most = (theirs[1] & 15u) << 8 | theirs[2];
        least = their_least > least ? their_least : least;
        most = their_most > least ? their_most : least;
    }
    out[0] = (uint8_t)(least >> 4);
    out[1] = (uint8_t)((least & 15) << 4 | most >> 8);
    out[2] = (uint8_t)most;
}
