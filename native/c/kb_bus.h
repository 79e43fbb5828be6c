/* The junction of the plane and one mix thread: Opus payloads in, Opus payloads out, one ring each way.
 *
 * The plane thread writes `to_mix` and reads `from_mix`; the mix thread does the reverse and, after a tick that
 * wrote anything, tells `wake`, which the plane polls. Numbers travel in the packets, never pointers:
 * a packet whose source or track is gone is dropped by the reader and costs a counter.
 */
#ifndef KB_BUS_H
#define KB_BUS_H

#include "kb_ring.h"
#include "kb_wake.h"

/* An Opus frame is ≤ 1275 bytes, a packet of several frames may fill a datagram (RFC 6716 §3.4). */
#define KB_BUS_PAYLOAD_BYTES 1456
#define KB_BUS_SLOTS 4096u
#define KB_BUS_CAPSULE "kabina.mix_bus"

typedef struct kb_bus_packet {
    int64_t at_ns;          /* to_mix: arrival; from_mix: the tick's nominal time. CLOCK_MONOTONIC */
    uint32_t number;        /* to_mix: the engine's source; from_mix: the plane's track handle */
    uint32_t rtp_timestamp; /* 48 kHz for Opus */
    uint32_t ssrc;          /* to_mix only: a change is a restarted stream */
    uint16_t sequence;      /* to_mix only */
    uint16_t payload_bytes;
    uint8_t audio_level;    /* RFC 6464: −dBov 0…127 in the low bits, 0x80 = voice; 0x7f when unknown */
    uint8_t marker;
    uint8_t reserved[2];
    uint32_t delay_us; /* from capture on, as far as the server can tell; to_mix: to the quickest arrivals of the stream,
                        * from_mix: to `at_ns` */
    uint8_t payload[KB_BUS_PAYLOAD_BYTES];
} kb_bus_packet;

typedef struct kb_bus {
    kb_ring to_mix;
    kb_ring from_mix;
    kb_wake wake;
} kb_bus;

/* Returns NULL without memory or without a descriptor. */
static inline kb_bus *kb_bus_new(void)
{
    kb_bus *bus = aligned_alloc(64, (sizeof(kb_bus) + 63u) & ~(size_t)63u);
    if (!bus)
        return NULL;
    bus->from_mix.slots = bus->to_mix.slots = NULL;
    if (kb_wake_open(&bus->wake) || kb_ring_init(&bus->to_mix, KB_BUS_SLOTS, sizeof(kb_bus_packet)) ||
        kb_ring_init(&bus->from_mix, KB_BUS_SLOTS, sizeof(kb_bus_packet))) {
        kb_wake_close(&bus->wake);
        kb_ring_free(&bus->to_mix);
        free(bus);
        return NULL;
    }
    return bus;
}

static inline void kb_bus_free(kb_bus *bus)
{
    kb_wake_close(&bus->wake);
    kb_ring_free(&bus->to_mix);
    kb_ring_free(&bus->from_mix);
    free(bus);
}

#endif
