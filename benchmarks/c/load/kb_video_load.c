#define _GNU_SOURCE
#include "kb_video_load.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHECK_NS 2500000000ll /* libwebrtc's pace */
#define REPORT_NS 1000000000ll
#define VOICE_NS 20000000ll
#define LATE_NS 5000000ll
#define PACKET_BYTES 1600
#define NTP_EPOCH 2208988800u /* seconds from 1900 to 1970 */

enum { FIGURE_PACKETS, FIGURE_BYTES, FIGURE_FRAMES, FIGURE_KEYS, FIGURE_PLIS, FIGURE_REFUSED, FIGURE_LATE, FIGURES };

struct kb_video_load {
    kb_srtp_table srtp;
    int fd;
    void *transmit, *receive;
    uint8_t check[256];
    size_t check_bytes;
    kb_vp8_stream video;
    uint32_t voice_ssrc;
    uint8_t voice_type;
    uint16_t voice_sequence;
    uint32_t voice_timestamp;
    bool key_wanted, running;
    pthread_t thread;
    atomic_bool stopping;
    _Atomic uint64_t figures[FIGURES];
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now); /* the kernel stamps the viewers' arrivals with this one */
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static void put32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24), at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8), at[3] = (uint8_t)value;
}

static void count(kb_video_load *load, int figure, uint64_t more)
{
    atomic_fetch_add_explicit(&load->figures[figure], more, memory_order_relaxed);
}

kb_video_load *kb_video_load_new(const kb_srtp_table *srtp, int fd, kb_srtp_profile profile, const uint8_t *transmit,
                                 const uint8_t *receive, const uint8_t *check, size_t check_bytes,
                                 const kb_vp8_config *video, uint32_t audio_ssrc, uint8_t audio_payload_type)
{
    kb_video_load *load = calloc(1, sizeof *load);
    if (!load) {
        close(fd);
        return NULL;
    }
    load->srtp = *srtp;
    load->fd = fd;
    load->transmit = kb_srtp_context(srtp, profile, transmit, true);
    load->receive = kb_srtp_context(srtp, profile, receive, false);
    if (!load->transmit || !load->receive || check_bytes > sizeof load->check) {
        kb_video_load_free(load);
        return NULL;
    }
    memcpy(load->check, check, check_bytes);
    load->check_bytes = check_bytes;
    kb_vp8_init(&load->video, video);
    load->voice_ssrc = audio_ssrc;
    load->voice_type = audio_payload_type;
    return load;
}

void kb_video_load_free(kb_video_load *load)
{
    if (!load)
        return;
    if (load->running) {
        atomic_store(&load->stopping, true);
        pthread_join(load->thread, NULL);
    }
    if (load->transmit)
        load->srtp.dealloc(load->transmit);
    if (load->receive)
        load->srtp.dealloc(load->receive);
    close(load->fd);
    free(load);
}

static void send_bytes(kb_video_load *load, const uint8_t *data, size_t bytes)
{
    if (send(load->fd, data, bytes, MSG_DONTWAIT) < 0)
        count(load, FIGURE_REFUSED, 1);
}

static void send_frame(kb_video_load *load)
{
    uint8_t packet[PACKET_BYTES];
    size_t bytes;
    kb_vp8_begin(&load->video, load->key_wanted);
    load->key_wanted = false;
    count(load, FIGURE_FRAMES, 1);
    count(load, FIGURE_KEYS, load->video.is_key);
    while ((bytes = kb_vp8_packet(&load->video, packet, now_ns())) > 0) {
        int length = (int)bytes;
        if (load->srtp.protect(load->transmit, packet, &length) != KB_SRTP_OK)
            continue;
        send_bytes(load, packet, (size_t)length);
        count(load, FIGURE_PACKETS, 1);
        count(load, FIGURE_BYTES, bytes - KB_VP8_HEADER);
    }
}

static void send_voice(kb_video_load *load)
{
    /* One silent CELT frame of 20 ms, as libopus writes it. */
    uint8_t packet[64] = {0x80, load->voice_type, (uint8_t)(load->voice_sequence >> 8), (uint8_t)load->voice_sequence};
    put32(packet + 4, load->voice_timestamp);
    put32(packet + 8, load->voice_ssrc);
    packet[12] = 0xf8, packet[13] = 0xff, packet[14] = 0xfe;
    int length = 15;
    if (load->srtp.protect(load->transmit, packet, &length) == KB_SRTP_OK)
        send_bytes(load, packet, (size_t)length);
    load->voice_sequence++;
    load->voice_timestamp += 960;
}

static void send_report(kb_video_load *load, uint32_t ssrc, uint32_t timestamp, int64_t at_ns)
{
    uint8_t packet[64] = {0x80, 200, 0, 6}; /* a sender report without blocks; the counts stay 0: nobody acts on them */
    put32(packet + 4, ssrc);
    put32(packet + 8, (uint32_t)(at_ns / 1000000000ll) + NTP_EPOCH);
    put32(packet + 12, (uint32_t)(((uint64_t)(at_ns % 1000000000ll) << 32) / 1000000000u));
    put32(packet + 16, timestamp);
    int length = 28;
    if (load->srtp.protect_rtcp(load->transmit, packet, &length) == KB_SRTP_OK)
        send_bytes(load, packet, (size_t)length);
}

/* Payload-specific feedback PLI (1) or FIR (4) anywhere in a compound wants a key frame. */
static void take(kb_video_load *load, uint8_t *packet, int bytes)
{
    if (bytes < 12 || packet[0] < 128 || packet[1] < 192 || packet[1] > 223)
        return;
    if (load->srtp.unprotect_rtcp(load->receive, packet, &bytes) != KB_SRTP_OK)
        return;
    for (int at = 0; at + 4 <= bytes;) {
        int format = packet[at] & 31;
        if (packet[at + 1] == 206 && (format == 1 || format == 4)) {
            load->key_wanted = true;
            count(load, FIGURE_PLIS, 1);
        }
        at += 4 * ((packet[at + 2] << 8 | packet[at + 3]) + 1);
    }
}

static void *run(void *argument)
{
    kb_video_load *load = argument;
    const int64_t frame_ns = 1000000000ll / load->video.config.frames_per_s;
    int64_t next_frame = now_ns(), next_voice = next_frame, next_check = next_frame, next_report = next_frame;
    while (!atomic_load(&load->stopping)) {
        int64_t now = now_ns();
        if (now >= next_check) {
            send_bytes(load, load->check, load->check_bytes);
            next_check = now + CHECK_NS;
        }
        if (now >= next_voice) {
            send_voice(load);
            next_voice += VOICE_NS;
        }
        if (now >= next_frame) {
            count(load, FIGURE_LATE, now - next_frame > LATE_NS);
            send_frame(load);
            next_frame += frame_ns;
        }
        if (now >= next_report && load->video.frame > 0) {
            send_report(load, load->video.config.ssrc, load->video.timestamp, now);
            send_report(load, load->voice_ssrc, load->voice_timestamp, now);
            next_report = now + REPORT_NS;
        }
        int64_t wait = (next_frame < next_voice ? next_frame : next_voice) - now_ns();
        wait = wait < 0 ? 0 : wait;
        struct timespec timeout = {.tv_sec = wait / 1000000000ll, .tv_nsec = wait % 1000000000ll};
        struct pollfd readable = {.fd = load->fd, .events = POLLIN};
        uint8_t packet[PACKET_BYTES];
        ssize_t bytes;
        if (ppoll(&readable, 1, &timeout, NULL) > 0)
            while ((bytes = recv(load->fd, packet, sizeof packet, MSG_DONTWAIT)) >= 0)
                take(load, packet, (int)bytes);
    }
    return NULL;
}

int kb_video_load_start(kb_video_load *load)
{
    int status = pthread_create(&load->thread, NULL, run, load);
    load->running = status == 0;
    return status;
}

void kb_video_load_read(kb_video_load *load, kb_video_figures *out)
{
    uint64_t now[FIGURES];
    for (int i = 0; i < FIGURES; i++)
        now[i] = atomic_load_explicit(&load->figures[i], memory_order_relaxed);
    *out = (kb_video_figures){.packets = now[FIGURE_PACKETS], .bytes = now[FIGURE_BYTES], .frames = now[FIGURE_FRAMES],
                              .key_frames = now[FIGURE_KEYS], .plis = now[FIGURE_PLIS],
                              .refused = now[FIGURE_REFUSED], .late = now[FIGURE_LATE]};
}
