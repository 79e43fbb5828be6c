/* One publisher of a camera and a voice on a thread of its own: real SRTP, a VP8 stream of kb_vp8_stream in bursts of
 * a frame, silence in Opus beside it (a speaker without a voice loses the floor), checks, sender reports. Answers PLI
 * and FIR with a key frame. Keeps no packets: offer no NACK.
 */
#ifndef KB_VIDEO_LOAD_H
#define KB_VIDEO_LOAD_H

#include "kb_srtp_table.h"
#include "kb_vp8_stream.h"

typedef struct kb_video_load kb_video_load;

typedef struct kb_video_figures {
    uint64_t packets, bytes; /* of video: RTP packets, their payloads */
    uint64_t frames, key_frames;
    uint64_t plis;    /* PLI and FIR that came */
    uint64_t refused; /* sends the kernel did not take */
    uint64_t late;    /* frames begun over 5 ms after their time */
} kb_video_figures;

/* Owns `fd`, which is connected, even when it fails (NULL). */
kb_video_load *kb_video_load_new(const kb_srtp_table *srtp, int fd, kb_srtp_profile profile, const uint8_t *transmit,
                                 const uint8_t *receive, const uint8_t *check, size_t check_bytes,
                                 const kb_vp8_config *video, uint32_t audio_ssrc, uint8_t audio_payload_type);
void kb_video_load_free(kb_video_load *load);
int kb_video_load_start(kb_video_load *load); /* 0 or errno; once */
void kb_video_load_read(kb_video_load *load, kb_video_figures *out); /* any thread */

#endif
