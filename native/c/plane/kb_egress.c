#define _GNU_SOURCE
#include "kb_egress.h"

#include <errno.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#if defined(__linux__) && !defined(KB_PORTABLE)
#include <netinet/udp.h>
#define HAVE_SENDMMSG 1
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103 /* linux/udp.h, since 4.18; older C libraries do not name it */
#endif
#else
#define HAVE_SENDMMSG 0
#endif

#define SEGMENTS_MOST 64     /* UDP_MAX_SEGMENTS of kernels before 6.9 */
#define GROUP_BYTES_MOST 65000 /* 65535 less the headers, with room */
#define BUCKETS 1024         /* twice what is held */
#define NONE 0xffff          /* no datagram: there are fewer */

_Static_assert(KB_EGRESS_HELD < NONE, "datagrams are numbered by 16 bits");

/* What carries a datagram. */
enum { OVER_V4, OVER_V6, OVER_STREAM };

struct kb_egress {
    int fds[2]; /* OVER_V4, OVER_V6 */
    kb_egress_stream *stream;
    void *stream_owner;
    unsigned int count;
    unsigned int room; /* how many go together at most */
    unsigned int carriers; /* 1 << OVER_…, of those in the batch */
    kb_egress_path path;
    kb_egress_totals totals;
    size_t bytes[KB_EGRESS_HELD];
    kb_address to[KB_EGRESS_HELD];
    uint8_t over[KB_EGRESS_HELD];
    socklen_t address_bytes[KB_EGRESS_HELD];
    kb_socket_address addresses[KB_EGRESS_HELD];
    /* Chains: each datagram's next to the same address, and the heads in order of first appearance. */
    uint16_t next[KB_EGRESS_HELD], heads[KB_EGRESS_HELD], tails[KB_EGRESS_HELD];
    unsigned int head_count;
    uint16_t buckets[BUCKETS]; /* number in `heads`, by hash of the address */
#if HAVE_SENDMMSG
    struct mmsghdr messages[KB_EGRESS_HELD];
    struct iovec vectors[KB_EGRESS_HELD]; /* in order of sending */
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
    } controls[KB_EGRESS_HELD];
#endif
    alignas(64) uint8_t buffers[KB_EGRESS_HELD][KB_EGRESS_BUFFER_BYTES];
};

static kb_egress_path best_path(const kb_egress *egress)
{
#if HAVE_SENDMMSG
    /* 0 = off, as it is; what matters is whether the option is known. */
    int segment = 0, fd = egress->fds[egress->fds[OVER_V4] >= 0 ? OVER_V4 : OVER_V6];
    return setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) == 0 ? KB_EGRESS_SEGMENTS
                                                                                  : KB_EGRESS_SENDMMSG;
#else
    (void)egress;
    return KB_EGRESS_SENDTO;
#endif
}

kb_egress *kb_egress_new(int v4, int v6)
{
    kb_egress *egress = aligned_alloc(64, (sizeof *egress + 63u) & ~(size_t)63u);
    if (!egress)
        return NULL;
    memset(egress, 0, sizeof *egress);
    memset(egress->buckets, 0xff, sizeof egress->buckets);
    egress->room = KB_EGRESS_BATCH;
    egress->fds[OVER_V4] = v4;
    egress->fds[OVER_V6] = v6;
    egress->path = best_path(egress);
    return egress;
}

void kb_egress_streams(kb_egress *egress, kb_egress_stream *stream, void *owner)
{
    egress->stream = stream;
    egress->stream_owner = owner;
}

void kb_egress_free(kb_egress *egress)
{
    free(egress);
}

void kb_egress_retire(kb_egress *egress)
{
    egress->fds[OVER_V4] = egress->fds[OVER_V6] = -1;
    egress->stream = NULL;
}

kb_egress_path kb_egress_use(kb_egress *egress, kb_egress_path path)
{
    kb_egress_flush(egress);
    kb_egress_path best = best_path(egress);
    egress->path = path < best ? path : best;
    return egress->path;
}

kb_egress_path kb_egress_in_use(const kb_egress *egress)
{
    return egress->path;
}

uint8_t *kb_egress_claim(kb_egress *egress)
{
    if (egress->count >= egress->room)
        kb_egress_flush(egress);
    return egress->buffers[egress->count];
}

/* Appends datagram `at` to the chain of its address. */
static void chain(kb_egress *egress, unsigned int at)
{
    const kb_address *to = &egress->to[at];
    uint32_t word;
    memcpy(&word, to->ip + 12, sizeof word);
    uint32_t bucket = ((word ^ ((uint32_t)to->stream << 16 | to->port) * 0x9e3779b1u) * 0x85ebca6bu) >> 22;
    egress->next[at] = NONE;
    for (;; bucket = (bucket + 1) % BUCKETS) {
        uint16_t number = egress->buckets[bucket];
        if (number == NONE) {
            egress->buckets[bucket] = (uint16_t)egress->head_count;
            egress->heads[egress->head_count] = egress->tails[egress->head_count] = (uint16_t)at;
            egress->head_count++;
            return;
        }
        if (kb_address_same(to, &egress->to[egress->heads[number]])) {
            egress->next[egress->tails[number]] = (uint16_t)at;
            egress->tails[number] = (uint16_t)at;
            return;
        }
    }
}

void kb_egress_commit(kb_egress *egress, size_t bytes, const kb_address *to)
{
    unsigned int at = egress->count++;
    egress->bytes[at] = bytes;
    egress->to[at] = *to;
    if (to->stream) {
        egress->over[at] = OVER_STREAM;
    } else {
        egress->address_bytes[at] = kb_address_to(to, &egress->addresses[at]);
        egress->over[at] = egress->addresses[at].any.sa_family == AF_INET ? OVER_V4 : OVER_V6;
    }
    egress->carriers |= 1u << egress->over[at];
    chain(egress, at);
}

static void count_sent(kb_egress *egress, unsigned int datagrams, size_t bytes)
{
    egress->totals.packets += datagrams;
    egress->totals.bytes += bytes;
    if (datagrams > 1)
        egress->totals.grouped += datagrams;
}

/* Whether to give up (true) the rest of the batch after `errno`. */
static bool is_full(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS;
}

static void flush_each(kb_egress *egress)
{
    bool full[2] = {false, false};
    for (unsigned int at = 0; at < egress->count; at++) {
        unsigned int over = egress->over[at];
        if (over == OVER_STREAM)
            continue;
        if (full[over]) {
            egress->totals.refused++;
            continue;
        }
        ssize_t sent;
        do
            sent = sendto(egress->fds[over], egress->buffers[at], egress->bytes[at], MSG_DONTWAIT,
                          &egress->addresses[at].any, egress->address_bytes[at]);
        while (sent < 0 && errno == EINTR);
        if (sent >= 0) {
            count_sent(egress, 1, egress->bytes[at]);
        } else if (is_full()) {
            full[over] = true;
            egress->totals.refused++;
        } else {
            egress->totals.failed++;
        }
    }
}

/* Each connection gets what is for it, its last datagram with the sign that it was the last. */
static void flush_streams(kb_egress *egress)
{
    for (unsigned int head = 0; head < egress->head_count; head++) {
        uint16_t at = egress->heads[head];
        if (egress->over[at] != OVER_STREAM)
            continue;
        for (; at != NONE; at = egress->next[at]) {
            if (egress->stream && egress->stream(egress->stream_owner, &egress->to[at], egress->buffers[at],
                                                 egress->bytes[at], egress->next[at] != NONE))
                count_sent(egress, 1, egress->bytes[at]);
            else
                egress->totals.refused++;
        }
    }
}

#if HAVE_SENDMMSG
/* One message of the datagram and, with segments, those after it in its chain that fit. Returns what comes next. */
static uint16_t gather(kb_egress *egress, struct mmsghdr *message, unsigned int vector, uint16_t at, bool segments)
{
    size_t size = egress->bytes[at], total = 0;
    unsigned int count = 0;
    message->msg_hdr = (struct msghdr){
        .msg_name = &egress->addresses[at],
        .msg_namelen = egress->address_bytes[at],
        .msg_iov = &egress->vectors[vector],
    };
    for (;;) {
        size_t bytes = egress->bytes[at];
        egress->vectors[vector + count++] = (struct iovec){.iov_base = egress->buffers[at], .iov_len = bytes};
        total += bytes;
        at = egress->next[at];
        /* Only the last may be shorter; none may be empty. */
        if (!segments || at == NONE || bytes < size || egress->bytes[at] > size || egress->bytes[at] == 0 ||
            count == SEGMENTS_MOST || total + egress->bytes[at] > GROUP_BYTES_MOST)
            break;
    }
    message->msg_hdr.msg_iovlen = count;
    if (count > 1) {
        struct cmsghdr *control = &egress->controls[vector].align;
        control->cmsg_level = IPPROTO_UDP;
        control->cmsg_type = UDP_SEGMENT;
        control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
        uint16_t segment = (uint16_t)size;
        memcpy(CMSG_DATA(control), &segment, sizeof segment);
        message->msg_hdr.msg_control = control;
        message->msg_hdr.msg_controllen = sizeof egress->controls[vector].bytes;
    }
    return at;
}

/* The same datagrams one by one, from message `from` on; vectors stay. Returns the number of messages. */
static unsigned int split(kb_egress *egress, unsigned int from, unsigned int count)
{
    unsigned int vector = (unsigned int)(egress->messages[from].msg_hdr.msg_iov - egress->vectors);
    struct {
        void *name;
        socklen_t bytes;
    } names[KB_EGRESS_HELD];
    unsigned int wanted = 0;
    for (unsigned int i = from; i < count; i++) {
        const struct msghdr *header = &egress->messages[i].msg_hdr;
        for (size_t k = 0; k < header->msg_iovlen; k++, wanted++) {
            names[wanted].name = header->msg_name;
            names[wanted].bytes = header->msg_namelen;
        }
    }
    for (unsigned int i = 0; i < wanted; i++)
        egress->messages[i].msg_hdr = (struct msghdr){
            .msg_name = names[i].name,
            .msg_namelen = names[i].bytes,
            .msg_iov = &egress->vectors[vector + i],
            .msg_iovlen = 1,
        };
    return wanted;
}

static size_t bytes_of(const struct msghdr *header)
{
    size_t bytes = 0;
    for (size_t i = 0; i < header->msg_iovlen; i++)
        bytes += header->msg_iov[i].iov_len;
    return bytes;
}

static void flush_batch(kb_egress *egress, unsigned int over)
{
    unsigned int count = 0, vector = 0;
    bool segments = egress->path == KB_EGRESS_SEGMENTS;
    for (unsigned int head = 0; head < egress->head_count; head++) {
        uint16_t at = egress->heads[head];
        if (egress->over[at] != over)
            continue;
        for (; at != NONE; count++) {
            at = gather(egress, &egress->messages[count], vector, at, segments);
            vector += (unsigned int)egress->messages[count].msg_hdr.msg_iovlen;
        }
    }
    unsigned int at = 0;
    while (at < count) {
        int sent = sendmmsg(egress->fds[over], egress->messages + at, count - at, MSG_DONTWAIT);
        if (sent > 0) {
            for (unsigned int end = at + (unsigned int)sent; at < end; at++) {
                const struct msghdr *header = &egress->messages[at].msg_hdr;
                count_sent(egress, (unsigned int)header->msg_iovlen, bytes_of(header));
            }
        } else if (is_full()) {
            for (; at < count; at++)
                egress->totals.refused += egress->messages[at].msg_hdr.msg_iovlen;
        } else if (errno != EINTR) {
            size_t datagrams = egress->messages[at].msg_hdr.msg_iovlen;
            if (datagrams > 1 && (errno == EINVAL || errno == EIO)) {
                /* A device without checksum offload, or a tunnel: it will not get better. These go one by one. */
                egress->path = KB_EGRESS_SENDMMSG;
                count = split(egress, at, count);
                at = 0;
                continue;
            }
            /* One bad destination (unreachable, forbidden, too long) must not cost the rest of the batch. */
            egress->totals.failed += datagrams;
            at++;
        }
    }
}
#endif

void kb_egress_hold(kb_egress *egress, bool more)
{
    egress->room = more ? KB_EGRESS_HELD : KB_EGRESS_BATCH;
}

void kb_egress_flush(kb_egress *egress)
{
    egress->room = KB_EGRESS_BATCH;
    if (egress->count == 0)
        return;
    if (egress->path == KB_EGRESS_SENDTO)
        flush_each(egress);
#if HAVE_SENDMMSG
    for (unsigned int over = OVER_V4; over <= OVER_V6 && egress->path != KB_EGRESS_SENDTO; over++)
        if (egress->carriers & 1u << over)
            flush_batch(egress, over);
#endif
    if (egress->carriers & 1u << OVER_STREAM)
        flush_streams(egress);
    egress->carriers = 0;
    egress->count = egress->head_count = 0;
    memset(egress->buckets, 0xff, sizeof egress->buckets);
}

const kb_egress_totals *kb_egress_read(const kb_egress *egress)
{
    return &egress->totals;
}
