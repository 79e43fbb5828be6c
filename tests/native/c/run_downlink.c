/* Transport-wide feedback, layer allocation and the ways to send, without Python. Each part prints "name: ok". */
#define _GNU_SOURCE
#include "kb_allocation.h"
#include "kb_bytes.h"
#include "kb_egress.h"
#include "kb_rtcp.h"
#include "kb_twcc.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS 1000000LL
#define CHECK(what)                                                          \
    do                                                                       \
        if (!(what)) {                                                       \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);       \
            exit(1);                                                         \
        }                                                                    \
    while (0)

static uint64_t state = 7;

static uint32_t next_random(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

/* Random losses, gaps and reordering through writer and reader: each packet settles once, as it fared, on time. */
static void round_trip(int loss_percent, int64_t gap_us, int reorder_percent)
{
    static kb_twcc_receiver receiver;
    static kb_twcc_history history;
    static kb_twcc_sample samples[KB_TWCC_SAMPLES];
    static int64_t arrival_ns[65536];
    static int told[65536];
    memset(arrival_ns, 0, sizeof arrival_ns);
    memset(told, 0, sizeof told);
    kb_twcc_receiver_init(&receiver);
    kb_twcc_history_init(&history);
    uint16_t sequence = 65500; /* over the wrap */
    int64_t now_ns = 5000 * MS, offset_ns = 0;
    int lost = 0, received = 0, total = 3000, shift = 0, first = -1, last = 0;
    for (int i = 0; i < total; i++, sequence++) {
        now_ns += 1000 * (int64_t)(next_random() % (uint32_t)gap_us);
        kb_twcc_sent(&history, sequence, 1000 + (size_t)i % 100, i % 7 == 0, now_ns);
        if ((int)(next_random() % 100) >= loss_percent) {
            int64_t at_ns = now_ns + 20 * MS + (int)(next_random() % 100 < (uint32_t)reorder_percent) * 3 * MS;
            arrival_ns[sequence] = at_ns;
            first = first < 0 ? i : first;
            last = i;
            kb_twcc_receive(&receiver, sequence, at_ns);
            kb_twcc_receive(&receiver, sequence, at_ns + 9 * MS); /* a repeat changes nothing */
        }
        if (i % 40 != 39 && i != total - 1)
            continue;
        uint8_t packet[1200];
        size_t bytes, at;
        while ((bytes = kb_twcc_write(&receiver, packet, sizeof packet, 1, 2)) > 0) {
            kb_rtcp_packet parsed;
            at = 0;
            CHECK(bytes % 4 == 0 && bytes <= sizeof packet && kb_rtcp_next(packet, bytes, &at, &parsed) == 1);
            int count = kb_twcc_read(&history, parsed.body, parsed.body_bytes, now_ns + 30 * MS, samples);
            CHECK(count >= 0);
            for (int k = 0; k < count; k++) {
                const kb_twcc_sample *s = &samples[k];
                CHECK(!told[s->sequence]++);
                CHECK(s->lost == (arrival_ns[s->sequence] == 0));
                lost += s->lost;
                if (s->lost)
                    continue;
                received++;
                int64_t error_ns = s->arrival_ns - arrival_ns[s->sequence];
                if (!shift++)
                    offset_ns = error_ns;
                CHECK(llabs(error_ns - offset_ns) <= 250000); /* a tick */
            }
            CHECK(kb_twcc_read(&history, parsed.body, parsed.body_bytes, now_ns, samples) == 0); /* told twice */
            for (size_t cut = 0; cut < parsed.body_bytes; cut++) {
                uint8_t *exact = malloc(cut ? cut : 1);
                CHECK(exact);
                memcpy(exact, parsed.body, cut);
                kb_fuzz_twcc(exact, cut);
                free(exact);
            }
        }
    }
    /* What was lost before the first arrival, or after the last, is not known to be lost. */
    CHECK(received + lost == last - first + 1 && received > 0 && (lost > 0) == (loss_percent > 0));
}

static void late_and_long(void)
{
    static kb_twcc_receiver r;
    uint8_t a[1200];
    kb_twcc_receiver_init(&r);
    CHECK(kb_twcc_write(&r, a, sizeof a, 1, 2) == 0);
    kb_twcc_receive(&r, 10, 1000 * MS);
    kb_twcc_receive(&r, 12, 1001 * MS);
    CHECK(kb_twcc_write(&r, a, sizeof a, 1, 2) > 0 && kb_get16(a + 12) == 10 && kb_get16(a + 14) == 3 && a[19] == 0);
    CHECK(kb_twcc_write(&r, a, sizeof a, 1, 2) == 0);
    kb_twcc_receive(&r, 11, 1002 * MS); /* late: told again from there */
    CHECK(kb_twcc_write(&r, a, sizeof a, 1, 2) > 0 && kb_get16(a + 12) == 11 && a[19] == 1);
    /* More than 8 s between two arrivals does not fit a delta: two feedbacks. */
    kb_twcc_receive(&r, 13, 1003 * MS);
    kb_twcc_receive(&r, 14, 20000 * MS);
    CHECK(kb_twcc_write(&r, a, sizeof a, 1, 2) > 0 && kb_get16(a + 12) == 13 && kb_get16(a + 14) == 1);
    CHECK(kb_twcc_write(&r, a, sizeof a, 1, 2) > 0 && kb_get16(a + 12) == 14);
    /* A number from elsewhere begins anew. */
    kb_twcc_receive(&r, 40000, 20001 * MS);
    CHECK(kb_twcc_write(&r, a, sizeof a, 1, 2) > 0 && kb_get16(a + 12) == 40000 && kb_get16(a + 14) == 1);
    /* A full window in pieces of at most one datagram. */
    for (uint16_t i = 1; i < KB_TWCC_WINDOW; i++)
        if (i % 3)
            kb_twcc_receive(&r, (uint16_t)(40000 + i), (20001 + i * 70) * MS);
    int pieces = 0;
    while (kb_twcc_write(&r, a, 300, 1, 2) > 0)
        CHECK(++pieces < 50);
    CHECK(pieces > 3);
}

/* Bytes by hand from the draft's figures: base 0xffff over the wrap, a run of 3 received, then a 2-bit vector. */
static void known_bytes(void)
{
    static kb_twcc_history h;
    static kb_twcc_sample s[KB_TWCC_SAMPLES];
    kb_twcc_history_init(&h);
    for (uint16_t i = 0; i < 6; i++)
        kb_twcc_sent(&h, (uint16_t)(0xffff + i), 1200, false, (1000 + i) * MS);
    const uint8_t body[] = {0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xff, 0, 6, 0, 0, 16, 9, 0x20, 0x03,
                            0xc9, 0x00, /* 00 10 01 … : lost, large, small */
                            4, 8, 12, 0xff, 0xfc, 20, 0, 0};
    CHECK(kb_twcc_read(&h, body, sizeof body, 1100 * MS, s) == 6);
    CHECK(s[0].sequence == 0xffff && s[0].sent_ns == 1000 * MS && s[2].sequence == 1 && s[3].lost && !s[4].lost);
    CHECK(s[1].arrival_ns - s[0].arrival_ns == 2 * MS && s[2].arrival_ns - s[1].arrival_ns == 3 * MS);
    CHECK(s[4].arrival_ns - s[2].arrival_ns == -1 * MS && s[5].arrival_ns - s[4].arrival_ns == 5 * MS);
    CHECK(kb_twcc_read(&h, body, sizeof body - 4, 1100 * MS, s) < 0); /* a delta is missing */
}

static void twcc(void)
{
    round_trip(0, 5000, 0);
    round_trip(5, 2000, 10);
    round_trip(50, 5000, 30);
    round_trip(95, 3000, 0);
    round_trip(2, 300000, 5); /* large deltas */
    late_and_long();
    known_bytes();
}

static void allocation(void)
{
    kb_allocation state_of = {0};
    kb_allocation_slot s[3] = {
        {.layer_bps = {150000, 500000, 1500000}, .limit = 255, .current = -1, .priority = 2},
        {.layer_bps = {150000, 500000, 1500000}, .limit = 1, .current = -1, .priority = 1},
        {.layer_bps = {150000, 500000, 1500000}, .limit = 255, .current = -1, .priority = 1, .paused = true},
    };
    int64_t now_ns = 1000 * MS;
#define ALLOCATE(bps, count, probed)                                                        \
    do {                                                                                    \
        kb_allocate(&state_of, (bps), 50000, s, (count), (probed), now_ns);                 \
        for (size_t i_ = 0; i_ < (count); i_++)                                             \
            s[i_].current = s[i_].target;                                                   \
        now_ns += 100 * MS;                                                                 \
    } while (0)
    ALLOCATE(400000, 3, false); /* black tiles start at once, each with its lowest layer */
    CHECK(s[0].current == 0 && s[1].current == 0 && s[2].current == -1);
    CHECK(kb_allocation_wanted(s, 3, 50000) == 50000 + 1800000 + 600000);
    for (int i = 0; i < 24; i++) {
        ALLOCATE(860000, 3, false);
        CHECK(s[0].current == 0); /* not before 2.5 s */
    }
    for (int i = 0; i < 4; i++)
        ALLOCATE(860000, 3, false);
    CHECK(s[0].current == 1 && s[1].current == 0);
    ALLOCATE(702000, 3, false); /* no 20 % to spare, but it fits: stays */
    CHECK(s[0].current == 1);
    ALLOCATE(5000000, 3, true); /* a probe said so: at once; the second only as high as it is shown */
    CHECK(s[0].current == 2 && s[1].current == 1 && s[2].current == -1);
    CHECK(kb_allocation_wanted(s, 3, 50000) == 0);
    for (int i = 0; i < 25; i++) /* the path is known now */
        ALLOCATE(5000000, 3, false);
    s[0].paused = true;
    ALLOCATE(5000000, 3, false);
    CHECK(s[0].current == -1);
    s[0].paused = false;
    ALLOCATE(5000000, 3, false); /* seen again: the first layer at once, the rest with the next look */
    ALLOCATE(5000000, 3, false);
    CHECK(s[0].current == 2 && s[1].current == 1);
    ALLOCATE(900000, 3, false); /* down at once */
    CHECK(s[0].current == 1 && s[1].current == 0);
    ALLOCATE(210000, 3, false); /* one picture is left, the important one */
    CHECK(s[0].current == 0 && s[1].current == -1);
    ALLOCATE(185000, 3, false); /* not clearly too little */
    CHECK(s[0].current == 0);
    ALLOCATE(100000, 3, false); /* sound goes before any picture */
    CHECK(s[0].current == -1);
    ALLOCATE(210000, 3, false); /* just taken away: no flapping */
    CHECK(s[0].current == -1);
    ALLOCATE(10000, 3, false);
    CHECK(s[0].current == -1 && s[1].current == -1);
    s[0].paused = true;
    s[1].current = 1;
    s[1].layer_bps[1] = 0; /* the publisher stopped it */
    ALLOCATE(5000000, 3, false);
    CHECK(s[0].current == -1 && s[1].current == 0);
    /* Whatever comes: never beyond the estimate, except for the last picture; never what is not there. */
    for (int i = 0; i < 200000; i++) {
        uint64_t bps = next_random() % 4000000, sum = 0;
        size_t count = next_random() % 3 + 1, shown = 0;
        for (size_t k = 0; k < count; k++) {
            for (uint32_t layer = 0, rate = 0; layer < 3; layer++) {
                rate += next_random() % 600000;
                s[k].layer_bps[layer] = next_random() % 4 ? rate : 0;
            }
            s[k].priority = (uint8_t)(next_random() % 3);
            s[k].limit = next_random() % 2 ? 255 : (uint8_t)(next_random() % 3);
            s[k].paused = next_random() % 5 == 0;
        }
        ALLOCATE(bps, count, next_random() % 3 == 0);
        for (size_t k = 0; k < count; k++) {
            int target = s[k].target;
            CHECK(target < 0 || (!s[k].paused && target <= s[k].limit && s[k].layer_bps[target]));
            sum += target < 0 ? 0 : s[k].layer_bps[target];
            shown += target >= 0;
        }
        uint64_t left = bps > 50000 ? bps - 50000 : 0;
        CHECK(sum <= left || shown == 1);
        CHECK(sum <= left + left * 2 / 3 + 2);
    }
}

/* A loopback socket of the family; −1 where there is none. */
static int bound(sa_family_t family, kb_socket_address *address)
{
    int fd = socket(family, SOCK_DGRAM, 0);
    memset(address, 0, sizeof *address);
    socklen_t length = family == AF_INET ? sizeof address->v4 : sizeof address->v6;
    address->any.sa_family = family;
    if (family == AF_INET)
        address->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        address->v6.sin6_addr = in6addr_loopback;
    if (fd < 0 || bind(fd, &address->any, length) != 0) {
        CHECK(family == AF_INET6); /* a host without IPv6 */
        return -1;
    }
    CHECK(getsockname(fd, &address->any, &length) == 0);
    struct timeval second = {.tv_sec = 1};
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second) == 0);
    return fd;
}

typedef struct reader {
    uint32_t count;
    uint32_t ends;
} reader;

static bool read_stream(void *owner, const kb_address *to, const uint8_t *data, size_t bytes, bool more)
{
    reader *readers = owner;
    CHECK(to->stream == 1 || to->stream == 2);
    reader *one = &readers[to->stream];
    CHECK(bytes == 60 + one->count % 7 && kb_get32(data) == one->count);
    one->count++;
    one->ends += !more;
    return one->count % 10 != 0;
}

/* Datagrams of many sizes to five sinks of both families and to two connections come whole and in order by each path; a
 * bad address costs only itself. */
static void send_by(kb_egress_path wanted)
{
    enum { SINKS = 5, DATAGRAMS = 150 };
    kb_socket_address address;
    int from = bound(AF_INET, &address), from_v6 = bound(AF_INET6, &address), sinks[SINKS];
    kb_address to[SINKS + 1];
    for (int i = 0; i < SINKS; i++) {
        sinks[i] = bound(i % 2 && from_v6 >= 0 ? AF_INET6 : AF_INET, &address);
        to[i] = kb_address_from(&address);
    }
    kb_socket_address nowhere = {
        .v4 = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0xffffffff)}};
    to[SINKS] = kb_address_from(&nowhere); /* broadcast without permission: EACCES */
    kb_address streams[2] = {{.port = 5, .stream = 1}, {.port = 5, .stream = 2}};
    reader readers[3] = {0};
    uint32_t streamed[2] = {0};
    kb_egress *egress = kb_egress_new(from, from_v6);
    CHECK(egress);
    kb_egress_streams(egress, read_stream, readers);
    kb_egress_path path = kb_egress_use(egress, wanted);
    CHECK(path <= wanted && kb_egress_in_use(egress) == path);
    uint32_t sent[SINKS] = {0};
    static size_t sizes[SINKS][DATAGRAMS];
    uint64_t bytes = 0, bad = 0;
    for (int i = 0; i < DATAGRAMS; i++) {
        uint8_t *buffer = kb_egress_claim(egress);
        size_t size = next_random() % 3 ? 200 : next_random() % 1400 + 8;
        if (i % 40 == 20) {
            kb_egress_commit(egress, 100, &to[SINKS]);
            bad++;
            continue;
        }
        uint32_t k = next_random() % 4 ? next_random() % SINKS : 0;
        memset(buffer, (int)(sent[k] & 0xff), size);
        kb_put32(buffer, sent[k]);
        sizes[k][sent[k]++] = size;
        bytes += size;
        kb_egress_commit(egress, size, &to[k]);
        if (i % 4 == 0) {
            uint32_t which = next_random() % 2;
            kb_put32(kb_egress_claim(egress), streamed[which]);
            kb_egress_commit(egress, 60 + streamed[which]++ % 7, &streams[which]);
        }
    }
    kb_egress_flush(egress);
    kb_egress_flush(egress);
    uint64_t kept = 0, dropped = 0;
    for (int i = 0; i < 2; i++) {
        const reader *one = &readers[i + 1];
        CHECK(one->count == streamed[i] && one->ends > 0 && one->ends < one->count);
        for (uint32_t n = 0; n < streamed[i]; n++) {
            dropped += (n + 1) % 10 == 0;
            kept += (n + 1) % 10 != 0;
            bytes += (n + 1) % 10 != 0 ? 60 + n % 7 : 0;
        }
    }
    CHECK(dropped > 0);
    const kb_egress_totals *totals = kb_egress_read(egress);
    CHECK(totals->packets == DATAGRAMS - bad + kept && totals->bytes == bytes);
    CHECK(totals->failed == bad && totals->refused == dropped);
    CHECK(kb_egress_in_use(egress) == path);
    CHECK((totals->grouped > 0) == (path == KB_EGRESS_SEGMENTS));
    for (int k = 0; k < SINKS; k++) {
        for (uint32_t i = 0; i < sent[k]; i++) {
            uint8_t got[2000];
            CHECK(recv(sinks[k], got, sizeof got, 0) == (ssize_t)sizes[k][i]);
            CHECK(kb_get32(got) == i && got[sizes[k][i] - 1] == (uint8_t)i);
        }
        close(sinks[k]);
    }
    kb_egress_retire(egress);
    kb_egress_claim(egress);
    kb_egress_commit(egress, 100, &to[0]);
    kb_egress_flush(egress);
    CHECK(kb_egress_read(egress)->failed == bad + 1);
    kb_egress_free(egress);
    close(from);
    if (from_v6 >= 0)
        close(from_v6);
}

#ifdef __linux__
/* Where a group is refused for good (segments need checksums, which this socket leaves out: EIO), its datagrams go one
 * by one, nothing is lost or reordered, and no group is tried again. */
static void fall_back(void)
{
    kb_socket_address address;
    int from = bound(AF_INET, &address), sink = bound(AF_INET, &address), off = 1;
    kb_address to = kb_address_from(&address);
    kb_egress *egress = kb_egress_new(from, -1);
    CHECK(egress);
    CHECK(setsockopt(from, SOL_SOCKET, SO_NO_CHECK, &off, sizeof off) == 0);
    if (kb_egress_in_use(egress) == KB_EGRESS_SEGMENTS) {
        for (int round = 0; round < 2; round++) {
            for (uint32_t i = 0; i < 20; i++) {
                kb_put32(kb_egress_claim(egress), i);
                kb_egress_commit(egress, i % 6 == 5 ? 50 : 100, &to);
            }
            kb_egress_flush(egress);
            CHECK(kb_egress_in_use(egress) == KB_EGRESS_SENDMMSG);
            for (uint32_t i = 0; i < 20; i++) {
                uint8_t got[200];
                CHECK(recv(sink, got, sizeof got, 0) == (i % 6 == 5 ? 50 : 100) && kb_get32(got) == i);
            }
        }
        const kb_egress_totals *totals = kb_egress_read(egress);
        CHECK(totals->packets == 40 && totals->grouped == 0 && totals->failed == 0);
    }
    kb_egress_free(egress);
    close(from);
    close(sink);
}
#endif

int main(void)
{
    twcc();
    puts("twcc: ok");
    allocation();
    puts("allocation: ok");
    send_by(KB_EGRESS_SENDTO);
    send_by(KB_EGRESS_SENDMMSG);
    send_by(KB_EGRESS_SEGMENTS);
#ifdef __linux__
    fall_back();
#endif
    puts("egress: ok");
    return 0;
}
