#include "kb_source.h"
#include "kb_kernels.h"

#include <stdlib.h>
#include <string.h>

static kb_source *allocate(void)
{
    kb_source *source = aligned_alloc(64, (sizeof *source + 63u) & ~(size_t)63u);
    if (!source)
        return NULL;
    memset(source, 0, sizeof *source);
    source->level_db = -127.0f;
    kb_rider_init(&source->rider, &KB_RIDER_DEFAULTS);
    atomic_store_explicit(&source->readings.level_db, -127.0f, memory_order_relaxed);
    return source;
}

kb_source *kb_source_new_stream(const kb_opus_table *opus)
{
    kb_source *source = allocate();
    const kb_jitter_settings settings = KB_JITTER_DEFAULTS;
    if (source && kb_stream_init(&source->stream, opus, &settings)) {
        free(source);
        return NULL;
    }
    return source;
}

kb_source *kb_source_new_clip(const float *samples, size_t length, int is_looped)
{
    kb_source *source = allocate();
    if (!source)
        return NULL;
    source->is_clip = 1;
    if (kb_clip_init(&source->clip, samples, length, is_looped)) {
        free(source);
        return NULL;
    }
    return source;
}

void kb_source_free(kb_source *source)
{
    if (!source)
        return;
    kb_clip_free(&source->clip);
    kb_stream_free(&source->stream);
    free(source);
}

#define PUBLISH(field, value) atomic_store_explicit(&source->readings.field, value, memory_order_relaxed)

static void publish_stream(kb_source *source, int64_t now_ns)
{
    const kb_stream *stream = &source->stream;
    const kb_stream_counts *counts = &stream->counts;
    PUBLISH(received, counts->received);
    PUBLISH(duplicates, counts->duplicates);
    PUBLISH(late, counts->late);
    PUBLISH(malformed, counts->malformed);
    PUBLISH(restarts, counts->restarts);
    PUBLISH(skipped, stream->jitter.skipped);
    PUBLISH(decodes, counts->decodes);
    PUBLISH(recovered, counts->recovered);
    PUBLISH(concealed, counts->concealed);
    PUBLISH(cut, counts->cut);
    PUBLISH(inserted, counts->inserted);
    PUBLISH(target_ms, stream->jitter.target_ms);
    PUBLISH(buffered_ms, (kb_jitter_buffered(&stream->jitter) + (int32_t)stream->ready) / 48);
    PUBLISH(is_playing, stream->jitter.state == KB_JITTER_PLAYING);
    /* As the next frame will find it, 20 ms from now. */
    const float delay_ms = (float)kb_stream_delay_ms(stream, now_ns + KB_FRAME * 62500LL / 3);
    source->delay_ms = delay_ms > 0.0f ? delay_ms + stream->path_ms : 0.0f;
    PUBLISH(delay_ms, delay_ms);
}

float kb_source_spare_ms(const kb_source *source, int64_t at_ns)
{
    return source->is_clip ? KB_STREAM_NOTHING_SPARE : kb_stream_spare_ms(&source->stream, at_ns);
}

void kb_source_render(kb_source *source, int64_t now_ns, uint64_t tick)
{
    if (source->is_clip) {
        if (kb_clip_render(&source->clip, source->block, KB_FRAME))
            source->voiced_tick = tick;
        PUBLISH(is_playing, source->clip.is_playing);
    } else {
        kb_stream_render(&source->stream, now_ns, source->is_wanted, source->block);
        publish_stream(source, now_ns);
    }
    if (source->is_wanted)
        kb_rider_follow(&source->rider, source->block, KB_FRAME);
    source->energies[source->energy_at] = kb_energy(source->block, KB_FRAME);
    source->energy_at = (source->energy_at + 1) % KB_LEVEL_FRAMES;
    float energy = 0.0f;
    for (int i = 0; i < KB_LEVEL_FRAMES; i++)
        energy += source->energies[i];
    source->level_db = kb_level_db(energy, KB_LEVEL_FRAMES * KB_FRAME);
    /* Nobody hears it, so it is not decoded: what the sender says of its level has to do. */
    if (!source->is_clip && !source->is_wanted) {
        const int is_known = source->stream.jitter.state == KB_JITTER_PLAYING;
        source->level_db = is_known ? -(float)(source->stream.wire_level & 0x7f) : -127.0f;
    }
    PUBLISH(level_db, source->level_db);
}

#define READ(field) (double)atomic_load_explicit(&source->readings.field, memory_order_relaxed)

void kb_source_read(const kb_source *source, double *values)
{
    const double read[KB_SOURCE_READINGS] = {
        READ(level_db),   READ(delay_ms), READ(target_ms), READ(buffered_ms), READ(is_playing), READ(received),
        READ(duplicates), READ(late),     READ(malformed), READ(restarts),    READ(skipped),    READ(decodes),
        READ(recovered),  READ(concealed), READ(cut),      READ(inserted),
    };
    memcpy(values, read, sizeof read);
}
