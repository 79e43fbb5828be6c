#include "kb_clip.h"

#include <stdlib.h>
#include <string.h>

#define FADE_STEP (1.0f / KB_CLIP_FADE)

int kb_clip_init(kb_clip *clip, const float *samples, size_t length, int is_looped)
{
    memset(clip, 0, sizeof *clip);
    clip->samples = malloc(length * sizeof *samples);
    if (!clip->samples)
        return -1;
    memcpy(clip->samples, samples, length * sizeof *samples);
    clip->length = length;
    clip->is_looped = is_looped;
    return 0;
}

void kb_clip_free(kb_clip *clip)
{
    free(clip->samples);
    clip->samples = NULL;
}

void kb_clip_play(kb_clip *clip, int is_playing, int must_rewind)
{
    clip->is_playing = is_playing;
    if (must_rewind)
        clip->must_rewind = 1;
}

int kb_clip_render(kb_clip *clip, float *out, size_t n)
{
    int was_heard = 0;
    for (size_t i = 0; i < n; i++) {
        if (clip->must_rewind && clip->gain <= 0.0f) {
            clip->position = 0;
            clip->must_rewind = 0;
        }
        const int is_over = clip->position >= clip->length;
        if (is_over)
            clip->is_playing = 0;
        const float goal = clip->is_playing && !clip->must_rewind ? 1.0f : 0.0f;
        if (is_over || (goal <= 0.0f && clip->gain <= 0.0f)) {
            clip->gain = 0.0f;
            out[i] = 0.0f;
            if (!clip->must_rewind && !clip->is_playing) {
                memset(out + i, 0, (n - i) * sizeof *out);
                break;
            }
            continue;
        }
        clip->gain = goal > clip->gain ? clip->gain + FADE_STEP : clip->gain;
        clip->gain = goal < clip->gain ? clip->gain - FADE_STEP : clip->gain;
        /* 480 steps of 1/480 do not sum to 1 exactly: the ends are pinned, so a full gain is a true pass-through. */
        if (clip->gain > 1.0f - FADE_STEP / 2)
            clip->gain = 1.0f;
        if (clip->gain < FADE_STEP / 2)
            clip->gain = 0.0f;
        out[i] = clip->samples[clip->position++] * clip->gain;
        was_heard = 1;
        if (clip->position == clip->length && clip->is_looped)
            clip->position = 0;
    }
    return was_heard;
}
