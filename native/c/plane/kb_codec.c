#include "kb_codec.h"

#include "kb_bytes.h"

#include <string.h>

enum { H264_IDR = 5, H264_SPS = 7, H264_STAP_A = 24, H264_FU_A = 28 };

/* RFC 7741 §4.2: one byte, then X, then what I, L, T and K promise. */
static void read_vp8(const uint8_t *payload, size_t bytes, kb_frame_info *out)
{
    size_t at = 1;
    bool starts = (payload[0] & 0x10) && (payload[0] & 0x07) == 0;
    out->optional = starts && (payload[0] & 0x20);
    if (payload[0] & 0x80) {
        if (bytes < 2)
            return;
        uint8_t flags = payload[1];
        at = 2;
        if (flags & 0x80) {
            if (at >= bytes)
                return;
            bool wide = payload[at] & 0x80;
            if (at + (wide ? 2u : 1u) > bytes)
                return;
            out->picture_at = (uint8_t)at;
            out->long_picture = wide;
            out->picture = wide ? kb_get16(payload + at) & 0x7fff : payload[at];
            at += wide ? 2 : 1;
        }
        if (flags & 0x40) {
            if (at >= bytes)
                return;
            out->tl0_at = (uint8_t)at;
            out->tl0 = payload[at++];
        }
        if (flags & 0x30)
            at++;
    }
    /* RFC 7741 §4.3: P = 0 in the first byte of the frame. */
    out->key = starts && at < bytes && !(payload[at] & 1);
}

/* An IDR slice counts only where it begins with macroblock 0 (ue(v) 0 is the bit 1): what follows has no first part. */
static bool h264_opens(const uint8_t *unit, size_t bytes)
{
    uint8_t type = bytes ? unit[0] & 31 : 0;
    return type == H264_SPS || (type == H264_IDR && bytes > 1 && (unit[1] & 0x80));
}

static void read_h264(const uint8_t *payload, size_t bytes, kb_frame_info *out)
{
    uint8_t type = payload[0] & 31;
    if (type == H264_FU_A) {
        uint8_t inner = bytes > 2 ? payload[1] & 31 : 0;
        out->key = bytes > 2 && (payload[1] & 0x80) &&
                   (inner == H264_SPS || (inner == H264_IDR && (payload[2] & 0x80)));
        return;
    }
    if (type != H264_STAP_A) {
        out->key = h264_opens(payload, bytes);
        return;
    }
    size_t at = 1;
    while (bytes - at > 2) {
        size_t size = kb_get16(payload + at);
        at += 2;
        if (size == 0 || size > bytes - at)
            return;
        if (h264_opens(payload + at, size)) {
            out->key = true;
            return;
        }
        at += size;
    }
}

/* RFC 9628 §4.2: I P L F B E V Z. */
static void read_vp9(const uint8_t *payload, size_t bytes, kb_frame_info *out)
{
    uint8_t flags = payload[0];
    size_t at = 1;
    bool lowest = true;
    if (flags & 0x80) {
        if (at >= bytes)
            return;
        bool wide = payload[at] & 0x80;
        if (at + (wide ? 2u : 1u) > bytes)
            return;
        out->picture_at = (uint8_t)at;
        out->long_picture = wide;
        out->picture = wide ? kb_get16(payload + at) & 0x7fff : payload[at];
        at += wide ? 2 : 1;
    }
    if (flags & 0x20) {
        if (at >= bytes)
            return;
        lowest = (payload[at++] & 0x0e) == 0;
        if (!(flags & 0x10)) {
            if (at >= bytes)
                return;
            out->tl0_at = (uint8_t)at;
            out->tl0 = payload[at];
        }
    }
    out->key = !(flags & 0x40) && (flags & 0x08) && lowest;
}

void kb_codec_read(kb_codec codec, const uint8_t *payload, size_t bytes, kb_frame_info *out)
{
    *out = (kb_frame_info){0};
    if (bytes == 0)
        return;
    switch (codec) {
    case KB_CODEC_VP8:
        read_vp8(payload, bytes, out);
        break;
    case KB_CODEC_H264:
        read_h264(payload, bytes, out);
        break;
    case KB_CODEC_VP9:
        read_vp9(payload, bytes, out);
        break;
    case KB_CODEC_AV1:
        /* Aggregation header Z Y W N: N = first packet of a coded video sequence, and then Z is 0. */
        out->key = (payload[0] & 0x88) == 0x08;
        break;
    default:
        break;
    }
}

bool kb_dependency_key(const uint8_t *value, size_t bytes)
{
    /* start_of_frame, and the extended flags begin with template_dependency_structure_present. */
    return bytes > KB_DEPENDENCY_LEAST && (value[0] & 0x80) && (value[3] & 0x80);
}

int kb_fuzz_codec(const uint8_t *data, size_t size)
{
    int keys = kb_dependency_key(data, size);
    for (int codec = 0; codec < KB_CODEC_COUNT; codec++) {
        kb_frame_info info;
        kb_codec_read((kb_codec)codec, data, size, &info);
        keys += info.key;
        if (info.picture_at) {
            volatile uint8_t last = data[info.picture_at + info.long_picture];
            (void)last;
        }
        if (info.tl0_at) {
            volatile uint8_t last = data[info.tl0_at];
            (void)last;
        }
    }
    return keys;
}
