#include "kb_framing.h"

#include "kb_bytes.h"

#include <string.h>

#define LENGTH_BYTES 2u
#define RECORD_BYTES 6u /* before the data in a queue: the time in ms, then the length as it is sent */

size_t kb_frame_room(kb_frame_reader *reader, uint8_t **at)
{
    if (reader->begin > 0) {
        memmove(reader->buffer, reader->buffer + reader->begin, reader->end - reader->begin);
        reader->end -= reader->begin;
        reader->begin = 0;
    }
    *at = reader->buffer + reader->end;
    return KB_FRAME_READ_BYTES - reader->end;
}

void kb_frame_fed(kb_frame_reader *reader, size_t bytes)
{
    reader->end += (uint32_t)bytes;
}

int kb_frame_next(kb_frame_reader *reader, uint8_t *out, size_t *size)
{
    uint32_t there = reader->end - reader->begin;
    if (reader->skip > 0) {
        uint32_t passed = reader->skip < there ? reader->skip : there;
        reader->begin += passed;
        reader->skip -= passed;
        there -= passed;
        if (reader->skip > 0)
            return KB_FRAME_NONE;
    }
    if (there < LENGTH_BYTES)
        return KB_FRAME_NONE;
    uint32_t length = kb_get16(reader->buffer + reader->begin);
    if (length > KB_FRAME_BYTES) {
        reader->begin += LENGTH_BYTES;
        reader->skip = length;
        return KB_FRAME_OVERSIZED;
    }
    if (there < LENGTH_BYTES + length)
        return KB_FRAME_NONE;
    memcpy(out, reader->buffer + reader->begin + LENGTH_BYTES, length);
    reader->begin += LENGTH_BYTES + length;
    *size = length;
    return KB_FRAME_WHOLE;
}

static uint32_t record_bytes(const kb_frame_queue *queue, uint32_t at)
{
    return RECORD_BYTES + kb_get16(queue->data + at + 4);
}

bool kb_frame_put(kb_frame_queue *queue, const uint8_t *data, size_t bytes, uint32_t now_ms)
{
    if (bytes > KB_FRAME_BYTES)
        return false;
    if (kb_frame_queue_empty(queue))
        queue->begin = queue->end = 0; /* a connection that keeps up touches the first pages alone */
    if (queue->end + RECORD_BYTES + bytes > KB_FRAME_QUEUE_BYTES) {
        memmove(queue->data, queue->data + queue->begin, queue->end - queue->begin);
        queue->end -= queue->begin;
        queue->begin = 0;
        if (queue->end + RECORD_BYTES + bytes > KB_FRAME_QUEUE_BYTES)
            return false;
    }
    uint8_t *at = queue->data + queue->end;
    kb_put32(at, now_ms);
    kb_put16(at + 4, (uint16_t)bytes);
    memcpy(at + RECORD_BYTES, data, bytes);
    queue->end += RECORD_BYTES + (uint32_t)bytes;
    return true;
}

uint32_t kb_frame_drop_stale(kb_frame_queue *queue, uint32_t now_ms, uint32_t most_ms)
{
    uint32_t dropped = 0, at = queue->begin, first = 0;
    if (queue->begun > 0) {
        first = record_bytes(queue, at);
        at += first;
    }
    uint32_t kept = at;
    while (kept != queue->end && now_ms - kb_get32(queue->data + kept) > most_ms) {
        kept += record_bytes(queue, kept);
        dropped++;
    }
    /* The rest of a frame that has begun stands before what is kept. */
    if (dropped > 0 && first > 0)
        memmove(queue->data + kept - first, queue->data + queue->begin, first);
    queue->begin = kept - first;
    return dropped;
}

int kb_frame_vectors(kb_frame_queue *queue, struct iovec *vectors, int most)
{
    int count = 0;
    uint32_t begun = queue->begun;
    for (uint32_t at = queue->begin; at != queue->end && count < most; at += record_bytes(queue, at)) {
        vectors[count].iov_base = queue->data + at + 4 + begun;
        vectors[count].iov_len = record_bytes(queue, at) - 4 - begun;
        begun = 0;
        count++;
    }
    return count;
}

void kb_frame_taken(kb_frame_queue *queue, size_t bytes)
{
    while (bytes > 0) {
        uint32_t record = record_bytes(queue, queue->begin), left = record - 4 - queue->begun;
        if (bytes < left) {
            queue->begun += (uint32_t)bytes;
            return;
        }
        bytes -= left;
        queue->begun = 0;
        queue->begin += record;
    }
}

typedef struct digest {
    uint32_t hash;
    int frames;
} digest;

static void read_all(kb_frame_reader *reader, digest *seen)
{
    uint8_t frame[KB_FRAME_BYTES];
    size_t size = 0;
    for (int what; (what = kb_frame_next(reader, frame, &size)) != KB_FRAME_NONE; seen->frames++) {
        seen->hash = (seen->hash ^ (uint32_t)what) * 16777619u;
        for (size_t i = 0; what == KB_FRAME_WHOLE && i < size; i++)
            seen->hash = (seen->hash ^ frame[i]) * 16777619u;
    }
}

static digest read_by(const uint8_t *data, size_t size, size_t step)
{
    kb_frame_reader reader;
    memset(&reader, 0, sizeof reader);
    digest seen = {2166136261u, 0};
    for (size_t at = 0; at < size;) {
        uint8_t *room;
        size_t bytes = kb_frame_room(&reader, &room);
        if (bytes == 0)
            return (digest){0, -1};
        if (bytes > step)
            bytes = step;
        if (bytes > size - at)
            bytes = size - at;
        memcpy(room, data + at, bytes);
        kb_frame_fed(&reader, bytes);
        at += bytes;
        read_all(&reader, &seen);
    }
    return seen;
}

int kb_fuzz_framing(const uint8_t *data, size_t size)
{
    digest whole = read_by(data, size, size + 1), single = read_by(data, size, 1);
    return whole.hash == single.hash && whole.frames == single.frames ? whole.frames : -1;
}
