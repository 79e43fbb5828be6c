#include "kb_rtp.h"

#include "kb_bytes.h"

#include <string.h>

/* The shorter of the two tags we speak: 80 bits of HMAC-SHA1. */
#define LEAST_TAG_BYTES 10u

kb_datagram kb_demux(const uint8_t *data, size_t size)
{
    if (size == 0)
        return KB_DATAGRAM_EMPTY;
    uint8_t first = data[0];
    if (first <= 3)
        return size >= 20 ? KB_DATAGRAM_STUN : KB_DATAGRAM_SHORT;
    if (first >= 20 && first <= 63) /* 32–63 is the unified header of DTLS 1.3 */
        return size >= 13 ? KB_DATAGRAM_DTLS : KB_DATAGRAM_SHORT;
    if (first < 128 || first > 191)
        return KB_DATAGRAM_UNKNOWN;
    if (size < 12 + LEAST_TAG_BYTES)
        return KB_DATAGRAM_SHORT;
    return data[1] >= 192 && data[1] <= 223 ? KB_DATAGRAM_RTCP : KB_DATAGRAM_RTP;
}

int kb_rtp_parse(const uint8_t *data, size_t size, kb_rtp *out)
{
    memset(out, 0, sizeof *out);
    if (size < 12 || size > 0xffff || data[0] >> 6 != 2)
        return KB_RTP_MALFORMED;
    size_t at = 12 + 4u * (data[0] & 15u);
    if (at > size)
        return KB_RTP_MALFORMED;
    if (data[0] & 0x10) {
        if (size - at < 4)
            return KB_RTP_MALFORMED;
        size_t bytes = 4u * kb_get16(data + at + 2);
        if (size - at - 4 < bytes)
            return KB_RTP_MALFORMED;
        out->extension_profile = kb_get16(data + at);
        out->extension_at = (uint16_t)(at + 4);
        out->extension_bytes = (uint16_t)bytes;
        at += 4 + bytes;
    }
    out->header_bytes = (uint16_t)at;
    out->padded = data[0] & 0x20;
    out->marker = data[1] & 0x80;
    out->payload_type = data[1] & 0x7f;
    out->sequence = kb_get16(data + 2);
    out->timestamp = kb_get32(data + 4);
    out->ssrc = kb_get32(data + 8);
    return 0;
}

int kb_rtp_payload_bytes(const uint8_t *data, size_t size, const kb_rtp *rtp)
{
    if (size < rtp->header_bytes)
        return KB_RTP_MALFORMED;
    size_t payload = size - rtp->header_bytes;
    if (rtp->padded) {
        if (payload == 0)
            return KB_RTP_MALFORMED;
        size_t padding = data[size - 1];
        if (padding == 0 || padding > payload)
            return KB_RTP_MALFORMED;
        payload -= padding;
    }
    return (int)payload;
}

/* Whether a value of this kind may have this many bytes. */
static bool fits(kb_extension kind, size_t bytes)
{
    switch (kind) {
    case KB_EXT_MID:
    case KB_EXT_RID:
    case KB_EXT_REPAIRED_RID:
        return bytes >= 1 && bytes <= KB_MID_BYTES;
    case KB_EXT_LEVEL:
    case KB_EXT_ORIENTATION:
        return bytes == 1;
    case KB_EXT_SEND_TIME:
    case KB_EXT_PLAYOUT_DELAY:
        return bytes == 3;
    case KB_EXT_TRANSPORT_CC:
        return bytes == 2;
    case KB_EXT_CAPTURE_TIME:
        return bytes == 8 || bytes == 16;
    case KB_EXT_DEPENDENCY:
        return bytes >= 3 && bytes <= KB_DEPENDENCY_BYTES;
    case KB_EXT_COUNT:
        break;
    }
    return false;
}

int kb_rtp_extensions_parse(const uint8_t *data, const kb_rtp *rtp, const kb_extension_ids *ids,
                            kb_rtp_extensions *out)
{
    out->mask = 0;
    bool one_byte = rtp->extension_profile == 0xbede;
    if (!rtp->extension_at || (!one_byte && rtp->extension_profile >> 4 != 0x100))
        return 0;
    const uint8_t *at = data + rtp->extension_at;
    const uint8_t *end = at + rtp->extension_bytes;
    while (at < end) {
        uint8_t id, bytes;
        if (*at == 0) { /* padding */
            at++;
            continue;
        }
        if (one_byte) {
            id = *at >> 4;
            bytes = (uint8_t)((*at & 15) + 1);
            at++;
            if (id == 15) /* RFC 8285 §4.2: stop here */
                return 0;
        } else {
            if (end - at < 2)
                return KB_RTP_MALFORMED;
            id = at[0];
            bytes = at[1];
            at += 2;
        }
        if (end - at < bytes)
            return KB_RTP_MALFORMED;
        uint8_t known = id ? ids->kind[id] : 0;
        if (known && fits((kb_extension)(known - 1), bytes)) {
            out->mask |= (uint16_t)(1u << (known - 1));
            out->at[known - 1] = (uint16_t)(at - data);
            out->bytes[known - 1] = bytes;
        }
        at += bytes;
    }
    return 0;
}

/* The one-byte form holds ids 1 … 14 and values of 1 … 16 bytes; the other one is for what does not fit. */
static bool fits_one_byte(const kb_rtp_out *header)
{
    for (unsigned mask = header->mask; mask; mask &= mask - 1) {
        int kind = __builtin_ctz(mask);
        if (header->ids[kind] > 14 || header->bytes[kind] > 16)
            return false;
    }
    return true;
}

size_t kb_rtp_write(uint8_t *out, const kb_rtp_out *header)
{
    size_t at = 12;
    out[0] = (uint8_t)(0x80 | (header->mask ? 0x10 : 0));
    out[1] = (uint8_t)((header->marker ? 0x80 : 0) | header->payload_type);
    kb_put16(out + 2, header->sequence);
    kb_put32(out + 4, header->timestamp);
    kb_put32(out + 8, header->ssrc);
    if (!header->mask)
        return at;
    bool one_byte = fits_one_byte(header);
    at = 16;
    for (unsigned mask = header->mask; mask; mask &= mask - 1) {
        int kind = __builtin_ctz(mask);
        uint8_t bytes = header->bytes[kind];
        if (one_byte) {
            out[at++] = (uint8_t)(header->ids[kind] << 4 | (bytes - 1));
        } else {
            out[at++] = header->ids[kind];
            out[at++] = bytes;
        }
        memcpy(out + at, header->values[kind], bytes);
        at += bytes;
    }
    while (at % 4 != 0)
        out[at++] = 0;
    kb_put16(out + 12, one_byte ? 0xbede : 0x1000);
    kb_put16(out + 14, (uint16_t)((at - 16) / 4));
    return at;
}

int kb_fuzz_demux(const uint8_t *data, size_t size)
{
    return (int)kb_demux(data, size);
}

int kb_fuzz_rtp(const uint8_t *data, size_t size)
{
    kb_rtp rtp;
    if (kb_rtp_parse(data, size, &rtp) != 0)
        return KB_RTP_MALFORMED;
    kb_rtp_extensions found;
    kb_extension_ids ids;
    /* Every id names a kind, so that every branch is met. */
    for (size_t id = 0; id < sizeof ids.kind; id++)
        ids.kind[id] = (uint8_t)(id % KB_EXT_COUNT + 1);
    kb_rtp_extensions_parse(data, &rtp, &ids, &found);
    kb_rtp_out header = {.mask = found.mask, .ids = ids.kind};
    for (unsigned mask = found.mask; mask; mask &= mask - 1) {
        int kind = __builtin_ctz(mask);
        header.values[kind] = data + found.at[kind];
        header.bytes[kind] = found.bytes[kind];
    }
    uint8_t written[KB_RTP_HEADER_BYTES];
    volatile uint8_t last_written = written[kb_rtp_write(written, &header) - 1];
    (void)last_written;
    int bytes = kb_rtp_payload_bytes(data, size, &rtp);
    if (bytes > 0) {
        volatile uint8_t last = data[rtp.header_bytes + bytes - 1];
        (void)last;
    }
    return bytes;
}
