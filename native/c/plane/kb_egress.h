/* Batched sending on the shared sockets, one per family: claim a buffer, fill it, commit it to an address; full batches go by
 * themselves. One thread. Nothing is ever queued beyond the batch: stale audio is worth less than fresh audio.
 *
 * At the flush, datagrams to one address go together, in the order of their commits; the order between addresses is that
 * of their first datagrams. Runs of equal size (the last may be shorter) become one UDP_SEGMENT message where the kernel
 * has it: a second packet to the same address then costs a third of its own send. Nothing to do for callers, but to
 * commit what goes to one destination within one batch: a batch holds at most what one turn makes, so no run spans frames
 * that were not there together.
 */
#ifndef KB_EGRESS_H
#define KB_EGRESS_H

#include "kb_address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Measured: 8 … 512 per call makes no difference; 64 buffers stay in the second-level cache. */
#define KB_EGRESS_BATCH 64
/* While the rest of a picture is on its way: its packets to one viewer lie as far apart as there are viewers. */
#define KB_EGRESS_HELD 512
/* A received datagram (≤ 1500) with our header (≤ 36) and tag (≤ 20) in place of its own. */
#define KB_EGRESS_BUFFER_BYTES 1600

typedef struct kb_egress kb_egress;

/* Each is the fallback of the one below. */
typedef enum kb_egress_path {
    KB_EGRESS_SENDTO, /* portable */
    KB_EGRESS_SENDMMSG,
    KB_EGRESS_SEGMENTS, /* sendmmsg with UDP_SEGMENT */
} kb_egress_path;

typedef struct kb_egress_totals {
    uint64_t packets;
    uint64_t bytes;
    uint64_t refused; /* the socket's or the connection's buffer was full: dropped */
    uint64_t failed;  /* any other error: that datagram, with those of its group, was skipped */
    uint64_t grouped; /* of `packets`, those that went in a group of two or more */
} kb_egress_totals;

/* Takes a datagram for a TCP connection; `more` come for it in the same flush. False when it was dropped. */
typedef bool kb_egress_stream(void *owner, const kb_address *to, const uint8_t *data, size_t bytes, bool more);

/* Sockets of the two families, −1 = none. Takes the best path that the kernel knows. */
kb_egress *kb_egress_new(int v4, int v6);
/* Where datagrams for TCP connections go; without it they are refused. */
void kb_egress_streams(kb_egress *egress, kb_egress_stream *stream, void *owner);
void kb_egress_free(kb_egress *egress);
/* The socket is about to be closed: what is still sent fails, instead of reaching whoever gets the number next. */
void kb_egress_retire(kb_egress *egress);
/* Flushes, then sends by this path from now on, or by the best below it that there is. Returns which. */
kb_egress_path kb_egress_use(kb_egress *egress, kb_egress_path path);
kb_egress_path kb_egress_in_use(const kb_egress *egress);
/* KB_EGRESS_BUFFER_BYTES to write to, 8-byte aligned; the same buffer again until it is committed. */
uint8_t *kb_egress_claim(kb_egress *egress);
void kb_egress_commit(kb_egress *egress, size_t bytes, const kb_address *to);
/* More for the same destinations follows in this turn: up to KB_EGRESS_HELD datagrams wait for it. A flush ends it. */
void kb_egress_hold(kb_egress *egress, bool more);
void kb_egress_flush(kb_egress *egress);
const kb_egress_totals *kb_egress_read(const kb_egress *egress);

#endif
