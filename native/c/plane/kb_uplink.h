/* What a publisher with transport-wide feedback needs: 8 kB of the control thread's, like kb_video.h. */
#ifndef KB_UPLINK_H
#define KB_UPLINK_H

#include "kb_twcc.h"

typedef struct kb_uplink {
    kb_twcc_receiver receiver;
    bool started;
    int64_t told_ns;
} kb_uplink;

#endif
