#include "kb_remap.h"

#define FRAME_NS 20000000
#define NOMINAL_STEP_NS 10000000
/* Between the last frame of one picture source and the first of the next: what is least noticed, and never 0. */
#define PICTURE_STEP_NS 1000000
#define LONGEST_ALIGNED_NS 1000000000
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
    int64_t least_ns = remap->video ? PICTURE_STEP_NS : FRAME_NS;
    if (advance < FRAME_NS / 2 && !remap->left_out && !remap->video) {
        remap->left_out = true;
        return -1;
    }
    if (in->nominal)
        advance = (advance + NOMINAL_STEP_NS / 2) / NOMINAL_STEP_NS * NOMINAL_STEP_NS;
    if (advance < least_ns)
        advance = least_ns;
    if (advance > LONGEST_NS)
        advance = LONGEST_NS;
    int64_t ahead_ns = advance - elapsed_ns + remap->ahead_ns;
    remap->ahead_ns = ahead_ns < -FRAME_NS ? -FRAME_NS : ahead_ns > FRAME_NS ? FRAME_NS : ahead_ns;
    return advance;
}

/* Two layers of one picture, on one clock by the publisher's reports: the frame keeps its place in time. */
static bool aligned_ticks(const kb_remap *remap, const kb_remap_in *in, uint32_t *ticks)
{
    if (!in->aligned || !remap->started)
        return false;
    int32_t ahead = (int32_t)(in->aligned_timestamp - remap->timestamp_offset - remap->last_timestamp);
    int64_t most = (int64_t)remap->clock_rate * LONGEST_ALIGNED_NS / 1000000000;
    if (ahead <= -(int32_t)remap->clock_rate / 10 || ahead > most)
        return false;
    *ticks = ahead > 0 ? (uint32_t)ahead : remap->clock_rate / 1000;
    return true;
}

static int rebase(kb_remap *remap, const kb_remap_in *in)
{
    int64_t advance = remap->started ? advance_ns(remap, in) : 0;
    if (advance < 0)
        return -1;
    uint32_t ticks = (uint32_t)(advance / 1000 * remap->clock_rate / 1000000);
    if (aligned_ticks(remap, in, &ticks))
        remap->ahead_ns = 0;
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

void kb_remap_skip(kb_remap *remap, uint16_t sequence)
{
    if (remap->rebase || !remap->started || sequence != (uint16_t)(remap->highest + 1))
        return;
    remap->highest = sequence;
    remap->sequence_offset++;
    /* What came before has another offset now: late packets must not take numbers that are in use. */
    remap->since_base = 0;
}
