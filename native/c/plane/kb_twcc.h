/* Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01), both ends.
 *
 * Uplink, `kb_twcc_receiver`: what arrived from one publisher; one per peer that sends video with the extension.
 *   - after SRTP authentication of a packet with the extension: kb_twcc_receive(r, sequence, now_ns);
 *   - every 100 ms: while ((n = kb_twcc_write(r, buffer, room, our_ssrc, media_ssrc)) > 0) send the n bytes as SRTCP.
 * Downlink, `kb_twcc_history`: what went out to one subscriber; one per peer with video slots.
 *   - for each packet that carries the extension (media, RTX, padding), with the number just written into it:
 *     kb_twcc_sent(h, sequence, bytes on the wire, kb_bwe_probing(bwe), now_ns);
 *   - RTCP RTPFB format 15: n = kb_twcc_read(h, packet.body, packet.body_bytes, now_ns, samples); n < 0 = malformed;
 *     else kb_bwe_feedback(bwe, samples, n, now_ns).
 * Both are plain memory, allocated by the control thread with the first track or slot that needs them. No clock, no I/O.
 */
#ifndef KB_TWCC_H
#define KB_TWCC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KB_TWCC_MALFORMED (-1) /* = KB_RTCP_MALFORMED */
/* 1 s at 2.4 MB/s of full packets, or 100 ms feedback lost ten times at 20 Mb/s. Powers of two that divide 2^16. */
#define KB_TWCC_WINDOW 1024
#define KB_TWCC_HISTORY 2048
/* Most statuses that one feedback may carry; more are malformed: nobody has so much in flight per 100 ms. */
#define KB_TWCC_SAMPLES 1024

typedef struct kb_twcc_receiver {
    bool started;
    bool due;         /* something arrived since the last feedback */
    uint8_t count;    /* of feedback packets, modulo 256 */
    int64_t from;     /* unwrapped number where the next feedback begins */
    int64_t highest;  /* unwrapped, of those that arrived */
    int64_t arrival_ns[KB_TWCC_WINDOW]; /* by number; 0 = did not arrive */
} kb_twcc_receiver;

void kb_twcc_receiver_init(kb_twcc_receiver *receiver);
/* A number arrived; repeats keep the first time. A jump beyond the window begins anew. `now_ns` > 0. */
void kb_twcc_receive(kb_twcc_receiver *receiver, uint16_t sequence, int64_t now_ns);
/* One whole RTCP packet into `out` (`room` ≥ 64, ≤ 1200 are used); returns its size, 0 = nothing to say (any more).
 * A number that comes late, after it was told lost, makes the next feedback begin with it. */
size_t kb_twcc_write(kb_twcc_receiver *receiver, uint8_t *out, size_t room, uint32_t sender_ssrc,
                     uint32_t media_ssrc);

typedef struct kb_twcc_entry {
    uint32_t sent_us; /* modulo 2^32: 71 minutes, a feedback is seconds old at most */
    uint16_t sequence;
    uint16_t bytes; /* and two flags above: probe, settled */
} kb_twcc_entry;

typedef struct kb_twcc_history {
    bool referenced;
    int64_t reference; /* unwrapped 64 ms units of the last feedback */
    kb_twcc_entry entries[KB_TWCC_HISTORY];
} kb_twcc_history;

typedef struct kb_twcc_sample {
    int64_t sent_ns;
    int64_t arrival_ns; /* the other's clock: only differences mean something; 0 when lost */
    uint16_t sequence;
    uint16_t bytes;
    bool lost;
    bool probe;
} kb_twcc_sample;

void kb_twcc_history_init(kb_twcc_history *history);
void kb_twcc_sent(kb_twcc_history *history, uint16_t sequence, size_t bytes, bool probe, int64_t now_ns);
/* `body` is the RTCP packet after its 4-byte header, padding taken off. Everything is checked before anything changes.
 * Fills `out`, in order of numbers, with what was sent, is told of for the first time and is not older than 10 s;
 * returns how many ≤ KB_TWCC_SAMPLES, or KB_TWCC_MALFORMED. */
int kb_twcc_read(kb_twcc_history *history, const uint8_t *body, size_t bytes, int64_t now_ns,
                 kb_twcc_sample out[KB_TWCC_SAMPLES]);

int kb_fuzz_twcc(const uint8_t *data, size_t size);

#endif
