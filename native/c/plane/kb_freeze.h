/* Freezes and pauses of one outgoing picture stream, as webrtc-stats defines them for a receiver (freezeCount,
 * pauseCount), from when pictures leave: what a listener sees is at least that. Pure; zeroed memory is a valid start. */
#ifndef KB_FREEZE_H
#define KB_FREEZE_H

#include <stdbool.h>
#include <stdint.h>

/* A gap of three times the average, and of 150 ms more than it, is a freeze; from 5 s on it is a pause. */
#define KB_FREEZE_TIMES 3
#define KB_FREEZE_MORE_NS 150000000
#define KB_PAUSE_NS 5000000000
#define KB_FREEZE_AVERAGE_OF 30
#define KB_FREEZE_LEAST_PICTURES 5 /* before that there is no average worth the name */

typedef struct kb_freeze {
    int64_t last_ns; /* when the last picture began to leave, 0 = none since the beginning or a reset */
    int64_t average_ns;
    uint32_t timestamp; /* of that picture */
    uint32_t known;     /* gaps in the average, at most KB_FREEZE_AVERAGE_OF */
    uint64_t pictures, freezes, pauses;
    int64_t frozen_ns, paused_ns;
} kb_freeze;

enum kb_freeze_found { KB_SAME_PICTURE, KB_NEW_PICTURE, KB_FREEZE_ENDED, KB_PAUSE_ENDED };

/* A packet of the picture with this RTP timestamp leaves. An older one's is sent again, and no picture. */
static inline enum kb_freeze_found kb_freeze_packet(kb_freeze *f, uint32_t timestamp, int64_t now_ns)
{
    bool begun = f->last_ns != 0;
    if (begun && (int32_t)(timestamp - f->timestamp) <= 0)
        return KB_SAME_PICTURE;
    int64_t gap_ns = now_ns - f->last_ns;
    f->timestamp = timestamp;
    f->last_ns = now_ns;
    f->pictures++;
    if (!begun)
        return KB_NEW_PICTURE;
    if (gap_ns >= KB_PAUSE_NS) {
        f->pauses++;
        f->paused_ns += gap_ns;
        return KB_PAUSE_ENDED;
    }
    bool frozen = f->known >= KB_FREEZE_LEAST_PICTURES && gap_ns >= KB_FREEZE_TIMES * f->average_ns &&
                  gap_ns >= f->average_ns + KB_FREEZE_MORE_NS;
    if (frozen) {
        f->freezes++;
        f->frozen_ns += gap_ns;
    }
    f->known += f->known < KB_FREEZE_AVERAGE_OF;
    f->average_ns += (gap_ns - f->average_ns) / (int64_t)f->known;
    return frozen ? KB_FREEZE_ENDED : KB_NEW_PICTURE;
}

/* Nothing is wanted any more: the next picture ends no gap. */
static inline void kb_freeze_reset(kb_freeze *f)
{
    f->last_ns = 0;
    f->known = 0;
    f->average_ns = 0;
}

#endif
