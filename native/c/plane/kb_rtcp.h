/* RTCP as bytes (RFC 3550, RFC 4585): walking a compound packet, reading reports, writing ours. Pure functions. */
#ifndef KB_RTCP_H
#define KB_RTCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KB_RTCP_MALFORMED (-1)

enum {
    KB_RTCP_SR = 200,
    KB_RTCP_RR = 201,
    KB_RTCP_SDES = 202,
    KB_RTCP_BYE = 203,
    KB_RTCP_APP = 204,
    KB_RTCP_RTPFB = 205,
    KB_RTCP_PSFB = 206,
    KB_RTCP_XR = 207,
};
enum { KB_RTPFB_NACK = 1, KB_RTPFB_TWCC = 15 };
enum { KB_PSFB_PLI = 1, KB_PSFB_FIR = 4, KB_PSFB_AFB = 15 };

typedef struct kb_rtcp_packet {
    uint8_t type;
    uint8_t count; /* report count, source count or feedback format */
    const uint8_t *body; /* after the 4-byte header */
    size_t body_bytes;   /* padding taken off; enough for what type and count promise */
} kb_rtcp_packet;

/* Takes the next packet of the compound at `*at` and moves `*at` past it. Returns 1, 0 at the end, or
 * KB_RTCP_MALFORMED when a length, a count or a version lies; the rest is then not to be read. */
int kb_rtcp_next(const uint8_t *data, size_t size, size_t *at, kb_rtcp_packet *out);

/* Number of packets in a compound of which every packet holds, else KB_RTCP_MALFORMED. */
int kb_rtcp_check(const uint8_t *data, size_t size);

typedef struct kb_rtcp_sender {
    uint32_t ssrc;
    uint64_t ntp; /* 32.32 s since 1900 */
    uint32_t rtp_timestamp;
    uint32_t packets;
    uint32_t octets;
} kb_rtcp_sender;

typedef struct kb_rtcp_block {
    uint32_t ssrc;
    uint8_t fraction_lost; /* 1/256 */
    int32_t lost;          /* 24 bits on the wire; duplicates can make it negative */
    uint32_t highest_sequence;
    uint32_t jitter;
    uint32_t last_sr; /* middle 32 bits of the NTP time, 0 = none yet */
    uint32_t delay;   /* since it, 1/65536 s */
} kb_rtcp_block;

/* `packet` is SR. */
void kb_rtcp_read_sender(const kb_rtcp_packet *packet, kb_rtcp_sender *out);
/* `packet` is SR or RR, `index` < its count. */
void kb_rtcp_read_block(const kb_rtcp_packet *packet, size_t index, kb_rtcp_block *out);

#define KB_RTCP_MAX_BLOCKS 31
#define KB_CNAME_BYTES 64
/* Either writer makes report + SDES in at most this. */
#define KB_RTCP_REPORT_BYTES (8 + 24 * KB_RTCP_MAX_BLOCKS + 4 + 4 + 2 + KB_CNAME_BYTES + 4 + 28)

/* A compound of SR without blocks and SDES CNAME. Returns its size. */
size_t kb_rtcp_write_sender(uint8_t *out, const kb_rtcp_sender *sender, const char *cname, size_t cname_bytes);
/* A compound of RR with `count` ≤ KB_RTCP_MAX_BLOCKS blocks and SDES CNAME. Returns its size. */
size_t kb_rtcp_write_receiver(uint8_t *out, uint32_t ssrc, const kb_rtcp_block *blocks, size_t count,
                              const char *cname, size_t cname_bytes);

/* Picture loss indication: 12 bytes. Returns its size. */
#define KB_RTCP_PLI_BYTES 12
size_t kb_rtcp_write_pli(uint8_t *out, uint32_t sender, uint32_t media);
/* Generic NACK of `count` ≥ 1 sequence numbers in order (12 + 4 bytes per run of 17). Returns its size. */
size_t kb_rtcp_write_nack(uint8_t *out, uint32_t sender, uint32_t media, const uint16_t *sequences, size_t count);
/* REMB (draft-alvestrand-rmcat-remb) for one stream: 24 bytes. */
size_t kb_rtcp_write_remb(uint8_t *out, uint32_t sender, uint32_t media, uint64_t bits_per_second);

/* SSRC of the media a feedback packet is about. */
uint32_t kb_rtcp_feedback_media(const kb_rtcp_packet *packet);
/* FIR: how many requests, and whom the index-th is to. */
size_t kb_rtcp_fir_count(const kb_rtcp_packet *packet);
uint32_t kb_rtcp_fir_media(const kb_rtcp_packet *packet, size_t index);
/* NACK: how many blocks; each is a sequence number and a mask of the 16 after it. */
size_t kb_rtcp_nack_count(const kb_rtcp_packet *packet);
void kb_rtcp_read_nack(const kb_rtcp_packet *packet, size_t index, uint16_t *sequence, uint16_t *following);
/* Whether an application-layer feedback packet is a REMB, and its bit/s. */
bool kb_rtcp_read_remb(const kb_rtcp_packet *packet, uint64_t *bits_per_second);

int kb_fuzz_rtcp(const uint8_t *data, size_t size);

#endif
