/* What the plane reads of a codec's payload: key frames, and the counters that must go on when a source changes.
 *
 * Pure functions on decrypted payloads; nothing is decoded (RFC 7741, RFC 6184, RFC 9628, AV1 RTP 1.0).
 */
#ifndef KB_CODEC_H
#define KB_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum kb_codec {
    KB_CODEC_OPUS,
    KB_CODEC_VP8,
    KB_CODEC_H264,
    KB_CODEC_VP9,
    KB_CODEC_AV1,
    KB_CODEC_RED,
    KB_CODEC_COUNT,
} kb_codec;

typedef struct kb_frame_info {
    bool key;             /* the packet opens a key frame: a decoder can begin here */
    bool optional;        /* the packet opens a picture that no other one needs */
    bool long_picture;    /* the picture id has 15 bits, not 7 */
    uint8_t picture_at;   /* offsets into the payload, 0 = absent */
    uint8_t tl0_at;
    uint16_t picture;
    uint8_t tl0;
} kb_frame_info;

/* Reads what there is; a payload that is cut short is merely no key frame. Offsets lie inside the payload. */
void kb_codec_read(kb_codec codec, const uint8_t *payload, size_t bytes, kb_frame_info *out);

/* The dependency descriptor extension: tells a key frame when it carries a template structure (first packet of a coded
 * video sequence). Its frame number stands in bytes 1 and 2. */
#define KB_DEPENDENCY_LEAST 3
bool kb_dependency_key(const uint8_t *value, size_t bytes);

int kb_fuzz_codec(const uint8_t *data, size_t size);

#endif
