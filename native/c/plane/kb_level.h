/* Audio levels (RFC 6464) as powers that can be summed: a mean of what came between two readings, however many packets
 * that were, says more than the level of the last one. */
#ifndef KB_LEVEL_H
#define KB_LEVEL_H

#include <stdint.h>

/* The power of a level of 0 … −127 dBov in 10⁻¹⁰ of full scale; its highest bit (voice) does not matter. −127 is 0.
 * Full scale at 50 packets/s fills 64 bits in a year; sums may wrap. */
static inline uint64_t kb_level_power(uint8_t level)
{
    static const uint64_t mantissa[10] = {10000000000, 7943282347, 6309573445, 5011872336, 3981071706,
                                          3162277660,  2511886432, 1995262315, 1584893192, 1258925412};
    static const uint64_t decade[13] = {1,          10,          100,          1000,         10000,
                                        100000,     1000000,     10000000,     100000000,    1000000000,
                                        10000000000, 100000000000, 1000000000000};
    level &= 0x7f;
    return mantissa[level % 10] / decade[level / 10];
}

#endif
