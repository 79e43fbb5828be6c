/* What a bad network does to datagrams, without a network: no clock, no socket, no memory of its own after `new`.
 *
 * A link is one client's way in one direction. Every chance is a pure function of (seed, link, index of the packet on
 * that link, what is drawn), never of time or of another link's traffic: the same packets meet the same fate in every
 * run. Times are ns of any clock that does not go back. One caller at a time.
 *
 * Order on a link: too large → black-out → loss → bottleneck (rate, queue) → delay and jitter, order kept →
 * held back, repeated, damaged.
 */
#ifndef KB_IMPAIR_H
#define KB_IMPAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KB_IMPAIR_DATAGRAM 2048     /* more than any path MTU that WebRTC meets; longer ones are too large */
#define KB_IMPAIR_OVERHEAD 28       /* IPv4 and UDP headers: rates and MTUs are of IP packets */
#define KB_IMPAIR_HELD 16           /* packets held back at once on a link */
#define KB_IMPAIR_HOLD_NS 100000000 /* a held packet waits no longer for followers: 5 audio packets of 20 ms */

typedef struct kb_impair_settings {
    /* Loss: a chance per packet in each of two states (Gilbert–Elliott); the state moves before each packet.
     * Random loss is one state: good_loss alone. */
    double good_loss, bad_loss, good_to_bad, bad_to_good;
    double reorder; /* chance that a packet lets 1 … reorder_packets later ones go first */
    double duplicate;
    double corrupt;     /* chance that one bit is flipped */
    int64_t delay_ns;   /* of every packet */
    int64_t jitter_ns;  /* 0 … this more, uniform; packets wait for the one before, as in a queue */
    uint64_t rate_bps;  /* of the bottleneck, 0: none */
    int64_t queue_ns;   /* a packet that would wait longer at the bottleneck is dropped; 0: no such limit */
    uint64_t queue_bytes; /* the same by what waits there; 0: no such limit */
    uint32_t reorder_packets;
    uint32_t mtu_bytes; /* IP packets longer than this vanish, as behind a broken path MTU discovery; 0: none */
    bool blackout;      /* nothing enters; what is on its way arrives */
} kb_impair_settings;

typedef struct kb_impair_counters {
    uint64_t received; /* = lost + blacked_out + too_large + queue_drops + exhausted + waiting + (forwarded − duplicated) */
    uint64_t forwarded, bytes; /* with duplicates; bytes of UDP payload */
    uint64_t lost, blacked_out, too_large, queue_drops;
    uint64_t duplicated, corrupted;
    uint64_t reordered; /* left after a later one of their link */
    uint64_t exhausted; /* no memory left: the relay's fault, a run with any is void */
} kb_impair_counters;

typedef struct kb_impair_packet {
    uint32_t link;
    uint32_t bytes;
    int64_t due_ns;
    uint8_t *data; /* until the next call */
} kb_impair_packet;

typedef struct kb_impair kb_impair;

/* Room for `links` and for `packets` on their way; NULL without memory. Links are numbered from 0; the settings and
 * counters of a link are those of its direction, link & 1. */
kb_impair *kb_impair_new(uint64_t seed, uint32_t links, uint32_t packets);
void kb_impair_free(kb_impair *impair);

/* From the next packet on. Links keep their place in the burst model and what is on its way. */
void kb_impair_set(kb_impair *impair, int direction, const kb_impair_settings *settings);
const kb_impair_counters *kb_impair_count(const kb_impair *impair, int direction);

/* A datagram entered the link at now_ns. Up to KB_IMPAIR_DATAGRAM bytes are copied. */
void kb_impair_receive(kb_impair *impair, uint32_t link, const uint8_t *data, size_t bytes, int64_t now_ns);
/* The next datagram that is due by now_ns; false when there is none. */
bool kb_impair_poll(kb_impair *impair, int64_t now_ns, kb_impair_packet *out);
int64_t kb_impair_deadline(const kb_impair *impair); /* INT64_MAX when nothing waits */

#endif
