#define _GNU_SOURCE
#include "kb_load.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 16
#define PACKET_BYTES 1600
#define CHECK_NS 2500000000ll  /* libwebrtc's pace */
#define REPORT_NS 5000000000ll /* RFC 3550's for audio */
#define SCAN_NS 10000000ll
#define FIFO_PRIORITY 5 /* above the box's noise, below the media threads of the server that is measured */

typedef struct load_end {
    int fd;
    void *receive, *transmit;
    uint8_t check[256];
    size_t check_bytes;
    bool stamped, has_source, publishes;
    uint32_t source;
    uint32_t first, highest; /* extended sequence numbers */
    int64_t next_check_ns, next_report_ns, next_packet_ns;
    kb_load_publication publication;
    uint16_t sequence;
    uint32_t timestamp, payload_index;
    size_t payload_offset;
    uint32_t sent_packets, sent_octets; /* for its sender reports */
    uint32_t overflows;                 /* the kernel's count of what this socket had no room for */
    kb_load_figures figures;
    kb_load_packet *kept;
    uint32_t kept_capacity;
    _Atomic uint32_t kept_count;
} load_end;

struct kb_load {
    kb_srtp_table srtp;
    load_end *ends;
    uint32_t capacity;
    _Atomic uint32_t count; /* ends that are complete; the control thread adds, also while the other runs */
    int epoll; /* −1: sockets are read every `read_every_ns` instead */
    int64_t read_every_ns;
    pthread_t thread;
    bool running, realtime;
    atomic_bool stopping, reset_wanted;
    uint32_t delays[KB_LOAD_BUCKETS];
    uint8_t packets[BATCH][PACKET_BYTES];
    uint8_t controls[BATCH][128];
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now); /* the kernel stamps arrivals with this one */
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static void put32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24), at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8), at[3] = (uint8_t)value;
}

static uint64_t ntp(int64_t realtime_ns)
{
    uint64_t seconds = (uint64_t)(realtime_ns / 1000000000ll) + 2208988800u, rest = (uint64_t)(realtime_ns % 1000000000ll);
    return seconds << 32 | (rest << 32) / 1000000000u;
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

kb_load *kb_load_new(const kb_srtp_table *srtp, uint32_t capacity, uint32_t read_every_ns)
{
    kb_load *load = calloc(1, sizeof *load);
    if (!load)
        return NULL;
    load->srtp = *srtp;
    load->capacity = capacity;
    load->ends = calloc(capacity, sizeof *load->ends);
    load->read_every_ns = read_every_ns;
    load->epoll = read_every_ns ? -1 : epoll_create1(EPOLL_CLOEXEC);
    if (!load->ends || (!read_every_ns && load->epoll < 0)) {
        kb_load_free(load);
        return NULL;
    }
    return load;
}

void kb_load_free(kb_load *load)
{
    kb_load_stop(load);
    for (uint32_t i = 0; i < load->count; i++) {
        if (load->ends[i].receive)
            load->srtp.dealloc(load->ends[i].receive);
        if (load->ends[i].transmit)
            load->srtp.dealloc(load->ends[i].transmit);
        close(load->ends[i].fd);
    }
    if (load->epoll >= 0)
        close(load->epoll);
    free(load->ends);
    free(load);
}

int kb_load_add(kb_load *load, int fd, kb_srtp_profile profile, const uint8_t *transmit, const uint8_t *receive,
                const uint8_t *check, size_t check_bytes, bool stamped)
{
    uint32_t number = load->count;
    if (number == load->capacity || check_bytes > sizeof load->ends->check)
        return -1;
    load_end *end = &load->ends[number];
    memset(end, 0, sizeof *end);
    bool keyed = true;
    if (transmit && receive) {
        end->transmit = kb_srtp_context(&load->srtp, profile, transmit, true);
        end->receive = kb_srtp_context(&load->srtp, profile, receive, false);
        keyed = end->transmit && end->receive;
    }
    end->fd = fd;
    if (check_bytes)
        memcpy(end->check, check, check_bytes);
    end->check_bytes = check_bytes;
    end->stamped = stamped;
    /* Spread over their period, or all ends would report in one burst. */
    int64_t share = number % 256;
    end->next_check_ns = now_ns() + CHECK_NS * share / 256;
    end->next_report_ns = now_ns() + REPORT_NS * share / 256;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};
    int on = 1;
    if (!keyed || setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on) != 0 ||
        (load->epoll >= 0 && epoll_ctl(load->epoll, EPOLL_CTL_ADD, fd, &event) != 0)) {
        if (end->transmit)
            load->srtp.dealloc(end->transmit);
        if (end->receive)
            load->srtp.dealloc(end->receive);
        return -1;
    }
    load->count = number + 1;
    return (int)number;
}

void kb_load_publish(kb_load *load, int number, const kb_load_publication *publication)
{
    load_end *end = &load->ends[number];
    end->publication = *publication;
    end->publishes = publication->count > 0;
    end->next_packet_ns = now_ns();
}

void kb_load_record(kb_load *load, int number, kb_load_packet *packets, uint32_t capacity)
{
    load_end *end = &load->ends[number];
    end->kept = packets;
    end->kept_capacity = capacity;
    atomic_store(&end->kept_count, 0);
}

uint32_t kb_load_recorded(const kb_load *load, int number)
{
    return atomic_load(&load->ends[number].kept_count);
}

/* `payload` is NULL for what was sent: whoever published knows it. */
static void keep(load_end *end, int64_t at_ns, uint32_t timestamp, uint16_t sequence, const uint8_t *payload,
                 size_t bytes)
{
    uint32_t number = atomic_load_explicit(&end->kept_count, memory_order_relaxed);
    if (number == end->kept_capacity || bytes > KB_LOAD_KEPT_BYTES)
        return;
    kb_load_packet *kept = &end->kept[number];
    kept->at_ns = at_ns;
    kept->timestamp = timestamp;
    kept->sequence = sequence;
    kept->payload_bytes = (uint16_t)bytes;
    if (payload)
        memcpy(kept->payload, payload, bytes);
    atomic_store(&end->kept_count, number + 1);
}

/* A plain RTP packet that came; one whose lengths contradict each other is not kept. */
static void keep_received(load_end *end, const uint8_t *packet, int bytes, int64_t at_ns)
{
    size_t header = 12 + 4 * (size_t)(packet[0] & 15), length = (size_t)bytes;
    if (packet[0] & 0x10) {
        if (header + 4 > length)
            return;
        header += 4 + 4 * (size_t)(packet[header + 2] << 8 | packet[header + 3]);
    }
    if (packet[0] & 0x20)
        length -= packet[length - 1] < length ? packet[length - 1] : length;
    if (header < length)
        keep(end, at_ns, get32(packet + 4), (uint16_t)(packet[2] << 8 | packet[3]), packet + header, length - header);
}

static void transmit(load_end *end, const void *data, size_t bytes)
{
    if (send(end->fd, data, bytes, MSG_DONTWAIT) < 0)
        end->figures.refused++;
}

static void publish(kb_load *load, load_end *end, int64_t now)
{
    const kb_load_publication *p = &end->publication;
    uint8_t packet[PACKET_BYTES];
    size_t payload = p->lengths[end->payload_index];
    packet[0] = 0x80;
    packet[1] = p->payload_type;
    packet[2] = (uint8_t)(end->sequence >> 8);
    packet[3] = (uint8_t)end->sequence;
    put32(packet + 4, end->timestamp);
    put32(packet + 8, p->ssrc);
    memcpy(packet + 12, p->payloads + end->payload_offset, payload);
    if (p->stamped && payload >= 8)
        memcpy(packet + 12 + payload - 8, &now, 8);
    int bytes = (int)(12 + payload);
    if (!end->transmit || load->srtp.protect(end->transmit, packet, &bytes) == KB_SRTP_OK) {
        if (end->kept)
            keep(end, now_ns(), end->timestamp, end->sequence, NULL, payload);
        transmit(end, packet, (size_t)bytes);
        end->figures.sent++;
        end->sent_packets++;
        end->sent_octets += (uint32_t)payload;
    }
    end->sequence++;
    end->timestamp += p->timestamp_step;
    end->payload_offset += payload;
    if (++end->payload_index == p->count)
        end->payload_index = 0, end->payload_offset = 0;
}

static void sender_report(kb_load *load, load_end *end, int64_t now)
{
    uint8_t packet[64] = {0x80, 200, 0, 6};
    uint64_t at = ntp(now);
    put32(packet + 4, end->publication.ssrc);
    put32(packet + 8, (uint32_t)(at >> 32));
    put32(packet + 12, (uint32_t)at);
    put32(packet + 16, end->timestamp);
    put32(packet + 20, end->sent_packets);
    put32(packet + 24, end->sent_octets);
    int bytes = 28;
    if (!end->transmit || load->srtp.protect_rtcp(end->transmit, packet, &bytes) == KB_SRTP_OK)
        transmit(end, packet, (size_t)bytes);
}

static void receiver_report(kb_load *load, load_end *end)
{
    uint8_t packet[64] = {0x81, 201, 0, 7};
    put32(packet + 4, 1 + (uint32_t)(end - load->ends));
    put32(packet + 8, end->source);
    put32(packet + 16, end->highest); /* fraction and sum lost stay 0: what is lost here was never sent or dropped */
    int bytes = 32;
    if (!end->transmit || load->srtp.protect_rtcp(end->transmit, packet, &bytes) == KB_SRTP_OK)
        transmit(end, packet, (size_t)bytes);
}

static void count_delay(kb_load *load, const uint8_t *packet, int bytes, int64_t at_ns)
{
    int64_t sent_ns;
    if (bytes < 20)
        return;
    memcpy(&sent_ns, packet + bytes - 8, 8);
    int64_t bucket = (at_ns - sent_ns) / KB_LOAD_BUCKET_NS;
    load->delays[bucket < 0 ? 0 : bucket >= KB_LOAD_BUCKETS ? KB_LOAD_BUCKETS - 1 : bucket]++;
}

static void take(kb_load *load, load_end *end, uint8_t *packet, int bytes, int64_t at_ns)
{
    if (bytes < 12 || packet[0] < 128)
        return; /* answers to checks */
    if (packet[1] >= 192 && packet[1] <= 223) {
        if (!end->receive || load->srtp.unprotect_rtcp(end->receive, packet, &bytes) == KB_SRTP_OK)
            end->figures.rtcp++;
        return;
    }
    int wire_bytes = bytes;
    int status = end->receive ? load->srtp.unprotect(end->receive, packet, &bytes) : KB_SRTP_OK;
    if (status != KB_SRTP_OK) {
        if (status == KB_SRTP_REPLAY_FAIL || status == KB_SRTP_REPLAY_OLD)
            end->figures.duplicates++;
        else
            end->figures.failures++;
        return;
    }
    uint32_t ssrc = get32(packet + 8);
    uint16_t sequence = (uint16_t)(packet[2] << 8 | packet[3]);
    if (!end->has_source || ssrc != end->source) {
        end->has_source = true;
        end->source = ssrc;
        end->first = end->highest = 65536u + sequence;
        end->figures.received = end->figures.bytes = 0;
    }
    int32_t ahead = (int16_t)(uint16_t)(sequence - (uint16_t)end->highest);
    if (ahead > 0)
        end->highest += (uint32_t)ahead;
    else if (end->highest + (uint32_t)ahead < end->first)
        return; /* older than the first we counted from */
    end->figures.received++;
    end->figures.bytes += (uint64_t)wire_bytes;
    if (end->stamped)
        count_delay(load, packet, bytes, at_ns);
    if (end->kept && !end->publishes)
        keep_received(end, packet, bytes, at_ns);
}

/* When the datagram came; counts what the socket had no room for before it. */
static int64_t arrival_ns(load_end *end, struct msghdr *header)
{
    int64_t at_ns = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec at;
            memcpy(&at, CMSG_DATA(c), sizeof at);
            at_ns = at.tv_sec * 1000000000ll + at.tv_nsec;
        } else if (c->cmsg_type == SO_RXQ_OVFL) {
            uint32_t overflows;
            memcpy(&overflows, CMSG_DATA(c), sizeof overflows);
            end->figures.overflowed += overflows - end->overflows;
            end->overflows = overflows;
        }
    }
    return at_ns ? at_ns : now_ns();
}

static void drain(kb_load *load, load_end *end)
{
    struct mmsghdr messages[BATCH];
    struct iovec vectors[BATCH];
    for (int i = 0; i < BATCH; i++) {
        vectors[i] = (struct iovec){load->packets[i], PACKET_BYTES};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1, .msg_control = load->controls[i],
                                              .msg_controllen = sizeof load->controls[i]};
    }
    int count = recvmmsg(end->fd, messages, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++)
        take(load, end, load->packets[i], (int)messages[i].msg_len, arrival_ns(end, &messages[i].msg_hdr));
}

/* Sends what is due; returns when something is due next. */
static int64_t send_due(kb_load *load, int64_t now)
{
    int64_t next = now + SCAN_NS;
    for (uint32_t i = 0; i < load->count; i++) {
        load_end *end = &load->ends[i];
        if (end->next_check_ns <= now) {
            if (end->check_bytes)
                transmit(end, end->check, end->check_bytes);
            end->next_check_ns = now + CHECK_NS;
        }
        if (end->next_report_ns <= now) {
            if (end->publishes)
                sender_report(load, end, now_ns());
            if (end->has_source)
                receiver_report(load, end);
            end->next_report_ns = now + REPORT_NS;
        }
        if (!end->publishes)
            continue;
        while (end->next_packet_ns <= now) {
            publish(load, end, now_ns());
            end->next_packet_ns += end->publication.interval_ns;
        }
        if (end->next_packet_ns < next)
            next = end->next_packet_ns;
    }
    return next;
}

static void reset(kb_load *load)
{
    for (uint32_t i = 0; i < load->count; i++) {
        load_end *end = &load->ends[i];
        memset(&end->figures, 0, sizeof end->figures);
        end->first = end->highest + 1; /* holes are counted from the next packet on */
    }
    memset(load->delays, 0, sizeof load->delays);
}

static void wait_for_packets(kb_load *load, int64_t wait_ns)
{
    struct epoll_event events[64];
    struct timespec timeout = {.tv_sec = wait_ns / 1000000000ll, .tv_nsec = wait_ns % 1000000000ll};
    int ready = epoll_pwait2(load->epoll, events, 64, &timeout, NULL);
    for (int i = 0; i < ready; i++)
        drain(load, &load->ends[events[i].data.u32]);
}

static void *run(void *argument)
{
    kb_load *load = argument;
    int64_t next = 0, next_read = 0;
    if (load->realtime)
        pthread_setschedparam(pthread_self(), SCHED_FIFO, &(struct sched_param){.sched_priority = FIFO_PRIORITY});
    while (!atomic_load(&load->stopping)) {
        if (atomic_load(&load->reset_wanted)) {
            reset(load);
            atomic_store(&load->reset_wanted, false);
        }
        int64_t now = now_ns();
        if (now >= next)
            next = send_due(load, now);
        if (!load->read_every_ns) {
            wait_for_packets(load, next - now < 0 ? 0 : next - now);
            continue;
        }
        if (now >= next_read) {
            for (uint32_t i = 0; i < load->count; i++)
                drain(load, &load->ends[i]);
            next_read = now + load->read_every_ns;
        }
        int64_t wait = (next < next_read ? next : next_read) - now_ns();
        if (wait > 0)
            nanosleep(&(struct timespec){.tv_nsec = wait}, NULL);
    }
    return NULL;
}

static int64_t first_send_ns(const kb_load_publication *publication, int64_t now)
{
    int64_t interval = publication->interval_ns;
    return interval ? (now / interval + 1) * interval + publication->phase_ns : now;
}

int kb_load_start(kb_load *load, bool realtime)
{
    if (load->running)
        return 0;
    int64_t now = now_ns();
    for (uint32_t i = 0; i < load->count; i++) /* joins took a while: do not send the backlog at once */
        load->ends[i].next_packet_ns = first_send_ns(&load->ends[i].publication, now);
    load->realtime = realtime;
    atomic_store(&load->stopping, false);
    int status = pthread_create(&load->thread, NULL, run, load);
    load->running = status == 0;
    return status;
}

void kb_load_stop(kb_load *load)
{
    if (!load->running)
        return;
    atomic_store(&load->stopping, true);
    pthread_join(load->thread, NULL);
    load->running = false;
}

void kb_load_reset(kb_load *load)
{
    atomic_store(&load->reset_wanted, true);
    while (load->running && atomic_load(&load->reset_wanted))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void add(kb_load_figures *sum, const load_end *end)
{
    const kb_load_figures *f = &end->figures;
    sum->received += f->received, sum->bytes += f->bytes;
    sum->duplicates += f->duplicates, sum->failures += f->failures;
    sum->overflowed += f->overflowed;
    sum->rtcp += f->rtcp, sum->sent += f->sent, sum->refused += f->refused;
    uint64_t expected = end->has_source ? (uint64_t)(end->highest + 1 - end->first) : 0;
    sum->lost += expected > f->received ? expected - f->received : 0;
}

void kb_load_read(const kb_load *load, int number, kb_load_figures *out)
{
    memset(out, 0, sizeof *out);
    if (number >= 0) {
        add(out, &load->ends[number]);
        return;
    }
    for (uint32_t i = 0; i < load->count; i++)
        add(out, &load->ends[i]);
}

void kb_load_delays(const kb_load *load, uint32_t out[KB_LOAD_BUCKETS])
{
    memcpy(out, load->delays, sizeof load->delays);
}
