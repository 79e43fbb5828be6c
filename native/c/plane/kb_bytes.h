/* Big-endian reads and writes at any alignment. The caller has checked the bounds. */
#ifndef KB_BYTES_H
#define KB_BYTES_H

#include <stddef.h>
#include <stdint.h>

static inline uint16_t kb_get16(const uint8_t *at)
{
    return (uint16_t)((at[0] << 8) | at[1]);
}

static inline uint32_t kb_get32(const uint8_t *at)
{
    return ((uint32_t)at[0] << 24) | ((uint32_t)at[1] << 16) | ((uint32_t)at[2] << 8) | at[3];
}

static inline void kb_put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void kb_put32(uint8_t *at, uint32_t value)
{
    kb_put16(at, (uint16_t)(value >> 16));
    kb_put16(at + 2, (uint16_t)value);
}

#endif
