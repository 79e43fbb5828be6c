#define _GNU_SOURCE
#include "kb_egress.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <sys/socket.h>

struct kb_egress {
    int fd;
    unsigned int count;
    kb_egress_totals totals;
    struct mmsghdr messages[KB_EGRESS_BATCH];
    struct iovec vectors[KB_EGRESS_BATCH];
    struct sockaddr_in addresses[KB_EGRESS_BATCH];
    alignas(64) uint8_t buffers[KB_EGRESS_BATCH][KB_EGRESS_BUFFER_BYTES];
};

kb_egress *kb_egress_new(int fd)
{
    kb_egress *egress = aligned_alloc(64, (sizeof *egress + 63u) & ~(size_t)63u);
    if (!egress)
        return NULL;
    memset(egress, 0, sizeof *egress);
    egress->fd = fd;
    for (size_t i = 0; i < KB_EGRESS_BATCH; i++) {
        egress->vectors[i].iov_base = egress->buffers[i];
        struct msghdr *header = &egress->messages[i].msg_hdr;
        header->msg_iov = &egress->vectors[i];
        header->msg_iovlen = 1;
        header->msg_name = &egress->addresses[i];
        header->msg_namelen = sizeof egress->addresses[i];
    }
    return egress;
}

void kb_egress_free(kb_egress *egress)
{
    free(egress);
}

void kb_egress_retire(kb_egress *egress)
{
    egress->fd = -1;
}

uint8_t *kb_egress_claim(kb_egress *egress)
{
    if (egress->count == KB_EGRESS_BATCH)
        kb_egress_flush(egress);
    return egress->buffers[egress->count];
}

void kb_egress_commit(kb_egress *egress, size_t bytes, const kb_address *to)
{
    egress->vectors[egress->count].iov_len = bytes;
    kb_address_to(to, &egress->addresses[egress->count]);
    egress->count++;
}

void kb_egress_flush(kb_egress *egress)
{
    unsigned int at = 0;
    while (at < egress->count) {
        int sent = sendmmsg(egress->fd, egress->messages + at, egress->count - at, MSG_DONTWAIT);
        if (sent > 0) {
            for (unsigned int end = at + (unsigned int)sent; at < end; at++)
                egress->totals.bytes += egress->vectors[at].iov_len;
            egress->totals.packets += (unsigned int)sent;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
            egress->totals.refused += egress->count - at;
            break;
        } else if (errno != EINTR) {
            /* One bad destination (unreachable, forbidden, too long) must not cost the rest of the batch. */
            egress->totals.failed++;
            at++;
        }
    }
    egress->count = 0;
}

const kb_egress_totals *kb_egress_read(const kb_egress *egress)
{
    return &egress->totals;
}
