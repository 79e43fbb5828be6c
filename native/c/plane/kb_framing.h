/* Datagrams on a stream (RFC 4571): two bytes of length, then the datagram. Bytes in, datagrams out and the reverse,
 * without a socket; nothing is allocated. */
#ifndef KB_FRAMING_H
#define KB_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define KB_FRAME_BYTES 1500        /* the largest that is given out: a datagram of the plane */
#define KB_FRAME_READ_BYTES 4096u  /* what one read takes at most */
#define KB_FRAME_QUEUE_BYTES 65536u

typedef struct kb_frame_reader {
    uint32_t begin, end; /* of what was fed and not read */
    uint32_t skip;       /* of an oversized frame, still to come */
    uint8_t buffer[KB_FRAME_READ_BYTES];
} kb_frame_reader;

enum { KB_FRAME_NONE, KB_FRAME_WHOLE, KB_FRAME_OVERSIZED };

/* Where the next bytes go, and how many at most: never 0 after `kb_frame_next` said KB_FRAME_NONE. */
size_t kb_frame_room(kb_frame_reader *reader, uint8_t **at);
void kb_frame_fed(kb_frame_reader *reader, size_t bytes);
/* KB_FRAME_WHOLE: a datagram of `size` stands in `out` (KB_FRAME_BYTES). KB_FRAME_OVERSIZED, once for each: it is
 * passed over. KB_FRAME_NONE: more bytes are needed. */
int kb_frame_next(kb_frame_reader *reader, uint8_t *out, size_t *size);

/* Frames that wait for a connection to take them, oldest first, each with the time it came. */
typedef struct kb_frame_queue {
    uint32_t begin, end;
    uint32_t begun; /* bytes of the first frame, with its length, that are gone */
    uint8_t data[KB_FRAME_QUEUE_BYTES];
} kb_frame_queue;

static inline bool kb_frame_queue_empty(const kb_frame_queue *queue)
{
    return queue->begin == queue->end;
}

/* False, and nothing is queued, when there is no room for the whole frame. Times in ms may wrap. */
bool kb_frame_put(kb_frame_queue *queue, const uint8_t *data, size_t bytes, uint32_t now_ms);
/* Drops frames older than `most_ms`, but never the rest of one that has begun to go; returns how many. */
uint32_t kb_frame_drop_stale(kb_frame_queue *queue, uint32_t now_ms, uint32_t most_ms);
/* Up to `most` frames as they are to be sent; returns how many. */
int kb_frame_vectors(kb_frame_queue *queue, struct iovec *vectors, int most);
/* So many bytes of them were taken. */
void kb_frame_taken(kb_frame_queue *queue, size_t bytes);

/* Fuzz entry: reads the bytes whole and one at a time. The number of frames, or −1 when the two differ. */
int kb_fuzz_framing(const uint8_t *data, size_t size);

#endif
