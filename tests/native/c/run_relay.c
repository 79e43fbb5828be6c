/* The impairment core at given times, and the relay's thread between real sockets. Each part prints "name: ok". */
#define _GNU_SOURCE
#include "kb_impair.h"
#include "kb_relay.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MS 1000000LL
#define CHECK(what)                                                          \
    do                                                                       \
        if (!(what)) {                                                       \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);       \
            exit(1);                                                         \
        }                                                                    \
    while (0)

static const kb_impair_settings CLEAR;
static const kb_impair_settings BURSTS = {.bad_loss = 1, .good_to_bad = 0.05 / 0.95 / 3, .bad_to_good = 1.0 / 3};

static void enter(kb_impair *impair, uint32_t link, uint32_t number, size_t bytes, int64_t now_ns)
{
    uint8_t data[KB_IMPAIR_DATAGRAM + 1] = {0};
    memcpy(data, &number, sizeof number);
    kb_impair_receive(impair, link, data, bytes, now_ns);
}

/* Marks who arrives of `count` packets on a link, 1 ms apart, while `other` links carry what they like. */
static void fates(uint64_t seed, uint32_t link, const kb_impair_settings *settings, int others, uint8_t *arrived,
                  uint32_t count)
{
    kb_impair *impair = kb_impair_new(seed, 8, 64);
    kb_impair_packet packet;
    CHECK(impair);
    kb_impair_set(impair, 0, settings);
    kb_impair_set(impair, 1, settings);
    memset(arrived, 0, count);
    for (uint32_t i = 0; i < count; i++) {
        for (int k = 0; k < others; k++)
            enter(impair, (link + 1 + (uint32_t)k) % 8, i, 20, i * MS);
        enter(impair, link, i, 100, i * MS);
        while (kb_impair_poll(impair, i * MS, &packet)) {
            uint32_t number;
            memcpy(&number, packet.data, sizeof number);
            if (packet.link == link)
                arrived[number] = 1;
        }
    }
    kb_impair_free(impair);
}

static void test_fates(void)
{
    enum { COUNT = 60000 };
    static uint8_t one[COUNT], two[COUNT];
    fates(1, 2, &BURSTS, 0, one, COUNT);
    fates(1, 2, &BURSTS, 3, two, COUNT); /* others do not matter */
    CHECK(memcmp(one, two, COUNT) == 0);
    fates(2, 2, &BURSTS, 0, two, COUNT);
    CHECK(memcmp(one, two, COUNT) != 0);
    fates(1, 3, &BURSTS, 0, two, COUNT); /* the way back is another one */
    CHECK(memcmp(one, two, COUNT) != 0);
    int lost = 0, bursts = 0;
    for (int i = 1; i < COUNT; i++) {
        lost += !one[i];
        bursts += !one[i] && one[i - 1];
    }
    CHECK(fabs((double)lost / COUNT - 0.05) < 0.005); /* 4 standard errors of such bursts */
    CHECK(fabs((double)lost / bursts - 3) < 0.25);
    const kb_impair_settings random = {.good_loss = 0.05};
    fates(1, 2, &random, 0, one, COUNT);
    lost = 0, bursts = 0;
    for (int i = 1; i < COUNT; i++) {
        lost += !one[i];
        bursts += !one[i] && one[i - 1];
    }
    CHECK(fabs((double)lost / COUNT - 0.05) < 0.0036);
    CHECK(fabs((double)lost / bursts - 1 / 0.95) < 0.02);
    printf("fates: ok\n");
}

static void test_order(void)
{
    kb_impair *impair = kb_impair_new(5, 2, 4096);
    kb_impair_packet packet;
    /* Jitter keeps order; each leaves within delay … delay + jitter, or when the one before did. */
    const kb_impair_settings jitter = {.delay_ns = 30 * MS, .jitter_ns = 20 * MS};
    kb_impair_set(impair, 0, &jitter);
    uint32_t next = 0;
    int64_t last_ns = 0, entered_ns[500];
    for (uint32_t i = 0; i < 500; i++) {
        entered_ns[i] = i * 5 * MS;
        enter(impair, 0, i, 50, entered_ns[i]);
    }
    while (kb_impair_poll(impair, INT64_MAX, &packet)) {
        uint32_t number;
        memcpy(&number, packet.data, sizeof number);
        CHECK(number == next++ && packet.due_ns >= last_ns && packet.bytes == 50);
        CHECK(packet.due_ns >= entered_ns[number] + 30 * MS && packet.due_ns < entered_ns[number] + 50 * MS);
        last_ns = packet.due_ns;
    }
    CHECK(next == 500);
    /* Held back by at most three, never lost; all else comes in order. */
    const kb_impair_settings reorder = {.reorder = 0.05, .reorder_packets = 3, .duplicate = 0.01};
    kb_impair_set(impair, 1, &reorder);
    static uint8_t times[4000];
    uint32_t highest = 0, late = 0, duplicates = 0;
    for (uint32_t i = 0; i < 4000; i++) {
        enter(impair, 1, i, 50, i * 20 * MS);
        while (kb_impair_poll(impair, i * 20 * MS, &packet)) {
            uint32_t number;
            memcpy(&number, packet.data, sizeof number);
            duplicates += times[number]++;
            CHECK(number + 3 >= highest);
            if (number >= highest)
                highest = number;
            else
                late++;
        }
    }
    while (kb_impair_poll(impair, INT64_MAX, &packet))
        times[*(uint32_t *)(void *)packet.data]++;
    for (uint32_t i = 0; i < 4000; i++)
        CHECK(times[i] >= 1);
    const kb_impair_counters *counters = kb_impair_count(impair, 1);
    CHECK(late > 150 && late < 250 && counters->reordered >= late);
    CHECK(duplicates > 20 && duplicates < 60 && counters->duplicated == duplicates);
    CHECK(counters->forwarded == 4000 + duplicates);
    /* A held packet without followers waits for KB_IMPAIR_HOLD_NS. */
    const kb_impair_settings always = {.reorder = 1, .reorder_packets = 3};
    kb_impair_set(impair, 0, &always);
    enter(impair, 0, 1, 50, 10000 * MS);
    CHECK(kb_impair_deadline(impair) == 10000 * MS + KB_IMPAIR_HOLD_NS);
    CHECK(!kb_impair_poll(impair, 10000 * MS, &packet));
    CHECK(kb_impair_poll(impair, 10000 * MS + KB_IMPAIR_HOLD_NS, &packet));
    CHECK(kb_impair_deadline(impair) == INT64_MAX);
    kb_impair_free(impair);
    printf("order: ok\n");
}

static void test_bottleneck(void)
{
    kb_impair *impair = kb_impair_new(5, 2, 1024);
    kb_impair_packet packet;
    /* 1000 bytes as IP packets at 800 kb/s: one each 10 ms. Offered twice of that, half of it is dropped. */
    const kb_impair_settings narrow = {.rate_bps = 800000, .queue_ns = 95 * MS};
    kb_impair_set(impair, 0, &narrow);
    for (uint32_t i = 0; i < 1000; i++)
        enter(impair, 0, i, 1000 - KB_IMPAIR_OVERHEAD, i * 5 * MS);
    int64_t last_ns = 0;
    uint32_t count = 0;
    while (kb_impair_poll(impair, INT64_MAX, &packet)) {
        CHECK(packet.due_ns - last_ns == 10 * MS);
        last_ns = packet.due_ns;
        count++;
    }
    CHECK(last_ns > 5000 * MS && last_ns < 5110 * MS && count == last_ns / (10 * MS));
    CHECK(kb_impair_count(impair, 0)->queue_drops == 1000 - count);
    /* Limited in bytes: five fit, whatever their number. */
    const kb_impair_settings small = {.rate_bps = 800000, .queue_bytes = 5000};
    kb_impair_set(impair, 1, &small);
    for (uint32_t i = 0; i < 9; i++)
        enter(impair, 1, i, 1000 - KB_IMPAIR_OVERHEAD, 0);
    for (count = 0; kb_impair_poll(impair, INT64_MAX, &packet); count++)
        ;
    CHECK(count == 5 && kb_impair_count(impair, 1)->queue_drops == 4);
    /* Size, black-out, damage. */
    kb_impair_settings others = {.mtu_bytes = 1280, .corrupt = 1};
    kb_impair_set(impair, 1, &others);
    enter(impair, 1, 0, 1280 - KB_IMPAIR_OVERHEAD + 1, 0);
    enter(impair, 1, 0, KB_IMPAIR_DATAGRAM + 1, 0);
    enter(impair, 1, 0, 0, 0);
    CHECK(kb_impair_poll(impair, INT64_MAX, &packet) && packet.bytes == 0);
    enter(impair, 1, 0, 1280 - KB_IMPAIR_OVERHEAD, 0);
    CHECK(kb_impair_poll(impair, INT64_MAX, &packet));
    int bits = 0;
    for (uint32_t i = 0; i < packet.bytes; i++)
        bits += __builtin_popcount(packet.data[i]);
    CHECK(bits == 1);
    others.blackout = true;
    kb_impair_set(impair, 1, &others);
    enter(impair, 1, 0, 100, 0);
    CHECK(!kb_impair_poll(impair, INT64_MAX, &packet));
    const kb_impair_counters *counters = kb_impair_count(impair, 1);
    CHECK(counters->too_large == 2 && counters->blacked_out == 1 && counters->corrupted == 1);
    kb_impair_free(impair);
    printf("bottleneck: ok\n");
}

/* Everything at once on many links: what leaves is due in order, what entered is accounted for. */
static void test_heap(void)
{
    enum { LINKS = 20, ROOM = 150 };
    kb_impair *impair = kb_impair_new(9, LINKS, ROOM);
    kb_impair_packet packet;
    const kb_impair_settings rough = {.bad_loss = 0.5, .good_to_bad = 0.1, .bad_to_good = 0.3, .reorder = 0.3,
                                      .reorder_packets = 30, .duplicate = 0.2, .corrupt = 0.1, .delay_ns = 20 * MS,
                                      .jitter_ns = 50 * MS, .rate_bps = 500000, .queue_ns = 60 * MS};
    kb_impair_set(impair, 0, &rough);
    kb_impair_set(impair, 1, &rough);
    uint64_t state = 1, out = 0;
    int64_t now_ns = 0, last_due_ns = 0;
    for (uint32_t i = 0; i < 40000; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        now_ns += (int64_t)(state >> 33) % MS;
        if (i % 500 == 499)
            now_ns += 3000 * MS; /* all leave */
        enter(impair, (uint32_t)(state >> 40) % LINKS, i, (size_t)(state >> 50) % 1400 + 4, now_ns);
        while (kb_impair_poll(impair, now_ns, &packet)) {
            CHECK(packet.due_ns <= now_ns && packet.due_ns >= last_due_ns);
            last_due_ns = packet.due_ns;
            out++;
        }
        CHECK(kb_impair_deadline(impair) > now_ns);
    }
    while (kb_impair_poll(impair, INT64_MAX, &packet))
        out++;
    uint64_t forwarded = 0;
    for (int d = 0; d < 2; d++) {
        const kb_impair_counters *c = kb_impair_count(impair, d);
        CHECK(c->received == c->lost + c->queue_drops + c->exhausted + c->forwarded - c->duplicated);
        CHECK(c->reordered > 0 && c->duplicated > 0 && c->lost > 0 && c->queue_drops > 0 && c->exhausted > 0);
        forwarded += c->forwarded;
    }
    CHECK(forwarded == out);
    kb_impair_free(impair);
    printf("heap: ok\n");
}

static int bound(struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t length = sizeof *address;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)address, length) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)address, &length) == 0);
    return fd;
}

/* Echo through the thread while another caller changes, rebinds and reads everything. */
static void test_thread(void)
{
    kb_relay_config config = {.seed = 3, .clients = 2, .packets = 256};
    int server = bound(&config.server);
    config.listen = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    kb_relay *relay = kb_relay_new(&config);
    CHECK(relay && kb_relay_start(relay) == 0);
    struct sockaddr_in address, relayed = config.listen, source;
    relayed.sin_port = htons(kb_relay_port(relay));
    int client = bound(&address);
    CHECK(connect(client, (struct sockaddr *)&relayed, sizeof relayed) == 0);
    static uint32_t lateness[KB_RELAY_BUCKETS];
    uint16_t before = 0;
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t got = 0;
        socklen_t length = sizeof source;
        CHECK(send(client, &i, sizeof i, 0) == sizeof i);
        CHECK(recvfrom(server, &got, sizeof got, 0, (struct sockaddr *)&source, &length) == sizeof got && got == i);
        CHECK(source.sin_port != before); /* rebound since */
        CHECK(sendto(server, &got, sizeof got, 0, (struct sockaddr *)&source, length) == sizeof got);
        got = 0;
        CHECK(recv(client, &got, sizeof got, 0) == sizeof got && got == i);
        before = source.sin_port;
        uint16_t own, seen;
        CHECK(kb_relay_ports(relay, 0, &own, &seen) && own == ntohs(address.sin_port) && seen == ntohs(before));
        CHECK(kb_relay_rebind(relay, i % 2 ? 0 : -1) == 0);
        const kb_impair_settings settings = {.delay_ns = (i % 3) * MS};
        kb_relay_set(relay, (int)i & 1, i % 7 ? &settings : &CLEAR);
        kb_relay_lateness(relay, lateness);
    }
    kb_relay_counters counters;
    kb_relay_read(relay, KB_RELAY_DOWN, &counters);
    CHECK(counters.impair.forwarded == 200 && counters.impair.bytes == 800 && counters.refused == 0);
    uint32_t sum = 0;
    for (int i = 0; i < KB_RELAY_BUCKETS; i++)
        sum += lateness[i];
    CHECK(sum == 400 && kb_relay_clients(relay) == 1);
    /* A third client finds no room. */
    for (int i = 0; i < 2; i++) {
        int another = bound(&address);
        CHECK(sendto(another, "x", 1, 0, (struct sockaddr *)&relayed, sizeof relayed) == 1);
        for (int wait = 0; wait < 5000; wait++) {
            kb_relay_read(relay, KB_RELAY_UP, &counters);
            if (counters.impair.received + counters.refused == 201 + (uint64_t)i)
                break;
            nanosleep(&(struct timespec){.tv_nsec = MS}, NULL);
        }
        CHECK(counters.refused == (uint64_t)i && kb_relay_clients(relay) == 2);
        close(another);
    }
    kb_relay_free(relay); /* with what is on its way */
    close(client);
    close(server);
    printf("thread: ok\n");
}

int main(void)
{
    test_fates();
    test_order();
    test_bottleneck();
    test_heap();
    test_thread();
    return 0;
}
