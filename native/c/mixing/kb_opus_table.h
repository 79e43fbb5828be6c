/* libopus by function table: our own prototypes, resolved with dlsym from a handle that the façade opened, so that
 * neither headers nor a link dependency are needed. Values are those of RFC 6716's API, stable since 1.1. */
#ifndef KB_OPUS_TABLE_H
#define KB_OPUS_TABLE_H

#include <stdint.h>

#define KB_OPUS_RATE 48000
#define KB_OPUS_MAX_SAMPLES 5760 /* 120 ms, the longest packet (RFC 6716 §3.2.5) */

#define KB_OPUS_APPLICATION_VOIP 2048
#define KB_OPUS_APPLICATION_AUDIO 2049
#define KB_OPUS_BANDWIDTH_FULLBAND 1105
#define KB_OPUS_SET_BITRATE 4002
#define KB_OPUS_SET_VBR 4006
#define KB_OPUS_SET_BANDWIDTH 4008
#define KB_OPUS_SET_COMPLEXITY 4010
#define KB_OPUS_SET_INBAND_FEC 4012
#define KB_OPUS_SET_PACKET_LOSS_PERC 4014
#define KB_OPUS_SET_DTX 4016
#define KB_OPUS_SET_VBR_CONSTRAINT 4020
#define KB_OPUS_RESET_STATE 4028

typedef struct kb_opus_table {
    const char *(*version)(void);
    int (*encoder_bytes)(int channels);
    int (*encoder_init)(void *state, int32_t rate, int channels, int application);
    int (*encoder_ctl)(void *state, int request, ...);
    int32_t (*encode)(void *state, const float *pcm, int samples, unsigned char *out, int32_t out_bytes);
    int (*decoder_bytes)(int channels);
    int (*decoder_init)(void *state, int32_t rate, int channels);
    int (*decoder_ctl)(void *state, int request, ...);
    int (*decode)(void *state, const unsigned char *data, int32_t bytes, float *pcm, int samples, int fec);
    int (*packet_samples)(const unsigned char *data, int32_t bytes, int32_t rate);
    int (*packet_has_fec)(const unsigned char *data, int32_t bytes); /* NULL before 1.4: decode and hope */
} kb_opus_table;

/* Returns NULL, or the name of the first function that `handle` (from dlopen) lacks. */
const char *kb_opus_table_load(kb_opus_table *table, void *handle);

typedef struct kb_opus_voice {
    int32_t bitrate_bps;
    int complexity;   /* 0–10 */
    int loss_percent; /* 0 would silently drop the FEC copies */
} kb_opus_voice;

/* A mono, full-band, constrained-VBR voice encoder with FEC and no DTX in `state` (encoder_bytes(1) bytes).
 * 0, or libopus's negative code. Its state may be copied by memcpy: the copy goes on bit for bit. */
int kb_opus_voice_init(const kb_opus_table *table, void *state, const kb_opus_voice *voice);

#endif
