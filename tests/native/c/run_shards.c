/* Egress threads alone, for AddressSanitizer and ThreadSanitizer: what is handed over is protected once, in order, by its
 * thread, and sent; a full ring drops and counts; contexts are freed as soon as the threads have passed them.
 */
#define _GNU_SOURCE
#include "kb_bytes.h"
#include "kb_shard.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SHARDS 2u
#define PEERS 24u
#define TURNS 1000u
#define TAG 0x5a
#define PACKET_BYTES 60u
#define CHECK(what)                                                                                                   \
    do {                                                                                                              \
        if (!(what)) {                                                                                                \
            fprintf(stderr, "run_shards:%d: %s\n", __LINE__, #what);                                                  \
            exit(1);                                                                                                  \
        }                                                                                                             \
    } while (0)

/* A context without a cipher: it knows what it protected last. */
typedef struct context {
    uint32_t alive;
    uint32_t next; /* number of the packet that must come, or a later one when some were dropped */
    uint32_t count;
} context;

#define ALIVE 0xa11fe
static bool lossy;

static int add_tag(void *at, void *packet, int *bytes)
{
    context *used = at;
    uint32_t number;
    memcpy(&number, packet, sizeof number);
    CHECK(used->alive == ALIVE);
    CHECK(lossy ? number >= used->next : number == used->next);
    used->next = number + 1;
    used->count++;
    ((uint8_t *)packet)[(*bytes)++] = TAG;
    return KB_SRTP_OK;
}

typedef struct peer {
    context *context;
    uint32_t sent, heard, next; /* next: number that the sink expects, or a later one */
    uint64_t number;            /* of the turn that removed it, 0 = it is there */
} peer;

static const kb_srtp_table srtp = {.protect = add_tag, .protect_rtcp = add_tag};
static kb_shard *shards[SHARDS];
static kb_wake plane_wake;
static int from, sinks[PEERS];
static kb_address to[PEERS];

static int open_socket(kb_address *address)
{
    kb_socket_address bound = {.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof bound.v4;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), room = 1 << 20;
    CHECK(fd >= 0 && bind(fd, &bound.any, size) == 0 && getsockname(fd, &bound.any, &size) == 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    *address = kb_address_from(&bound);
    return fd;
}

static void open_shards(uint32_t packets)
{
    for (uint32_t i = 0; i < SHARDS; i++) {
        kb_shard_config config = {.v4 = from, .v6 = -1, .streams = true, .number = i, .packets = packets,
                                  .srtp = &srtp, .plane_wake = &plane_wake};
        shards[i] = kb_shard_new(&config);
        CHECK(shards[i]);
    }
}

static uint64_t total(enum kb_counter counter)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < SHARDS; i++)
        sum += kb_shard_counter(shards[i], counter);
    return sum;
}

static void close_shards(void)
{
    for (uint32_t i = 0; i < SHARDS; i++)
        kb_shard_free(shards[i]);
}

static context *new_context(void)
{
    context *made = calloc(1, sizeof *made);
    CHECK(made);
    made->alive = ALIVE;
    return made;
}

static bool send_one(peer *peer, uint32_t index, uint32_t number, const kb_address *address)
{
    kb_shard *shard = shards[index % SHARDS];
    kb_seal seal = {.kind = number % 7 ? KB_SEAL_RTP : KB_SEAL_RTCP, .context = peer->context};
    uint8_t *packet = kb_shard_claim(shard);
    memset(packet, (int)index, PACKET_BYTES);
    memcpy(packet, &number, sizeof number);
    return kb_shard_commit(shard, &seal, PACKET_BYTES, address, number % 11 == 0);
}

static void hear(peer *peers)
{
    uint8_t data[256];
    for (uint32_t i = 0; i < PEERS; i++)
        for (ssize_t size; (size = recv(sinks[i], data, sizeof data, 0)) >= 0;) {
            uint32_t number;
            memcpy(&number, data, sizeof number);
            CHECK(size == PACKET_BYTES + 1 && data[PACKET_BYTES] == TAG && data[20] == i);
            CHECK(lossy ? number >= peers[i].next : number == peers[i].next);
            peers[i].next = number + 1;
            peers[i].heard++;
        }
}

static uint64_t passed(void)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < SHARDS; i++)
        least = kb_shard_passed(shards[i]) < least ? kb_shard_passed(shards[i]) : least;
    return least;
}

/* Peers come and go while their packets are on the way; the sinks stay, so that all of them can be counted. */
static void churn(bool threads, uint32_t packets)
{
    peer peers[PEERS] = {{0}};
    uint64_t turn = 0, dropped = 0, sent = 0;
    uint32_t seed = 7, freed = 0;
    lossy = packets > 0;
    open_shards(packets);
    for (uint32_t i = 0; threads && i < SHARDS; i++)
        CHECK(kb_shard_start(shards[i]) == 0);
    while (++turn <= TURNS) {
        for (uint32_t i = 0; i < PEERS; i++) {
            peer *peer = &peers[i];
            seed = seed * 1664525u + 1013904223u;
            if (peer->number && passed() >= peer->number) {
                peer->context->alive = 0;
                free(peer->context);
                peer->number = 0;
                peer->context = NULL;
                freed++;
            }
            if (!peer->context) {
                peer->context = new_context();
                peer->context->next = peer->sent;
            }
            for (uint32_t more = seed >> 29; more && !peer->number; more--, sent++)
                dropped += !send_one(peer, i, peer->sent++, &to[i]);
            if ((seed >> 16) % 16 == 3 && !peer->number)
                peer->number = turn;
        }
        for (uint32_t i = 0; i < SHARDS; i++)
            kb_shard_end(shards[i], turn);
        hear(peers);
        /* The sinks are small, not the ring: what is on the way stays less than they hold. */
        while (!lossy && turn % 8 == 0 && passed() < turn)
            hear(peers);
    }
    for (uint32_t i = 0; i < SHARDS; i++)
        kb_shard_stop(shards[i]);
    hear(peers);
    uint64_t heard = 0;
    for (uint32_t i = 0; i < PEERS; i++) {
        heard += peers[i].heard;
        CHECK(lossy || (peers[i].heard == peers[i].sent));
        free(peers[i].context);
    }
    CHECK(freed > PEERS);
    CHECK(total(KB_COUNT_datagrams_sent) == sent - dropped && heard == sent - dropped);
    CHECK(total(KB_COUNT_bytes_sent) == heard * (PACKET_BYTES + 1));
    CHECK(total(KB_COUNT_sends_refused) == 0 && total(KB_COUNT_sends_failed) == 0);
    CHECK(lossy ? dropped > 0 : dropped == 0);
    close_shards();
}

/* What goes over TCP comes back, protected and in order, and when nobody takes it is dropped and counted. */
static void streams(void)
{
    peer one = {.context = new_context()};
    lossy = false;
    open_shards(0);
    CHECK(kb_shard_start(shards[0]) == 0);
    kb_address stream = to[0];
    stream.stream = 9;
    for (uint32_t number = 0, back = 0; number < 500; number++) {
        CHECK(send_one(&one, 0, number, &stream));
        if (number % 10 != 9)
            continue;
        kb_shard_end(shards[0], number);
        for (const kb_shard_datagram *datagram; back <= number;) {
            if (!(datagram = kb_shard_returned(shards[0])))
                continue;
            uint32_t told;
            memcpy(&told, datagram->data, sizeof told);
            CHECK(told == back++ && datagram->bytes == PACKET_BYTES + 1 && datagram->data[PACKET_BYTES] == TAG);
            CHECK(kb_address_same(&datagram->to, &stream));
            kb_shard_take(shards[0]);
        }
    }
    for (uint32_t number = 500; number < 2500; number++)
        CHECK(send_one(&one, 0, number, &stream));
    kb_shard_end(shards[0], 2500);
    kb_shard_stop(shards[0]);
    uint32_t left = 0;
    for (; kb_shard_returned(shards[0]); left++)
        kb_shard_take(shards[0]);
    CHECK(left > 0 && left + total(KB_COUNT_egress_overrun) == 2000);
    CHECK(total(KB_COUNT_datagrams_sent) == 0); /* the plane counts them */
    free(one.context);
    close_shards();
}

int main(void)
{
    kb_address own;
    from = open_socket(&own);
    CHECK(kb_wake_open(&plane_wake) == 0);
    for (uint32_t i = 0; i < PEERS; i++)
        sinks[i] = open_socket(&to[i]);
    churn(false, 0);
    churn(true, 0);
    puts("churn: ok");
    churn(true, 16);
    puts("full: ok");
    streams();
    puts("streams: ok");
    for (uint32_t i = 0; i < PEERS; i++)
        close(sinks[i]);
    kb_wake_close(&plane_wake);
    close(from);
    return 0;
}
