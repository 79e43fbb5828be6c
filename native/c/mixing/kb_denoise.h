/* Noise suppression of one source by RNNoise, only where that source asks: a library that is found at run time or not
 * there. 20 ms of delay, switched on and off by crossfades with the sound as it was, which is then as late. */
#ifndef KB_DENOISE_H
#define KB_DENOISE_H

#include <stddef.h>
#include <stdint.h>

#define KB_DENOISE_FRAME 480 /* RNNoise's own, 10 ms */
#define KB_DENOISE_DELAY 960 /* of RNNoise 0.2: one frame of overlap, one of look-ahead */
#define KB_DENOISE_MAX_BLOCK 960
/* After it was switched on it listens for so long before it is heard: its first frames are empty. */
#define KB_DENOISE_WARM_SAMPLES 9600

typedef struct kb_denoise_table {
    void *(*create)(void *model);
    void (*destroy)(void *state);
    int (*init)(void *state, void *model);
    float (*process)(void *state, float *out, const float *in);
    int (*frame_size)(void);
} kb_denoise_table;

/* NULL, or what the library behind this dlopen handle lacks: a function, or the right length of frames. */
const char *kb_denoise_table_load(kb_denoise_table *table, void *handle);

typedef struct kb_denoise {
    kb_denoise_table table;
    void *state;
    float past[KB_DENOISE_DELAY]; /* the last inputs, oldest first */
    uint32_t warm_left;
    uint8_t is_on;    /* asked for */
    uint8_t is_heard; /* the output is RNNoise's */
    float voice;      /* RNNoise's guess whether the last frame had a voice, 0 … 1; 0 while it does not run */
} kb_denoise;

/* Off. Allocates: on the control thread. 0, or −1 without memory. */
int kb_denoise_init(kb_denoise *denoise, const kb_denoise_table *table);
void kb_denoise_free(kb_denoise *denoise);

/* Off costs a copy, on about 300 µs per 10 ms. */
void kb_denoise_switch(kb_denoise *denoise, int is_on);

/* Replaces n ≤ 960 samples, a multiple of 480, by those of 960 samples earlier, without noise or as they were. What is
 * no number, or beyond ±8, becomes silence. */
void kb_denoise_run(kb_denoise *denoise, float *samples, size_t n);

#endif
