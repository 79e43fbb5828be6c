/* Life and loop of the plane. */
#define _GNU_SOURCE
#include "kb_state.h"
#include "kb_realtime.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#define COMMAND_SLOTS 1024u
#define TIMER_NS 20000000
#define IDLE_MS 20
#define IDLE_VIDEO_MS 10 /* what probes a path comes in small portions */
#define IDLE_BACKLOG_MS 5 /* so do pictures on a narrow one */
/* Batches read before the rest of the turn gets its share: ≈ 0.4 ms of packets. */
#define BATCHES_PER_TURN 4
#define EVENTS 32
#define OWN_DESCRIPTORS 8
#define NO_SOCKETS ((kb_sockets){-1, -1, -1, -1})
#define SECONDS_1900_TO_1970 2208988800ll

static int64_t read_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t kb_plane_now_ns(const kb_plane *plane)
{
    int64_t fixed = atomic_load_explicit(&plane->fixed_now_ns, memory_order_relaxed);
    return fixed ? fixed : read_clock(CLOCK_MONOTONIC);
}

void kb_plane_set_clock(kb_plane *plane, int64_t now_ns)
{
    atomic_store_explicit(&plane->fixed_now_ns, now_ns, memory_order_relaxed);
}

static int watch(kb_plane *plane, int kind, int fd, uint32_t what)
{
    return fd < 0 ? 0 : kb_poller_add(plane->poller, fd, KB_WATCH(kind, fd), what);
}

static int open_descriptors(kb_plane *plane)
{
    plane->poller = kb_poller_new(plane->config.portable, plane->config.max_connections + OWN_DESCRIPTORS);
    if (!plane->poller || kb_wake_open(&plane->command_wake) || kb_wake_open(&plane->event_wake))
        return -1;
    const kb_sockets *sockets = &plane->sockets;
    return watch(plane, KB_WATCH_DESCRIPTOR, sockets->v4, KB_READABLE) ||
                   watch(plane, KB_WATCH_DESCRIPTOR, sockets->v6, KB_READABLE) ||
                   watch(plane, KB_WATCH_LISTENER, sockets->tcp_v4, KB_READABLE) ||
                   watch(plane, KB_WATCH_LISTENER, sockets->tcp_v6, KB_READABLE) ||
                   watch(plane, KB_WATCH_DESCRIPTOR, plane->command_wake.read_fd, KB_READABLE | KB_WAKE) ||
                   watch(plane, KB_WATCH_DESCRIPTOR, plane->bus->wake.read_fd, KB_READABLE | KB_WAKE)
               ? -1
               : 0;
}

static int make_tables(kb_plane *plane)
{
    const kb_plane_config *config = &plane->config;
    plane->peers = calloc(config->max_peers, sizeof *plane->peers);
    plane->tracks = calloc(config->max_tracks, sizeof *plane->tracks);
    plane->slots = calloc(config->max_slots, sizeof *plane->slots);
    plane->peer_clocks = calloc(config->max_peers, sizeof *plane->peer_clocks);
    plane->track_clocks = calloc(config->max_tracks, sizeof *plane->track_clocks);
    plane->slot_reports = calloc(config->max_slots, sizeof *plane->slot_reports);
    if (!plane->peers || !plane->tracks || !plane->slots || !plane->peer_clocks || !plane->track_clocks ||
        !plane->slot_reports)
        return -1;
    for (uint32_t i = 0; i < config->max_peers; i++)
        plane->peer_clocks[i].report_ns = INT64_MAX;
    for (uint32_t i = 0; i < config->max_slots; i++)
        plane->slot_reports[i] = INT64_MAX;
    return kb_index_init(&plane->by_address, config->max_peers * KB_PEER_TUPLES, config->seed) ||
                   kb_index_init(&plane->by_ufrag, config->max_peers * 2, ~config->seed)
               ? -1
               : 0;
}

kb_plane *kb_plane_new(const kb_sockets *sockets, kb_bus *bus, const kb_plane_config *config)
{
    kb_plane *plane = aligned_alloc(64, (sizeof *plane + 63u) & ~(size_t)63u);
    if (!plane)
        return NULL;
    memset(plane, 0, sizeof *plane);
    plane->config = *config;
    plane->sockets = *sockets;
    plane->bus = bus;
    plane->command_wake = plane->event_wake = (kb_wake){-1, -1};
    plane->ntp_offset_ns =
        read_clock(CLOCK_REALTIME) - read_clock(CLOCK_MONOTONIC) + SECONDS_1900_TO_1970 * 1000000000;
    int written = snprintf(plane->cname, sizeof plane->cname, "kabina-%08x", (unsigned)(config->seed >> 32));
    plane->cname_bytes = written > 0 ? (size_t)written : 0;
    if (kb_ring_init(&plane->commands, COMMAND_SLOTS, sizeof(kb_command)) || kb_states_init(plane) ||
        make_tables(plane) || kb_tcp_init(&plane->tcp, config->max_connections) || kb_ingress_init(plane) ||
        open_descriptors(plane) || kb_outbound_init(plane)) {
        plane->sockets = NO_SOCKETS; /* the caller keeps what it gave */
        kb_plane_free(plane);
        return NULL;
    }
    return plane;
}

static void close_descriptor(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void close_sockets(kb_plane *plane)
{
    close_descriptor(plane->sockets.v4);
    close_descriptor(plane->sockets.v6);
    close_descriptor(plane->sockets.tcp_v4);
    close_descriptor(plane->sockets.tcp_v6);
    plane->sockets = NO_SOCKETS;
}

void kb_plane_free(kb_plane *plane)
{
    if (plane->peers)
        plane->config.crypto.cleanse(plane->peers, plane->peer_end * sizeof *plane->peers);
    kb_poller_free(plane->poller);
    kb_wake_close(&plane->command_wake);
    kb_wake_close(&plane->event_wake);
    close_sockets(plane);
    kb_outbound_free(plane);
    kb_ring_free(&plane->commands);
    kb_states_free(plane);
    kb_index_free(&plane->by_address);
    kb_index_free(&plane->by_ufrag);
    kb_tcp_free(&plane->tcp);
    free(plane->peers);
    free(plane->tracks);
    free(plane->slots);
    free(plane->peer_clocks);
    free(plane->track_clocks);
    free(plane->slot_reports);
    kb_ingress_free(plane);
    free(plane);
}

static void copy_totals(kb_plane *plane)
{
    const kb_egress_totals *totals = kb_egress_read(plane->egress);
    kb_reading_set(&plane->counters[KB_COUNT_datagrams_sent], totals->packets);
    kb_reading_set(&plane->counters[KB_COUNT_datagrams_grouped], totals->grouped);
    kb_reading_set(&plane->counters[KB_COUNT_bytes_sent], totals->bytes);
    kb_reading_set(&plane->counters[KB_COUNT_sends_refused], totals->refused);
    kb_reading_set(&plane->counters[KB_COUNT_sends_failed], totals->failed);
}

/* Reads both families in turn, so that neither starves the other; returns the time now. */
static int64_t receive(kb_plane *plane, bool v6_ready, int64_t now_ns)
{
    bool v4_ready = plane->sockets.v4 >= 0;
    for (int batch = 0; batch < BATCHES_PER_TURN && (v4_ready || v6_ready); batch++) {
        if (batch > 0)
            now_ns = kb_plane_now_ns(plane);
        v4_ready = v4_ready && kb_ingress_poll(plane, plane->sockets.v4, now_ns) == KB_RECEIVE_BATCH;
        v6_ready = v6_ready && kb_ingress_poll(plane, plane->sockets.v6, now_ns) == KB_RECEIVE_BATCH;
    }
    return now_ns;
}

/* One read or a few accepts: what a connection may cost per turn, while others wait. */
static void serve_stream(kb_plane *plane, const kb_ready *ready, int64_t now_ns)
{
    uint32_t number = (uint32_t)ready->tag;
    switch (ready->tag >> 32) {
    case KB_WATCH_LISTENER:
        kb_tcp_accept(plane, (int)number, now_ns);
        break;
    case KB_WATCH_CONNECTION:
        kb_tcp_ready(plane, number, ready->what, now_ns);
        break;
    }
}

void kb_plane_turn(kb_plane *plane, int timeout_ms)
{
    kb_ready ready[EVENTS];
    if (plane->video_slots && timeout_ms > IDLE_VIDEO_MS)
        timeout_ms = plane->backlogs ? IDLE_BACKLOG_MS : IDLE_VIDEO_MS;
    int count = kb_poller_wait(plane->poller, ready, EVENTS,
                               plane->injected_left || plane->reports_now ? 0 : timeout_ms);
    /* IPv4 is asked in every turn; what few hosts use only when there is something, as asking costs a system call. */
    bool v6_ready = false;
    for (int i = 0; i < count; i++)
        v6_ready |= ready[i].tag == KB_WATCH(KB_WATCH_DESCRIPTOR, plane->sockets.v6);
    int64_t now_ns = kb_plane_now_ns(plane);
    kb_commands_drain(plane, now_ns);
    now_ns = receive(plane, v6_ready, now_ns);
    for (int i = 0; i < count; i++)
        serve_stream(plane, &ready[i], now_ns);
    plane->injected_left = kb_forward_injected(plane, now_ns);
    bool timers = now_ns >= plane->timers_ns;
    if (timers) {
        kb_timers_run(plane, now_ns);
        plane->timers_ns = now_ns + TIMER_NS;
    }
    if (plane->backlogs)
        kb_backlogs_run(plane, now_ns); /* after the sound of this turn */
    if (plane->video_slots)
        kb_downlinks_run(plane, now_ns);
    if (timers || plane->reports_now)
        kb_reports_send(plane, now_ns);
    kb_outbound_flush(plane);
    copy_totals(plane);
    KB_COUNT(plane, turns);
    if (plane->wake_python) {
        plane->wake_python = false;
        kb_wake_tell(&plane->event_wake);
    }
}

static void *run(void *argument)
{
    kb_plane *plane = argument;
    atomic_store(&plane->scheduling, kb_realtime_begin("kabina-plane"));
    while (!atomic_load_explicit(&plane->quit, memory_order_acquire))
        kb_plane_turn(plane, IDLE_MS);
    return NULL;
}

int kb_plane_start(kb_plane *plane)
{
    if (atomic_load(&plane->running) || atomic_load(&plane->quit))
        return EALREADY;
    kb_plane_set_clock(plane, 0);
    plane->timers_ns = 0;
    /* Signals are Python's main thread's. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int status = kb_outbound_start(plane);
    atomic_store(&plane->running, status == 0);
    if (status == 0)
        status = pthread_create(&plane->thread, NULL, run, plane);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status != 0) {
        atomic_store(&plane->running, false);
        kb_outbound_stop(plane);
    }
    return status;
}

void kb_plane_stop(kb_plane *plane)
{
    atomic_store_explicit(&plane->quit, true, memory_order_release);
    if (atomic_load(&plane->running)) {
        kb_wake_tell(&plane->command_wake);
        pthread_join(plane->thread, NULL);
        atomic_store(&plane->scheduling, KB_SCHEDULING_STOPPED);
        atomic_store(&plane->running, false);
        kb_commands_drain(plane, kb_plane_now_ns(plane));
    }
    kb_outbound_flush(plane);
    kb_outbound_stop(plane);
    kb_outbound_flush(plane); /* what came back for TCP connections */
    kb_outbound_retire(plane);
    kb_tcp_close_all(plane);
    close_sockets(plane);
}

uint64_t kb_plane_submit(kb_plane *plane, const kb_command *command)
{
    if (!atomic_load_explicit(&plane->running, memory_order_acquire)) {
        kb_command_apply(plane, command, kb_plane_now_ns(plane));
        kb_outbound_flush(plane);
        return ++plane->submitted;
    }
    kb_command *slot = kb_ring_claim(&plane->commands);
    if (!slot)
        return 0;
    *slot = *command;
    kb_ring_publish(&plane->commands);
    kb_wake_tell(&plane->command_wake);
    return ++plane->submitted;
}

uint64_t kb_plane_applied(const kb_plane *plane)
{
    return atomic_load_explicit(&plane->applied, memory_order_acquire);
}

uint64_t kb_plane_released(const kb_plane *plane)
{
    uint64_t released = kb_plane_applied(plane);
    for (uint32_t i = 0; i < plane->shard_count; i++) {
        uint64_t passed = kb_shard_passed(plane->shards[i]);
        released = passed < released ? passed : released;
    }
    return released;
}

int kb_plane_event_fd(const kb_plane *plane)
{
    return plane->event_wake.read_fd;
}

void kb_plane_acknowledge(kb_plane *plane)
{
    kb_wake_clear(&plane->event_wake); /* nothing to clear is fine: poll may be called at any time */
}

uint64_t kb_plane_counter(const kb_plane *plane, enum kb_counter counter)
{
    uint64_t total = atomic_load_explicit(&plane->counters[counter], memory_order_relaxed);
    for (uint32_t i = 0; i < plane->shard_count; i++)
        total += kb_shard_counter(plane->shards[i], counter);
    return total;
}

const char *kb_counter_name(enum kb_counter counter)
{
    static const char *const names[] = {
#define X(name) #name,
        KB_COUNTERS(X)
#undef X
    };
    return names[counter];
}

const char *kb_plane_scheduling(const kb_plane *plane)
{
    return kb_scheduling_name(atomic_load(&plane->scheduling));
}

const char *kb_plane_egress_scheduling(const kb_plane *plane)
{
    int worst = KB_SCHEDULING_FIFO;
    for (uint32_t i = 0; i < plane->shard_count; i++) {
        int one = kb_shard_scheduling(plane->shards[i]);
        worst = one < worst ? one : worst;
    }
    return plane->shard_count ? kb_scheduling_name(worst) : "none";
}

int64_t kb_plane_cpu_ns(kb_plane *plane)
{
    return atomic_load(&plane->running) ? kb_thread_cpu_ns(plane->thread) : 0;
}

int64_t kb_plane_egress_cpu_ns(const kb_plane *plane, uint32_t number)
{
    return number < plane->shard_count ? kb_shard_cpu_ns(plane->shards[number]) : 0;
}

static uint64_t read_one(const kb_reading *readings, uint32_t handle, int reading)
{
    /* Handle 0 is nobody's; another handle means that the command is still on its way, or the entity gone. */
    if (!handle || atomic_load_explicit(&readings[0], memory_order_relaxed) != handle)
        return 0;
    return atomic_load_explicit(&readings[reading], memory_order_relaxed);
}

uint64_t kb_plane_peer_reading(const kb_plane *plane, uint32_t handle, enum kb_peer_reading reading)
{
    uint32_t index = kb_handle_index(handle);
    return index < plane->config.max_peers ? read_one(plane->peers[index].readings, handle, reading) : 0;
}

uint64_t kb_plane_track_reading(const kb_plane *plane, uint32_t handle, enum kb_track_reading reading)
{
    uint32_t index = kb_handle_index(handle);
    return index < plane->config.max_tracks ? read_one(plane->tracks[index].readings, handle, reading) : 0;
}

uint64_t kb_plane_slot_reading(const kb_plane *plane, uint32_t handle, enum kb_slot_reading reading)
{
    uint32_t index = kb_handle_index(handle);
    return index < plane->config.max_slots ? read_one(plane->slots[index].readings, handle, reading) : 0;
}
