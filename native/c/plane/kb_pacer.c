#include "kb_pacer.h"

/* Whatever is repeated on a bad path, pictures wait no longer for it. */
#define DEBT_MOST_NS 100000000
/* One packet in 64 ms: below that there is no picture anyway. */
#define LEAST_BPS 150000u

void kb_pacer_rate(kb_pacer *pacer, uint32_t bps)
{
    pacer->ns_per_byte = bps ? (uint32_t)(8000000000u / (bps > LEAST_BPS ? bps : LEAST_BPS)) : 0;
}

void kb_pacer_sent(kb_pacer *pacer, size_t bytes, int64_t now_ns)
{
    if (pacer->clear_ns < now_ns)
        pacer->clear_ns = now_ns;
    pacer->clear_ns += (int64_t)bytes * pacer->ns_per_byte;
    if (pacer->clear_ns > now_ns + DEBT_MOST_NS)
        pacer->clear_ns = now_ns + DEBT_MOST_NS;
}

bool kb_pacer_allows(const kb_pacer *pacer, int64_t now_ns)
{
    return pacer->ns_per_byte == 0 || pacer->clear_ns - now_ns < KB_PACER_BURST_NS;
}
