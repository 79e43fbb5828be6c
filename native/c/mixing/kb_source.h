/* A source of the engine: a stream or a clip, rendered to one block per tick, with what Python may read of it. */
#ifndef KB_SOURCE_H
#define KB_SOURCE_H

#include "kb_clip.h"
#include "kb_rider.h"
#include "kb_stream.h"

#include <stdalign.h>
#include <stdatomic.h>

#define KB_LEVEL_FRAMES 5 /* levels are of the last 100 ms */

/* Written by the mix thread, read by Python at any time. */
typedef struct kb_source_readings {
    _Atomic float level_db, delay_ms;
    _Atomic int32_t target_ms, buffered_ms, is_playing;
    _Atomic uint64_t received, duplicates, late, malformed, restarts, skipped;
    _Atomic uint64_t decodes, recovered, concealed, cut, inserted;
} kb_source_readings;

typedef struct kb_source {
    alignas(64) float block[KB_FRAME];
    uint32_t number;
    uint8_t is_clip;
    uint8_t is_leaving;     /* removed by Python; kept until no row refers to it */
    uint8_t is_wanted;      /* a row that is heard refers to it */
    uint64_t voiced_tick;   /* the last tick that brought audio: a packet, or a playing clip; 0 never */
    kb_rider rider;         /* what its loudness asks for; rows apply it, those that mix */
    float energies[KB_LEVEL_FRAMES];
    unsigned energy_at;
    float level_db;
    float delay_ms; /* what the next block begins with was captured so much before it is rendered; 0 while nothing plays */
    kb_clip clip;
    kb_stream stream;
    kb_source_readings readings;
} kb_source;

kb_source *kb_source_new_stream(const kb_opus_table *opus); /* NULL without memory, both */
kb_source *kb_source_new_clip(const float *samples, size_t length, int is_looped);
void kb_source_free(kb_source *source);

/* level_db, delay_ms, then target_ms … inserted in the order of kb_source_readings; any thread. */
#define KB_SOURCE_READINGS 16
void kb_source_read(const kb_source *source, double *values);

/* kb_stream_spare_ms of a stream; a clip has all the time in the world. */
float kb_source_spare_ms(const kb_source *source, int64_t at_ns);

/* Fills `block` with the frame due at `now_ns` and refreshes the readings. */
void kb_source_render(kb_source *source, int64_t now_ns, uint64_t tick);

#endif
