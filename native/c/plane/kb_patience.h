/* How long the pictures of one slot should wait for packets that are sent again: told to listeners that send nothing and
 * so measure no round trip (the pages' own: web/src/rtc/patience.ts). Pure: time is passed in. */
#ifndef KB_PATIENCE_H
#define KB_PATIENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct kb_patience {
    bool told;      /* something was: it must be taken back, too */
    uint16_t ms;    /* 0 = as the listener finds best */
    uint32_t asked; /* packets that were asked for again, in all */
    uint32_t asked_before;
    int64_t looked_ns;
    int64_t asked_ns; /* the last second in which more than chance was */
} kb_patience;

#define KB_PLAYOUT_DELAY_BYTES 3

/* Does nothing when it was called less than a second ago. `rtt_ns` 0 = unknown. */
void kb_patience_run(kb_patience *patience, int64_t rtt_ns, int64_t now_ns);
/* The playout-delay extension; `theirs` is the publisher's, NULL = none. */
void kb_patience_write(const kb_patience *patience, const uint8_t *theirs, uint8_t out[KB_PLAYOUT_DELAY_BYTES]);

#endif
