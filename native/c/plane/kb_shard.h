/* A thread that protects and sends what the plane's thread hands over (docs/decisions/007-egress-threads.md).
 *
 * It owns the transmit contexts of its peers for their whole life, so that no SRTP index is ever used twice. Packets come
 * in the clear through a ring of fixed buffers, each with its address and what protects it; a full ring drops. A turn's
 * packets are sent together, as without threads: the batch ends with the turn, or when it is full. TCP connections are the
 * plane's: what goes over one returns, protected, by a second ring.
 *
 * Calls marked C are the control thread's, P the plane's; without a thread both are who calls `kb_shard_end`, which then
 * does the work itself.
 */
#ifndef KB_SHARD_H
#define KB_SHARD_H

#include "kb_counters.h"
#include "kb_egress.h"
#include "kb_seal.h"
#include "kb_wake.h"

#include <stdbool.h>
#include <stdint.h>

#define KB_SHARDS_MOST 16
/* 9 ms of a thread's work at 2.3 µs a packet, 6.8 MB: later than that a packet is as good as lost. */
#define KB_SHARD_PACKETS 4096u

typedef struct kb_shard kb_shard;

typedef struct kb_shard_config {
    int v4, v6;       /* the shared sockets, −1 = none */
    bool portable;
    bool streams;     /* some packets go over TCP */
    uint32_t number;  /* in the thread's name */
    uint32_t packets; /* that the ring holds, a power of two; 0 = KB_SHARD_PACKETS */
    const kb_srtp_table *srtp;
    const kb_wake *plane_wake; /* told when something returns */
} kb_shard_config;

/* A protected datagram for a TCP connection. */
typedef struct kb_shard_datagram {
    kb_address to;
    uint16_t bytes;
    uint8_t data[KB_EGRESS_BUFFER_BYTES];
} kb_shard_datagram;

/* C. NULL without memory or descriptors. */
kb_shard *kb_shard_new(const kb_shard_config *config);
/* C, after stop. */
void kb_shard_free(kb_shard *shard);
/* C. Returns 0 or an errno. */
int kb_shard_start(kb_shard *shard);
/* C. Ends the thread when it has sent all that it was given; idempotent. */
void kb_shard_stop(kb_shard *shard);
/* C, after stop: the sockets are about to be closed. */
void kb_shard_retire(kb_shard *shard);

/* P. KB_EGRESS_BUFFER_BYTES to write to, until the next claim or commit. */
uint8_t *kb_shard_claim(kb_shard *shard);
/* P. Of what was claimed last. `hold`: more of the same picture follows (kb_egress_hold). False when the ring was full:
 * dropped. */
bool kb_shard_commit(kb_shard *shard, const kb_seal *seal, size_t bytes, const kb_address *to, bool hold);
/* P. The turn is over: what was committed is to be sent now, and all before it is behind `number` (see `passed`). */
void kb_shard_end(kb_shard *shard, uint64_t number);
/* P. The oldest datagram that came back, NULL = none; it stays until `kb_shard_take`. */
const kb_shard_datagram *kb_shard_returned(kb_shard *shard);
void kb_shard_take(kb_shard *shard);

/* Any thread: the number of the last turn whose packets have all been protected: their contexts are not in use. */
uint64_t kb_shard_passed(const kb_shard *shard);
/* Any thread: its share of the counter. */
uint64_t kb_shard_counter(const kb_shard *shard, enum kb_counter counter);
int kb_shard_scheduling(const kb_shard *shard);
/* C. 0 while there is no thread. */
int64_t kb_shard_cpu_ns(const kb_shard *shard);

#endif
