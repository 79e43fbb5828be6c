/* A prepared sound played from memory: mono float32 at 48 kHz, with a 10 ms fade wherever playing begins or ends. */
#ifndef KB_CLIP_H
#define KB_CLIP_H

#include <stddef.h>

#define KB_CLIP_FADE 480

typedef struct kb_clip {
    float *samples; /* owned; from malloc */
    size_t length;  /* > 0 */
    size_t position;
    float gain;    /* of the fade, now */
    int is_looped; /* the content joins its own start: no fade at the seam */
    int is_playing;
    int must_rewind; /* once faded out */
} kb_clip;

/* Copies `samples`. 0, or −1 without memory. */
int kb_clip_init(kb_clip *clip, const float *samples, size_t length, int is_looped);
void kb_clip_free(kb_clip *clip);

void kb_clip_play(kb_clip *clip, int is_playing, int must_rewind);

/* Writes n samples; zeros where it pauses. Returns 1 when any of them was of the clip. */
int kb_clip_render(kb_clip *clip, float *out, size_t n);

#endif
