#include "kb_reception.h"

/* A jump this far is a restarted stream (RFC 3550 A.1, MAX_DROPOUT): counting it as loss would hide real loss. */
#define MAX_JUMP 3000

static uint32_t expected(const kb_reception *reception)
{
    return reception->cycles + reception->highest - reception->base_sequence + 1;
}

static void restart(kb_reception *reception, uint16_t sequence)
{
    *reception = (kb_reception){.started = true, .base_sequence = sequence, .highest = sequence};
}

void kb_reception_receive(kb_reception *reception, uint16_t sequence, uint32_t timestamp, uint32_t clock_rate,
                          int64_t now_ns)
{
    int16_t ahead = (int16_t)(sequence - reception->highest);
    /* Split, so that a century of uptime does not overflow the product. */
    uint64_t now = (uint64_t)now_ns;
    uint32_t arrival = (uint32_t)(now / 1000000000u * clock_rate + now % 1000000000u * clock_rate / 1000000000u);
    uint32_t transit = arrival - timestamp;
    if (!reception->started || ahead > MAX_JUMP || ahead < -MAX_JUMP) {
        restart(reception, sequence);
    } else {
        if (ahead > 0) {
            if (sequence < reception->highest)
                reception->cycles += 0x10000;
            reception->highest = sequence;
        }
        int32_t difference = (int32_t)(transit - reception->transit);
        uint32_t size = difference < 0 ? 0u - (uint32_t)difference : (uint32_t)difference;
        reception->jitter_16 += size - ((reception->jitter_16 + 8) >> 4);
    }
    reception->transit = transit;
    reception->received++;
}

int32_t kb_reception_lost(const kb_reception *reception)
{
    return reception->started ? (int32_t)(expected(reception) - reception->received) : 0;
}

void kb_reception_report(kb_reception *reception, kb_rtcp_block *out)
{
    uint32_t total = expected(reception);
    uint32_t interval = total - reception->expected_before;
    int32_t lost = (int32_t)(interval - (reception->received - reception->received_before));
    int32_t all = kb_reception_lost(reception);
    reception->expected_before = total;
    reception->received_before = reception->received;
    out->fraction_lost = 0;
    if (interval > 0 && lost > 0) {
        uint32_t fraction = ((uint32_t)lost << 8) / interval;
        out->fraction_lost = (uint8_t)(fraction > 255 ? 255 : fraction);
    }
    out->lost = all > 0x7fffff ? 0x7fffff : all < -0x800000 ? -0x800000 : all;
    out->highest_sequence = reception->cycles + reception->highest;
    out->jitter = reception->jitter_16 >> 4;
}
