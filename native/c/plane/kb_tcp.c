#define _GNU_SOURCE
#include "kb_state.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* SO_NOSIGPIPE instead */
#endif

#define NONE UINT16_MAX
#define ACCEPTS_PER_TURN 8
/* Of the places, what strangers from one address may hold: a hall stands behind one, and comes back all at once. */
#define STRANGERS_SHARE 4
#define STRANGERS_LEAST 32
#define DEADLINE_NS 5000000000   /* for the first signed check */
#define SILENCE_NS 30000000000   /* RFC 7675: consent lasts so long */
#define SWEEP_NS 100000000
/* What waits longer in the queue is dropped: a listener behind by more would hear the past. */
#define STALE_MS 400u
/* What the kernel holds beyond what is on its way; more would be a queue that nothing can be dropped from. */
#define UNSENT_BYTES 4096
#define VECTORS 8
#define USER_TIMEOUT_MS 10000

int kb_tcp_init(kb_tcp *tcp, uint32_t capacity)
{
    tcp->capacity = capacity;
    tcp->first_free = NONE;
    if (capacity == 0)
        return 0;
    tcp->connections = calloc(capacity, sizeof *tcp->connections);
    tcp->buffers = calloc(capacity, sizeof *tcp->buffers);
    return tcp->connections && tcp->buffers ? 0 : -1;
}

void kb_tcp_free(kb_tcp *tcp)
{
    free(tcp->connections);
    free(tcp->buffers);
}

static uint16_t number_of(const kb_plane *plane, const kb_connection *one)
{
    return (uint16_t)(one - plane->tcp.connections);
}

static void listen_for(kb_plane *plane, const kb_connection *one, bool room)
{
    kb_poller_change(plane->poller, one->fd, KB_WATCH(KB_WATCH_CONNECTION, number_of(plane, one)),
                     room ? KB_READABLE | KB_WRITABLE : KB_READABLE);
}

static void close_one(kb_plane *plane, kb_connection *one)
{
    kb_tcp *tcp = &plane->tcp;
    kb_poller_remove(plane->poller, one->fd);
    close(one->fd);
    one->fd = -1;
    one->next_free = (uint16_t)tcp->first_free;
    tcp->first_free = number_of(plane, one);
    while (tcp->end > 0 && tcp->connections[tcp->end - 1].fd < 0)
        tcp->end--;
    KB_COUNT(plane, tcp_closed);
}

/* The other end is gone, or as good as: with its path. */
static void lose(kb_plane *plane, kb_connection *one)
{
    int tuple;
    kb_peer *peer = one->trusted ? kb_peer_by_address(plane, &one->address, &tuple) : NULL;
    if (peer)
        kb_peer_forget_path(plane, peer, tuple); /* comes back to `kb_tcp_release` */
    else
        close_one(plane, one);
}

void kb_tcp_release(kb_plane *plane, uint16_t stream)
{
    uint32_t number = stream - 1u;
    if (number < plane->tcp.end && plane->tcp.connections[number].fd >= 0)
        close_one(plane, &plane->tcp.connections[number]);
}

void kb_tcp_close_all(kb_plane *plane)
{
    for (uint32_t number = plane->tcp.end; number-- > 0;)
        if (number < plane->tcp.end && plane->tcp.connections[number].fd >= 0)
            lose(plane, &plane->tcp.connections[number]);
}

/* One subscriber: an IPv4 address, or the /64 of an IPv6 one. */
static bool same_subscriber(const kb_address *a, const kb_address *b)
{
    return memcmp(a->ip, b->ip, 8) == 0 &&
           (!kb_address_is_v4(a) || !kb_address_is_v4(b) || memcmp(a->ip + 8, b->ip + 8, 8) == 0) &&
           kb_address_is_v4(a) == kb_address_is_v4(b);
}

/* A place for one more connection from there, NULL = it may not have one. The strangers of longest standing give way:
 * nobody who sends nothing can keep others out. */
static kb_connection *claim(kb_plane *plane, const kb_address *from)
{
    kb_tcp *tcp = &plane->tcp;
    uint32_t alike = 0;
    kb_connection *oldest = NULL;
    for (uint32_t number = 0; number < tcp->end; number++) {
        kb_connection *one = &tcp->connections[number];
        if (one->fd < 0 || one->trusted)
            continue;
        alike += same_subscriber(&one->address, from);
        if (!oldest || one->opened_ns < oldest->opened_ns)
            oldest = one;
    }
    uint32_t most = tcp->capacity / STRANGERS_SHARE;
    if (alike >= (most > STRANGERS_LEAST ? most : STRANGERS_LEAST))
        return NULL;
    if (tcp->first_free == NONE && tcp->end < tcp->capacity) {
        kb_connection *fresh = &tcp->connections[tcp->end++];
        fresh->fd = -1;
        return fresh;
    }
    if (tcp->first_free == NONE) {
        if (!oldest)
            return NULL;
        KB_COUNT(plane, tcp_expired);
        close_one(plane, oldest);
    }
    kb_connection *one = &tcp->connections[tcp->first_free];
    tcp->first_free = one->next_free;
    if (number_of(plane, one) >= tcp->end)
        tcp->end = number_of(plane, one) + 1u;
    return one;
}

static void set_up(int fd)
{
    int on = 1, unsent = UNSENT_BYTES;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
#ifdef TCP_USER_TIMEOUT
    unsigned int timeout_ms = USER_TIMEOUT_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
#endif
#ifdef SO_NOSIGPIPE
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
}

static void take(kb_plane *plane, int fd, const kb_socket_address *address, int64_t now_ns)
{
    kb_address from = kb_address_from(address);
    kb_connection *one = claim(plane, &from);
    if (!one) {
        close(fd);
        KB_COUNT(plane, tcp_refused);
        return;
    }
    uint16_t number = number_of(plane, one);
    from.stream = (uint16_t)(number + 1);
    *one = (kb_connection){.fd = fd, .address = from, .opened_ns = now_ns, .heard_ns = now_ns};
    kb_connection_buffers *buffers = &plane->tcp.buffers[number];
    buffers->in.begin = buffers->in.end = buffers->in.skip = 0;
    buffers->out.begin = buffers->out.end = buffers->out.begun = 0;
    set_up(fd);
    KB_COUNT(plane, tcp_accepted);
    if (kb_poller_add(plane->poller, fd, KB_WATCH(KB_WATCH_CONNECTION, number), KB_READABLE) != 0)
        close_one(plane, one);
}

static void hear_listener(kb_plane *plane, int fd, bool hear)
{
    if (fd >= 0)
        kb_poller_change(plane->poller, fd, KB_WATCH(KB_WATCH_LISTENER, fd), hear ? KB_READABLE : 0);
}

static void hear_listeners(kb_plane *plane, bool hear)
{
    plane->tcp.deaf = !hear;
    hear_listener(plane, plane->sockets.tcp_v4, hear);
    hear_listener(plane, plane->sockets.tcp_v6, hear);
}

static int accept_one(int listener, struct sockaddr *address, socklen_t *bytes)
{
#if defined(__linux__) && !defined(KB_PORTABLE)
    return accept4(listener, address, bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
    int fd = accept(listener, address, bytes);
    if (fd >= 0) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        fcntl(fd, F_SETFL, O_NONBLOCK);
    }
    return fd;
#endif
}

void kb_tcp_accept(kb_plane *plane, int listener, int64_t now_ns)
{
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        kb_socket_address address;
        socklen_t bytes = sizeof address;
        int fd = accept_one(listener, &address.any, &bytes);
        if (fd >= 0)
            take(plane, fd, &address, now_ns);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* It would be reported again at once, for ever. */
            KB_COUNT(plane, tcp_refused);
            hear_listeners(plane, false);
            return;
        } else if (errno != ECONNABORTED && errno != EINTR)
            return;
    }
}

/* Sends what waits, as much as goes. */
static void write_out(kb_plane *plane, kb_connection *one)
{
    kb_frame_queue *out = &plane->tcp.buffers[number_of(plane, one)].out;
    while (!kb_frame_queue_empty(out)) {
        struct iovec vectors[VECTORS];
        struct msghdr header = {.msg_iov = vectors};
        header.msg_iovlen = (size_t)kb_frame_vectors(out, vectors, VECTORS);
        /* MSG_EOR: the kernel adds nothing to what it holds, and so sees that it holds enough. */
        ssize_t sent = sendmsg(one->fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_EOR);
        if (sent > 0)
            kb_frame_taken(out, (size_t)sent);
        else if (sent < 0 && errno != EINTR)
            break; /* full; or broken, which the poller says, too */
    }
    bool waits = !kb_frame_queue_empty(out);
    if (waits != one->waits) {
        one->waits = waits;
        listen_for(plane, one, waits);
    }
}

bool kb_tcp_send(void *owner, const kb_address *to, const uint8_t *data, size_t bytes, bool more)
{
    kb_plane *plane = owner;
    uint32_t number = to->stream - 1u;
    kb_connection *one = number < plane->tcp.end ? &plane->tcp.connections[number] : NULL;
    /* It may have been closed since, and its number given to somebody else. */
    if (!one || one->fd < 0 || !kb_address_same(&one->address, to))
        return false;
    kb_frame_queue *out = &plane->tcp.buffers[number].out;
    uint32_t now_ms = (uint32_t)(kb_plane_now_ns(plane) / 1000000);
    if (!kb_frame_queue_empty(out)) {
        uint32_t stale = kb_frame_drop_stale(out, now_ms, STALE_MS);
        kb_reading_add(&plane->counters[KB_COUNT_tcp_frames_stale], stale);
    }
    bool kept = kb_frame_put(out, data, bytes, now_ms);
    if (!kept)
        KB_COUNT(plane, tcp_frames_dropped);
    if (!more && !one->waits)
        write_out(plane, one);
    return kept;
}

/* Gives out what came; false when the connection is to be closed. */
static bool read_frames(kb_plane *plane, kb_connection *one, int64_t now_ns)
{
    kb_frame_reader *in = &plane->tcp.buffers[number_of(plane, one)].in;
    uint8_t *frame = plane->receive_buffers; /* nobody's between two batches */
    size_t size;
    for (int what; (what = kb_frame_next(in, frame, &size)) != KB_FRAME_NONE;) {
        KB_COUNT(plane, datagrams_received);
        if (what == KB_FRAME_OVERSIZED) {
            KB_COUNT(plane, datagrams_oversized);
            if (!one->trusted)
                return false;
            continue;
        }
        /* Whoever speaks anything else first is no ICE client: a browser that was sent to the wrong port, say. */
        if (!one->trusted && kb_demux(frame, size) != KB_DATAGRAM_STUN) {
            KB_COUNT(plane, datagrams_foreign);
            return false;
        }
        kb_address from = one->address;
        kb_ingress_receive(plane, frame, size, &from, now_ns);
        if (one->fd < 0)
            return true;
        int tuple;
        if (!one->trusted)
            one->trusted = kb_peer_by_address(plane, &from, &tuple) != NULL;
    }
    return true;
}

void kb_tcp_ready(kb_plane *plane, uint32_t number, uint32_t what, int64_t now_ns)
{
    kb_connection *one = number < plane->tcp.end ? &plane->tcp.connections[number] : NULL;
    if (!one || one->fd < 0) /* closed since it was reported */
        return;
    if (what & KB_WRITABLE) {
        kb_frame_queue *out = &plane->tcp.buffers[number].out;
        uint32_t stale = kb_frame_drop_stale(out, (uint32_t)(now_ns / 1000000), STALE_MS);
        kb_reading_add(&plane->counters[KB_COUNT_tcp_frames_stale], stale);
        write_out(plane, one);
    }
    if (!(what & (KB_READABLE | KB_BROKEN)))
        return;
    uint8_t *at;
    size_t room = kb_frame_room(&plane->tcp.buffers[number].in, &at);
    ssize_t got = recv(one->fd, at, room, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (got <= 0) {
        lose(plane, one);
        return;
    }
    one->heard_ns = now_ns;
    kb_reading_add(&plane->counters[KB_COUNT_bytes_received], (uint64_t)got);
    kb_frame_fed(&plane->tcp.buffers[number].in, (size_t)got);
    if (!read_frames(plane, one, now_ns))
        lose(plane, one);
}

void kb_tcp_run(kb_plane *plane, int64_t now_ns)
{
    kb_tcp *tcp = &plane->tcp;
    if (now_ns - tcp->sweep_ns < SWEEP_NS)
        return;
    tcp->sweep_ns = now_ns;
    for (uint32_t number = 0; number < tcp->end; number++) {
        kb_connection *one = &tcp->connections[number];
        if (one->fd < 0 ||
            (one->trusted ? now_ns - one->heard_ns < SILENCE_NS : now_ns - one->opened_ns < DEADLINE_NS))
            continue;
        KB_COUNT(plane, tcp_expired);
        lose(plane, one);
    }
    if (tcp->deaf)
        hear_listeners(plane, true);
}
