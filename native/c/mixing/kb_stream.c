#include "kb_stream.h"
#include "kb_kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FADE_FROM 2880 /* extrapolation is believable for 60 ms, and out at 120: the background takes over … */
#define FADE_TO 5760
#define COMFORT_FROM 14400 /* … and goes at 300 to 400 ms, when the stream is given up */
#define COMFORT_TO 19200
#define JOIN KB_WSOLA_OVERLAP
#define MAX_SANE 8.0f /* decoders stay near ±1; beyond is a broken stream, and one NaN would poison every mix */

/* A pause, for cuts and inserts: below −55 dBFS, or within 4 dB of a background that is itself below −40. */
#define SILENCE_DB (-55.0f)
#define BACKGROUND_MAX_DB (-40.0f)
#define BACKGROUND_MARGIN_DB 4.0f
#define BACKGROUND_RISE_DB 0.02f /* per 20 ms: 1 dB/s */

#define CUT_LEAST 24 /* 0.5 ms: less is not worth a seam */
/* Running sound is edited where it repeats itself, one period at a time, at most a fifth of the time. The likeness asked
 * for falls with the excess and with the time it has lasted: noise and music have no period, and must not stay late. */
#define EDIT_SPACING 1920
#define EDIT_SHARE 5
#define LIKENESS 0.85f
#define LIKENESS_PER_MS 0.004f
#define LIKENESS_PER_SECOND 0.1f

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
    stream->since_edit = stream->edit_spacing = EDIT_SPACING;
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
    stream->packet_samples = (uint16_t)samples;
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

/* 1 up to `from`, 0 from `to` on. */
static float falling(int32_t at, int32_t from, int32_t to)
{
    const float left = (float)(to - at) / (float)(to - from);
    return left > 1.0f ? 1.0f : left < 0.0f ? 0.0f : left;
}

static float comfort_gain(int32_t run)
{
    return (1.0f - falling(run, FADE_FROM, FADE_TO)) * falling(run, COMFORT_FROM, COMFORT_TO);
}

/* Extrapolates into `out`, fading into the background with the length of the run; the decoder does no work once it is
 * faded out. libopus takes multiples of 2.5 ms, a sender's clock may have left another number: `out` has 2.5 ms to
 * spare. */
static void extrapolate(kb_stream *stream, float *out, int32_t samples)
{
    const int32_t run = stream->concealed_run;
    const float from = falling(run, FADE_FROM, FADE_TO);
    const float to = falling(run + samples, FADE_FROM, FADE_TO);
    stream->concealed_run = run < COMFORT_TO ? run + samples : run;
    const int32_t whole = (samples + 119) / 120 * 120;
    if (from <= 0.0f || stream->is_stale ||
        stream->opus->decode(stream->decoder, NULL, 0, out, whole, 0) != whole ||
        !kb_all_within(out, (size_t)samples, MAX_SANE))
        memset(out, 0, (size_t)samples * sizeof *out);
    else if (to < 1.0f)
        kb_apply_ramp(out, (size_t)samples, from, to);
    const float noise_from = comfort_gain(run), noise_to = comfort_gain(run + samples);
    if (noise_from > 0.0f || noise_to > 0.0f)
        kb_comfort_add(&stream->comfort, out, (size_t)samples, noise_from, noise_to);
}

static void count_concealed(kb_stream *stream, int32_t samples)
{
    stream->counts.concealed_samples += (uint64_t)samples;
    if (stream->is_run_quiet)
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

/* The packet that was waited for is here after all: the decoder goes back to where it was before it guessed (error of
 * the next 80 ms −25 dB instead of −10), and what it would have guessed next hides the seam. */
static void end_hold(kb_stream *stream)
{
    if (stream->has_snapshot && !stream->is_stale) {
        float more[JOIN + 120];
        extrapolate(stream, more, JOIN);
        memcpy(stream->tail, more, sizeof stream->tail);
        stream->has_tail = 1;
        memcpy(stream->decoder, stream->snapshot, stream->decoder_bytes);
    }
    stream->has_snapshot = 0;
}

static void join(kb_stream *stream, float *out, int32_t samples)
{
    const size_t n = samples < JOIN ? (size_t)samples : JOIN;
    if (n == 0)
        return;
    if (stream->has_tail)
        kb_crossfade(out, stream->tail, out, n);
    else if (stream->concealed_run > FADE_FROM)
        kb_apply_ramp(out, n, 0.0f, 1.0f);
    stream->has_tail = 0;
    stream->concealed_run = 0;
}

static void fill_real(kb_stream *stream, const kb_jitter_step *step, float *out)
{
    const int fec = step->action == KB_JITTER_RECOVER;
    const int32_t whole = step->samples + step->skipped_samples;
    if (step->held_samples > 0)
        end_hold(stream);
    stream->has_snapshot = 0;
    if (decode(stream, step->packet, out, whole, fec)) {
        memmove(out, out + step->skipped_samples, (size_t)step->samples * sizeof *out);
        join(stream, out, step->samples);
    } else {
        extrapolate(stream, out, step->samples);
        count_concealed(stream, step->samples);
    }
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
    if (stream->concealed_run == 0)
        stream->is_run_quiet = stream->was_quiet;
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
            stream->concealed_run = COMFORT_TO;
            stream->has_snapshot = stream->has_tail = 0;
            stream->is_stale |= !is_wanted;
        } else if (step.action == KB_JITTER_PLAY || step.action == KB_JITTER_RECOVER) {
            fill_real(stream, &step, out);
        } else {
            fill_guess(stream, &step, out);
        }
    }
}

/* ---- keeping the delay ---------------------------------------------------------------------------------------- */

static float silence_threshold(const kb_stream *stream)
{
    float background = stream->noise_db + BACKGROUND_MARGIN_DB;
    background = background < BACKGROUND_MAX_DB ? background : BACKGROUND_MAX_DB;
    return background > SILENCE_DB ? background : SILENCE_DB;
}

static int is_quiet(kb_stream *stream, size_t samples)
{
    /* By 10 ms: the onset of a word must not hide in the average of a long stretch. */
    for (size_t at = 0; at < samples; at += 480) {
        const size_t n = samples - at < 480 ? samples - at : 480;
        if (kb_level_db(kb_energy(unsettled(stream) + at, n), n) >= silence_threshold(stream))
            return 0;
    }
    return 1;
}

static void cut(kb_stream *stream, size_t lag)
{
    stream->ready = kb_wsola_cut(unsettled(stream), stream->ready, lag);
    stream->counts.cut_samples += lag;
    stream->counts.cut = stream->counts.cut_samples / 480;
}

static void insert(kb_stream *stream, size_t lag)
{
    stream->ready = kb_wsola_insert(unsettled(stream), stream->ready, lag);
    stream->counts.inserted_samples += lag;
    stream->counts.inserted = stream->counts.inserted_samples / 480;
}

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t most_of(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* How long a cut may be, of `wish` at most, so that a block is left without asking for what is not here. */
static size_t cut_room(const kb_stream *stream, size_t frame, size_t wish)
{
    const size_t here = stream->ready + (size_t)kb_jitter_here(&stream->jitter);
    const size_t kept = most_of(frame, JOIN);
    return here <= kept ? 0 : least_of(wish, here - kept);
}

/* In a pause of the speaker: any stretch may go or be said twice. */
static void edit_pause(kb_stream *stream, int64_t now_ns, int is_wanted, size_t frame, int32_t wish)
{
    if (wish < 0) {
        const size_t lag = cut_room(stream, frame, least_of((size_t)-wish, is_wanted ? frame : KB_FRAME));
        if (lag < CUT_LEAST)
            return;
        const size_t span = most_of(frame, JOIN) + lag;
        fill(stream, now_ns, is_wanted, span);
        if (is_quiet(stream, span))
            cut(stream, lag);
        return;
    }
    fill(stream, now_ns, is_wanted, most_of(frame, JOIN));
    if (stream->concealed_run == 0 && is_quiet(stream, most_of(frame, JOIN)))
        insert(stream, least_of((size_t)wish, frame));
}

static int is_alike(kb_stream *stream, float likeness, int32_t wish)
{
    const float ms = (float)(wish < 0 ? -wish : wish) / 48.0f;
    const float seconds = (float)stream->since_edit / (float)KB_OPUS_RATE;
    return likeness >= LIKENESS - LIKENESS_PER_MS * ms - LIKENESS_PER_SECOND * seconds;
}

/* In running sound: one period of it. */
static void edit_sound(kb_stream *stream, int64_t now_ns, size_t frame, int32_t wish)
{
    size_t lag;
    if (wish < 0) {
        const size_t most = cut_room(stream, frame, least_of((size_t)-wish, KB_WSOLA_MOST));
        if (most < KB_WSOLA_LEAST)
            return;
        fill(stream, now_ns, 1, most_of(frame, JOIN) + most);
        const float *first = unsettled(stream);
        const kb_wsola_match match = kb_wsola_search(first, first + KB_WSOLA_LEAST, (int32_t)(most - KB_WSOLA_LEAST + 1));
        if (!is_alike(stream, match.likeness, wish))
            return;
        lag = KB_WSOLA_LEAST + (size_t)match.at;
        cut(stream, lag);
    } else {
        fill(stream, now_ns, 1, most_of(frame, JOIN));
        if (stream->concealed_run > 0)
            return;
        const float *first = unsettled(stream);
        const int32_t count = KB_WSOLA_MOST - KB_WSOLA_LEAST + 1;
        const kb_wsola_match match = kb_wsola_search(first, first - KB_WSOLA_MOST, count);
        if (!is_alike(stream, match.likeness, wish))
            return;
        lag = KB_WSOLA_MOST - (size_t)match.at;
        insert(stream, lag);
    }
    stream->since_edit = 0;
    stream->edit_spacing = (int32_t)most_of(EDIT_SPACING, EDIT_SHARE * lag);
}

static void edit(kb_stream *stream, int64_t now_ns, int is_wanted, size_t frame)
{
    if (stream->concealed_run > 0 && is_wanted)
        return;
    const int32_t wish = kb_jitter_wish(&stream->jitter, now_ns, (int32_t)stream->ready, (int32_t)frame);
    if (wish == 0)
        return;
    /* Nobody hears what is not wanted: its delay may be put right at once. */
    if (stream->was_quiet || !is_wanted)
        edit_pause(stream, now_ns, is_wanted, frame, wish);
    else if (stream->since_edit >= stream->edit_spacing)
        edit_sound(stream, now_ns, frame, wish);
}

static void note_level(kb_stream *stream, const float *made, size_t frame)
{
    const float db = kb_level_db(kb_energy(made, frame), frame);
    stream->was_quiet = db < silence_threshold(stream);
    if (stream->concealed_run > 0)
        return;
    if (stream->was_quiet)
        kb_comfort_keep(&stream->comfort, made, frame);
    stream->noise_db += BACKGROUND_RISE_DB * (float)frame / (float)KB_FRAME;
    if (db < stream->noise_db)
        stream->noise_db = db > -90.0f ? db : -90.0f;
}

/* ---- the line ------------------------------------------------------------------------------------------------- */

static void make_room(kb_stream *stream)
{
    if (stream->at + KB_STREAM_AHEAD <= KB_STREAM_LINE)
        return;
    float *first = unsettled(stream) - KB_STREAM_HISTORY;
    memmove(stream->line, first, (KB_STREAM_HISTORY + stream->ready) * sizeof *first);
    stream->at = KB_STREAM_HISTORY;
}

static void produce_block(kb_stream *stream, int64_t now_ns, size_t frame, int is_wanted)
{
    make_room(stream);
    edit(stream, now_ns, is_wanted, frame);
    fill(stream, now_ns, is_wanted, frame);
    const float *made = unsettled(stream);
    stream->ready -= frame;
    stream->at += frame;
    stream->settled += (int64_t)frame;
    if (stream->since_edit < INT32_MAX / 2)
        stream->since_edit += (int32_t)frame;
    if (is_wanted)
        note_level(stream, made, frame);
}

void kb_stream_produce(kb_stream *stream, int64_t now_ns, int64_t until, int is_wanted)
{
    while (stream->settled < until) {
        const int64_t missing = until - stream->settled;
        produce_block(stream, now_ns, missing < KB_FRAME ? (size_t)missing : KB_FRAME, is_wanted);
    }
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
    return missing <= 0 || kb_jitter_here(&stream->jitter) >= missing;
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

float kb_stream_spare_ms(const kb_stream *stream, int64_t at_ns)
{
    if (stream->jitter.state != KB_JITTER_PLAYING || stream->packet_samples == 0)
        return KB_STREAM_NOTHING_SPARE;
    const int32_t missing = KB_FRAME - (int32_t)stream->ready;
    const int32_t before_last = missing > 0 ? (missing - 1) / stream->packet_samples * stream->packet_samples : 0;
    return (float)(kb_jitter_delay_ms(&stream->jitter, at_ns) - (double)before_last / 48.0) -
           (float)stream->jitter.target_ms;
}
