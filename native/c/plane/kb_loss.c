#include "kb_loss.h"

#include <string.h>

#define OLDEST_PACKETS 10000

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
