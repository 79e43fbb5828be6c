#include "kb_red.h"

#include "kb_bytes.h"

#include <string.h>

/* F(1) payload type(7) timestamp offset(14) length(10); the last header has only the first byte, with F = 0. */
#define BLOCK_HEADER_BYTES 4u
#define LAST_HEADER_BYTES 1u
#define MOST_SAMPLES 5760u /* 120 ms, the longest Opus packet */

int kb_red_parse(const uint8_t *payload, size_t bytes, kb_red *out)
{
    size_t at = 0, copied = 0;
    out->count = 0;
    for (;;) {
        if (at >= bytes)
            return KB_RED_MALFORMED;
        if (!(payload[at] & 0x80))
            break;
        if (bytes - at < BLOCK_HEADER_BYTES || out->count == KB_RED_BLOCKS)
            return KB_RED_MALFORMED;
        uint32_t header = kb_get32(payload + at);
        kb_red_block *block = &out->blocks[out->count++];
        *block = (kb_red_block){
            .type = (uint8_t)(header >> 24 & 0x7f),
            .offset = (uint16_t)(header >> 10 & 0x3fff),
            .bytes = (uint16_t)(header & 0x3ff),
        };
        copied += block->bytes;
        at += BLOCK_HEADER_BYTES;
    }
    out->primary_type = payload[at++];
    if (bytes - at <= copied)
        return KB_RED_MALFORMED;
    for (uint8_t i = 0; i < out->count; i++) {
        out->blocks[i].data = payload + at;
        at += out->blocks[i].bytes;
    }
    out->primary = payload + at;
    out->primary_bytes = bytes - at;
    return 0;
}

unsigned kb_opus_samples(const uint8_t *payload, size_t bytes)
{
    static const uint16_t silk[] = {480, 960, 1920, 2880}, hybrid[] = {480, 960}, celt[] = {120, 240, 480, 960};
    if (bytes == 0)
        return 0;
    unsigned config = payload[0] >> 3, code = payload[0] & 3;
    unsigned frame = config < 12 ? silk[config & 3] : config < 16 ? hybrid[config & 1] : celt[config & 3];
    unsigned frames = code == 0 ? 1 : code < 3 ? 2 : bytes > 1 ? payload[1] & 0x3fu : 0;
    return frame * frames <= MOST_SAMPLES ? frame * frames : 0;
}

void kb_red_place(kb_red *red, uint8_t type)
{
    unsigned distance = 0, offset = 0;
    for (uint8_t i = red->count; i-- > 0;) {
        kb_red_block *block = &red->blocks[i];
        unsigned samples = block->type == type ? kb_opus_samples(block->data, block->bytes) : 0;
        if (samples == 0 || block->offset <= offset || (block->offset - offset) % samples != 0)
            return;
        distance += (block->offset - offset) / samples;
        offset = block->offset;
        if (distance > UINT8_MAX)
            return;
        block->distance = (uint8_t)distance;
    }
}

static bool is_sent(const kb_red_block *block, unsigned within)
{
    return block->distance != 0 && block->distance <= within;
}

size_t kb_red_bytes(const kb_red *red, unsigned within)
{
    size_t bytes = LAST_HEADER_BYTES + red->primary_bytes;
    for (uint8_t i = 0; i < red->count; i++)
        if (is_sent(&red->blocks[i], within))
            bytes += BLOCK_HEADER_BYTES + red->blocks[i].bytes;
    return bytes;
}

size_t kb_red_write(uint8_t *out, const kb_red *red, uint8_t type, unsigned within)
{
    size_t at = 0;
    for (uint8_t i = 0; i < red->count; i++) {
        const kb_red_block *block = &red->blocks[i];
        if (!is_sent(block, within))
            continue;
        kb_put32(out + at, 0x80000000u | (uint32_t)type << 24 | (uint32_t)block->offset << 10 | block->bytes);
        at += BLOCK_HEADER_BYTES;
    }
    out[at++] = type;
    for (uint8_t i = 0; i < red->count; i++) {
        const kb_red_block *block = &red->blocks[i];
        if (!is_sent(block, within))
            continue;
        memcpy(out + at, block->data, block->bytes);
        at += block->bytes;
    }
    memcpy(out + at, red->primary, red->primary_bytes);
    return at + red->primary_bytes;
}

bool kb_red_make(kb_red *red, const kb_red_kept *kept, uint32_t timestamp, const uint8_t *payload, size_t bytes)
{
    uint32_t offset = timestamp - kept->timestamp;
    if (kept->bytes == 0 || bytes == 0 || offset != kb_opus_samples(kept->data, kept->bytes))
        return false;
    red->primary = payload;
    red->primary_bytes = bytes;
    red->count = 1;
    red->blocks[0] = (kb_red_block){
        .data = kept->data,
        .bytes = kept->bytes,
        .offset = (uint16_t)offset,
        .distance = 1,
    };
    return true;
}

void kb_red_keep(kb_red_kept *kept, uint32_t timestamp, const uint8_t *payload, size_t bytes)
{
    kept->timestamp = timestamp;
    kept->bytes = bytes <= sizeof kept->data ? (uint16_t)bytes : 0;
    memcpy(kept->data, payload, kept->bytes);
}

int kb_fuzz_red(const uint8_t *data, size_t size)
{
    kb_red red, again;
    uint8_t written[2048];
    if (size > sizeof written || kb_red_parse(data, size, &red) != 0)
        return KB_RED_MALFORMED;
    kb_red_place(&red, red.primary_type);
    size_t bytes = kb_red_write(written, &red, red.primary_type, UINT8_MAX);
    if (bytes > size || bytes != kb_red_bytes(&red, UINT8_MAX) || kb_red_parse(written, bytes, &again) != 0)
        return -2;
    kb_red_place(&again, again.primary_type);
    /* What was placed stays where it was; what was not is gone. */
    uint8_t kept = 0;
    for (uint8_t i = 0; i < red.count; i++) {
        if (red.blocks[i].distance == 0)
            continue;
        if (kept >= again.count || again.blocks[kept].distance != red.blocks[i].distance ||
            again.blocks[kept].bytes != red.blocks[i].bytes ||
            memcmp(again.blocks[kept].data, red.blocks[i].data, red.blocks[i].bytes) != 0)
            return -2;
        kept++;
    }
    return kept == again.count && again.primary_bytes == red.primary_bytes ? kept : -2;
}
