/* The load generator: real SRTP ends on one thread, so that the clients cost little beside the server.
 *
 * Python joins (HTTP, STUN, DTLS) and hands over a connected socket and the keys; from then on everything of that
 * end happens here. Ends may be added while it runs; publications and recordings may not; read figures at any time
 * (they are counters, torn by a packet at most).
 */
#ifndef KB_LOAD_H
#define KB_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kb_srtp_table.h"

#define KB_LOAD_BUCKET_NS 20000 /* 20 µs: a fiftieth of the delay we promise */
#define KB_LOAD_BUCKETS 50000   /* up to 1 s; the last one holds everything later */

typedef struct kb_load kb_load;

typedef struct kb_load_figures {
    uint64_t received;   /* authenticated RTP packets, each once */
    uint64_t bytes;      /* of datagrams, as on the wire without UDP and IP */
    uint64_t lost;       /* holes between the first and the highest sequence number */
    uint64_t overflowed; /* of any kind, dropped by the kernel because we read too late (SO_RXQ_OVFL) */
    uint64_t duplicates; /* refused by the replay window */
    uint64_t failures;   /* refused by authentication */
    uint64_t rtcp;
    uint64_t sent;
    uint64_t refused; /* sends the kernel did not take */
} kb_load_figures;

typedef struct kb_load_publication {
    const uint8_t *payloads; /* `count` payloads one after another, kept alive by the caller */
    const uint32_t *lengths;
    uint32_t count;
    uint32_t interval_ns;
    uint32_t timestamp_step;
    uint32_t ssrc;
    uint8_t payload_type;
    bool stamped; /* the last 8 bytes of each payload become the send time (CLOCK_REALTIME, ns) */
    uint32_t phase_ns; /* of each send, against the multiples of `interval_ns` on CLOCK_REALTIME */
} kb_load_publication;

#define KB_LOAD_KEPT_BYTES 488

/* One packet as an end sent it or got it. */
typedef struct kb_load_packet {
    int64_t at_ns; /* before its send, or the kernel's arrival; CLOCK_REALTIME */
    uint32_t timestamp;
    uint16_t sequence, payload_bytes;
    uint8_t payload[KB_LOAD_KEPT_BYTES]; /* of what came; one that is larger is not kept */
} kb_load_packet;

/* Sockets are read as packets come, or, with `read_every_ns` (< 1 s), all of them at that pace: then no sender on this
 * machine pays for waking us, as none does over a network. Arrivals are the kernel's time stamps either way. */
kb_load *kb_load_new(const kb_srtp_table *srtp, uint32_t capacity, uint32_t read_every_ns);
/* Ends the thread, closes the sockets it was given. */
void kb_load_free(kb_load *load);

/* `check` is a signed STUN check, sent again every 2.5 s; none of it when it has 0 bytes. Without keys (both NULL) the
 * end speaks plain RTP. Returns the end's number, or -1 (full, keys refused). */
int kb_load_add(kb_load *load, int fd, kb_srtp_profile profile, const uint8_t *transmit, const uint8_t *receive,
                const uint8_t *check, size_t check_bytes, bool stamped);
void kb_load_publish(kb_load *load, int end, const kb_load_publication *publication);
/* Before the start: keeps the first `capacity` packets that the end sends, if it publishes, else that it gets, in
 * `packets`, which lives as long as the load. */
void kb_load_record(kb_load *load, int end, kb_load_packet *packets, uint32_t capacity);
uint32_t kb_load_recorded(const kb_load *load, int end); /* how many are there; any thread */

/* `realtime` asks for SCHED_FIFO below a server's media threads, and does without where it may not. */
int kb_load_start(kb_load *load, bool realtime); /* 0 or errno */
void kb_load_stop(kb_load *load);
/* Counts from here; call while it runs. Done when the thread has seen it. */
void kb_load_reset(kb_load *load);
void kb_load_read(const kb_load *load, int end, kb_load_figures *out); /* end -1: the sum */
/* Send to arrival of the packets that ends added as `stamped` got; nothing for others. */
void kb_load_delays(const kb_load *load, uint32_t out[KB_LOAD_BUCKETS]);

#endif
