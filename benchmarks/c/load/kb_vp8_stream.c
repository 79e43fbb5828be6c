#include "kb_vp8_stream.h"

#include <string.h>

#define DESCRIPTOR 5   /* X, I and L, a picture id of 15 bits, TL0PICIDX */
#define KEY_HEADER 10  /* frame tag, start code, dimensions (RFC 6386 §9.1) */
#define LEAST_PART 32  /* per packet: headers and the stamp fit */
#define CLOCK_RATE 90000
#define VARIES_PERCENT 20 /* of a frame's size, up and down */

void kb_vp8_init(kb_vp8_stream *stream, const kb_vp8_config *config)
{
    memset(stream, 0, sizeof *stream);
    stream->config = *config;
    stream->since_key = config->key_period_frames; /* the first frame is a key frame */
    stream->sequence = (uint16_t)(config->ssrc & 0x3fff);
    stream->picture = (uint16_t)(config->ssrc & 0x7fff);
}

static uint32_t size_of(const kb_vp8_stream *stream)
{
    const kb_vp8_config *c = &stream->config;
    /* period × rate / fps bytes are shared by period − 1 frames of one part and one of key_factor parts. */
    uint64_t period_bytes = (uint64_t)c->key_period_frames * c->rate_bps / 8 / c->frames_per_s;
    uint32_t part = (uint32_t)(period_bytes / (c->key_period_frames - 1 + c->key_factor));
    if (stream->is_key)
        return part * c->key_factor;
    uint32_t mixed = (stream->frame * 0x9e3779b1u) >> 16; /* even over 0 … 65535 in the long run */
    return part * (100 - VARIES_PERCENT) / 100 + (uint32_t)((uint64_t)part * 2 * VARIES_PERCENT / 100 * mixed / 65535);
}

void kb_vp8_begin(kb_vp8_stream *stream, bool key)
{
    const kb_vp8_config *c = &stream->config;
    stream->is_key = key || stream->since_key >= c->key_period_frames;
    stream->since_key = stream->is_key ? 1 : stream->since_key + 1;
    stream->size = size_of(stream);
    uint32_t room = c->payload_bytes - DESCRIPTOR;
    stream->packets = (stream->size + room - 1) / room;
    if (stream->size < stream->packets * LEAST_PART || stream->packets == 0) {
        stream->packets = 1;
        stream->size = LEAST_PART;
    }
    stream->next = 0;
    stream->timestamp = (uint32_t)((uint64_t)stream->frame * CLOCK_RATE / c->frames_per_s);
    stream->frame++;
    stream->picture = (stream->picture + 1) & 0x7fff;
    stream->tl0++;
}

size_t kb_vp8_packet(kb_vp8_stream *stream, uint8_t *out, int64_t stamp)
{
    if (stream->next == stream->packets)
        return 0;
    /* The larger ones last, as libwebrtc does. */
    uint32_t larger = stream->size % stream->packets;
    size_t part = stream->size / stream->packets + (stream->next >= stream->packets - larger);
    bool first = stream->next == 0, last = stream->next + 1 == stream->packets;
    uint8_t *at = out;
    *at++ = 0x80;
    *at++ = (uint8_t)(last << 7 | stream->config.payload_type);
    *at++ = (uint8_t)(stream->sequence >> 8);
    *at++ = (uint8_t)stream->sequence;
    for (int shift = 24; shift >= 0; shift -= 8)
        *at++ = (uint8_t)(stream->timestamp >> shift);
    for (int shift = 24; shift >= 0; shift -= 8)
        *at++ = (uint8_t)(stream->config.ssrc >> shift);
    *at++ = (uint8_t)(0x80 | first << 4);
    *at++ = 0xc0;
    *at++ = (uint8_t)(0x80 | stream->picture >> 8);
    *at++ = (uint8_t)stream->picture;
    *at++ = stream->tl0;
    memset(at, (int)stream->frame, part);
    if (first) {
        /* Shown, version 0, the size of the first partition, which is all of it; P = 0 marks a key frame. */
        uint32_t tag = stream->size << 5 | 1u << 4 | !stream->is_key;
        uint8_t header[KEY_HEADER] = {(uint8_t)tag, (uint8_t)(tag >> 8), (uint8_t)(tag >> 16),
                                      0x9d, 0x01, 0x2a, 1280 & 255, 1280 >> 8, 720 & 255, 720 >> 8};
        memcpy(at, header, stream->is_key ? KEY_HEADER : 3);
    }
    at += part;
    memcpy(at - sizeof stamp, &stamp, sizeof stamp);
    stream->sequence++;
    stream->next++;
    return (size_t)(at - out);
}
