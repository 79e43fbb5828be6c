#include "kb_twcc.h"

#include "kb_bytes.h"
#include "kb_rtcp.h"

#include <string.h>

#define TICK_NS 250000      /* of a delta */
#define REFERENCE_TICKS 256 /* 64 ms */
#define FIXED_BYTES 20      /* RTCP header to feedback count */
#define MOST_BYTES 1200     /* one datagram on any path, with SRTCP's trailer */
#define OLDEST_US 10000000u

#define WINDOW_MASK (KB_TWCC_WINDOW - 1)
#define HISTORY_MASK (KB_TWCC_HISTORY - 1)
#define BYTES_MASK 0x3fff
#define PROBE 0x4000
#define SETTLED 0x8000

enum { NOT_RECEIVED, SMALL_DELTA, LARGE_DELTA };

void kb_twcc_receiver_init(kb_twcc_receiver *receiver)
{
    memset(receiver, 0, sizeof *receiver);
}

static void begin(kb_twcc_receiver *r, uint16_t sequence)
{
    memset(r->arrival_ns, 0, sizeof r->arrival_ns);
    r->started = true;
    r->from = r->highest = 65536 + sequence; /* room for late ones before it */
}

void kb_twcc_receive(kb_twcc_receiver *r, uint16_t sequence, int64_t now_ns)
{
    if (!r->started)
        begin(r, sequence);
    int64_t at = r->highest + (int16_t)(uint16_t)(sequence - (uint16_t)r->highest);
    if (at - r->from >= KB_TWCC_WINDOW || r->highest - at >= KB_TWCC_WINDOW / 2) {
        /* Another counter, or feedback was not asked for so long that what lies between cannot be told any more. */
        begin(r, sequence);
        at = r->highest;
    }
    for (int64_t between = r->highest + 1; between <= at; between++)
        r->arrival_ns[between & WINDOW_MASK] = 0;
    if (at > r->highest)
        r->highest = at;
    if (r->arrival_ns[at & WINDOW_MASK])
        return;
    r->arrival_ns[at & WINDOW_MASK] = now_ns;
    if (at < r->from)
        r->from = at;
    r->due = true;
}

/* Statuses gathered until a chunk is full: 7 of two bits, 14 of one, or a run of equal ones. */
typedef struct chunker {
    uint8_t statuses[14];
    size_t count;  /* gathered; a run keeps counting beyond 14 */
    bool all_same; /* so far */
    bool large;
} chunker;

static bool chunk_takes(const chunker *c, uint8_t status)
{
    if (c->count < 7)
        return true;
    if (c->count < 14 && !c->large && status != LARGE_DELTA)
        return true;
    return c->count < 8191 && c->all_same && c->statuses[0] == status;
}

static void chunk_add(chunker *c, uint8_t status)
{
    c->all_same = c->count == 0 || (c->all_same && c->statuses[0] == status);
    if (c->count < 14)
        c->statuses[c->count] = status;
    c->large = c->large || status == LARGE_DELTA;
    c->count++;
}

/* The next full chunk. A vector is always read to its end, so one of two bits takes exactly seven, the rest stays;
 * `last` may leave it shorter, since the count of statuses ends it. */
static uint16_t chunk_take(chunker *c, bool last)
{
    if (c->all_same) {
        uint16_t run = (uint16_t)(c->statuses[0] << 13 | (uint16_t)c->count);
        c->count = 0;
        c->large = false;
        return run;
    }
    bool two_bits = c->large || c->count <= 7 || (c->count < 14 && !last);
    size_t count = two_bits && c->count > 7 ? 7 : c->count;
    uint16_t chunk = two_bits ? 0xc000 : 0x8000;
    for (size_t i = 0; i < count; i++)
        chunk = (uint16_t)(chunk | c->statuses[i] << (two_bits ? 12 - 2 * i : 13 - i));
    chunker rest = {.all_same = true};
    for (size_t i = count; i < c->count; i++)
        chunk_add(&rest, c->statuses[i]);
    *c = rest;
    return chunk;
}

size_t kb_twcc_write(kb_twcc_receiver *r, uint8_t *out, size_t room, uint32_t sender_ssrc, uint32_t media_ssrc)
{
    if (!r->due || room < 64)
        return 0;
    if (room > MOST_BYTES)
        room = MOST_BYTES;
    int64_t at = r->from;
    /* Losses before the first arrival are told as such, so the reference is the first arrival's. */
    int64_t first = at;
    while (first <= r->highest && !r->arrival_ns[first & WINDOW_MASK])
        first++;
    if (first > r->highest) {
        r->due = false;
        return 0;
    }
    int64_t reference = r->arrival_ns[first & WINDOW_MASK] / ((int64_t)REFERENCE_TICKS * TICK_NS);
    int64_t before = reference * REFERENCE_TICKS;
    uint8_t deltas[MOST_BYTES];
    size_t chunks_end = FIXED_BYTES, delta_bytes = 0;
    chunker c = {.all_same = true};
    for (; at <= r->highest; at++) {
        int64_t arrival_ns = r->arrival_ns[at & WINDOW_MASK];
        uint8_t status = NOT_RECEIVED;
        int64_t delta = 0;
        if (arrival_ns) {
            delta = arrival_ns / TICK_NS - before;
            if (delta < INT16_MIN || delta > INT16_MAX)
                break; /* 8 s of silence: a new feedback has a new reference */
            status = delta >= 0 && delta <= 255 ? SMALL_DELTA : LARGE_DELTA;
        }
        /* This chunk, one more and the padding. */
        if (chunks_end + 4 + delta_bytes + status + 3 > room)
            break;
        if (!chunk_takes(&c, status)) {
            kb_put16(out + chunks_end, chunk_take(&c, false));
            chunks_end += 2;
        }
        chunk_add(&c, status);
        if (status == NOT_RECEIVED)
            continue;
        before += delta;
        if (status == LARGE_DELTA) {
            kb_put16(deltas + delta_bytes, (uint16_t)delta);
            delta_bytes += 2;
        } else {
            deltas[delta_bytes++] = (uint8_t)delta;
        }
    }
    if (c.count) {
        kb_put16(out + chunks_end, chunk_take(&c, true));
        chunks_end += 2;
    }
    memcpy(out + chunks_end, deltas, delta_bytes);
    size_t bytes = chunks_end + delta_bytes;
    size_t padding = (4 - bytes % 4) % 4;
    /* Zeros, without the padding bit: RFC 3550 §6.4.1 wants multiples of four there (libwebrtc sets it all the same). */
    memset(out + bytes, 0, padding);
    bytes += padding;
    out[0] = 2 << 6 | KB_RTPFB_TWCC;
    out[1] = KB_RTCP_RTPFB;
    kb_put16(out + 2, (uint16_t)(bytes / 4 - 1));
    kb_put32(out + 4, sender_ssrc);
    kb_put32(out + 8, media_ssrc);
    kb_put16(out + 12, (uint16_t)r->from);
    kb_put16(out + 14, (uint16_t)(at - r->from));
    kb_put32(out + 16, (uint32_t)((uint64_t)reference << 8) | r->count++);
    r->from = at;
    r->due = at <= r->highest;
    return bytes;
}

void kb_twcc_history_init(kb_twcc_history *history)
{
    memset(history, 0, sizeof *history);
    for (size_t i = 0; i < KB_TWCC_HISTORY; i++)
        history->entries[i].bytes = SETTLED;
}

void kb_twcc_sent(kb_twcc_history *history, uint16_t sequence, size_t bytes, bool probe, int64_t now_ns)
{
    kb_twcc_entry *entry = &history->entries[sequence & HISTORY_MASK];
    entry->sent_us = (uint32_t)((uint64_t)now_ns / 1000);
    entry->sequence = sequence;
    entry->bytes = (uint16_t)((bytes < BYTES_MASK ? bytes : BYTES_MASK) | (probe ? PROBE : 0u));
}

/* Walks the chunks: the statuses one after the other. */
typedef struct walker {
    const uint8_t *body;
    size_t at, end;
    uint16_t chunk;
    unsigned left; /* statuses in the chunk */
} walker;

static int next_status(walker *w)
{
    if (w->left == 0) {
        if (w->end - w->at < 2)
            return KB_TWCC_MALFORMED;
        w->chunk = kb_get16(w->body + w->at);
        w->at += 2;
        w->left = w->chunk & 0x8000 ? (w->chunk & 0x4000 ? 7 : 14) : w->chunk & 0x1fff;
        if (w->left == 0)
            return KB_TWCC_MALFORMED; /* a run of none says nothing; a packet full of them costs time */
    }
    w->left--;
    if (!(w->chunk & 0x8000))
        return w->chunk >> 13 & 3;
    return w->chunk & 0x4000 ? w->chunk >> (2 * w->left) & 3 : w->chunk >> w->left & 1;
}

/* Where the deltas begin, when all that is promised is there; else KB_TWCC_MALFORMED. */
static int check(const uint8_t *body, size_t bytes)
{
    if (bytes < 16)
        return KB_TWCC_MALFORMED;
    size_t statuses = kb_get16(body + 10), delta_bytes = 0;
    if (statuses == 0 || statuses > KB_TWCC_SAMPLES)
        return KB_TWCC_MALFORMED;
    walker w = {.body = body, .at = 16, .end = bytes};
    for (size_t i = 0; i < statuses; i++) {
        int status = next_status(&w);
        if (status < 0 || status > LARGE_DELTA)
            return KB_TWCC_MALFORMED;
        delta_bytes += (size_t)status;
    }
    return bytes - w.at < delta_bytes ? KB_TWCC_MALFORMED : (int)w.at;
}

int kb_twcc_read(kb_twcc_history *history, const uint8_t *body, size_t bytes, int64_t now_ns,
                 kb_twcc_sample out[KB_TWCC_SAMPLES])
{
    int deltas = check(body, bytes);
    if (deltas < 0)
        return deltas;
    uint32_t reference = kb_get32(body + 12) >> 8;
    if (!history->referenced)
        history->reference = (int64_t)reference + (1 << 24); /* arrivals stay above zero */
    history->referenced = true;
    /* 24 bits, 12 days: the nearest to the last one. */
    int32_t step = (int32_t)((reference - (uint32_t)history->reference) << 8) >> 8;
    history->reference += step;
    int64_t ticks = history->reference * REFERENCE_TICKS;
    uint32_t now_us = (uint32_t)((uint64_t)now_ns / 1000);
    uint16_t sequence = kb_get16(body + 8);
    size_t statuses = kb_get16(body + 10), at = (size_t)deltas;
    walker w = {.body = body, .at = 16, .end = bytes};
    int count = 0;
    for (size_t i = 0; i < statuses; i++, sequence++) {
        int status = next_status(&w);
        if (status == SMALL_DELTA)
            ticks += body[at];
        else if (status == LARGE_DELTA)
            ticks += (int16_t)kb_get16(body + at);
        at += (size_t)status;
        kb_twcc_entry *entry = &history->entries[sequence & HISTORY_MASK];
        uint32_t age_us = now_us - entry->sent_us;
        if (entry->sequence != sequence || entry->bytes & SETTLED || age_us > OLDEST_US)
            continue;
        kb_twcc_sample *sample = &out[count++];
        *sample = (kb_twcc_sample){
            .sent_ns = now_ns - (int64_t)age_us * 1000,
            .arrival_ns = status == NOT_RECEIVED ? 0 : ticks * TICK_NS,
            .sequence = sequence,
            .bytes = entry->bytes & BYTES_MASK,
            .lost = status == NOT_RECEIVED,
            .probe = entry->bytes & PROBE,
        };
        entry->bytes |= SETTLED;
    }
    return count;
}

int kb_fuzz_twcc(const uint8_t *data, size_t size)
{
    static kb_twcc_history history;
    static kb_twcc_sample samples[KB_TWCC_SAMPLES];
    kb_twcc_history_init(&history);
    for (uint32_t i = 0; i < KB_TWCC_HISTORY; i++)
        kb_twcc_sent(&history, (uint16_t)((size > 10 ? kb_get16(data + 8) : 0) + i), 1200, false, 1000000000);
    return kb_twcc_read(&history, data, size, 1100000000, samples);
}
