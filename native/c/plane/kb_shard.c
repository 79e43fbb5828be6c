#define _GNU_SOURCE
#include "kb_shard.h"
#include "kb_realtime.h"
#include "kb_ring.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

/* Few come over TCP, but all of their pictures may come at once, and the plane's thread writes them slower than they are
 * protected: 25 viewers' key frames of 40 packets. 1.7 MB. */
#define RETURNED 1024u

typedef struct kb_job {
    kb_seal seal;
    kb_address to;
    uint16_t bytes; /* 0 = no packet: a sign only */
    bool hold;
    bool last; /* of a turn */
    uint64_t number; /* with `last` */
    alignas(64) uint8_t packet[KB_EGRESS_BUFFER_BYTES];
} kb_job;

_Static_assert(offsetof(kb_job, packet) == 64, "one cache line tells what to do");

typedef _Atomic uint64_t kb_total; /* one writer, relaxed */

struct kb_shard {
    kb_shard_config config;
    kb_egress *egress;
    kb_ring jobs, returned;
    kb_wake wake;
    pthread_t thread;
    bool running; /* C writes it while there is no P */
    char name[16];

    /* P's. */
    alignas(64) uint32_t pending; /* committed, and not shown to the thread yet */
    uint64_t ended;               /* the last number that went down */
    kb_job *claimed, *spill;

    alignas(64) _Atomic bool sleeping;
    _Atomic bool quit;

    /* The thread's. */
    alignas(64) _Atomic uint64_t passed;
    _Atomic int scheduling;
    kb_total packets, bytes, refused, failed, grouped, unprotected, overrun;
};

static void add_one(kb_total *total)
{
    atomic_store_explicit(total, atomic_load_explicit(total, memory_order_relaxed) + 1, memory_order_relaxed);
}

kb_shard *kb_shard_new(const kb_shard_config *config)
{
    kb_shard *shard = aligned_alloc(64, (sizeof *shard + 63u) & ~(size_t)63u);
    if (!shard)
        return NULL;
    memset(shard, 0, sizeof *shard);
    shard->config = *config;
    shard->wake = (kb_wake){-1, -1};
    snprintf(shard->name, sizeof shard->name, "kabina-egress%u", (unsigned)config->number % 100);
    shard->egress = kb_egress_new(config->v4, config->v6);
    shard->spill = aligned_alloc(64, sizeof *shard->spill);
    if (!shard->egress || !shard->spill || kb_wake_open(&shard->wake) ||
        kb_ring_init(&shard->jobs, config->packets ? config->packets : KB_SHARD_PACKETS, sizeof(kb_job)) ||
        (config->streams && kb_ring_init(&shard->returned, RETURNED, sizeof(kb_shard_datagram)))) {
        kb_shard_free(shard);
        return NULL;
    }
    if (config->portable)
        kb_egress_use(shard->egress, KB_EGRESS_SENDTO);
    return shard;
}

void kb_shard_free(kb_shard *shard)
{
    kb_wake_close(&shard->wake);
    kb_ring_free(&shard->jobs);
    kb_ring_free(&shard->returned);
    kb_egress_free(shard->egress);
    free(shard->spill);
    free(shard);
}

/* --- The thread's side ------------------------------------------------------------------------------------------- */

/* The same claim, seal and commit as in kb_outbound.c: the copy lets go of the ring's buffer, and what the kernel reads
 * then lies in the 100 kB of the batch. */
static void send_one(kb_shard *shard, const kb_job *job)
{
    kb_shard_datagram *back = NULL;
    if (job->to.stream && !(shard->config.streams && (back = kb_ring_claim(&shard->returned)))) {
        add_one(&shard->overrun);
        return;
    }
    kb_egress_hold(shard->egress, job->hold);
    uint8_t *packet = back ? back->data : kb_egress_claim(shard->egress);
    memcpy(packet, job->packet, job->bytes);
    int bytes = job->bytes;
    if (!kb_seal_apply(shard->config.srtp, &job->seal, packet, &bytes)) {
        add_one(&shard->unprotected);
        return;
    }
    if (!back) {
        kb_egress_commit(shard->egress, (size_t)bytes, &job->to);
        return;
    }
    back->to = job->to;
    back->bytes = (uint16_t)bytes;
    kb_ring_publish(&shard->returned);
}

static void flush(kb_shard *shard)
{
    kb_egress_flush(shard->egress);
    const kb_egress_totals *totals = kb_egress_read(shard->egress);
    atomic_store_explicit(&shard->packets, totals->packets, memory_order_relaxed);
    atomic_store_explicit(&shard->bytes, totals->bytes, memory_order_relaxed);
    atomic_store_explicit(&shard->refused, totals->refused, memory_order_relaxed);
    atomic_store_explicit(&shard->failed, totals->failed, memory_order_relaxed);
    atomic_store_explicit(&shard->grouped, totals->grouped, memory_order_relaxed);
}

/* Up to one batch; false when there was nothing to do. */
static bool work(kb_shard *shard)
{
    uint32_t count = kb_ring_ready(&shard->jobs);
    if (count > KB_EGRESS_BATCH)
        count = KB_EGRESS_BATCH;
    bool streamed = false;
    for (uint32_t i = 0; i < count; i++) {
        const kb_job *job = kb_ring_peek_ahead(&shard->jobs, i);
        if (job->bytes)
            send_one(shard, job);
        streamed |= job->to.stream != 0;
        if (job->last) {
            flush(shard);
            atomic_store_explicit(&shard->passed, job->number, memory_order_release);
        }
    }
    if (count)
        kb_ring_release_many(&shard->jobs, count);
    if (streamed)
        kb_wake_tell(shard->config.plane_wake);
    return count > 0;
}

/* Both sides exchange `sleeping`, so one of them sees what the other one did before: a job, or the wish to be woken. */
static void sleep_until_told(kb_shard *shard)
{
    atomic_exchange(&shard->sleeping, true);
    if (kb_ring_ready(&shard->jobs) == 0 && !atomic_load(&shard->quit)) {
        struct pollfd told = {.fd = shard->wake.read_fd, .events = POLLIN};
        poll(&told, 1, -1);
    }
    atomic_store(&shard->sleeping, false);
    kb_wake_clear(&shard->wake);
}

static void *run(void *argument)
{
    kb_shard *shard = argument;
    atomic_store(&shard->scheduling, kb_realtime_begin(shard->name));
    for (;;) {
        bool quit = atomic_load_explicit(&shard->quit, memory_order_acquire);
        if (work(shard))
            continue;
        if (quit)
            return NULL;
        sleep_until_told(shard);
    }
}

/* --- The control thread's side ----------------------------------------------------------------------------------- */

int kb_shard_start(kb_shard *shard)
{
    atomic_store(&shard->quit, false);
    int status = pthread_create(&shard->thread, NULL, run, shard);
    shard->running = status == 0;
    return status;
}

void kb_shard_stop(kb_shard *shard)
{
    if (!shard->running)
        return;
    atomic_store_explicit(&shard->quit, true, memory_order_release);
    kb_wake_tell(&shard->wake);
    pthread_join(shard->thread, NULL);
    shard->running = false;
    atomic_store(&shard->scheduling, KB_SCHEDULING_STOPPED);
}

void kb_shard_retire(kb_shard *shard)
{
    kb_egress_retire(shard->egress);
}

uint64_t kb_shard_passed(const kb_shard *shard)
{
    return atomic_load_explicit(&shard->passed, memory_order_acquire);
}

uint64_t kb_shard_counter(const kb_shard *shard, enum kb_counter counter)
{
    const kb_total *total = NULL;
    switch ((int)counter) {
    case KB_COUNT_datagrams_sent:
        total = &shard->packets;
        break;
    case KB_COUNT_datagrams_grouped:
        total = &shard->grouped;
        break;
    case KB_COUNT_bytes_sent:
        total = &shard->bytes;
        break;
    case KB_COUNT_sends_refused:
        total = &shard->refused;
        break;
    case KB_COUNT_sends_failed:
        total = &shard->failed;
        break;
    case KB_COUNT_protect_failed:
        total = &shard->unprotected;
        break;
    case KB_COUNT_egress_overrun:
        total = &shard->overrun;
        break;
    }
    return total ? atomic_load_explicit(total, memory_order_relaxed) : 0;
}

int kb_shard_scheduling(const kb_shard *shard)
{
    return atomic_load(&shard->scheduling);
}

int64_t kb_shard_cpu_ns(const kb_shard *shard)
{
    return shard->running ? kb_thread_cpu_ns(shard->thread) : 0;
}

/* --- The plane's side -------------------------------------------------------------------------------------------- */

static void show(kb_shard *shard, uint32_t count)
{
    kb_ring_publish_many(&shard->jobs, count);
    shard->pending -= count;
    if (!shard->running) {
        while (work(shard))
            ;
    } else if (atomic_exchange(&shard->sleeping, false)) {
        kb_wake_tell(&shard->wake);
    }
}

uint8_t *kb_shard_claim(kb_shard *shard)
{
    shard->claimed = kb_ring_claim_ahead(&shard->jobs, shard->pending);
    if (!shard->claimed)
        shard->claimed = shard->spill;
    return shard->claimed->packet;
}

bool kb_shard_commit(kb_shard *shard, const kb_seal *seal, size_t bytes, const kb_address *to, bool hold)
{
    kb_job *job = shard->claimed;
    shard->claimed = NULL;
    if (!job || job == shard->spill) /* NULL: the packet was not written to what this ring gave */
        return false;
    job->seal = *seal;
    job->to = *to;
    job->bytes = (uint16_t)bytes;
    job->hold = hold;
    job->last = false;
    /* The newest is kept back: it may turn out to be the last one of its turn. */
    if (++shard->pending > KB_EGRESS_BATCH)
        show(shard, shard->pending - 1);
    return true;
}

void kb_shard_end(kb_shard *shard, uint64_t number)
{
    if (shard->pending == 0) {
        kb_job *sign = number != shard->ended ? kb_ring_claim_ahead(&shard->jobs, 0) : NULL;
        if (!sign)
            return; /* nothing to tell, or no room: with the next turn */
        sign->bytes = 0;
        sign->to.stream = 0;
        shard->pending = 1;
    }
    kb_job *last = kb_ring_claim_ahead(&shard->jobs, shard->pending - 1);
    last->last = true;
    last->number = shard->ended = number;
    show(shard, shard->pending);
}

const kb_shard_datagram *kb_shard_returned(kb_shard *shard)
{
    return shard->config.streams ? kb_ring_peek(&shard->returned) : NULL;
}

void kb_shard_take(kb_shard *shard)
{
    kb_ring_release(&shard->returned);
}
