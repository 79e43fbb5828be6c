#include "kb_denoise.h"
#include "kb_kernels.h"

#include <dlfcn.h>
#include <string.h>

#define SANE 8.0f
#define FULL_SCALE 32768.0f /* RNNoise's samples are as large as 16-bit integers */

const char *kb_denoise_table_load(kb_denoise_table *table, void *handle)
{
    const struct {
        const char *name;
        size_t offset;
    } functions[] = {
        {"rnnoise_create", offsetof(kb_denoise_table, create)},
        {"rnnoise_destroy", offsetof(kb_denoise_table, destroy)},
        {"rnnoise_init", offsetof(kb_denoise_table, init)},
        {"rnnoise_process_frame", offsetof(kb_denoise_table, process)},
        {"rnnoise_get_frame_size", offsetof(kb_denoise_table, frame_size)},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *function = dlsym(handle, functions[i].name);
        if (!function)
            return functions[i].name;
        memcpy((char *)table + functions[i].offset, &function, sizeof function);
    }
    return table->frame_size() == KB_DENOISE_FRAME ? NULL : "frames of 480 samples";
}

int kb_denoise_init(kb_denoise *denoise, const kb_denoise_table *table)
{
    memset(denoise, 0, sizeof *denoise);
    denoise->table = *table;
    denoise->state = table->create(NULL);
    return denoise->state ? 0 : -1;
}

void kb_denoise_free(kb_denoise *denoise)
{
    if (denoise->state)
        denoise->table.destroy(denoise->state);
    denoise->state = NULL;
}

static void begin(kb_denoise *denoise)
{
    denoise->table.init(denoise->state, NULL);
    denoise->warm_left = KB_DENOISE_WARM_SAMPLES;
}

void kb_denoise_switch(kb_denoise *denoise, int is_on)
{
    if (is_on && !denoise->is_on && !denoise->is_heard)
        begin(denoise);
    denoise->is_on = is_on != 0;
}

/* What RNNoise makes of a frame; silence, and a new beginning, should that be no sound. */
static void clean(kb_denoise *denoise, float *out, const float *samples)
{
    float scaled[KB_DENOISE_FRAME];
    for (size_t i = 0; i < KB_DENOISE_FRAME; i++)
        scaled[i] = samples[i] * FULL_SCALE;
    const float voice = denoise->table.process(denoise->state, out, scaled);
    for (size_t i = 0; i < KB_DENOISE_FRAME; i++)
        out[i] *= 1.0f / FULL_SCALE;
    denoise->voice = voice >= 0.0f && voice <= 1.0f ? voice : 0.0f;
    if (kb_all_within(out, KB_DENOISE_FRAME, SANE))
        return;
    memset(out, 0, KB_DENOISE_FRAME * sizeof *out);
    begin(denoise);
}

static void run_frame(kb_denoise *denoise, float *samples)
{
    float untouched[KB_DENOISE_FRAME], cleaned[KB_DENOISE_FRAME];
    memcpy(untouched, denoise->past, sizeof untouched);
    memmove(denoise->past, denoise->past + KB_DENOISE_FRAME, (KB_DENOISE_DELAY - KB_DENOISE_FRAME) * sizeof(float));
    memcpy(denoise->past + KB_DENOISE_DELAY - KB_DENOISE_FRAME, samples, sizeof untouched);
    if (!denoise->is_on && !denoise->is_heard) {
        denoise->voice = 0.0f;
        memcpy(samples, untouched, sizeof untouched);
        return;
    }
    clean(denoise, cleaned, samples);
    const int was_heard = denoise->is_heard;
    denoise->is_heard = denoise->is_on && !denoise->warm_left;
    denoise->warm_left -= KB_DENOISE_FRAME < denoise->warm_left ? KB_DENOISE_FRAME : denoise->warm_left;
    if (was_heard == denoise->is_heard)
        memcpy(samples, was_heard ? cleaned : untouched, sizeof untouched);
    else
        kb_crossfade(samples, was_heard ? cleaned : untouched, was_heard ? untouched : cleaned, KB_DENOISE_FRAME);
}

void kb_denoise_run(kb_denoise *denoise, float *samples, size_t n)
{
    kb_sanitize(samples, n, SANE);
    for (size_t i = 0; i + KB_DENOISE_FRAME <= n; i += KB_DENOISE_FRAME)
        run_frame(denoise, samples + i);
}
