/* The mix engine: sources in, one Opus packet per heard row and 20 ms out, over one bus.
 *
 * Two sides. The control side (kb_control.c; Python's thread, one at a time) allocates, numbers, and frees. The mix
 * side (kb_engine.c; the engine's own thread, or the caller of kb_engine_tick while it is not started) only takes
 * over what it is handed: commands by an SPSC ring, plans by one atomic pointer, and gives back what may be freed
 * by a second ring. No allocation, lock, log or system call but the eventfd write on a tick.
 */
#ifndef KB_ENGINE_H
#define KB_ENGINE_H

#include "kb_bus.h"
#include "kb_effort.h"
#include "kb_phase.h"
#include "kb_row.h"
#include "kb_source.h"

#include <pthread.h>
#include <stdatomic.h>

#define KB_TICK_NS 20000000LL
#define KB_MAX_SOURCES 1024u /* powers of two: a number is index + generation · count, so it names one life only */
#define KB_MAX_ROWS 512u
#define KB_LATENESS_BUCKETS 96 /* four per octave from 1 µs: the last starts at 14 s */

typedef struct kb_plan_row {
    uint32_t row;
    uint32_t first; /* index into the plan's numbers: floor sources, then interpreters */
    uint16_t floor_count, interpreter_count;
    uint8_t is_heard;
    uint8_t loss_percent; /* that its receivers lose: how much FEC the encoder makes */
    kb_ducking_settings ducking;
} kb_plan_row;

/* Immutable once applied. `numbers` lies behind the rows in one allocation. */
typedef struct kb_plan {
    uint32_t row_count;
    uint32_t number_count;
    uint32_t *numbers;
    kb_plan_row rows[];
} kb_plan;

typedef enum kb_command_kind {
    KB_ADD_SOURCE, /* pointer */
    KB_REMOVE_SOURCE,
    KB_ADD_ROW, /* pointer */
    KB_REMOVE_ROW,
    KB_PLAY_CLIP, /* flags: 1 playing, 2 rewind */
} kb_command_kind;

typedef struct kb_command {
    kb_command_kind kind;
    uint32_t number;
    uint32_t flags;
    void *pointer;
} kb_command;

typedef enum kb_spent_kind { KB_SPENT_SOURCE, KB_SPENT_ROW, KB_SPENT_PLAN } kb_spent_kind;

typedef struct kb_spent {
    kb_spent_kind kind;
    void *pointer;
} kb_spent;

/* One writer, the mix side; any reader. */
typedef struct kb_engine_counters {
    _Atomic uint64_t ticks, late_ticks, skipped_frames;
    _Atomic uint64_t encodes, encode_errors, decodes;
    _Atomic uint64_t row_packets, dropped_packets; /* dropped: the ring to the plane was full */
    _Atomic uint64_t source_packets, unknown_source_packets;
    _Atomic uint64_t busy_ns, busy_max_ns; /* time inside ticks, by the thread only */
    _Atomic uint64_t lateness_sum_ns, lateness_max_ns;
    _Atomic uint64_t lateness[KB_LATENESS_BUCKETS];
    _Atomic uint64_t effort; /* kb_effort_level now */
    _Atomic uint64_t demotions; /* SCHED_FIFO given up because a tick did not end */
    _Atomic int32_t is_fifo; /* SCHED_FIFO was granted */
} kb_engine_counters;

typedef struct kb_engine {
    kb_bus *bus;
    kb_opus_table opus;
    kb_engine_counters counters;

    /* between the sides */
    kb_ring commands; /* kb_command */
    kb_ring spent;    /* kb_spent */
    _Atomic(kb_plan *) next_plan;
    _Atomic int must_stop;

    /* mix side */
    kb_source *sources[KB_MAX_SOURCES];
    kb_row *rows[KB_MAX_ROWS];
    kb_row *leaders[KB_MAX_ROWS];
    uint32_t source_end, row_end; /* one past the highest index in use */
    kb_plan *spent_plan;          /* waits for room in `spent` */
    uint64_t tick;
    int64_t last_ns; /* nominal time of the last tick; 0 before the first */
    kb_phase phase;
    kb_effort effort;
    int rides; /* rows bring voices to one loudness */
    uint32_t timestamp;

    /* control side */
    kb_source *owned_sources[KB_MAX_SOURCES];
    kb_row *owned_rows[KB_MAX_ROWS];
    uint32_t source_generations[KB_MAX_SOURCES];
    uint32_t row_generations[KB_MAX_ROWS];
    uint8_t source_is_live[KB_MAX_SOURCES], row_is_live[KB_MAX_ROWS];
    int is_running;
    pthread_t thread;
} kb_engine;

/* ---- control side --------------------------------------------------------------------------------------------- */

typedef enum kb_status {
    KB_OK = 0,
    KB_NO_MEMORY = -1,
    KB_FULL = -2,    /* all numbers are in use, or the mix side has not answered for long */
    KB_UNKNOWN = -3, /* no such live source or row */
    KB_NO_THREAD = -4,
} kb_status;

/* `bus` outlives the engine. NULL without memory, or with *missing set to what libopus lacks. */
kb_engine *kb_engine_new(kb_bus *bus, void *opus_handle, int complexity, int rides, uint32_t first_timestamp,
                         const char **missing);
void kb_engine_free(kb_engine *engine); /* stops it first */

kb_status kb_engine_add_stream(kb_engine *engine, uint32_t *number);
kb_status kb_engine_add_clip(kb_engine *engine, const float *samples, size_t length, int is_looped,
                             uint32_t *number);
kb_status kb_engine_play_clip(kb_engine *engine, uint32_t number, int is_playing, int must_rewind);
kb_status kb_engine_remove_source(kb_engine *engine, uint32_t number);
kb_status kb_engine_add_row(kb_engine *engine, uint32_t track, int32_t bitrate_bps, int is_guarded,
                            uint32_t *number);
kb_status kb_engine_remove_row(kb_engine *engine, uint32_t number);

/* Live ones only, else NULL; valid until the next control call. */
const kb_source *kb_engine_source(const kb_engine *engine, uint32_t number);
const kb_row *kb_engine_row(const kb_engine *engine, uint32_t number);

kb_plan *kb_plan_new(uint32_t row_count, uint32_t number_count); /* NULL without memory */
/* Takes the plan over. Every number in it is live. */
void kb_engine_apply(kb_engine *engine, kb_plan *plan);

/* Idempotent both. Start returns KB_NO_THREAD when none can be made. */
kb_status kb_engine_start(kb_engine *engine);
void kb_engine_stop(kb_engine *engine);

/* The lateness below which 99 % of the ticks were, ns; 0 before the first. */
uint64_t kb_engine_lateness_p99_ns(const kb_engine *engine);

/* The counters in order up to lateness_max_ns, then the p99, effort, demotions and is_fifo; any thread. */
#define KB_COUNTERS 18
void kb_engine_read(const kb_engine *engine, uint64_t *values);

/* ---- mix side ------------------------------------------------------------------------------------------------- */

/* Takes over plans and commands; part of every tick. */
void kb_engine_absorb(kb_engine *engine);

/* One frame at its nominal time. More than one frame after the last: whole frames are skipped and counted, and the
 * RTP clock advances over them. Only while the thread does not run. */
void kb_engine_tick(kb_engine *engine, int64_t now_ns);

/* When the next tick should be, after one at `now_ns`: 20 ms later, but for the phase (kb_phase.h). */
int64_t kb_engine_next_ns(const kb_engine *engine, int64_t now_ns);

/* The body of the thread, until must_stop. */
void *kb_engine_run(void *engine);

static inline void kb_count(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

#endif
