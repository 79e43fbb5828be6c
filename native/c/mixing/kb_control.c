#include "kb_engine.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_SLOTS 4096u
/* Every row and source that can be alive, and one plan per command the control side can have outstanding. */
#define SPENT_SLOTS 4096u
/* The floor of what receivers are assumed to lose; at 0 libopus silently sends no FEC copies. */
#define LOSS_PERCENT 5

static void collect(kb_engine *engine)
{
    const kb_spent *spent;
    while ((spent = kb_ring_peek(&engine->spent))) {
        if (spent->kind == KB_SPENT_SOURCE) {
            kb_source *source = spent->pointer;
            engine->owned_sources[source->number % KB_MAX_SOURCES] = NULL;
            kb_source_free(source);
        } else if (spent->kind == KB_SPENT_ROW) {
            kb_row *row = spent->pointer;
            engine->owned_rows[row->number % KB_MAX_ROWS] = NULL;
            kb_row_free(row);
        } else {
            free(spent->pointer);
        }
        kb_ring_release(&engine->spent);
    }
}

/* While no thread runs nobody else would take things over. */
static void settle(kb_engine *engine)
{
    if (!engine->is_running)
        kb_engine_absorb(engine);
    collect(engine);
}

kb_engine *kb_engine_new(kb_bus *bus, void *opus_handle, int complexity, int rides, uint32_t first_timestamp,
                         const char **missing)
{
    *missing = NULL;
    kb_engine *engine = aligned_alloc(64, (sizeof *engine + 63u) & ~(size_t)63u);
    if (!engine)
        return NULL;
    memset(engine, 0, sizeof *engine);
    *missing = kb_opus_table_load(&engine->opus, opus_handle);
    if (*missing || kb_ring_init(&engine->commands, COMMAND_SLOTS, sizeof(kb_command)) ||
        kb_ring_init(&engine->spent, SPENT_SLOTS, sizeof(kb_spent))) {
        kb_ring_free(&engine->commands);
        free(engine);
        return NULL;
    }
    engine->bus = bus;
    kb_effort_init(&engine->effort, complexity);
    engine->rides = rides;
    engine->timestamp = first_timestamp;
    return engine;
}

void kb_engine_free(kb_engine *engine)
{
    if (!engine)
        return;
    kb_engine_stop(engine);
    settle(engine);
    for (uint32_t i = 0; i < KB_MAX_SOURCES; i++)
        kb_source_free(engine->owned_sources[i]);
    for (uint32_t i = 0; i < KB_MAX_ROWS; i++)
        kb_row_free(engine->owned_rows[i]);
    free(engine->spent_plan);
    free(atomic_exchange(&engine->next_plan, NULL));
    kb_ring_free(&engine->commands);
    kb_ring_free(&engine->spent);
    free(engine);
}

static kb_status command(kb_engine *engine, kb_command_kind kind, uint32_t number, uint32_t flags, void *pointer)
{
    settle(engine);
    kb_command *slot = kb_ring_claim(&engine->commands);
    if (!slot)
        return KB_FULL;
    *slot = (kb_command){kind, number, flags, pointer};
    kb_ring_publish(&engine->commands);
    settle(engine);
    return KB_OK;
}

/* ---- sources and rows --------------------------------------------------------------------------------------- */

static kb_status adopt_source(kb_engine *engine, kb_source *source, uint32_t *number)
{
    if (!source)
        return KB_NO_MEMORY;
    collect(engine);
    for (uint32_t i = 0; i < KB_MAX_SOURCES; i++) {
        if (engine->owned_sources[i])
            continue;
        source->number = i + ++engine->source_generations[i] * KB_MAX_SOURCES;
        engine->owned_sources[i] = source;
        if (command(engine, KB_ADD_SOURCE, source->number, 0, source)) {
            engine->owned_sources[i] = NULL;
            break;
        }
        engine->source_is_live[i] = 1;
        *number = source->number;
        return KB_OK;
    }
    kb_source_free(source);
    return KB_FULL;
}

kb_status kb_engine_add_stream(kb_engine *engine, uint32_t *number)
{
    return adopt_source(engine, kb_source_new_stream(&engine->opus), number);
}

kb_status kb_engine_add_clip(kb_engine *engine, const float *samples, size_t length, int is_looped,
                             uint32_t *number)
{
    return adopt_source(engine, kb_source_new_clip(samples, length, is_looped), number);
}

const kb_source *kb_engine_source(const kb_engine *engine, uint32_t number)
{
    const uint32_t index = number % KB_MAX_SOURCES;
    const kb_source *source = engine->owned_sources[index];
    return source && engine->source_is_live[index] && source->number == number ? source : NULL;
}

const kb_row *kb_engine_row(const kb_engine *engine, uint32_t number)
{
    const uint32_t index = number % KB_MAX_ROWS;
    const kb_row *row = engine->owned_rows[index];
    return row && engine->row_is_live[index] && row->number == number ? row : NULL;
}

kb_status kb_engine_play_clip(kb_engine *engine, uint32_t number, int is_playing, int must_rewind)
{
    const kb_source *source = kb_engine_source(engine, number);
    if (!source || !source->is_clip)
        return KB_UNKNOWN;
    return command(engine, KB_PLAY_CLIP, number, (is_playing ? 1u : 0u) | (must_rewind ? 2u : 0u), NULL);
}

kb_status kb_engine_remove_source(kb_engine *engine, uint32_t number)
{
    if (!kb_engine_source(engine, number))
        return KB_UNKNOWN;
    engine->source_is_live[number % KB_MAX_SOURCES] = 0;
    const kb_status status = command(engine, KB_REMOVE_SOURCE, number, 0, NULL);
    if (status)
        engine->source_is_live[number % KB_MAX_SOURCES] = 1;
    return status;
}

kb_status kb_engine_add_row(kb_engine *engine, uint32_t track, int32_t bitrate_bps, int is_guarded,
                            uint32_t *number)
{
    const kb_opus_voice voice = {bitrate_bps, kb_effort_complexity(&engine->effort), LOSS_PERCENT};
    kb_row *row = kb_row_new(&engine->opus, &voice, is_guarded, track);
    if (!row)
        return KB_NO_MEMORY;
    row->rides = (uint8_t)(engine->rides != 0);
    collect(engine);
    for (uint32_t i = 0; i < KB_MAX_ROWS; i++) {
        if (engine->owned_rows[i])
            continue;
        row->number = i + ++engine->row_generations[i] * KB_MAX_ROWS;
        engine->owned_rows[i] = row;
        if (command(engine, KB_ADD_ROW, row->number, 0, row)) {
            engine->owned_rows[i] = NULL;
            break;
        }
        engine->row_is_live[i] = 1;
        *number = row->number;
        return KB_OK;
    }
    kb_row_free(row);
    return KB_FULL;
}

kb_status kb_engine_remove_row(kb_engine *engine, uint32_t number)
{
    if (!kb_engine_row(engine, number))
        return KB_UNKNOWN;
    engine->row_is_live[number % KB_MAX_ROWS] = 0;
    const kb_status status = command(engine, KB_REMOVE_ROW, number, 0, NULL);
    if (status)
        engine->row_is_live[number % KB_MAX_ROWS] = 1;
    return status;
}

/* ---- plans -------------------------------------------------------------------------------------------------- */

kb_plan *kb_plan_new(uint32_t row_count, uint32_t number_count)
{
    const size_t head = sizeof(kb_plan) + row_count * sizeof(kb_plan_row);
    kb_plan *plan = calloc(1, head + number_count * sizeof(uint32_t));
    if (!plan)
        return NULL;
    plan->row_count = row_count;
    plan->number_count = number_count;
    plan->numbers = (uint32_t *)(void *)((char *)plan + head);
    return plan;
}

void kb_engine_apply(kb_engine *engine, kb_plan *plan)
{
    /* A plan the mix side has not looked at yet is simply replaced. */
    free(atomic_exchange(&engine->next_plan, plan));
    settle(engine);
}

/* ---- readings --------------------------------------------------------------------------------------------------- */

#define COUNTED(field) atomic_load_explicit(&engine->counters.field, memory_order_relaxed)

void kb_engine_read(const kb_engine *engine, uint64_t *values)
{
    const uint64_t read[KB_COUNTERS] = {
        COUNTED(ticks),
        COUNTED(late_ticks),
        COUNTED(skipped_frames),
        COUNTED(encodes),
        COUNTED(encode_errors),
        COUNTED(decodes),
        COUNTED(row_packets),
        COUNTED(dropped_packets),
        COUNTED(source_packets),
        COUNTED(unknown_source_packets),
        COUNTED(busy_ns),
        COUNTED(busy_max_ns),
        COUNTED(lateness_sum_ns),
        COUNTED(lateness_max_ns),
        kb_engine_lateness_p99_ns(engine),
        COUNTED(effort),
        COUNTED(demotions),
        (uint64_t)COUNTED(is_fifo),
    };
    memcpy(values, read, sizeof read);
}

/* ---- the thread --------------------------------------------------------------------------------------------- */

kb_status kb_engine_start(kb_engine *engine)
{
    if (engine->is_running)
        return KB_OK;
    settle(engine);
    atomic_store(&engine->must_stop, 0);
    engine->last_ns = 0;
    /* Signals are Python's main thread's. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int status = pthread_create(&engine->thread, NULL, kb_engine_run, engine);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status)
        return KB_NO_THREAD;
    engine->is_running = 1;
    return KB_OK;
}

void kb_engine_stop(kb_engine *engine)
{
    if (!engine->is_running)
        return;
    atomic_store(&engine->must_stop, 1);
    pthread_join(engine->thread, NULL);
    engine->is_running = 0;
    settle(engine);
}
