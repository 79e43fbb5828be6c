/* RTP as bytes (RFC 3550, RFC 8285) and the demultiplexing of one port (RFC 7983). Pure functions, no copies.
 *
 * Every offset that comes out lies inside the data that went in.
 */
#ifndef KB_RTP_H
#define KB_RTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum kb_datagram {
    KB_DATAGRAM_EMPTY,
    KB_DATAGRAM_SHORT,   /* the right first byte, too few bytes for its kind */
    KB_DATAGRAM_UNKNOWN, /* ZRTP, TURN channels, plain junk */
    KB_DATAGRAM_STUN,
    KB_DATAGRAM_DTLS,
    KB_DATAGRAM_RTP,
    KB_DATAGRAM_RTCP,
} kb_datagram;

kb_datagram kb_demux(const uint8_t *data, size_t size);

#define KB_RTP_MALFORMED (-1)
#define KB_MID_BYTES 16 /* the one-byte form of RFC 8285 holds no more */

typedef struct kb_rtp {
    uint32_t timestamp;
    uint32_t ssrc;
    uint16_t sequence;
    uint16_t header_bytes; /* fixed part, CSRCs and extension: the payload starts here */
    uint16_t extension_at; /* 0 = none */
    uint16_t extension_bytes;
    uint16_t extension_profile;
    uint8_t payload_type;
    bool marker;
    bool padded;
} kb_rtp;

/* Reads what is in the clear, so it works before unprotect. Returns 0 or KB_RTP_MALFORMED. */
int kb_rtp_parse(const uint8_t *data, size_t size, kb_rtp *out);

/* After unprotect: the payload size without padding, which may be 0, or KB_RTP_MALFORMED. */
int kb_rtp_payload_bytes(const uint8_t *data, size_t size, const kb_rtp *rtp);

typedef struct kb_rtp_extensions {
    const uint8_t *mid; /* NULL when absent; not terminated */
    uint8_t mid_bytes;
    uint8_t level; /* RFC 6464 as sent: voice bit and −dBov */
    bool has_level;
} kb_rtp_extensions;

/* Finds the two extensions we understand; id 0 is never found. One of a wrong length is ignored alone. Returns 0, or
 * KB_RTP_MALFORMED when the list runs past its end (what was found before that stays in `out`). */
int kb_rtp_extensions_parse(const uint8_t *data, const kb_rtp *rtp, uint8_t mid_id, uint8_t level_id,
                            kb_rtp_extensions *out);

/* The largest header `kb_rtp_write` makes: fixed part, extension header, mid (1 + 16), level (1 + 1), padding. */
#define KB_RTP_HEADER_BYTES 36

typedef struct kb_rtp_out {
    uint32_t ssrc;
    uint32_t timestamp;
    uint16_t sequence;
    uint8_t payload_type;
    bool marker;
    uint8_t mid_id; /* 0 = no such extension */
    uint8_t mid_bytes;
    const uint8_t *mid;
    uint8_t level_id; /* 0 = no such extension */
    uint8_t level;
} kb_rtp_out;

/* Writes a header into KB_RTP_HEADER_BYTES and returns its size. */
size_t kb_rtp_write(uint8_t *out, const kb_rtp_out *header);

int kb_fuzz_demux(const uint8_t *data, size_t size);
int kb_fuzz_rtp(const uint8_t *data, size_t size);

#endif
