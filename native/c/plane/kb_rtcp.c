#include "kb_rtcp.h"

#include "kb_bytes.h"

#include <string.h>

/* SDES: chunks of SSRC and items, each chunk ended by a zero byte and filled up to 32 bits. */
static int check_sdes(const uint8_t *body, size_t bytes, size_t chunks)
{
    size_t at = 0;
    for (size_t chunk = 0; chunk < chunks; chunk++) {
        if (bytes - at < 4)
            return KB_RTCP_MALFORMED;
        at += 4;
        for (;;) {
            if (at >= bytes)
                return KB_RTCP_MALFORMED;
            if (body[at] == 0)
                break;
            if (bytes - at < 2 || bytes - at - 2 < body[at + 1])
                return KB_RTCP_MALFORMED;
            at += 2u + body[at + 1];
        }
        at = (at + 4) & ~(size_t)3;
        if (at > bytes)
            return KB_RTCP_MALFORMED;
    }
    return 0;
}

static int check_feedback(const kb_rtcp_packet *packet)
{
    if (packet->body_bytes < 8)
        return KB_RTCP_MALFORMED;
    size_t items = packet->body_bytes - 8;
    if (packet->type == KB_RTCP_RTPFB)
        return (packet->count == KB_RTPFB_NACK && items < 4) || (packet->count == KB_RTPFB_TWCC && items < 8)
                   ? KB_RTCP_MALFORMED
                   : 0;
    if (packet->count == KB_PSFB_FIR && (items < 8 || items % 8 != 0))
        return KB_RTCP_MALFORMED;
    if (packet->count == KB_PSFB_AFB && items >= 8 && memcmp(packet->body + 8, "REMB", 4) == 0 &&
        items - 8 < 4u * packet->body[12])
        return KB_RTCP_MALFORMED;
    return 0;
}

static int check_body(const kb_rtcp_packet *packet)
{
    size_t bytes = packet->body_bytes;
    switch (packet->type) {
    case KB_RTCP_SR:
        return bytes < 24 + 24u * packet->count ? KB_RTCP_MALFORMED : 0;
    case KB_RTCP_RR:
        return bytes < 4 + 24u * packet->count ? KB_RTCP_MALFORMED : 0;
    case KB_RTCP_SDES:
        return check_sdes(packet->body, bytes, packet->count);
    case KB_RTCP_BYE: {
        size_t sources = 4u * packet->count;
        if (bytes < sources)
            return KB_RTCP_MALFORMED;
        return bytes > sources && bytes - sources - 1 < packet->body[sources] ? KB_RTCP_MALFORMED : 0;
    }
    case KB_RTCP_RTPFB:
    case KB_RTCP_PSFB:
        return check_feedback(packet);
    default:
        return 0;
    }
}

int kb_rtcp_next(const uint8_t *data, size_t size, size_t *at, kb_rtcp_packet *out)
{
    if (*at >= size)
        return 0;
    const uint8_t *packet = data + *at;
    size_t left = size - *at;
    if (left < 4 || packet[0] >> 6 != 2)
        return KB_RTCP_MALFORMED;
    size_t bytes = 4u * kb_get16(packet + 2);
    if (bytes > left - 4)
        return KB_RTCP_MALFORMED;
    out->type = packet[1];
    out->count = packet[0] & 31;
    out->body = packet + 4;
    out->body_bytes = bytes;
    *at += 4 + bytes;
    if (packet[0] & 0x20) {
        /* Only the last packet of a compound may be padded (RFC 3550 §6.4.1), and by whole words; but libwebrtc pads
         * its transport-wide feedback, wherever it stands, by the 1 to 3 bytes that its chunks leave. */
        const bool is_twcc = out->type == KB_RTCP_RTPFB && out->count == KB_RTPFB_TWCC;
        uint8_t padding = bytes ? packet[3 + bytes] : 0;
        if (padding == 0 || padding > bytes || (!is_twcc && (*at != size || padding % 4 != 0)))
            return KB_RTCP_MALFORMED;
        out->body_bytes -= padding;
    }
    return check_body(out) == 0 ? 1 : KB_RTCP_MALFORMED;
}

int kb_rtcp_check(const uint8_t *data, size_t size)
{
    kb_rtcp_packet packet;
    size_t at = 0;
    int packets = 0;
    int status;
    while ((status = kb_rtcp_next(data, size, &at, &packet)) == 1)
        packets++;
    return status == 0 && packets > 0 ? packets : KB_RTCP_MALFORMED;
}

void kb_rtcp_read_sender(const kb_rtcp_packet *packet, kb_rtcp_sender *out)
{
    const uint8_t *body = packet->body;
    out->ssrc = kb_get32(body);
    out->ntp = (uint64_t)kb_get32(body + 4) << 32 | kb_get32(body + 8);
    out->rtp_timestamp = kb_get32(body + 12);
    out->packets = kb_get32(body + 16);
    out->octets = kb_get32(body + 20);
}

void kb_rtcp_read_block(const kb_rtcp_packet *packet, size_t index, kb_rtcp_block *out)
{
    const uint8_t *block = packet->body + (packet->type == KB_RTCP_SR ? 24 : 4) + 24 * index;
    uint32_t lost = kb_get32(block + 4);
    out->ssrc = kb_get32(block);
    out->fraction_lost = (uint8_t)(lost >> 24);
    lost &= 0xffffff;
    out->lost = lost & 0x800000 ? (int32_t)lost - 0x1000000 : (int32_t)lost;
    out->highest_sequence = kb_get32(block + 8);
    out->jitter = kb_get32(block + 12);
    out->last_sr = kb_get32(block + 16);
    out->delay = kb_get32(block + 20);
}

static void write_header(uint8_t *out, size_t count, uint8_t type, size_t bytes)
{
    out[0] = (uint8_t)(0x80 | count);
    out[1] = type;
    kb_put16(out + 2, (uint16_t)(bytes / 4 - 1));
}

static size_t write_cname(uint8_t *out, uint32_t ssrc, const char *cname, size_t cname_bytes)
{
    kb_put32(out + 4, ssrc);
    out[8] = 1;
    out[9] = (uint8_t)cname_bytes;
    memcpy(out + 10, cname, cname_bytes);
    size_t at = 10 + cname_bytes;
    do
        out[at++] = 0; /* at least one: it ends the chunk */
    while (at % 4 != 0);
    write_header(out, 1, KB_RTCP_SDES, at);
    return at;
}

size_t kb_rtcp_write_sender(uint8_t *out, const kb_rtcp_sender *sender, const char *cname, size_t cname_bytes)
{
    write_header(out, 0, KB_RTCP_SR, 28);
    kb_put32(out + 4, sender->ssrc);
    kb_put32(out + 8, (uint32_t)(sender->ntp >> 32));
    kb_put32(out + 12, (uint32_t)sender->ntp);
    kb_put32(out + 16, sender->rtp_timestamp);
    kb_put32(out + 20, sender->packets);
    kb_put32(out + 24, sender->octets);
    return 28 + write_cname(out + 28, sender->ssrc, cname, cname_bytes);
}

size_t kb_rtcp_write_receiver(uint8_t *out, uint32_t ssrc, const kb_rtcp_block *blocks, size_t count,
                              const char *cname, size_t cname_bytes)
{
    size_t bytes = 8 + 24 * count;
    write_header(out, count, KB_RTCP_RR, bytes);
    kb_put32(out + 4, ssrc);
    for (size_t i = 0; i < count; i++) {
        uint8_t *at = out + 8 + 24 * i;
        kb_put32(at, blocks[i].ssrc);
        kb_put32(at + 4, (uint32_t)blocks[i].fraction_lost << 24 | ((uint32_t)blocks[i].lost & 0xffffff));
        kb_put32(at + 8, blocks[i].highest_sequence);
        kb_put32(at + 12, blocks[i].jitter);
        kb_put32(at + 16, blocks[i].last_sr);
        kb_put32(at + 20, blocks[i].delay);
    }
    return bytes + write_cname(out + bytes, ssrc, cname, cname_bytes);
}

static void write_feedback(uint8_t *out, uint8_t format, uint8_t type, uint32_t sender, uint32_t media, size_t bytes)
{
    write_header(out, format, type, bytes);
    kb_put32(out + 4, sender);
    kb_put32(out + 8, media);
}

size_t kb_rtcp_write_pli(uint8_t *out, uint32_t sender, uint32_t media)
{
    write_feedback(out, KB_PSFB_PLI, KB_RTCP_PSFB, sender, media, KB_RTCP_PLI_BYTES);
    return KB_RTCP_PLI_BYTES;
}

size_t kb_rtcp_write_nack(uint8_t *out, uint32_t sender, uint32_t media, const uint16_t *sequences, size_t count)
{
    size_t at = 12;
    for (size_t i = 0; i < count;) {
        uint16_t first = sequences[i++];
        uint16_t following = 0;
        for (; i < count; i++) {
            uint16_t ahead = (uint16_t)(sequences[i] - first);
            if (ahead == 0 || ahead > 16)
                break;
            following |= (uint16_t)(1u << (ahead - 1));
        }
        kb_put16(out + at, first);
        kb_put16(out + at + 2, following);
        at += 4;
    }
    write_feedback(out, KB_RTPFB_NACK, KB_RTCP_RTPFB, sender, media, at);
    return at;
}

size_t kb_rtcp_write_remb(uint8_t *out, uint32_t sender, uint32_t media, uint64_t bits_per_second)
{
    uint8_t exponent = 0;
    while (bits_per_second >> exponent > 0x3ffff)
        exponent++;
    uint32_t mantissa = (uint32_t)(bits_per_second >> exponent);
    write_feedback(out, KB_PSFB_AFB, KB_RTCP_PSFB, sender, 0, 24);
    memcpy(out + 12, "REMB", 4);
    kb_put32(out + 16, 1u << 24 | (uint32_t)exponent << 18 | mantissa);
    kb_put32(out + 20, media);
    return 24;
}

uint32_t kb_rtcp_feedback_media(const kb_rtcp_packet *packet)
{
    return kb_get32(packet->body + 4);
}

size_t kb_rtcp_fir_count(const kb_rtcp_packet *packet)
{
    return (packet->body_bytes - 8) / 8;
}

uint32_t kb_rtcp_fir_media(const kb_rtcp_packet *packet, size_t index)
{
    return kb_get32(packet->body + 8 + 8 * index);
}

size_t kb_rtcp_nack_count(const kb_rtcp_packet *packet)
{
    return (packet->body_bytes - 8) / 4;
}

void kb_rtcp_read_nack(const kb_rtcp_packet *packet, size_t index, uint16_t *sequence, uint16_t *following)
{
    *sequence = kb_get16(packet->body + 8 + 4 * index);
    *following = kb_get16(packet->body + 8 + 4 * index + 2);
}

bool kb_rtcp_read_remb(const kb_rtcp_packet *packet, uint64_t *bits_per_second)
{
    if (packet->body_bytes < 16 || memcmp(packet->body + 8, "REMB", 4) != 0)
        return false;
    uint32_t word = kb_get32(packet->body + 12);
    uint32_t exponent = word >> 18 & 63;
    /* More than 45 places: the mantissa would leave the word, and no path carries 2^63 bit/s. */
    *bits_per_second = exponent > 45 ? UINT64_MAX >> 1 : (uint64_t)(word & 0x3ffff) << exponent;
    return true;
}

int kb_fuzz_rtcp(const uint8_t *data, size_t size)
{
    kb_rtcp_packet packet;
    size_t at = 0;
    int status;
    while ((status = kb_rtcp_next(data, size, &at, &packet)) == 1) {
        kb_rtcp_sender sender;
        kb_rtcp_block block;
        uint64_t rate;
        if (packet.type == KB_RTCP_SR)
            kb_rtcp_read_sender(&packet, &sender);
        if (packet.type == KB_RTCP_SR || packet.type == KB_RTCP_RR)
            for (size_t i = 0; i < packet.count; i++)
                kb_rtcp_read_block(&packet, i, &block);
        if (packet.type == KB_RTCP_RTPFB && packet.count == KB_RTPFB_NACK) {
            uint16_t sequence, following;
            for (size_t i = 0; i < kb_rtcp_nack_count(&packet); i++)
                kb_rtcp_read_nack(&packet, i, &sequence, &following);
        }
        if (packet.type == KB_RTCP_PSFB && packet.count == KB_PSFB_FIR)
            for (size_t i = 0; i < kb_rtcp_fir_count(&packet); i++)
                kb_rtcp_fir_media(&packet, i);
        if (packet.type == KB_RTCP_PSFB && packet.count == KB_PSFB_AFB)
            kb_rtcp_read_remb(&packet, &rate);
    }
    return status;
}
