/* From the socket to the part that understands the datagram. */
#define _GNU_SOURCE
#include "kb_state.h"

#include <errno.h>

#define DTLS_COST_NS 5000000 /* 200/s */
#define DTLS_BURST 400

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

int kb_ingress_poll(kb_plane *plane, int fd, int64_t now_ns)
{
    int count = recvmmsg(fd, plane->messages, KB_RECEIVE_BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++) {
        struct msghdr *header = &plane->messages[i].msg_hdr;
        size_t size = plane->messages[i].msg_len;
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
        header->msg_namelen = sizeof(kb_socket_address);
        header->msg_flags = 0;
    }
    return count < 0 ? 0 : count;
}
