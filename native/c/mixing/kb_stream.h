/* One RTP Opus source: jitter buffer, decoder with FEC and concealment, and the edits that keep its delay.
 *
 * What it makes is a time line in samples since the stream was made. Readers at different phases (rows clocked by
 * different talkers) read the same line, each at its own position.
 */
#ifndef KB_STREAM_H
#define KB_STREAM_H

#include "kb_comfort.h"
#include "kb_jitter.h"
#include "kb_opus_table.h"
#include "kb_wsola.h"

#include <stddef.h>
#include <stdint.h>

#define KB_FRAME 960 /* samples of the engine's 20 ms at 48 kHz */

#define KB_STREAM_HISTORY 9600 /* samples that stay readable behind `settled`: 200 ms */
/* What may be made ahead: a longest packet on top of the two frames that a cut needs. */
#define KB_STREAM_AHEAD (2 * KB_FRAME + 2 * KB_OPUS_MAX_SAMPLES)
/* Twice the history, so that it is moved to the front once per 200 ms and stays in one piece. */
#define KB_STREAM_LINE (2 * KB_STREAM_HISTORY + KB_STREAM_AHEAD)

typedef struct kb_stream_counts {
    uint64_t received, duplicates, late, malformed, restarts;
    uint64_t decodes;   /* calls of the decoder for a packet or a copy; concealment apart */
    uint64_t recovered; /* packets whose copy (FEC) was played in their place */
    uint64_t concealed; /* 10 ms units that neither a packet nor a copy filled, while a stream was playing */
    uint64_t cut, inserted; /* 10 ms units taken out or put in */
    uint64_t concealed_samples, recovered_samples, cut_samples, inserted_samples; /* the same, exactly */
    uint64_t quiet_samples; /* of concealed_samples, those in a pause of the speaker: nothing was missed */
    uint64_t played;        /* packets played */
    int64_t waited_ns;      /* from arrival to being played, summed over them */
} kb_stream_counts;

typedef struct kb_stream {
    const kb_opus_table *opus;
    void *decoder;
    void *snapshot; /* the decoder's state before it began to extrapolate for a packet not here yet */
    size_t decoder_bytes;
    uint8_t has_snapshot, is_stale, has_tail;
    uint8_t was_quiet;      /* the last block was a pause of the speaker */
    uint8_t is_run_quiet;   /* the block before the present extrapolation was */
    uint16_t packet_samples; /* of the last packet */
    uint8_t wire_level;     /* RFC 6464 of the last packet, 0x7f when unknown */
    float path_ms;          /* from capture to the quickest arrivals, as the last packet said */
    int32_t concealed_run;  /* samples extrapolated since the last real one */
    int32_t concealed_rest; /* not yet counted in units of 10 ms */
    int32_t since_edit;     /* samples since the last edit in running sound */
    int32_t edit_spacing;   /* samples it must be away from the next */
    float noise_db;         /* follows the quietest blocks */
    float tail[KB_WSOLA_OVERLAP]; /* the guess goes on: the next real samples fade out of it */
    kb_comfort comfort;
    kb_jitter jitter;
    kb_stream_counts counts;
    int64_t settled; /* position of line[at] */
    size_t at;
    size_t ready; /* samples made behind `settled`, which may still be cut or stretched */
    float line[KB_STREAM_LINE];
} kb_stream;

/* 0, or −1 without memory. */
int kb_stream_init(kb_stream *stream, const kb_opus_table *opus, const kb_jitter_settings *settings);
void kb_stream_free(kb_stream *stream);

typedef struct kb_stream_packet {
    int64_t at_ns;
    uint32_t ssrc;
    uint32_t timestamp;
    uint16_t sequence;
    uint16_t bytes; /* ≤ KB_JITTER_PAYLOAD_BYTES */
    uint8_t level;
    uint32_t delay_us; /* kb_bus_packet's */
} kb_stream_packet;

/* Returns 1 when the payload is Opus, whatever the buffer made of it; a malformed one costs a counter. */
int kb_stream_receive(kb_stream *stream, const kb_stream_packet *packet, const uint8_t *payload);

/* [settled − KB_STREAM_HISTORY, settled) is final and readable, zeros where it is before the stream's beginning. */
static inline int64_t kb_stream_settled(const kb_stream *stream)
{
    return stream->settled;
}

/* Makes samples at `now_ns` until settled ≥ `until`, which is at most KB_FRAME away; more may lie ready behind. With
 * is_wanted = 0 the buffer runs on, nothing is decoded, the samples are zeros. All edits of time happen in here, in
 * what is not settled yet. Nothing happens when `until` is settled already. */
void kb_stream_produce(kb_stream *stream, int64_t now_ns, int64_t until, int is_wanted);

/* The samples from `position` on, in one piece up to `settled`; valid until the next produce. NULL when `position`
 * is no longer, or not yet, readable. */
const float *kb_stream_at(const kb_stream *stream, int64_t position);

/* 1 when the next `samples` behind `settled` can be made now of real packets or copies (FEC), without guessing: what a
 * packet-clocked row waits for. */
int kb_stream_is_here(const kb_stream *stream, int32_t samples);

/* The time at which a reader at `settled` would have no delay above the fastest path; 0 unless playing. It is
 * now − kb_stream_delay_ms(now), whatever `now`. */
int64_t kb_stream_ideal_ns(const kb_stream *stream);

/* How long before `at_ns` the last packet that a frame of KB_FRAME samples read then needs is due (fastest path, target
 * apart), ms: what it waits for nothing but the reader's phase. A big number unless playing. */
float kb_stream_spare_ms(const kb_stream *stream, int64_t at_ns);
#define KB_STREAM_NOTHING_SPARE 1e9f

/* What decides between packet-clocked and deadline rows; of about the last minute. */
kb_jitter_network kb_stream_network(const kb_stream *stream);

/* Writes the frame due at `now_ns`: produces KB_FRAME samples and copies them. */
void kb_stream_render(kb_stream *stream, int64_t now_ns, int is_wanted, float *out);

/* Ms between the fastest arrival and being read at `settled`, network apart; 0 unless playing. */
double kb_stream_delay_ms(const kb_stream *stream, int64_t now_ns);

#endif
