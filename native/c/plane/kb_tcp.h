/* ICE over TCP (RFC 6544, passive candidates): for networks that let no UDP through.
 *
 * A connection is a path like an address: a number in `kb_address.stream`. It is nobody's until a signed check came over
 * it, and closed when none comes in time. What cannot be sent at once waits for a moment and is then dropped, frame by
 * frame: late media is worth nothing, and a slow reader must cost no one but itself.
 */
#ifndef KB_TCP_H
#define KB_TCP_H

#include "kb_address.h"
#include "kb_framing.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct kb_connection {
    int fd;          /* −1 = free */
    bool trusted;    /* a signed check came over it */
    bool waits;      /* for room */
    uint16_t next_free;
    kb_address address;
    int64_t opened_ns;
    int64_t heard_ns; /* any bytes */
} kb_connection;

typedef struct kb_connection_buffers {
    kb_frame_reader in;
    kb_frame_queue out;
} kb_connection_buffers;

typedef struct kb_tcp {
    kb_connection *connections;
    kb_connection_buffers *buffers; /* fresh pages until something passes */
    uint32_t capacity, end;         /* one past the highest number used */
    uint32_t first_free;            /* UINT16_MAX = none */
    bool deaf;                      /* no descriptor was left: the listeners rest until the next sweep */
    int64_t sweep_ns;
} kb_tcp;

struct kb_plane;

/* Returns 0, or −1 without memory. `capacity` < 65535. */
int kb_tcp_init(kb_tcp *tcp, uint32_t capacity);
void kb_tcp_free(kb_tcp *tcp);
/* Takes what waits at a listener, a few at a time. */
void kb_tcp_accept(struct kb_plane *plane, int listener, int64_t now_ns);
/* The connection with this number is readable, writable or broken. */
void kb_tcp_ready(struct kb_plane *plane, uint32_t number, uint32_t what, int64_t now_ns);
/* kb_egress_stream; the owner is the plane. */
bool kb_tcp_send(void *owner, const kb_address *to, const uint8_t *data, size_t bytes, bool more);
/* Its path is gone: closes it. */
void kb_tcp_release(struct kb_plane *plane, uint16_t stream);
void kb_tcp_close_all(struct kb_plane *plane);
/* Deadlines; every timer. */
void kb_tcp_run(struct kb_plane *plane, int64_t now_ns);

#endif
