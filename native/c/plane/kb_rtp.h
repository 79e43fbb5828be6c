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

/* The header extensions the plane knows; every other one is left out of what it sends. */
typedef enum kb_extension {
    KB_EXT_MID,
    KB_EXT_RID,
    KB_EXT_REPAIRED_RID,
    KB_EXT_LEVEL,        /* RFC 6464 as sent: voice bit and −dBov */
    KB_EXT_SEND_TIME,    /* abs-send-time: 6.18 fixed point seconds */
    KB_EXT_TRANSPORT_CC, /* one counter for all streams of a transport */
    KB_EXT_CAPTURE_TIME,
    KB_EXT_PLAYOUT_DELAY,
    KB_EXT_ORIENTATION,
    KB_EXT_DEPENDENCY,
    KB_EXT_COUNT,
} kb_extension;

/* Kind + 1 by extension id, 0 = unknown. BUNDLE: one id per extension for all tracks of a peer (RFC 8843 §9). */
typedef struct kb_extension_ids {
    uint8_t kind[256];
} kb_extension_ids;

typedef struct kb_rtp_extensions {
    uint16_t mask; /* 1 << kind for what was found */
    uint16_t at[KB_EXT_COUNT];
    uint8_t bytes[KB_EXT_COUNT];
} kb_rtp_extensions;

/* Finds the extensions the ids name, as offsets into `data`. One of a wrong length is ignored alone. Returns 0, or
 * KB_RTP_MALFORMED when the list runs past its end (what was found before that stays in `out`). */
int kb_rtp_extensions_parse(const uint8_t *data, const kb_rtp *rtp, const kb_extension_ids *ids,
                            kb_rtp_extensions *out);

static inline bool kb_rtp_has(const kb_rtp_extensions *found, kb_extension kind)
{
    return found->mask & (1u << kind);
}

/* The longest dependency descriptor that is passed on: a template structure of 3 × 3 layers has about 100 bytes. */
#define KB_DEPENDENCY_BYTES 160
/* The largest header `kb_rtp_write` makes: the fixed part and one extension of every kind, two-byte form. */
#define KB_RTP_HEADER_BYTES 276

typedef struct kb_rtp_out {
    uint32_t ssrc;
    uint32_t timestamp;
    uint16_t sequence;
    uint8_t payload_type;
    bool marker;
    uint16_t mask; /* extensions to write; each has an id in `ids` and a value */
    const uint8_t *ids;                  /* KB_EXT_COUNT, by kind */
    const uint8_t *values[KB_EXT_COUNT]; /* 1 … 16 bytes each, the dependency descriptor up to KB_DEPENDENCY_BYTES */
    uint8_t bytes[KB_EXT_COUNT];
} kb_rtp_out;

/* Writes a header into KB_RTP_HEADER_BYTES and returns its size. */
size_t kb_rtp_write(uint8_t *out, const kb_rtp_out *header);

int kb_fuzz_demux(const uint8_t *data, size_t size);
int kb_fuzz_rtp(const uint8_t *data, size_t size);

#endif
