/* The plane's threads without Python, for AddressSanitizer and ThreadSanitizer: commands, events, readings, bus and
 * packets at once for a fixed number of rounds. SRTP and HMAC are stand-ins without a cipher: what they would do to
 * the bytes is tested from Python with the real ones, here only who touches what. An argument says how many egress
 * threads there are; a context is a byte that only the thread that owns it may touch.
 */
#define _GNU_SOURCE
#include "kb_bytes.h"
#include "kb_plane.h"
#include "kb_stun.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define TAG_BYTES 10
#define PEERS 8
#define ROUNDS 40
#define REQUIRE(what)                                                                                                 \
    do {                                                                                                              \
        if (!(what)) {                                                                                                \
            fprintf(stderr, "run_plane:%d: %s\n", __LINE__, #what);                                                   \
            exit(1);                                                                                                  \
        }                                                                                                             \
    } while (0)

static unsigned char *stand_in_hmac(const void *digest, const void *key, int key_bytes, const unsigned char *data,
                                    size_t bytes, unsigned char *out, unsigned int *out_bytes)
{
    uint32_t hash = 2166136261u;
    (void)digest;
    for (int i = 0; i < key_bytes; i++)
        hash = (hash ^ ((const unsigned char *)key)[i]) * 16777619u;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ data[i]) * 16777619u;
    for (size_t i = 0; i < 20; i++)
        out[i] = (unsigned char)(hash >> (i % 4 * 8));
    *out_bytes = 20;
    return out;
}

static void cleanse(void *at, size_t bytes)
{
    explicit_bzero(at, bytes);
}

static bool slow; /* with egress threads */

static int add_tag(void *context, void *packet, int *bytes)
{
    uint64_t *count = context;
    ++*count; /* plain: a race if two threads protect for one peer, or one for a peer that is freed */
    if (slow && *count % 4 == 0)
        usleep(300); /* so that removals come while packets wait to be protected */
    memset((uint8_t *)packet + *bytes, 0x5a, TAG_BYTES);
    *bytes += TAG_BYTES;
    return KB_SRTP_OK;
}

static int take_tag(void *context, void *packet, int *bytes)
{
    (void)context;
    if (((uint8_t *)packet)[*bytes - 1] != 0x5a)
        return KB_SRTP_AUTH_FAIL;
    *bytes -= TAG_BYTES;
    return KB_SRTP_OK;
}

static int remove_stream(void *context, unsigned int ssrc)
{
    (void)context;
    (void)ssrc;
    return 0;
}

static kb_plane_config config = {
    .max_peers = PEERS,
    .max_tracks = PEERS,
    .max_slots = PEERS,
    .max_connections = 2 * PEERS,
    .peer_stalled_ns = 5000000000,
    .peer_lost_ns = 10000000000,
    .track_stalled_ns = 300000000,
    .seed = 12345,
    .crypto = {.hmac = stand_in_hmac, .compare = memcmp, .cleanse = cleanse},
    .srtp = {.protect = add_tag,
             .unprotect = take_tag,
             .protect_rtcp = add_tag,
             .unprotect_rtcp = take_tag,
             .remove_stream = remove_stream},
};

static int open_socket(struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof *address;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)address, size) == 0);
    REQUIRE(getsockname(fd, (struct sockaddr *)address, &size) == 0);
    return fd;
}

/* A UDP socket, and a listening one on the same port: where somebody's connection has that, another port. */
static void open_both(kb_sockets *opened, struct sockaddr_in *address)
{
    for (int tries = 0;; tries++) {
        opened->v4 = open_socket(address);
        opened->tcp_v4 = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int on = 1;
        REQUIRE(opened->tcp_v4 >= 0 && setsockopt(opened->tcp_v4, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
        if (bind(opened->tcp_v4, (const struct sockaddr *)address, sizeof *address) == 0 &&
            listen(opened->tcp_v4, 64) == 0)
            return;
        REQUIRE(tries < 100);
        close(opened->v4);
        close(opened->tcp_v4);
    }
}

/* Of the peers, those that come over TCP; among them one that sends video and one that only listens. */
static bool is_streamed(uint32_t i)
{
    return i == 2 || i == 3;
}

static int open_stream(const struct sockaddr_in *to)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    REQUIRE(fd >= 0 && connect(fd, (const struct sockaddr *)to, sizeof *to) == 0);
    REQUIRE(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    REQUIRE(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    return fd;
}

static void transmit(int fd, bool streamed, const struct sockaddr_in *to, const uint8_t *data, size_t size)
{
    uint8_t frame[256];
    kb_put16(frame, (uint16_t)size);
    memcpy(frame + 2, data, size);
    /* Losses are the test's own: a full socket is no failure. */
    ssize_t sent = streamed ? send(fd, frame, size + 2, MSG_NOSIGNAL)
                            : sendto(fd, data, size, 0, (const struct sockaddr *)to, sizeof *to);
    REQUIRE(!streamed || sent == (ssize_t)size + 2);
}

static const char password[] = "a-password-of-some-length";

static size_t make_check(uint8_t *out, uint32_t peer, uint32_t transaction)
{
    static const uint8_t head[] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42};
    memset(out, 0, 20);
    memcpy(out, head, sizeof head);
    kb_put32(out + 8, peer);
    kb_put32(out + 12, transaction);
    size_t at = 20;
    kb_put16(out + at, 0x0006);
    kb_put16(out + at + 2, 8);
    memcpy(out + at + 4, "peer", 4);
    out[at + 8] = (uint8_t)('A' + peer);
    memcpy(out + at + 9, ":xy", 3);
    at += 12;
    kb_put32(out + at, 0x00250000); /* USE-CANDIDATE */
    at += 4;
    kb_put16(out + 2, (uint16_t)(at + 24 - 20));
    kb_put16(out + at, 0x0008);
    kb_put16(out + at + 2, 20);
    unsigned int written;
    stand_in_hmac(NULL, password, sizeof password - 1, out, at, out + at + 4, &written);
    return at + 24;
}

static uint64_t submit(kb_plane *plane, const kb_command *command)
{
    uint64_t number;
    while ((number = kb_plane_submit(plane, command)) == 0)
        usleep(100);
    return number;
}

/* Of the tracks and slots of peers 1, 3, 5, 7. */
static bool is_video(uint32_t i)
{
    return i % 4 == 3;
}

static uint32_t handle_of(uint32_t generation, uint32_t index)
{
    return (generation + 1) << 16 | index;
}

/* Used again by every round: a round ends when its removals are applied. */
static kb_video_layer video_layers[PEERS];
static kb_video_slot video_slots[PEERS];
static kb_downlink downlinks[PEERS];
static kb_uplink uplinks[PEERS];

/* One per peer and round, freed when the plane has released it. */
static uint64_t *contexts[PEERS];

static void add_all(kb_plane *plane, uint32_t round)
{
    for (uint32_t i = 0; i < PEERS; i++) {
        kb_command command;
        memset(&command, 0, sizeof command);
        command.kind = KB_ADD_PEER;
        command.handle = handle_of(round, i);
        command.with.add_peer.ufrag_bytes = 5;
        memcpy(command.with.add_peer.ufrag, "peer", 4);
        command.with.add_peer.ufrag[4] = (uint8_t)('A' + i);
        command.with.add_peer.password_bytes = sizeof password - 1;
        memcpy(command.with.add_peer.password, password, sizeof password - 1);
        submit(plane, &command);
        command = (kb_command){.kind = KB_SET_KEYS, .handle = handle_of(round, i)};
        contexts[i] = calloc(1, sizeof *contexts[i]);
        REQUIRE(contexts[i]);
        command.with.set_keys = (kb_set_keys){.receive = plane, .transmit = contexts[i], .tag_bytes = TAG_BYTES};
        submit(plane, &command);
        command = (kb_command){.kind = KB_ADD_TRACK, .handle = handle_of(round, i)};
        /* Odd tracks come from their peers, even ones from the bus. */
        command.with.add_track =
            (kb_add_track){.peer = i % 2 ? handle_of(round, i) : 0, .clock_rate = 48000};
        if (i % 2) {
            command.with.add_track.ssrcs[0] = i;
            command.with.add_track.ssrc_count = 1;
            command.with.add_track.rtx_ssrcs[0] = 1000 + i;
            command.with.add_track.payload_types[0] = (kb_payload_type){111, KB_CODEC_VP8, 112};
            command.with.add_track.payload_type_count = 1;
            command.with.add_track.nack = command.with.add_track.pli = command.with.add_track.remb = true;
            if (is_video(i)) {
                memset(&video_layers[i], 0, sizeof video_layers[i]);
                command.with.add_track.kind = KB_KIND_VIDEO;
                command.with.add_track.layers = 1;
                command.with.add_track.video = &video_layers[i];
                memset(&uplinks[i], 0, sizeof uplinks[i]);
                command.with.add_track.up = &uplinks[i];
                command.with.add_track.transport_cc = true;
            }
        }
        submit(plane, &command);
        command = (kb_command){.kind = KB_FEED_MIX, .handle = handle_of(round, i), .with.number = i + 1};
        submit(plane, &command);
        command = (kb_command){.kind = KB_ADD_SLOT, .handle = handle_of(round, i)};
        command.with.add_slot = (kb_add_slot){
            .peer = handle_of(round, i), .ssrc = 100 + i, .clock_rate = 48000, .payload_types = {{.number = 111, .codec = KB_CODEC_OPUS}, {.number = 113, .codec = KB_CODEC_VP8, .rtx = 114}},
            .payload_type_count = 2, .rtx_ssrc = 200 + i, .cname_bytes = 1, .nack = true};
        if (is_video(i)) {
            memset(&video_slots[i], 0, sizeof video_slots[i]);
            command.with.add_slot.kind = KB_KIND_VIDEO;
            command.with.add_slot.video = &video_slots[i];
            memset(&downlinks[i], 0, sizeof downlinks[i]);
            command.with.add_slot.down = &downlinks[i];
            command.with.add_slot.ids[KB_EXT_TRANSPORT_CC] = 5;
        }
        submit(plane, &command);
    }
}

static void set_sources(kb_plane *plane, uint32_t round, uint32_t shift)
{
    for (uint32_t i = 0; i < PEERS; i++) {
        kb_command command = {.kind = KB_SET_SLOT_SOURCE,
                              .handle = handle_of(round, i),
                              .with.number = handle_of(round, (i + shift) % PEERS)};
        if (is_video(i) && shift % 4)
            command = (kb_command){.kind = KB_LIMIT_SLOT,
                                   .handle = handle_of(round, i),
                                   .with.limit_slot = {.layer = KB_ANY_LAYER, .paused = shift % 4 == 1}};
        submit(plane, &command);
    }
}

static uint64_t remove_all(kb_plane *plane, uint32_t round)
{
    uint64_t number = 0;
    for (uint32_t i = 0; i < PEERS; i++) {
        kb_command command = {.kind = KB_REMOVE_PEER, .handle = handle_of(round, i)};
        number = submit(plane, &command);
        command.kind = KB_REMOVE_TRACK;
        if (i % 2 == 0)
            number = submit(plane, &command);
    }
    return number;
}

static void await_answer(int fd, bool streamed)
{
    size_t skip = streamed ? 2 : 0;
    slow = config.egress_threads > 0;
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    uint8_t data[2048];
    for (;;) {
        REQUIRE(poll(&readable, 1, 10000) == 1);
        while (recv(fd, data, sizeof data, 0) > 0)
            if (data[skip] == 1 && data[skip + 1] == 1)
                return;
    }
}

static void send_feedback(int fd, const struct sockaddr_in *to, uint32_t i, uint16_t sequence)
{
    /* What was left out comes as a repair. */
    uint8_t repair[60] = {0x80, 112, [14] = 0x10};
    kb_put16(repair + 2, sequence);
    kb_put32(repair + 8, 1000 + i);
    kb_put16(repair + 12, (uint16_t)(sequence - 1));
    memset(repair + 50, 0x5a, TAG_BYTES);
    if (sequence % 5 == 0 && sequence)
        transmit(fd, is_streamed(i), to, repair, sizeof repair);
    /* The first 17 packets of a slot again (its numbers begin at 0), and a key frame. */
    uint8_t requests[28 + 4 + TAG_BYTES] = {0x81, 205, 0, 3, [16] = 0x81, 206, 0, 2};
    kb_put32(requests + 4, i);
    kb_put32(requests + 8, 100 + i);
    kb_put16(requests + 14, 0xffff);
    kb_put32(requests + 24, 100 + i);
    memset(requests + 28 + 4, 0x5a, TAG_BYTES);
    transmit(fd, is_streamed(i), to, requests, sizeof requests);
}

static void send_media(const int *sockets, const struct sockaddr_in *to, uint16_t sequence)
{
    for (uint32_t i = 1; i < PEERS; i += 2) {
        uint8_t packet[60] = {0x80, 111};
        kb_put16(packet + 2, sequence);
        kb_put32(packet + 4, sequence * 960u);
        kb_put32(packet + 8, i);
        packet[12] = 0x10; /* the first packet of a VP8 key frame */
        memset(packet + 50, 0x5a, TAG_BYTES);
        if (sequence % 5 != 4)
            transmit(sockets[i], is_streamed(i), to, packet, sizeof packet);
        if (is_video(i))
            send_feedback(sockets[i], to, i, sequence);
        uint8_t hello[20] = {22, 254, 253};
        transmit(sockets[i], is_streamed(i), to, hello, sizeof hello);
    }
}

static _Atomic bool mixing = true;
static _Atomic uint32_t mix_round;

/* The mixer's side of the bus. */
static void *mix(void *argument)
{
    kb_bus *bus = argument;
    uint32_t timestamp = 0;
    while (atomic_load(&mixing)) {
        for (uint32_t i = 0; i < PEERS; i += 2) {
            kb_bus_packet *packet = kb_ring_claim(&bus->from_mix);
            if (!packet)
                break;
            packet->at_ns = (int64_t)timestamp * 1000000000 / 48000;
            packet->number = handle_of(atomic_load(&mix_round), i);
            packet->rtp_timestamp = timestamp;
            packet->payload_bytes = 80;
            packet->audio_level = 30;
            packet->marker = 0;
            memset(packet->payload, (int)i, 80);
            kb_ring_publish(&bus->from_mix);
        }
        kb_wake_tell(&bus->wake);
        while (kb_ring_peek(&bus->to_mix))
            kb_ring_release(&bus->to_mix);
        timestamp += 960;
        usleep(500);
    }
    return NULL;
}

/* Strangers that connect, say something or nothing, and leave. */
static void *knock(void *argument)
{
    const struct sockaddr_in *to = argument;
    for (uint32_t round = 0; atomic_load(&mixing); round++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        REQUIRE(fd >= 0);
        connect(fd, (const struct sockaddr *)to, sizeof *to);
        usleep(300);
        static const uint8_t words[] = "\0\1\0GET / HTTP/1.1";
        send(fd, words + round % 4, round % 3 ? 5 : 0, MSG_NOSIGNAL);
        usleep(300);
        close(fd);
    }
    return NULL;
}

static void drain(const int *sockets)
{
    uint8_t data[2048];
    for (int i = 0; i < PEERS; i++)
        while (recv(sockets[i], data, sizeof data, 0) > 0)
            ;
}

int main(int argc, char **argv)
{
    config.egress_threads = argc > 1 ? (uint32_t)atoi(argv[1]) : 0;
    struct sockaddr_in to, from;
    kb_bus *bus = kb_bus_new();
    REQUIRE(bus);
    kb_sockets opened = {-1, -1, -1, -1};
    open_both(&opened, &to);
    kb_plane *plane = kb_plane_new(&opened, bus, &config);
    REQUIRE(plane && kb_plane_start(plane) == 0);
    pthread_t mixer;
    REQUIRE(pthread_create(&mixer, NULL, mix, bus) == 0);
    pthread_t knocker;
    REQUIRE(pthread_create(&knocker, NULL, knock, &to) == 0);
    uint64_t events = 0, protected = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        int sockets[PEERS];
        add_all(plane, round);
        atomic_store(&mix_round, round);
        for (uint32_t i = 0; i < PEERS; i++) {
            uint8_t check[128];
            sockets[i] = is_streamed(i) ? open_stream(&to) : open_socket(&from);
            transmit(sockets[i], is_streamed(i), &to, check, make_check(check, i, round));
            await_answer(sockets[i], is_streamed(i));
        }
        for (uint32_t step = 0; step < 20; step++) {
            send_media(sockets, &to, (uint16_t)step);
            set_sources(plane, round, step);
            kb_event event;
            kb_plane_acknowledge(plane);
            while (kb_plane_poll(plane, &event))
                events++;
            for (int reading = 0; reading < KB_SLOT_READINGS; reading++)
                kb_plane_slot_reading(plane, handle_of(round, step % PEERS), (enum kb_slot_reading)reading);
            for (int counter = 0; counter < KB_COUNTER_COUNT; counter++)
                kb_plane_counter(plane, (enum kb_counter)counter);
            drain(sockets);
        }
        send_media(sockets, &to, 20);
        uint64_t last = remove_all(plane, round);
        while (kb_plane_released(plane) < last)
            usleep(10);
        for (uint32_t i = 0; i < PEERS; i++) {
            close(sockets[i]);
            protected += *contexts[i];
            free(contexts[i]);
        }
    }
    atomic_store(&mixing, false);
    pthread_join(mixer, NULL);
    pthread_join(knocker, NULL);
    kb_plane_stop(plane);
    REQUIRE(events > ROUNDS * PEERS);
    REQUIRE(kb_plane_counter(plane, KB_COUNT_rtp_forwarded) > 0);
    REQUIRE(kb_plane_counter(plane, KB_COUNT_injected) > 0);
    REQUIRE(kb_plane_counter(plane, KB_COUNT_mix_pushed) > 0);
    REQUIRE(kb_plane_counter(plane, KB_COUNT_key_frames) > 0);
    REQUIRE(kb_plane_counter(plane, KB_COUNT_rtx_received) > 0);
    REQUIRE(kb_plane_counter(plane, KB_COUNT_rtcp_nacks) > 0);
    REQUIRE(kb_plane_counter(plane, KB_COUNT_rtp_resent) > 0);
    REQUIRE(kb_plane_counter(plane, KB_COUNT_tcp_accepted) > 3 * ROUNDS);
    REQUIRE(kb_plane_counter(plane, KB_COUNT_tcp_closed) == kb_plane_counter(plane, KB_COUNT_tcp_accepted));
    REQUIRE(kb_plane_counter(plane, KB_COUNT_tcp_frames_dropped) == 0);
    REQUIRE(kb_plane_counter(plane, KB_COUNT_egress_overrun) == 0);
    REQUIRE(protected >= kb_plane_counter(plane, KB_COUNT_rtp_forwarded));
    kb_plane_free(plane);
    kb_bus_free(bus);
    return 0;
}
