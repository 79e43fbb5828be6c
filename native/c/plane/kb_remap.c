#include "kb_remap.h"

#define FRAME_NS 20000000
#define NOMINAL_STEP_NS 10000000
/* After an hour of silence the exact distance means nothing to a jitter buffer, and the product stays small. */
#define LONGEST_NS 3600000000000

void kb_remap_init(kb_remap *remap, uint32_t clock_rate, uint16_t first_sequence, uint32_t first_timestamp)
{
    *remap = (kb_remap){
        .clock_rate = clock_rate,
        .rebase = true,
        .last_sequence = (uint16_t)(first_sequence - 1),
        .last_timestamp = first_timestamp,
    };
}

void kb_remap_switch(kb_remap *remap)
{
    remap->rebase = true;
}

/* How far the stream moves on to the first packet of a source, or -1 when this packet is better left out.
 *
 * At least one frame, because the last one is still playing; what that is more than the time that passed is owed, and
 * taken back with the next change. A packet less than half a frame after the last one would play what was just heard
 * in another language: it is left out, once. So however often the source changes, the stream is never more than half
 * a frame ahead of the clock, and the receiver's buffer has nothing to speed up. */
static int64_t advance_ns(kb_remap *remap, const kb_remap_in *in)
{
    int64_t elapsed_ns = in->at_ns - remap->last_at_ns;
    int64_t advance = elapsed_ns - remap->ahead_ns;
    if (advance < FRAME_NS / 2 && !remap->left_out) {
        remap->left_out = true;
        return -1;
    }
    if (in->nominal)
        advance = (advance + NOMINAL_STEP_NS / 2) / NOMINAL_STEP_NS * NOMINAL_STEP_NS;
    if (advance < FRAME_NS)
        advance = FRAME_NS;
    if (advance > LONGEST_NS)
        advance = LONGEST_NS;
    int64_t ahead_ns = advance - elapsed_ns + remap->ahead_ns;
    remap->ahead_ns = ahead_ns < -FRAME_NS ? -FRAME_NS : ahead_ns > FRAME_NS ? FRAME_NS : ahead_ns;
    return advance;
}

static int rebase(kb_remap *remap, const kb_remap_in *in)
{
    int64_t advance = remap->started ? advance_ns(remap, in) : 0;
    if (advance < 0)
        return -1;
    uint32_t ticks = (uint32_t)(advance / 1000 * remap->clock_rate / 1000000);
    remap->sequence_offset = (uint16_t)(in->sequence - remap->last_sequence - 1);
    remap->timestamp_offset = in->timestamp - remap->last_timestamp - ticks;
    remap->source_ssrc = in->ssrc;
    remap->since_base = 0;
    remap->rebase = remap->left_out = false;
    remap->started = true;
    return 0;
}

int kb_remap_next(kb_remap *remap, const kb_remap_in *in, kb_remap_out *out)
{
    out->rebased = remap->rebase || in->ssrc != remap->source_ssrc;
    if (out->rebased) {
        if (rebase(remap, in) != 0)
            return -1;
    } else {
        int16_t ahead = (int16_t)(in->sequence - remap->highest);
        if (ahead <= 0) {
            if ((uint32_t)-ahead > remap->since_base)
                return -1;
            out->sequence = (uint16_t)(in->sequence - remap->sequence_offset);
            out->timestamp = in->timestamp - remap->timestamp_offset;
            return 0;
        }
        uint32_t since = remap->since_base + (uint32_t)ahead;
        remap->since_base = (uint16_t)(since > 0xffff ? 0xffff : since);
    }
    remap->highest = in->sequence;
    out->sequence = (uint16_t)(in->sequence - remap->sequence_offset);
    out->timestamp = in->timestamp - remap->timestamp_offset;
    remap->last_sequence = out->sequence;
    remap->last_timestamp = out->timestamp;
    remap->last_at_ns = in->at_ns;
    return 0;
}
