#include "kb_stream.h"
#include "kb_kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FADE_FROM 2880 /* extrapolation is believable for 60 ms, and out at 120 */
#define FADE_TO 5760
#define JOIN 240 /* 5 ms of crossfade where the decoder is set back, or speech returns after the fade */
#define MAX_SANE 8.0f /* decoders stay near ±1; beyond is a broken stream, and one NaN would poison every mix */

/* Silence, for cuts and inserts: below −55 dBFS, or within 4 dB of a background that is itself below −40. */
#define SILENCE_DB (-55.0f)
#define BACKGROUND_MAX_DB (-40.0f)
#define BACKGROUND_MARGIN_DB 4.0f
/* Cuts in sound: ≤ 10 ms each 500 ms after 2 s of 60 ms too much. Until WSOLA comes they are the last resort, rare
 * enough not to be heard as roughness. */
#define CUT_LEAST 120
#define CUT_MOST 480
#define CUT_EXCESS_MS 60.0
#define CUT_PATIENCE 96000
#define CUT_EVERY 24000
#define BACKGROUND_RISE_DB 0.02f /* per KB_FRAME: 1 dB/s */

int kb_stream_init(kb_stream *stream, const kb_opus_table *opus, const kb_jitter_settings *settings)
{
    memset(stream, 0, sizeof *stream);
    stream->opus = opus;
    stream->decoder_bytes = (size_t)opus->decoder_bytes(1);
    stream->decoder = malloc(stream->decoder_bytes);
    stream->snapshot = malloc(stream->decoder_bytes);
    if (!stream->decoder || !stream->snapshot || opus->decoder_init(stream->decoder, KB_OPUS_RATE, 1)) {
        kb_stream_free(stream);
        return -1;
    }
    stream->wire_level = 0x7f;
    stream->noise_db = SILENCE_DB;
    stream->at = KB_STREAM_HISTORY;
    kb_jitter_init(&stream->jitter, settings);
    return 0;
}

void kb_stream_free(kb_stream *stream)
{
    free(stream->decoder);
    free(stream->snapshot);
    stream->decoder = stream->snapshot = NULL;
}

int kb_stream_receive(kb_stream *stream, const kb_stream_packet *packet, const uint8_t *payload)
{
    stream->counts.received++;
    const int samples =
        packet->bytes > 0 ? stream->opus->packet_samples(payload, packet->bytes, KB_OPUS_RATE) : -1;
    if (samples <= 0 || samples > KB_OPUS_MAX_SAMPLES) {
        stream->counts.malformed++;
        return 0;
    }
    const int has_fec =
        stream->opus->packet_has_fec ? stream->opus->packet_has_fec(payload, packet->bytes) > 0 : 1;
    const kb_jitter_packet header = {
        .at_ns = packet->at_ns,
        .ssrc = packet->ssrc,
        .timestamp = packet->timestamp,
        .sequence = packet->sequence,
        .bytes = packet->bytes,
        .samples = (uint16_t)samples,
        .has_fec = (uint8_t)has_fec,
    };
    switch (kb_jitter_receive(&stream->jitter, &header, payload)) {
    case KB_JITTER_DUPLICATE:
        stream->counts.duplicates++;
        return 1;
    case KB_JITTER_LATE:
        stream->counts.late++;
        return 1;
    case KB_JITTER_RESTARTED:
        stream->counts.restarts++;
        stream->is_stale = 1;
        break;
    case KB_JITTER_STORED:
        break;
    }
    stream->wire_level = packet->level;
    stream->path_ms = (float)packet->delay_us / 1000.0f;
    return 1;
}

/* ---- filling the line ---------------------------------------------------------------------------------------- */

static void forget_decoder(kb_stream *stream)
{
    stream->opus->decoder_ctl(stream->decoder, KB_OPUS_RESET_STATE);
    stream->has_snapshot = 0;
    stream->is_stale = 0;
}

static int fade_gain(int32_t run, float *gain)
{
    const float left = (float)(FADE_TO - run) / (float)(FADE_TO - FADE_FROM);
    *gain = left > 1.0f ? 1.0f : left < 0.0f ? 0.0f : left;
    return *gain > 0.0f;
}

/* Extrapolates into `out`, fading with the length of the run; zeros without the decoder's work once faded out.
 * libopus takes multiples of 2.5 ms, a sender's clock may have left another number: `out` has 2.5 ms to spare. */
static void extrapolate(kb_stream *stream, float *out, int32_t samples)
{
    float from, to;
    const int is_audible = fade_gain(stream->concealed_run, &from);
    stream->concealed_run += samples;
    fade_gain(stream->concealed_run, &to);
    const int32_t whole = (samples + 119) / 120 * 120;
    if (!is_audible || stream->is_stale ||
        stream->opus->decode(stream->decoder, NULL, 0, out, whole, 0) != whole ||
        !kb_all_within(out, (size_t)samples, MAX_SANE)) {
        memset(out, 0, (size_t)samples * sizeof *out);
        return;
    }
    if (from < 1.0f || to < 1.0f)
        kb_apply_ramp(out, (size_t)samples, from, to);
}

static void count_concealed(kb_stream *stream, int32_t samples)
{
    stream->counts.concealed_samples += (uint64_t)samples;
    if (stream->was_silent)
        stream->counts.quiet_samples += (uint64_t)samples;
    stream->concealed_rest += samples;
    stream->counts.concealed += (uint64_t)(stream->concealed_rest / 480);
    stream->concealed_rest %= 480;
}

/* Decodes a packet, or with `fec` the copy it carries, to `samples` floats; 0 when it was not possible. */
static int decode(kb_stream *stream, const kb_jitter_slot *packet, float *out, int32_t samples, int fec)
{
    if (stream->is_stale)
        forget_decoder(stream);
    const int given =
        stream->opus->decode(stream->decoder, packet->payload, packet->bytes, out, samples, fec);
    if (given != samples) {
        stream->counts.malformed++;
        return 0;
    }
    stream->counts.decodes++;
    if (!kb_all_within(out, (size_t)samples, MAX_SANE)) {
        memset(out, 0, (size_t)samples * sizeof *out);
        stream->counts.malformed++;
        forget_decoder(stream);
    }
    return 1;
}

/* The packet that was waited for is here after all: the decoder goes back to where it was before it guessed
 * (error of the next 80 ms −25 dB instead of −10), and a crossfade hides the seam to the guess. */
static void decode_after_hold(kb_stream *stream, const kb_jitter_step *step, float *out)
{
    float tail[JOIN] = {0};
    const int32_t run = stream->concealed_run;
    const int fec = step->action == KB_JITTER_RECOVER;
    extrapolate(stream, tail, JOIN);
    memcpy(stream->decoder, stream->snapshot, stream->decoder_bytes);
    stream->concealed_run = run;
    if (decode(stream, step->packet, out, step->samples, fec)) {
        if (step->samples >= JOIN)
            kb_crossfade(out, tail, out, JOIN);
        stream->concealed_run = 0;
    } else {
        extrapolate(stream, out, step->samples);
    }
}

static void fill_real(kb_stream *stream, const kb_jitter_step *step, float *out)
{
    const int fec = step->action == KB_JITTER_RECOVER;
    if (stream->has_snapshot && step->held_samples > 0 && !stream->is_stale) {
        decode_after_hold(stream, step, out);
    } else if (decode(stream, step->packet, out, step->samples, fec)) {
        if (stream->concealed_run > FADE_FROM && step->samples >= JOIN)
            kb_apply_ramp(out, JOIN, 0.0f, 1.0f);
        stream->concealed_run = 0;
    } else {
        extrapolate(stream, out, step->samples);
        count_concealed(stream, step->samples);
    }
    stream->has_snapshot = 0;
    if (fec) {
        stream->counts.recovered++;
        stream->counts.recovered_samples += (uint64_t)step->samples;
    }
}

static void fill_guess(kb_stream *stream, const kb_jitter_step *step, float *out)
{
    if (step->action == KB_JITTER_HOLD && step->held_samples == 0 && !stream->is_stale) {
        memcpy(stream->snapshot, stream->decoder, stream->decoder_bytes);
        stream->has_snapshot = 1;
    }
    extrapolate(stream, out, step->samples);
    count_concealed(stream, step->samples);
}

static float *unsettled(kb_stream *stream)
{
    return stream->line + stream->at;
}

static void fill(kb_stream *stream, int64_t now_ns, int is_wanted, size_t wanted)
{
    while (stream->ready < wanted) {
        const kb_jitter_step step =
            kb_jitter_poll(&stream->jitter, now_ns, (int32_t)(wanted - stream->ready));
        float *out = unsettled(stream) + stream->ready;
        if (step.action == KB_JITTER_PLAY) {
            stream->counts.played++;
            stream->counts.waited_ns +=
                now_ns - step.packet->at_ns + (int64_t)stream->ready * 62500 / 3;
        }
        stream->ready += (size_t)step.samples;
        if (!is_wanted || step.action == KB_JITTER_SILENCE) {
            memset(out, 0, (size_t)step.samples * sizeof *out);
            stream->concealed_run = FADE_TO;
            stream->has_snapshot = 0;
            stream->is_stale |= !is_wanted;
        } else if (step.action == KB_JITTER_PLAY || step.action == KB_JITTER_RECOVER) {
            fill_real(stream, &step, out);
        } else {
            fill_guess(stream, &step, out);
        }
    }
}

/* ---- keeping the delay: cuts and inserts in silence ------------------------------------------------------------
 * In running speech a later issue adds one pitch-synchronous (WSOLA) operation of ≤ 8 ms per ≥ 40 ms, here. */

static float silence_threshold(const kb_stream *stream)
{
    float background = stream->noise_db + BACKGROUND_MARGIN_DB;
    background = background < BACKGROUND_MAX_DB ? background : BACKGROUND_MAX_DB;
    return background > SILENCE_DB ? background : SILENCE_DB;
}

static int is_silent(kb_stream *stream, size_t samples)
{
    /* By halves of 10 ms: the onset of a word must not hide in the average of a long stretch. */
    for (size_t at = 0; at + 480 <= samples; at += 480)
        if (kb_level_db(kb_energy(unsettled(stream) + at, 480), 480) >= silence_threshold(stream))
            return 0;
    return 1;
}

static void count_cut(kb_stream *stream, size_t samples)
{
    stream->ready -= samples;
    stream->counts.cut_samples += samples;
    stream->counts.cut = stream->counts.cut_samples / 480;
}

/* Takes `samples` out of the first `span` with a crossfade; span ≥ samples + 2·JOIN. */
static void cut(kb_stream *stream, size_t span, size_t samples)
{
    float *at = unsettled(stream) + (span - samples - JOIN) / 2;
    kb_crossfade(at, at, at + samples, JOIN);
    const size_t moved = stream->ready - (size_t)(at + samples + JOIN - unsettled(stream));
    memmove(at + JOIN, at + samples + JOIN, moved * sizeof *at);
    count_cut(stream, samples);
}

/* Plays the first 10 ms twice with a crossfade; needs 15 ms. */
static void insert_10_ms(kb_stream *stream)
{
    float joined[JOIN];
    float *first = unsettled(stream);
    kb_crossfade(joined, first + 480, first, JOIN);
    memmove(first + 480 + JOIN, first + JOIN, (stream->ready - JOIN) * sizeof *first);
    memcpy(first + 480, joined, sizeof joined);
    stream->ready += 480;
    stream->counts.inserted_samples += 480;
    stream->counts.inserted = stream->counts.inserted_samples / 480;
}

/* Takes one stretch of 2.5 to 10 ms out of running sound where it resembles what follows best, so that the seam keeps
 * the waveform's period. Needs two frames. */
static void cut_in_sound(kb_stream *stream)
{
    float *at = unsettled(stream) + KB_FRAME / 2;
    size_t best = CUT_LEAST;
    float best_likeness = -2.0f;
    for (size_t lag = CUT_LEAST; lag <= CUT_MOST; lag++) {
        const float *after = at + lag;
        float product = 0.0f, power = 1e-9f;
        for (size_t i = 0; i < JOIN; i++) {
            product += at[i] * after[i];
            power += after[i] * after[i];
        }
        const float likeness = product / sqrtf(power);
        if (likeness > best_likeness) {
            best_likeness = likeness;
            best = lag;
        }
    }
    kb_crossfade(at, at, at + best, JOIN);
    const size_t moved = stream->ready - (size_t)(at + best + JOIN - unsettled(stream));
    memmove(at + JOIN, at + best + JOIN, moved * sizeof *at);
    count_cut(stream, best);
}

/* Sound without pauses (a hall, music, a steady tone) that is far too late gets nearer in small cuts: a drifting clock
 * or a stall would otherwise stay in its delay for ever. */
static int must_cut_in_sound(kb_stream *stream, int64_t now_ns, size_t frame)
{
    const double excess_ms = kb_stream_delay_ms(stream, now_ns) - (double)stream->jitter.target_ms;
    stream->overdue_samples = excess_ms > CUT_EXCESS_MS ? stream->overdue_samples + (int32_t)frame : 0;
    if (stream->overdue_samples < CUT_PATIENCE)
        return 0;
    stream->overdue_samples = CUT_PATIENCE - CUT_EVERY;
    return 1;
}

static void adjust(kb_stream *stream, int advice, size_t frame)
{
    /* What lies beyond whole frames is delay that protects nothing: the next packet is needed no later for it. */
    const size_t odd = stream->ready % frame;
    if (advice < 0 && is_silent(stream, 2 * frame)) {
        cut(stream, 2 * frame, frame);
    } else if (odd >= 120 && is_silent(stream, frame + odd)) {
        cut(stream, frame + odd, odd);
    } else if (advice > 0 && is_silent(stream, frame)) {
        for (size_t inserted = 0; inserted < frame; inserted += 480)
            insert_10_ms(stream);
    }
}

static void settle(kb_stream *stream, size_t samples)
{
    stream->ready -= samples;
    stream->at += samples;
    stream->settled += (int64_t)samples;
}

static void make_room(kb_stream *stream)
{
    if (stream->at + KB_STREAM_AHEAD <= KB_STREAM_LINE)
        return;
    float *first = unsettled(stream) - KB_STREAM_HISTORY;
    memmove(stream->line, first, (KB_STREAM_HISTORY + stream->ready) * sizeof *first);
    stream->at = KB_STREAM_HISTORY;
}

void kb_stream_produce(kb_stream *stream, int64_t now_ns, int64_t until, int is_wanted)
{
    if (until <= stream->settled)
        return;
    const int64_t missing = until - stream->settled;
    const size_t frame = missing < KB_FRAME ? (size_t)missing : KB_FRAME;
    make_room(stream);
    /* Unheard frames count as silence: their delay may be put right at once. */
    int advice = 0;
    if ((stream->was_silent || !is_wanted) && stream->ready < frame)
        advice =
            kb_jitter_advice(&stream->jitter, now_ns, (int32_t)(frame - stream->ready), (int32_t)frame);
    const int in_sound = !stream->was_silent && is_wanted && must_cut_in_sound(stream, now_ns, frame);
    fill(stream, now_ns, is_wanted, in_sound ? 2 * KB_FRAME : advice < 0 ? 2 * frame : frame);
    if (in_sound)
        cut_in_sound(stream);
    else if (stream->was_silent || !is_wanted)
        adjust(stream, advice, frame);

    const float *made = unsettled(stream);
    settle(stream, frame);
    if (!is_wanted)
        return;
    const float db = kb_level_db(kb_energy(made, frame), frame);
    stream->was_silent = db < silence_threshold(stream);
    stream->noise_db += BACKGROUND_RISE_DB * (float)frame / (float)KB_FRAME;
    if (db < stream->noise_db)
        stream->noise_db = db > -90.0f ? db : -90.0f;
}

const float *kb_stream_at(const kb_stream *stream, int64_t position)
{
    const int64_t behind = stream->settled - position;
    if (behind < 0 || behind > KB_STREAM_HISTORY)
        return NULL;
    return stream->line + stream->at - behind;
}

int kb_stream_is_here(const kb_stream *stream, int32_t samples)
{
    const int32_t missing = samples - (int32_t)stream->ready;
    return missing <= 0 || kb_jitter_is_here(&stream->jitter, missing);
}

int64_t kb_stream_ideal_ns(const kb_stream *stream)
{
    const int64_t ideal_ns = kb_jitter_ideal_ns(&stream->jitter);
    return ideal_ns == 0 ? 0 : ideal_ns - (int64_t)stream->ready * 62500 / 3;
}

kb_jitter_network kb_stream_network(const kb_stream *stream)
{
    return kb_jitter_network_of(&stream->jitter);
}

void kb_stream_render(kb_stream *stream, int64_t now_ns, int is_wanted, float *out)
{
    kb_stream_produce(stream, now_ns, stream->settled + KB_FRAME, is_wanted);
    memcpy(out, kb_stream_at(stream, stream->settled - KB_FRAME), KB_FRAME * sizeof *out);
}

double kb_stream_delay_ms(const kb_stream *stream, int64_t now_ns)
{
    return kb_jitter_delay_ms(&stream->jitter, now_ns) + (double)stream->ready / 48.0;
}
