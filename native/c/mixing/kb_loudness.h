/* Loudness of one mono signal by ITU-R BS.1770-4: momentary (400 ms), short-term (3 s), and of the last 3 s what the
 * standard's gates leave of it; and whether there is a voice. In LUFS of a single channel: a 1 kHz sine of 0 dBFS is
 * −3.01. Pure: no clock, no allocation; advanced by samples at 48 kHz. */
#ifndef KB_LOUDNESS_H
#define KB_LOUDNESS_H

#include "kb_weighting.h"

#include <stddef.h>
#include <stdint.h>

#define KB_LOUDNESS_HOP 4800  /* 100 ms: gating blocks of 400 ms overlap by three quarters */
#define KB_LOUDNESS_HOPS 30   /* 3 s */
#define KB_LOUDNESS_BLOCK 4   /* hops of a gating block */
#define KB_LOUDNESS_STEP 120  /* blocks of samples are multiples of it, so that hops end with them */
#define KB_LOUDNESS_MAX_BLOCK 960
#define KB_LOUDNESS_SILENCE (-127.0f)

/* A voice stands out of the quietest 100 ms of the last 3 s; what hums, hisses or rumbles on does not. Speech has
 * such a minimum 15 dB and more below itself in any 3 s, steady noise within 2 dB. Below −60 LUFS nobody is heard. */
#define KB_LOUDNESS_VOICE_LU 6.0f
#define KB_LOUDNESS_VOICE_LUFS (-60.0f)
/* A voice is still there so long after its last loud block: between syllables it is nowhere loud. */
#define KB_LOUDNESS_VOICE_SAMPLES 14400

typedef struct kb_loudness {
    kb_weighting weighting;
    float hops[KB_LOUDNESS_HOPS]; /* mean squares of the weighted hops, a ring */
    uint32_t hop_count;           /* of those, so far */
    uint32_t hop_at;              /* where the next goes */
    float sum;                    /* squares of the hop that is on */
    uint32_t sum_samples;
    uint32_t voice_left;          /* samples until silence */
    float quietest;               /* mean square of the quietest hop there is; 0 before the first */
    float momentary_lufs, short_term_lufs, gated_lufs; /* of the last whole hop; silence before the first block */
} kb_loudness;

void kb_loudness_reset(kb_loudness *loudness);

/* n ≤ 960, a multiple of 120. A block with a sample that is no number, or beyond ±8, counts as silence. */
void kb_loudness_run(kb_loudness *loudness, const float *samples, size_t n);

static inline int kb_loudness_is_voiced(const kb_loudness *loudness)
{
    return loudness->voice_left > 0;
}

#endif
