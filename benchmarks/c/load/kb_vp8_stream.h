/* Frames of nothing in the shape of a camera's VP8: true payload descriptors (RFC 7741) and frame headers, sizes that
 * vary as an encoder's do, no picture inside. No clock; the same stream for the same configuration.
 */
#ifndef KB_VP8_STREAM_H
#define KB_VP8_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KB_VP8_HEADER 12                   /* RTP, without extensions */
#define KB_VP8_ROOM (KB_VP8_HEADER + 1200) /* what a packet may need before SRTP */

typedef struct kb_vp8_config {
    uint32_t ssrc;
    uint32_t rate_bps; /* of payloads, averaged over a key frame's period */
    uint32_t frames_per_s, key_period_frames;
    uint32_t key_factor;    /* a key frame is so many times as large as another */
    uint32_t payload_bytes; /* at most 1200; the packets of a frame are about equal, as libwebrtc splits them */
    uint8_t payload_type;
} kb_vp8_config;

typedef struct kb_vp8_stream {
    kb_vp8_config config;
    uint32_t frame, since_key; /* frames begun, frames since the last key frame */
    uint32_t timestamp;
    uint16_t sequence, picture;
    uint8_t tl0;
    bool is_key;
    uint32_t packets, next, size; /* of the frame at hand */
} kb_vp8_stream;

void kb_vp8_init(kb_vp8_stream *stream, const kb_vp8_config *config);
/* Begins the next frame: a key frame when it is time or when asked for. */
void kb_vp8_begin(kb_vp8_stream *stream, bool key);
/* Writes the frame's next RTP packet, at most KB_VP8_ROOM bytes, and returns its length; 0 at the frame's end. Its
 * last 8 bytes are `stamp`, in the byte order of this machine. */
size_t kb_vp8_packet(kb_vp8_stream *stream, uint8_t *out, int64_t stamp);

#endif
