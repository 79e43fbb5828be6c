/* When something was captured, on the server's clock: by the publisher's sender reports, which say it for its sound and
 * its pictures alike; by arrivals where there are none. So lips and voice stay together whoever forwards or mixes. */
#define _GNU_SOURCE
#include "kb_bytes.h"
#include "kb_state.h"

/* Clocks drift by up to 200 ppm and reports come every 1 to 5 s; their least delay is let go that slowly. */
#define OFFSET_SHARE 64
/* From capture to arrival of media, beyond what a report needs: packets are made and paced. More is no measure. */
#define MOST_LEAD_NS 500000000
#define LEAST_LEAD_NS (-50000000)

void kb_clock_report(const kb_plane *plane, kb_peer *peer, uint64_t ntp, int64_t now_ns)
{
    int64_t offset = (int64_t)(kb_ntp(plane, now_ns) - ntp);
    int64_t later = (int64_t)((uint64_t)offset - (uint64_t)peer->clock_offset);
    if (!peer->clock_known || later < 0 || later > (int64_t)1 << 32) /* a second: the clock was stepped */
        peer->clock_offset = offset;
    else
        peer->clock_offset += later / OFFSET_SHARE;
    peer->clock_known = true;
}

static int64_t monotonic_ns(const kb_plane *plane, uint64_t ntp)
{
    return (int64_t)((ntp >> 32) * 1000000000u + ((ntp & 0xffffffffu) * 1000000000u >> 32)) - plane->ntp_offset_ns;
}

int64_t kb_clock_captured_ns(const kb_plane *plane, const kb_track *track, const kb_layer *layer)
{
    const kb_peer *peer = track->injected ? NULL : &plane->peers[track->peer];
    if (!peer || !peer->clock_known || !layer->sr_ntp)
        return layer->anchor_ns;
    int32_t ticks = (int32_t)(layer->anchor_timestamp - layer->sr_timestamp);
    int64_t at_ns = monotonic_ns(plane, layer->sr_ntp + (uint64_t)peer->clock_offset) +
                    (int64_t)ticks * 1000000000 / track->setup.clock_rate;
    int64_t lead_ns = layer->anchor_ns - at_ns;
    return lead_ns >= LEAST_LEAD_NS && lead_ns <= MOST_LEAD_NS ? at_ns : layer->anchor_ns;
}

bool kb_clock_translate(const kb_plane *plane, const kb_track *track, const uint8_t *in, uint8_t out[8])
{
    const kb_peer *peer = track && !track->injected ? &plane->peers[track->peer] : NULL;
    if (!peer || !peer->clock_known)
        return false;
    uint64_t ntp = ((uint64_t)kb_get32(in) << 32 | kb_get32(in + 4)) + (uint64_t)peer->clock_offset;
    kb_put32(out, (uint32_t)(ntp >> 32));
    kb_put32(out + 4, (uint32_t)ntp);
    return true;
}
