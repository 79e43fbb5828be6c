#include "kb_loss.h"

#include <string.h>

#define OLDEST_PACKETS 10000
/* SRTP's replay window: what is authentic and lies further back is a stream that began anew. */
#define RECENT_RESTART 1024

static void forget_front(kb_loss *loss, uint32_t count)
{
    if (count == 0)
        return;
    loss->count -= count;
    memmove(loss->missing, loss->missing + count, loss->count * sizeof loss->missing[0]);
}

static void forget_old(kb_loss *loss)
{
    uint32_t old = 0;
    while (old < loss->count && (uint16_t)(loss->highest - loss->missing[old].sequence) > OLDEST_PACKETS)
        old++;
    forget_front(loss, old);
}

static bool found(kb_loss *loss, uint16_t sequence)
{
    for (uint32_t at = loss->count; at-- > 0;) {
        if (loss->missing[at].sequence != sequence)
            continue;
        loss->count--;
        memmove(loss->missing + at, loss->missing + at + 1, (loss->count - at) * sizeof loss->missing[0]);
        return true;
    }
    return false;
}

bool kb_loss_receive(kb_loss *loss, uint16_t sequence, bool key)
{
    int16_t ahead = (int16_t)(sequence - loss->highest);
    if (!loss->started || ahead > KB_LOSS_JUMP || ahead < -KB_LOSS_JUMP) {
        loss->restarted |= loss->started;
        loss->started = true;
        loss->highest = sequence;
        loss->count = 0;
        return true;
    }
    if (ahead <= 0)
        return found(loss, sequence);
    uint32_t gap = (uint32_t)ahead - 1;
    loss->highest = sequence;
    if (key) {
        loss->count = 0;
        return true;
    }
    forget_old(loss);
    if (loss->count + gap > KB_LOSS_ENTRIES) {
        loss->count = 0;
        loss->gave_up = true;
        return true;
    }
    for (uint32_t i = 0; i < gap; i++)
        loss->missing[loss->count++] = (kb_missing){.sequence = (uint16_t)(sequence - gap + i)};
    return true;
}

size_t kb_loss_due(kb_loss *loss, int64_t now_ns, int64_t rtt_ns, uint16_t *out, size_t room)
{
    int64_t wait_ns = rtt_ns > KB_LOSS_LEAST_NS ? rtt_ns : KB_LOSS_LEAST_NS;
    uint32_t kept = 0;
    size_t count = 0;
    for (uint32_t i = 0; i < loss->count; i++) {
        kb_missing entry = loss->missing[i];
        if (count < room && (entry.tries == 0 || now_ns - entry.asked_ns >= wait_ns)) {
            if (entry.tries == KB_LOSS_TRIES) {
                loss->gave_up = true;
                continue;
            }
            entry.tries++;
            entry.asked_ns = now_ns;
            out[count++] = entry.sequence;
        }
        loss->missing[kept++] = entry;
    }
    loss->count = kept;
    return count;
}

static void begin(kb_recent *recent, uint32_t ssrc, uint16_t sequence, uint32_t timestamp)
{
    recent->started = true;
    recent->ssrc = ssrc;
    recent->highest = sequence;
    recent->since = 0;
    recent->here = 1;
    recent->asked = recent->asked_again = 0;
    recent->before = timestamp;
    recent->timestamps[sequence % KB_RECENT_PACKETS] = timestamp;
}

kb_recent_verdict kb_recent_receive(kb_recent *recent, uint32_t ssrc, uint16_t sequence, uint32_t timestamp)
{
    int16_t ahead = (int16_t)(sequence - recent->highest);
    if (!recent->started || recent->ssrc != ssrc || ahead <= -RECENT_RESTART) {
        begin(recent, ssrc, sequence, timestamp);
        return KB_RECENT_NEW;
    }
    if (ahead > 0) {
        bool near = ahead < KB_RECENT_PACKETS;
        unsigned staying = near ? KB_RECENT_PACKETS - (unsigned)ahead : 0;
        uint64_t leaving = recent->here >> staying;
        if (leaving) {
            unsigned newest = staying + (unsigned)__builtin_ctzll(leaving);
            recent->before = recent->timestamps[(recent->highest - newest) % KB_RECENT_PACKETS];
        }
        recent->here = (near ? recent->here << ahead : 0) | 1;
        recent->asked = near ? recent->asked << ahead : 0;
        recent->asked_again = near ? recent->asked_again << ahead : 0;
        recent->highest = sequence;
        recent->since = (uint16_t)(recent->since + ahead < UINT16_MAX ? recent->since + ahead : UINT16_MAX);
    } else {
        unsigned behind = (unsigned)-ahead;
        if (behind >= KB_RECENT_PACKETS)
            return KB_RECENT_OLD;
        if (recent->here >> behind & 1)
            return KB_RECENT_KNOWN;
        recent->here |= 1ull << behind;
        if (behind > recent->since)
            recent->since = (uint16_t)behind; /* the stream's first packets changed places */
    }
    recent->timestamps[sequence % KB_RECENT_PACKETS] = timestamp;
    return KB_RECENT_NEW;
}

bool kb_recent_fill(kb_recent *recent, uint16_t sequence, uint32_t timestamp)
{
    unsigned behind = (uint16_t)(recent->highest - sequence);
    if (!recent->started || behind == 0 || behind >= KB_RECENT_PACKETS || behind > recent->since ||
        recent->here >> behind & 1)
        return false;
    uint64_t later = recent->here & ((1ull << behind) - 1); /* never empty: bit 0 is */
    unsigned next = 63u - (unsigned)__builtin_clzll(later);
    const uint32_t *timestamps = recent->timestamps;
    if ((int32_t)(timestamps[(recent->highest - next) % KB_RECENT_PACKETS] - timestamp) <= 0)
        return false;
    /* Numbers may jump while time does not: what is a copy of a packet that came under another number is no news. */
    uint32_t before = recent->before;
    uint64_t earlier = behind + 1 < KB_RECENT_PACKETS ? recent->here >> (behind + 1) : 0;
    if (earlier) {
        unsigned last = behind + 1 + (unsigned)__builtin_ctzll(earlier);
        before = timestamps[(recent->highest - last) % KB_RECENT_PACKETS];
    }
    if ((int32_t)(timestamp - before) <= 0)
        return false;
    recent->here |= 1ull << behind;
    recent->timestamps[sequence % KB_RECENT_PACKETS] = timestamp;
    return true;
}

size_t kb_recent_due(kb_recent *recent, unsigned from, unsigned retry, unsigned most,
                     uint16_t out[KB_RECENT_PACKETS])
{
    size_t count = 0;
    if (most >= KB_RECENT_PACKETS)
        most = KB_RECENT_PACKETS - 1;
    if (most > recent->since)
        most = recent->since;
    for (unsigned behind = most; behind >= from && behind > 0; behind--) {
        uint64_t bit = 1ull << behind;
        uint16_t sequence = (uint16_t)(recent->highest - behind);
        uint16_t *asked_at = &recent->asked_at[sequence % KB_RECENT_PACKETS];
        if (recent->here & bit || recent->asked_again & bit)
            continue;
        if (recent->asked & bit) {
            if ((uint16_t)(recent->highest - *asked_at) < retry)
                continue;
            recent->asked_again |= bit;
        }
        recent->asked |= bit;
        *asked_at = recent->highest;
        out[count++] = sequence;
    }
    return count;
}
