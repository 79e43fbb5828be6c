/* What the plane knows about the path to a subscriber of video: memory of the control thread, like kb_video.h. */
#ifndef KB_DOWNLINK_H
#define KB_DOWNLINK_H

#include "kb_allocation.h"
#include "kb_bwe.h"
#include "kb_pacer.h"
#include "kb_twcc.h"

/* 17 kB. Nothing is decided by it before the first feedback came. */
typedef struct kb_downlink {
    kb_pacer pacer; /* looked at with every packet, as `started` is: one cache line */
    bool started;
    bool heard;
    uint32_t probes_good; /* when the layers were last allocated */
    uint32_t bps;         /* likewise */
    int64_t advanced_ns;
    int64_t allocated_ns;
    kb_bwe bwe;
    kb_allocation allocation;
    kb_twcc_history history;
} kb_downlink;

#endif
