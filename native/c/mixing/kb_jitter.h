/* Jitter buffer of one RTP stream: which packet, or what instead of it, is due now. It is given the time and never
 * asks; it decodes nothing. Times are ns of CLOCK_MONOTONIC, positions are 48 kHz samples.
 *
 * The delay it aims at comes from kb_lateness. A packet that is not here when it is due is waited for: what is
 * extrapolated meanwhile moves everything later, so no word is dropped, and the delay is worked off afterwards (or at
 * once, when the wait was so short that the guess may stand for the beginning of the packet).
 */
#ifndef KB_JITTER_H
#define KB_JITTER_H

#include "kb_lateness.h"

#include <stdint.h>

#define KB_JITTER_SLOTS 128u /* 1.28 s of 10 ms packets: above the longest delay by any packet time */
#define KB_JITTER_PAYLOAD_BYTES 1456

/* By what the sound is for. The E-model itself has C = 34: 1 % of loss costs 4.5 of R, a ms beyond 177 costs 0.134.
 * `cheap_ms`: those 177 less the 83 to 120 ms of capture, frame, codec, client's buffer and device. */
#define KB_JITTER_SETTINGS(cost) \
    ((kb_jitter_settings){.cost_ms = (cost), .min_ms = 2, .start_ms = 40, .max_ms = 400, .cheap_ms = 60})
#define KB_JITTER_INTERPRETER KB_JITTER_SETTINGS(20) /* and the floor for the booths: every ms is worked with */
#define KB_JITTER_FLOOR KB_JITTER_SETTINGS(40)       /* under an interpreter's voice */
#define KB_JITTER_TALK_BACK KB_JITTER_SETTINGS(10)
#define KB_JITTER_PHONE KB_JITTER_SETTINGS(40)
#define KB_JITTER_DEFAULTS KB_JITTER_FLOOR

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
    int32_t skipped_samples;      /* so much of its beginning is to be left out: the guess stands for it */
} kb_jitter_step;

typedef enum kb_jitter_state {
    KB_JITTER_EMPTY,   /* no stream, or given up waiting */
    KB_JITTER_FILLING, /* the first packets wait for their delay */
    KB_JITTER_PLAYING,
} kb_jitter_state;

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

    kb_lateness lateness;
    int32_t target_ms; /* lateness.target_ms */

    uint64_t skipped; /* packets dropped because they were beyond max_ms */
    kb_jitter_slot slots[KB_JITTER_SLOTS];
} kb_jitter;

void kb_jitter_init(kb_jitter *jitter, const kb_jitter_settings *settings);

/* A packet arrived. `payload` has packet->bytes ≤ KB_JITTER_PAYLOAD_BYTES bytes and is copied when stored. */
kb_jitter_verdict kb_jitter_receive(kb_jitter *jitter, const kb_jitter_packet *packet, const uint8_t *payload);

/* `samples` > 0 are needed at `now_ns`: what they are made of. A step may give more (a whole packet) or fewer,
 * and none when a packet is skipped as a whole: ask again. */
kb_jitter_step kb_jitter_poll(kb_jitter *jitter, int64_t now_ns, int32_t samples);

/* How many samples the caller, who has `ready` samples left and takes `block` at a time, had better insert (> 0) or may
 * cut (< 0) before he goes on. A packet is needed at the block in which its first sample lies: what is left over of whole
 * blocks is delay that protects nothing, and is always among what may be cut. */
int32_t kb_jitter_wish(const kb_jitter *jitter, int64_t now_ns, int32_t ready, int32_t block);

/* 1 when the packet behind those that are here is later than nearly all were and nothing behind it has come: likely a
 * stall. What is here had better be stretched where it is a pause, before a word is played whose end is missing. */
int kb_jitter_is_overdue(const kb_jitter *jitter, int64_t now_ns);

/* How late the next packet may come and still be in time, now; ms above the fastest path. 0 unless playing. */
double kb_jitter_delay_ms(const kb_jitter *jitter, int64_t now_ns);

/* When the next sample would have no delay above the fastest path; 0 unless playing. */
int64_t kb_jitter_ideal_ns(const kb_jitter *jitter);

/* How many of the next samples are packets that are here, or copies in them: up to a gap, a pause or the end. */
int32_t kb_jitter_here(const kb_jitter *jitter);

kb_jitter_network kb_jitter_network_of(const kb_jitter *jitter);

/* Samples received and not yet asked for, gaps included. */
int32_t kb_jitter_buffered(const kb_jitter *jitter);

#endif
