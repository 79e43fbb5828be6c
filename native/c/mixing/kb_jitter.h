/* Jitter buffer of one RTP stream: which packet, or what instead of it, is due now. It is given the time and never
 * asks; it decodes nothing. Times are ns of CLOCK_MONOTONIC, positions are 48 kHz samples.
 *
 * The delay follows the deadline algorithm: `d` is how much longer than the fastest of the last 10 s a packet
 * travelled; the target is the d that minimises d + 100·C·P(late > d), C being the ms of delay that one per cent
 * of late packets is worth. P is the larger of a fast and a slow estimate, so it rises quickly and falls surely.
 */
#ifndef KB_JITTER_H
#define KB_JITTER_H

#include <stdint.h>

#define KB_JITTER_SLOTS 128u /* 1.28 s of 10 ms packets: above the longest delay by any packet time */
#define KB_JITTER_BINS 512   /* of 1 ms; the last also holds everything later */
#define KB_JITTER_PAYLOAD_BYTES 1456

typedef struct kb_jitter_settings {
    int32_t cost_ms; /* C */
    int32_t min_ms;
    int32_t start_ms; /* until enough packets were seen to know better */
    int32_t max_ms;   /* beyond it packets are dropped rather than played so late */
} kb_jitter_settings;

#define KB_JITTER_DEFAULTS ((kb_jitter_settings){.cost_ms = 20, .min_ms = 2, .start_ms = 20, .max_ms = 400})

typedef struct kb_jitter_packet {
    int64_t at_ns;
    uint32_t ssrc;
    uint32_t timestamp;
    uint16_t sequence;
    uint16_t bytes;
    uint16_t samples; /* duration, from the payload's own header; > 0 */
    uint8_t has_fec;  /* it carries a copy of the packet before it */
} kb_jitter_packet;

typedef enum kb_jitter_verdict {
    KB_JITTER_STORED,
    KB_JITTER_RESTARTED, /* stored, as the first of a new stream: the decoder's memory is of no use */
    KB_JITTER_DUPLICATE,
    KB_JITTER_LATE, /* its place has been played */
} kb_jitter_verdict;

typedef enum kb_jitter_action {
    KB_JITTER_SILENCE, /* nothing has come, or nothing for long */
    KB_JITTER_PLAY,    /* decode `packet` */
    KB_JITTER_RECOVER, /* decode the copy that `packet` carries, `samples` long; `packet` itself comes next */
    KB_JITTER_CONCEAL, /* lost, or a pause of the sender: extrapolate `samples` */
    KB_JITTER_HOLD,    /* not here yet: extrapolate `samples`, the position stays, so no word is dropped */
} kb_jitter_action;

typedef struct kb_jitter_slot {
    int64_t timestamp; /* extended to 64 bits */
    int64_t at_ns;     /* when it arrived */
    uint16_t sequence;
    uint16_t bytes;
    uint16_t samples;
    uint8_t has_fec;
    uint8_t is_stored; /* else free, or played and kept to tell a duplicate from a late packet */
    uint8_t was_seen;
    uint8_t payload[KB_JITTER_PAYLOAD_BYTES];
} kb_jitter_slot;

typedef struct kb_jitter_step {
    kb_jitter_action action;
    int32_t samples;
    const kb_jitter_slot *packet; /* valid until the next receive */
    int32_t held_samples;         /* how much was extrapolated in this packet's place while it was waited for */
} kb_jitter_step;

#define KB_JITTER_MINIMA 10 /* seconds */

typedef enum kb_jitter_state {
    KB_JITTER_EMPTY,   /* no stream, or given up waiting */
    KB_JITTER_FILLING, /* the first packets wait for their delay */
    KB_JITTER_PLAYING,
} kb_jitter_state;

/* Of the slow memory: some 3000 packets, a minute of 20 ms ones. */
typedef struct kb_jitter_network {
    float late_p95_ms; /* so much longer than the fastest did 95 % of the packets travel, at most */
    float reordered;   /* share of packets that came after one sent later; repairs (RED, RTX) are among them */
} kb_jitter_network;

typedef struct kb_jitter {
    kb_jitter_settings settings;
    kb_jitter_state state;
    uint8_t has_stream, has_position;
    uint32_t ssrc;
    uint16_t next_sequence;
    uint16_t highest_sequence;
    int64_t next_timestamp;
    int64_t last_timestamp; /* the last one received, to extend the next by */
    int32_t held_samples;

    uint16_t stray_sequence; /* a sender that restarted below the window is believed after a few packets in order */
    int32_t stray_count;

    int64_t minima[KB_JITTER_MINIMA]; /* least transit per second, ns */
    int64_t minima_second;
    int64_t least_transit;
    uint32_t observed;
    float fast[KB_JITTER_BINS], slow[KB_JITTER_BINS];
    float reordered; /* share of the packets that came after one sent later */
    int32_t target_ms;

    uint64_t skipped; /* packets dropped because they were beyond max_ms */
    kb_jitter_slot slots[KB_JITTER_SLOTS];
} kb_jitter;

void kb_jitter_init(kb_jitter *jitter, const kb_jitter_settings *settings);

/* A packet arrived. `payload` has packet->bytes ≤ KB_JITTER_PAYLOAD_BYTES bytes and is copied when stored. */
kb_jitter_verdict kb_jitter_receive(kb_jitter *jitter, const kb_jitter_packet *packet, const uint8_t *payload);

/* `samples` > 0 are needed at `now_ns`: what they are made of. A step may give more (a whole packet) or fewer. */
kb_jitter_step kb_jitter_poll(kb_jitter *jitter, int64_t now_ns, int32_t samples);

/* How far the delay is off in whole steps of `quantum` samples, for a caller who can cut or insert in silence:
 * −1 cut one quantum, 1 insert one, 0 leave. A cut is asked for only when `ready` + quantum samples are here. */
int kb_jitter_advice(const kb_jitter *jitter, int64_t now_ns, int32_t ready, int32_t quantum);

/* How late the next packet may come and still be in time, now; ms above the fastest path. 0 unless playing. */
double kb_jitter_delay_ms(const kb_jitter *jitter, int64_t now_ns);

/* When the next sample would have no delay above the fastest path; 0 unless playing. */
int64_t kb_jitter_ideal_ns(const kb_jitter *jitter);

/* 1 when the next `samples` are packets that are here, or copies in them: no gap, no pause, nothing to wait for. */
int kb_jitter_is_here(const kb_jitter *jitter, int32_t samples);

kb_jitter_network kb_jitter_network_of(const kb_jitter *jitter);

/* Samples received and not yet asked for, gaps included. */
int32_t kb_jitter_buffered(const kb_jitter *jitter);

#endif
