/* What a receiver knows about one incoming SSRC: RFC 3550 appendix A.1, A.3 and A.8. The time is passed in. */
#ifndef KB_RECEPTION_H
#define KB_RECEPTION_H

#include "kb_rtcp.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct kb_reception {
    bool started;
    uint16_t base_sequence;
    uint16_t highest; /* of this cycle */
    uint32_t cycles;  /* already shifted by 16 */
    uint32_t received;
    uint32_t expected_before; /* at the last report */
    uint32_t received_before;
    uint32_t transit;
    uint32_t jitter_16; /* 16 × the jitter, in clock ticks */
} kb_reception;

/* An authenticated packet arrived. The replay window of SRTP has refused duplicates and what is 1024 too old. */
void kb_reception_receive(kb_reception *reception, uint16_t sequence, uint32_t timestamp, uint32_t clock_rate,
                          int64_t now_ns);
/* Packets that never came since the start; negative after duplicates. */
int32_t kb_reception_lost(const kb_reception *reception);
/* Fills the loss, sequence and jitter fields of the next report block and begins the next interval. */
void kb_reception_report(kb_reception *reception, kb_rtcp_block *out);

#endif
