/* Redundant audio (RFC 2198): copies of the packets before, in front of the packet itself. Pure functions.
 *
 * A block tells when it was said, not which packet it was. That follows from Opus itself: a frame says how long it is,
 * and where it ends the next one begins.
 */
#ifndef KB_RED_H
#define KB_RED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KB_RED_MALFORMED (-1)
/* Copies in one packet. Browsers send 1, the most that is of use is 2 or 3. */
#define KB_RED_BLOCKS 8

typedef struct kb_red_block {
    const uint8_t *data;
    uint16_t bytes;
    uint16_t offset;   /* RTP ticks before the packet, 14 bits */
    uint8_t type;      /* payload type */
    uint8_t distance;  /* packets before this one; 0 = it cannot be told, or it is no use */
} kb_red_block;

typedef struct kb_red {
    const uint8_t *primary; /* the packet itself */
    size_t primary_bytes;   /* ≥ 1 */
    uint8_t primary_type;
    uint8_t count;
    kb_red_block blocks[KB_RED_BLOCKS]; /* oldest first, as on the wire */
} kb_red;

/* Reads a payload. What comes out lies inside it; distances are 0. Returns 0 or KB_RED_MALFORMED: a block past the end,
 * more than KB_RED_BLOCKS, or nothing but copies. */
int kb_red_parse(const uint8_t *payload, size_t bytes, kb_red *out);

/* Tells the distances of blocks of this payload type (Opus at 48 kHz, RFC 7587): from the packet backwards, as long as
 * each block lies a whole number of its own durations before the next. */
void kb_red_place(kb_red *red, uint8_t type);

/* Samples at 48 kHz of an Opus packet by its first bytes (RFC 6716 §3.1), 0 = it is none. */
unsigned kb_opus_samples(const uint8_t *payload, size_t bytes);

/* What `kb_red_write` will write. */
size_t kb_red_bytes(const kb_red *red, unsigned within);
/* Writes the packet and its copies at most `within` packets old, all as `type`; returns kb_red_bytes(red, within), for
 * which there is room. */
size_t kb_red_write(uint8_t *out, const kb_red *red, uint8_t type, unsigned within);

/* A mix is 100 to 250 bytes a packet; the length field has 10 bits. */
#define KB_RED_KEPT_BYTES 320

/* The packet before, for who makes copies. Zeroed memory is a valid start. */
typedef struct kb_red_kept {
    uint32_t timestamp;
    uint16_t bytes; /* 0 = none */
    uint8_t data[KB_RED_KEPT_BYTES];
} kb_red_kept;

/* The packet with what was kept as its copy; false when that does not end where the packet begins. */
bool kb_red_make(kb_red *red, const kb_red_kept *kept, uint32_t timestamp, const uint8_t *payload, size_t bytes);
/* Keeps the packet as the one before. */
void kb_red_keep(kb_red_kept *kept, uint32_t timestamp, const uint8_t *payload, size_t bytes);

int kb_fuzz_red(const uint8_t *data, size_t size);

#endif
