/* A mix row: one language channel. Floor sources under a duck gain, interpreters on top, a limiter, an encoder. */
#ifndef KB_ROW_H
#define KB_ROW_H

#include "kb_ducking.h"
#include "kb_guard.h"
#include "kb_limiter.h"
#include "kb_source.h"

#include <stdalign.h>
#include <stdatomic.h>

#define KB_ROW_SOURCES 64                   /* in a plan: floor and interpreters together */
#define KB_ROW_ENTRIES (2 * KB_ROW_SOURCES) /* while the old ones fade out */
#define KB_FRAME_MS 20
#define KB_PACKET_BYTES 1275 /* the longest Opus frame */

/* After two ticks of equal content the limiters' windows are equal too: then rows may begin to share an encoder. */
#define KB_ROW_SETTLED_TICKS 2

typedef struct kb_row_entry {
    kb_source *source;
    float gain, target; /* ramps over one tick, 20 ms */
    float ride_from, ride; /* the same for the source's loudness rider, of which a tick moves 0.06 dB at most */
    uint8_t is_interpreter;
    uint8_t is_voiced;   /* has brought audio since it was added */
    uint64_t added_tick;
} kb_row_entry;

typedef struct kb_row_readings {
    _Atomic float interpreter_db, original_db, mix_db, duck_db;
    _Atomic float l_ex_db; /* of a guarded row: exposure so far, dB(A) over 8 h by the assumed calibration */
    _Atomic int32_t warnings;
    _Atomic int32_t is_heard, is_shared; /* is_shared: follows another row's encoder */
} kb_row_readings;

typedef struct kb_row {
    alignas(64) float mix[KB_FRAME];
    alignas(64) float floor[KB_FRAME];
    uint32_t number;
    uint32_t track;
    uint32_t entry_count;
    uint32_t settled_ticks;
    uint8_t is_heard;
    uint8_t duck_moved;
    uint8_t rides;        /* brings voices to one loudness */
    uint8_t is_careful;   /* its limiter stands lower, after a release */
    uint8_t loss_percent; /* that its own receivers lose */
    kb_opus_voice voice;  /* what its encoder was set to */
    uint8_t level; /* RFC 6464 of the last packet */
    int32_t packet_bytes; /* of this tick; ≤ 0 nothing was encoded */
    float delay_ms;       /* of what is mixed, from capture on; follows the sources slowly, so that clocks do */
    uint64_t signature;   /* of the planned sources, to compare rows quickly */
    struct kb_row *leader;      /* whose packets this row sends: itself, another row, NULL when unheard */
    struct kb_row *next_leader; /* while a tick assigns */
    kb_ducking ducking;
    float duck_gains[KB_FRAME_MS + 1];
    kb_limiter limiter;
    kb_guard *guard; /* stands in the limiter's place where ears must be protected; NULL elsewhere */
    void *encoder;
    size_t encoder_bytes;
    kb_row_readings readings;
    kb_row_entry entries[KB_ROW_ENTRIES];
    uint8_t packet[KB_PACKET_BYTES];
} kb_row;

/* NULL without memory. */
kb_row *kb_row_new(const kb_opus_table *opus, const kb_opus_voice *voice, int is_guarded, uint32_t track);
void kb_row_free(kb_row *row);

/* interpreter, original, mix, duck and exposure dB, warnings, is_heard, is_shared; any thread. */
#define KB_ROW_READINGS 8
void kb_row_read(const kb_row *row, double *values);

/* Sets the entries to these sources: new ones ramp in, missing ones out. Interpreters have their own entries. */
void kb_row_plan(kb_row *row, kb_source *const *floor, uint32_t floor_count, kb_source *const *interpreters,
                 uint32_t interpreter_count, uint64_t tick);

/* Every gain is at its target now, what had faded out is gone. */
void kb_row_end_ramps(kb_row *row);

/* First half of a tick: duck state, and whether the row counts as settled. */
void kb_row_advance(kb_row *row);

/* 1 when both send the same samples: equal sources, gains and ducking in this tick, and either settled so for long
 * enough, or sharing (or both unheard) in the last one. So a speaker who joins everywhere costs no second encoder. */
int kb_row_equals(const kb_row *row, const kb_row *other);

/* Continues `from`'s output: encoder and limiter go on bit for bit. */
void kb_row_clone(kb_row *row, const kb_row *from);
void kb_row_reset(kb_row *row, const kb_opus_table *opus);

/* Second half for rows that encode, and for rows nobody hears. */
void kb_row_render(kb_row *row);
/* From capture, as far as the server can tell, to `packet`: path, jitter buffer, limiter, encoder. */
uint32_t kb_row_delay_us(const kb_row *row);
/* Tells the encoder what is new to it; between frames. */
void kb_row_set_voice(kb_row *row, const kb_opus_table *opus, int complexity, int loss_percent);
int32_t kb_row_encode(kb_row *row, const kb_opus_table *opus);
void kb_row_skip(kb_row *row);
void kb_row_follow(kb_row *row, const kb_row *leader);

#endif
