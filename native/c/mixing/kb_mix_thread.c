/* The shell of the engine: the only file of the mixing extension that reads a clock or knows of threads. */
#define _GNU_SOURCE /* pthread_setname_np */
#include "kb_engine.h"

#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <time.h>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

/* Above the plane's thread (10): this one has the deadline and bounded work, that one a 4 MiB socket buffer; below the
 * kernel's own. Under load CFS wakes 61 ms late (p99), FIFO 70 µs. */
#define FIFO_PRIORITY 11

static int64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void sleep_until(int64_t at_ns)
{
    const struct timespec at = {.tv_sec = at_ns / 1000000000LL, .tv_nsec = at_ns % 1000000000LL};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
        continue;
}

/* Denormals cost a hundred times a normal number in filters' tails; this thread's arithmetic takes them as zero. */
static void flush_denormals(void)
{
#if defined(__SSE__)
    _mm_setcsr(_mm_getcsr() | 0x8040); /* FTZ and DAZ */
#elif defined(__aarch64__)
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("msr fpcr, %0" : : "r"(control | (1ull << 24)));
#endif
}

/* Four buckets per octave of µs; bucket 0 is below 1 µs. */
static unsigned bucket_of(uint64_t ns)
{
    const uint64_t us = ns / 1000;
    if (us == 0)
        return 0;
    const unsigned octave = 63u - (unsigned)__builtin_clzll(us);
    const unsigned quarter = octave >= 2 ? (unsigned)(us >> (octave - 2)) & 3u
                                         : (unsigned)(us << (2 - octave)) & 3u;
    const unsigned bucket = 1 + octave * 4 + quarter;
    return bucket < KB_LATENESS_BUCKETS ? bucket : KB_LATENESS_BUCKETS - 1;
}

static uint64_t bucket_end_ns(unsigned bucket)
{
    if (bucket == 0)
        return 1000;
    const unsigned octave = (bucket - 1) / 4, quarter = (bucket - 1) % 4;
    return (1000ull << octave) * (5 + quarter) / 4;
}

uint64_t kb_engine_lateness_p99_ns(const kb_engine *engine)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < KB_LATENESS_BUCKETS; i++)
        total += atomic_load_explicit(&engine->counters.lateness[i], memory_order_relaxed);
    uint64_t above = 0;
    for (unsigned i = KB_LATENESS_BUCKETS; total && i-- > 0;) {
        above += atomic_load_explicit(&engine->counters.lateness[i], memory_order_relaxed);
        if (above * 100 > total)
            return bucket_end_ns(i);
    }
    return 0;
}

static void raise_max(_Atomic uint64_t *counter, uint64_t value)
{
    if (value > atomic_load_explicit(counter, memory_order_relaxed))
        atomic_store_explicit(counter, value, memory_order_relaxed);
}

static void note_lateness(kb_engine_counters *counters, uint64_t late_ns)
{
    kb_count(&counters->lateness[bucket_of(late_ns)], 1);
    kb_count(&counters->lateness_sum_ns, late_ns);
    raise_max(&counters->lateness_max_ns, late_ns);
    if (late_ns > (uint64_t)KB_TICK_NS)
        kb_count(&counters->late_ticks, 1);
}

/* A FIFO thread that never sleeps would take its core from everybody, the web server first. So one that has overrun half
 * a second of ticks in a row runs at normal priority until it has kept up for 10 s. */
#define OVERRUNS_BORNE 25
#define CALM_TICKS 500

typedef struct watchdog {
    int is_fifo, was_granted;
    int overruns, calm;
} watchdog;

static int ask_for(int policy)
{
    const struct sched_param parameters = {.sched_priority = policy == SCHED_FIFO ? FIFO_PRIORITY : 0};
    return pthread_setschedparam(pthread_self(), policy, &parameters) == 0;
}

static void watch(watchdog *dog, kb_engine_counters *counters, int has_overrun)
{
    dog->overruns = has_overrun ? dog->overruns + 1 : 0;
    dog->calm = has_overrun ? 0 : dog->calm + 1;
    if (dog->is_fifo && dog->overruns >= OVERRUNS_BORNE && ask_for(SCHED_OTHER)) {
        dog->is_fifo = 0;
        kb_count(&counters->demotions, 1);
    } else if (dog->was_granted && !dog->is_fifo && dog->calm >= CALM_TICKS) {
        dog->is_fifo = ask_for(SCHED_FIFO);
        dog->calm = 0;
    } else {
        return;
    }
    atomic_store_explicit(&counters->is_fifo, dog->is_fifo, memory_order_relaxed);
}

void *kb_engine_run(void *argument)
{
    kb_engine *engine = argument;
    kb_engine_counters *counters = &engine->counters;
    watchdog dog = {.is_fifo = ask_for(SCHED_FIFO)};
    dog.was_granted = dog.is_fifo;
    atomic_store_explicit(&counters->is_fifo, dog.is_fifo, memory_order_relaxed);
    pthread_setname_np(pthread_self(), "kabina-mix");
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    flush_denormals();

    int64_t due_ns = clock_ns() + KB_TICK_NS;
    while (!atomic_load_explicit(&engine->must_stop, memory_order_acquire)) {
        sleep_until(due_ns);
        const int64_t begin_ns = clock_ns();
        const int64_t late_ns = begin_ns - due_ns;
        note_lateness(counters, late_ns > 0 ? (uint64_t)late_ns : 0);
        if (late_ns > KB_TICK_NS)
            due_ns += late_ns / KB_TICK_NS * KB_TICK_NS;
        kb_engine_tick(engine, due_ns);
        const uint64_t busy_ns = (uint64_t)(clock_ns() - begin_ns);
        kb_count(&counters->busy_ns, busy_ns);
        raise_max(&counters->busy_max_ns, busy_ns);
        watch(&dog, counters, (int64_t)busy_ns > KB_TICK_NS);
        kb_effort_tell(&engine->effort, (int64_t)busy_ns, KB_TICK_NS);
        atomic_store_explicit(&counters->effort, (uint64_t)engine->effort.level, memory_order_relaxed);
        due_ns = kb_engine_next_ns(engine, due_ns);
    }
    return NULL;
}
