#define _GNU_SOURCE
#include "kb_relay.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 32
#define BUFFER_BYTES (4 << 20) /* what waits while the thread has no core: 3,500 datagrams of 1.2 kB */
#define LONGEST_WAIT_NS 1000000000ll
#define FIFO_PRIORITY 30 /* above the server's threads under test, which ask for 10 and 11 */
enum { TAG_WAKE, TAG_LISTEN, TAG_FLOW };

typedef struct relay_socket {
    int fd;
    uint32_t overflow; /* the kernel's count of drops, as last told (SO_RXQ_OVFL) */
} relay_socket;

typedef struct flow {
    struct sockaddr_in client;
    relay_socket up;
} flow;

struct kb_relay {
    kb_relay_config config;
    pthread_mutex_t mutex;
    kb_impair *impair;
    flow *flows;
    uint32_t *table; /* open addressing: flow number + 1 */
    uint32_t flow_count, table_mask;
    relay_socket listen;
    int epoll, wake;
    pthread_t thread;
    bool running, is_fifo;
    atomic_bool stopping;
    uint64_t refused[2], overruns[2];
    uint32_t lateness[KB_RELAY_BUCKETS];
    uint8_t packets[BATCH][KB_IMPAIR_DATAGRAM + 1]; /* one more, so that longer ones are known */
    uint8_t controls[BATCH][128];
};

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static int watch(kb_relay *relay, int fd, uint32_t tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = tag};
    return epoll_ctl(relay->epoll, EPOLL_CTL_ADD, fd, &event);
}

static int new_socket(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1, bytes = BUFFER_BYTES;
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0) /* beyond rmem_max: root only */
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    return fd;
}

/* A socket whose peer is the server, known to epoll as the flow's; -1 and errno. */
static int toward_server(kb_relay *relay, uint32_t number)
{
    int fd = new_socket();
    if (fd < 0)
        return -1;
    const struct sockaddr *server = (const struct sockaddr *)&relay->config.server;
    if (connect(fd, server, sizeof relay->config.server) != 0 || watch(relay, fd, TAG_FLOW + number) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

kb_relay *kb_relay_new(const kb_relay_config *config)
{
    kb_relay *relay = calloc(1, sizeof *relay);
    if (!relay)
        return NULL;
    relay->config = *config;
    relay->listen.fd = relay->epoll = relay->wake = -1;
    pthread_mutexattr_t inherits; /* a caller of normal priority must not keep the thread waiting */
    pthread_mutexattr_init(&inherits);
    pthread_mutexattr_setprotocol(&inherits, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&relay->mutex, &inherits);
    pthread_mutexattr_destroy(&inherits);
    uint32_t room = 2;
    while (room < 2 * config->clients)
        room *= 2;
    relay->table_mask = room - 1;
    relay->table = calloc(room, sizeof *relay->table);
    relay->flows = calloc(config->clients, sizeof *relay->flows);
    relay->impair = kb_impair_new(config->seed, 2 * config->clients, config->packets);
    relay->epoll = epoll_create1(EPOLL_CLOEXEC);
    relay->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    relay->listen.fd = new_socket();
    socklen_t length = sizeof relay->config.listen;
    struct sockaddr *own = (struct sockaddr *)&relay->config.listen;
    if (!relay->table || !relay->flows || !relay->impair || relay->epoll < 0 || relay->wake < 0 ||
        relay->listen.fd < 0 || bind(relay->listen.fd, own, length) != 0 ||
        getsockname(relay->listen.fd, own, &length) != 0 || watch(relay, relay->wake, TAG_WAKE) != 0 ||
        watch(relay, relay->listen.fd, TAG_LISTEN) != 0) {
        int error = errno;
        kb_relay_free(relay);
        errno = error;
        return NULL;
    }
    return relay;
}

void kb_relay_free(kb_relay *relay)
{
    if (!relay)
        return;
    kb_relay_stop(relay);
    for (uint32_t i = 0; i < relay->flow_count; i++)
        close(relay->flows[i].up.fd);
    for (int i = 0; i < 3; i++) {
        int fd = (int[]){relay->listen.fd, relay->epoll, relay->wake}[i];
        if (fd >= 0)
            close(fd);
    }
    pthread_mutex_destroy(&relay->mutex);
    kb_impair_free(relay->impair);
    free(relay->table);
    free(relay->flows);
    free(relay);
}

/* The number of the client's flow, made when it is new; UINT32_MAX when there is no room or no socket. */
static uint32_t flow_of(kb_relay *relay, const struct sockaddr_in *client)
{
    uint32_t hash = (client->sin_addr.s_addr ^ (uint32_t)client->sin_port << 16) * 0x9e3779b1u;
    for (uint32_t at = hash >> 7 & relay->table_mask;; at = (at + 1) & relay->table_mask) {
        uint32_t number = relay->table[at];
        if (number == 0) {
            if (relay->flow_count == relay->config.clients)
                return UINT32_MAX;
            int fd = toward_server(relay, relay->flow_count);
            if (fd < 0)
                return UINT32_MAX;
            relay->flows[relay->flow_count] = (flow){.client = *client, .up = {.fd = fd}};
            relay->table[at] = relay->flow_count + 1;
            return relay->flow_count++;
        }
        const struct sockaddr_in *known = &relay->flows[number - 1].client;
        if (known->sin_port == client->sin_port && known->sin_addr.s_addr == client->sin_addr.s_addr)
            return number - 1;
    }
}

/* When the kernel had the datagram, on the monotonic clock; tells of datagrams it dropped, too. */
static int64_t read_controls(kb_relay *relay, struct msghdr *header, relay_socket *from, int direction, int64_t now_ns,
                             int64_t ahead_ns)
{
    int64_t at_ns = now_ns;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec stamp;
            memcpy(&stamp, CMSG_DATA(c), sizeof stamp);
            at_ns = stamp.tv_sec * 1000000000ll + stamp.tv_nsec - ahead_ns;
        } else if (c->cmsg_type == SO_RXQ_OVFL) {
            uint32_t dropped;
            memcpy(&dropped, CMSG_DATA(c), sizeof dropped);
            relay->overruns[direction] += dropped - from->overflow;
            from->overflow = dropped;
        }
    }
    /* The wall clock may have stepped meanwhile: a stamp from the future or of long ago is not one. */
    return at_ns > now_ns || now_ns - at_ns > LONGEST_WAIT_NS ? now_ns : at_ns;
}

/* Reads a socket until it is empty. `number` is its flow's, or UINT32_MAX for the clients' side. */
static void drain(kb_relay *relay, relay_socket *from, uint32_t number)
{
    struct mmsghdr messages[BATCH];
    struct iovec vectors[BATCH];
    struct sockaddr_in sources[BATCH];
    int direction = number == UINT32_MAX ? KB_RELAY_UP : KB_RELAY_DOWN;
    int count;
    do {
        for (int i = 0; i < BATCH; i++) {
            vectors[i] = (struct iovec){relay->packets[i], sizeof relay->packets[i]};
            messages[i].msg_hdr = (struct msghdr){
                .msg_name = &sources[i], .msg_namelen = sizeof sources[i], .msg_iov = &vectors[i], .msg_iovlen = 1,
                .msg_control = relay->controls[i], .msg_controllen = sizeof relay->controls[i]};
        }
        count = recvmmsg(from->fd, messages, BATCH, MSG_DONTWAIT, NULL);
        int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
        int64_t ahead_ns = clock_ns(CLOCK_REALTIME) - now_ns;
        for (int i = 0; i < count; i++) {
            struct msghdr *header = &messages[i].msg_hdr;
            int64_t at_ns = read_controls(relay, header, from, direction, now_ns, ahead_ns);
            uint32_t to = number == UINT32_MAX ? flow_of(relay, &sources[i]) : number;
            if (to == UINT32_MAX)
                relay->refused[direction]++;
            else
                kb_impair_receive(relay->impair, 2 * to + (uint32_t)direction, relay->packets[i], messages[i].msg_len,
                                  at_ns);
        }
    } while (count == BATCH);
}

static void send_due(kb_relay *relay)
{
    kb_impair_packet packet;
    int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    while (kb_impair_poll(relay->impair, now_ns, &packet)) {
        const flow *of = &relay->flows[packet.link / 2];
        int direction = (int)packet.link & 1;
        ssize_t sent = direction == KB_RELAY_UP
                           ? send(of->up.fd, packet.data, packet.bytes, MSG_DONTWAIT)
                           : sendto(relay->listen.fd, packet.data, packet.bytes, MSG_DONTWAIT,
                                    (const struct sockaddr *)&of->client, sizeof of->client);
        relay->refused[direction] += sent < 0;
        now_ns = clock_ns(CLOCK_MONOTONIC);
        int64_t bucket = (now_ns - packet.due_ns) / KB_RELAY_BUCKET_NS;
        relay->lateness[bucket < KB_RELAY_BUCKETS ? bucket : KB_RELAY_BUCKETS - 1]++;
    }
}

static void *run(void *argument)
{
    kb_relay *relay = argument;
    struct epoll_event events[64];
    struct sched_param priority = {.sched_priority = FIFO_PRIORITY};
    prctl(PR_SET_NAME, "kabina-relay");
    prctl(PR_SET_TIMERSLACK, 1); /* 50 µs by default */
    bool is_fifo = pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority) == 0;
    pthread_mutex_lock(&relay->mutex);
    relay->is_fifo = is_fifo;
    while (!atomic_load(&relay->stopping)) {
        send_due(relay);
        int64_t deadline_ns = kb_impair_deadline(relay->impair);
        pthread_mutex_unlock(&relay->mutex);
        int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
        int64_t wait_ns = deadline_ns < now_ns ? 0 : deadline_ns - now_ns;
        if (wait_ns > LONGEST_WAIT_NS)
            wait_ns = LONGEST_WAIT_NS;
        struct timespec timeout = {.tv_sec = wait_ns / 1000000000ll, .tv_nsec = wait_ns % 1000000000ll};
        int ready = epoll_pwait2(relay->epoll, events, 64, &timeout, NULL);
        pthread_mutex_lock(&relay->mutex);
        for (int i = 0; i < ready; i++) {
            uint32_t tag = events[i].data.u32;
            uint64_t ignored;
            if (tag == TAG_WAKE)
                (void)!read(relay->wake, &ignored, sizeof ignored);
            else if (tag == TAG_LISTEN)
                drain(relay, &relay->listen, UINT32_MAX);
            else
                drain(relay, &relay->flows[tag - TAG_FLOW].up, tag - TAG_FLOW);
        }
    }
    pthread_mutex_unlock(&relay->mutex);
    return NULL;
}

int kb_relay_start(kb_relay *relay)
{
    if (relay->running)
        return 0;
    atomic_store(&relay->stopping, false);
    int status = pthread_create(&relay->thread, NULL, run, relay);
    relay->running = status == 0;
    return status;
}

void kb_relay_stop(kb_relay *relay)
{
    if (!relay->running)
        return;
    atomic_store(&relay->stopping, true);
    (void)!write(relay->wake, &(uint64_t){1}, sizeof(uint64_t));
    pthread_join(relay->thread, NULL);
    relay->running = false;
}

uint16_t kb_relay_port(const kb_relay *relay)
{
    return ntohs(relay->config.listen.sin_port);
}

bool kb_relay_is_fifo(kb_relay *relay)
{
    pthread_mutex_lock(&relay->mutex);
    bool is_fifo = relay->is_fifo;
    pthread_mutex_unlock(&relay->mutex);
    return is_fifo;
}

void kb_relay_set(kb_relay *relay, int direction, const kb_impair_settings *settings)
{
    pthread_mutex_lock(&relay->mutex);
    kb_impair_set(relay->impair, direction, settings);
    pthread_mutex_unlock(&relay->mutex);
}

int kb_relay_rebind(kb_relay *relay, int client)
{
    int status = 0;
    pthread_mutex_lock(&relay->mutex);
    for (uint32_t i = 0; i < relay->flow_count && status == 0; i++) {
        if (client >= 0 && (uint32_t)client != i)
            continue;
        /* The old one is closed last, or the kernel might give out its port again. */
        int fd = toward_server(relay, i);
        if (fd < 0) {
            status = errno;
            continue;
        }
        close(relay->flows[i].up.fd);
        relay->flows[i].up = (relay_socket){.fd = fd};
    }
    pthread_mutex_unlock(&relay->mutex);
    return status;
}

uint32_t kb_relay_clients(kb_relay *relay)
{
    pthread_mutex_lock(&relay->mutex);
    uint32_t count = relay->flow_count;
    pthread_mutex_unlock(&relay->mutex);
    return count;
}

bool kb_relay_ports(kb_relay *relay, uint32_t client, uint16_t *own, uint16_t *seen)
{
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    pthread_mutex_lock(&relay->mutex);
    bool known = client < relay->flow_count &&
                 getsockname(relay->flows[client].up.fd, (struct sockaddr *)&address, &length) == 0;
    if (known) {
        *own = ntohs(relay->flows[client].client.sin_port);
        *seen = ntohs(address.sin_port);
    }
    pthread_mutex_unlock(&relay->mutex);
    return known;
}

void kb_relay_read(kb_relay *relay, int direction, kb_relay_counters *out)
{
    direction &= 1;
    pthread_mutex_lock(&relay->mutex);
    out->impair = *kb_impair_count(relay->impair, direction);
    out->refused = relay->refused[direction];
    out->overruns = relay->overruns[direction];
    pthread_mutex_unlock(&relay->mutex);
}

void kb_relay_lateness(kb_relay *relay, uint32_t out[KB_RELAY_BUCKETS])
{
    pthread_mutex_lock(&relay->mutex);
    memcpy(out, relay->lateness, sizeof relay->lateness);
    pthread_mutex_unlock(&relay->mutex);
}
