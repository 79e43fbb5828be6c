/* From the socket to the part that understands the datagram. */
#define _GNU_SOURCE
#include "kb_state.h"

#if defined(__linux__) && !defined(KB_PORTABLE)
#define HAVE_RECVMMSG 1
#else
#define HAVE_RECVMMSG 0
#endif

/* One byte more than a datagram may have, 8-byte aligned: the kernel then says MSG_TRUNC. */
#define RECEIVE_BYTES 1504u
#define DTLS_COST_NS 5000000 /* 200/s */
#define DTLS_BURST 400
/* A 40 Mb/s picture is 4,200 packets/s. */
#define SRTP_COST_NS 200000 /* 5,000/s */
#define SRTP_BURST 2000

static void receive_from_peer(kb_plane *plane, kb_datagram kind, uint8_t *data, size_t size, const kb_address *from,
                              int64_t now_ns)
{
    int tuple;
    kb_peer *peer = kb_peer_by_address(plane, from, &tuple);
    if (!peer) {
        KB_COUNT(plane, datagrams_foreign);
        return;
    }
    kb_reading_add(&peer->readings[KB_PEER_PACKETS_RECEIVED], 1);
    kb_reading_add(&peer->readings[KB_PEER_BYTES_RECEIVED], size);
    if (kind == KB_DATAGRAM_DTLS) {
        if (!kb_bucket_take(&peer->dtls, DTLS_COST_NS, DTLS_BURST, now_ns)) {
            KB_COUNT(plane, dtls_limited);
            return;
        }
        KB_COUNT(plane, dtls_received);
        kb_states_datagram(plane, peer, data, size);
    } else if (!kb_bucket_take(&peer->srtp, SRTP_COST_NS, SRTP_BURST, now_ns)) {
        KB_COUNT(plane, srtp_limited);
    } else if (!peer->receive) {
        KB_COUNT(plane, srtp_without_keys);
    } else if (kind == KB_DATAGRAM_RTP) {
        kb_receive_rtp(plane, peer, tuple, data, size, now_ns);
    } else {
        kb_receive_rtcp(plane, peer, tuple, data, size, now_ns);
    }
}

void kb_ingress_receive(kb_plane *plane, uint8_t *data, size_t size, const kb_address *from, int64_t now_ns)
{
    kb_datagram kind = kb_demux(data, size);
    switch (kind) {
    case KB_DATAGRAM_EMPTY:
        KB_COUNT(plane, datagrams_empty);
        break;
    case KB_DATAGRAM_SHORT:
        KB_COUNT(plane, datagrams_short);
        break;
    case KB_DATAGRAM_UNKNOWN:
        KB_COUNT(plane, datagrams_unknown);
        break;
    case KB_DATAGRAM_STUN:
        kb_stun_serve(plane, data, size, from, now_ns);
        break;
    case KB_DATAGRAM_DTLS:
    case KB_DATAGRAM_RTP:
    case KB_DATAGRAM_RTCP:
        receive_from_peer(plane, kind, data, size, from, now_ns);
        break;
    }
}

/* One that was read from a UDP socket. */
static void receive_one(kb_plane *plane, const struct msghdr *header, size_t size, int64_t now_ns)
{
    kb_address from = kb_address_from(header->msg_name);
    KB_COUNT(plane, datagrams_received);
    kb_reading_add(&plane->counters[KB_COUNT_bytes_received], size);
    /* Port 0 cannot be answered, and a peer cannot be there. */
    if (header->msg_flags & MSG_TRUNC)
        KB_COUNT(plane, datagrams_oversized);
    else if (from.port == 0)
        KB_COUNT(plane, datagrams_unknown);
    else
        kb_ingress_receive(plane, header->msg_iov->iov_base, size, &from, now_ns);
}

static int receive_each(kb_plane *plane, int fd, int64_t now_ns)
{
    for (int count = 0; count < KB_RECEIVE_BATCH; count++) {
        kb_socket_address address = {.any.sa_family = AF_UNSPEC};
        struct iovec vector = {.iov_base = plane->receive_buffers, .iov_len = KB_DATAGRAM_BYTES};
        struct msghdr header = {
            .msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &vector, .msg_iovlen = 1};
        ssize_t size = recvmsg(fd, &header, MSG_DONTWAIT);
        if (size < 0)
            return count;
        receive_one(plane, &header, (size_t)size, now_ns);
    }
    return KB_RECEIVE_BATCH;
}

#if HAVE_RECVMMSG
typedef struct batch {
    struct mmsghdr messages[KB_RECEIVE_BATCH];
    struct iovec vectors[KB_RECEIVE_BATCH];
    kb_socket_address addresses[KB_RECEIVE_BATCH];
} batch;

static int make_batch(kb_plane *plane)
{
    batch *made = calloc(1, sizeof *made);
    plane->messages = made;
    if (!made)
        return -1;
    for (size_t i = 0; i < KB_RECEIVE_BATCH; i++) {
        made->vectors[i].iov_base = plane->receive_buffers + i * RECEIVE_BYTES;
        made->vectors[i].iov_len = KB_DATAGRAM_BYTES;
        made->messages[i].msg_hdr = (struct msghdr){.msg_iov = &made->vectors[i],
                                                    .msg_iovlen = 1,
                                                    .msg_name = &made->addresses[i],
                                                    .msg_namelen = sizeof made->addresses[i]};
    }
    return 0;
}

static int receive_batch(kb_plane *plane, int fd, int64_t now_ns)
{
    struct mmsghdr *messages = ((batch *)plane->messages)->messages;
    int count = recvmmsg(fd, messages, KB_RECEIVE_BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++) {
        receive_one(plane, &messages[i].msg_hdr, messages[i].msg_len, now_ns);
        messages[i].msg_hdr.msg_namelen = sizeof(kb_socket_address);
        messages[i].msg_hdr.msg_flags = 0;
    }
    return count < 0 ? 0 : count;
}
#endif

int kb_ingress_init(kb_plane *plane)
{
    plane->receive_buffers = aligned_alloc(64, (size_t)KB_RECEIVE_BATCH * RECEIVE_BYTES);
    if (!plane->receive_buffers)
        return -1;
#if HAVE_RECVMMSG
    if (!plane->config.portable)
        return make_batch(plane);
#endif
    return 0;
}

void kb_ingress_free(kb_plane *plane)
{
    free(plane->messages);
    free(plane->receive_buffers);
}

int kb_ingress_poll(kb_plane *plane, int fd, int64_t now_ns)
{
#if HAVE_RECVMMSG
    if (plane->messages)
        return receive_batch(plane, fd, now_ns);
#endif
    return receive_each(plane, fd, now_ns);
}
