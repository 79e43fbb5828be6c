/* The loudness rider of one source: a slow gain that brings a voice to a target loudness, so that channels match. It
 * moves only while there is a voice, at most by 3 dB/s down and 1 dB/s up, within ±12 dB, and never steps. */
#ifndef KB_RIDER_H
#define KB_RIDER_H

#include "kb_loudness.h"

#define KB_RIDER_DOWN_DB_PER_S 3.0f
#define KB_RIDER_UP_DB_PER_S 1.0f

typedef struct kb_rider_settings {
    float target_lufs;
    float range_db; /* ≥ 0: the gain stays within ±range_db; 0 turns the rider off, and it goes back to 0 dB */
} kb_rider_settings;

#define KB_RIDER_DEFAULTS ((kb_rider_settings){-20.0f, 12.0f})

typedef struct kb_rider {
    kb_loudness loudness; /* of what comes in, also while the rider is off */
    kb_rider_settings settings;
    float gain_db; /* at the end of the last block; begins at 0 */
    float gain;    /* the same, linear */
} kb_rider;

void kb_rider_init(kb_rider *rider, const kb_rider_settings *settings);

/* Taken up at the pace of every other move. */
void kb_rider_configure(kb_rider *rider, const kb_rider_settings *settings);

/* Measures n ≤ 960 sane samples, n a multiple of 120, and moves the gain: for who applies it elsewhere. */
void kb_rider_follow(kb_rider *rider, const float *samples, size_t n);

/* Measures and rides n ≤ 960 samples in place, n a multiple of 120. At 0 dB they stay as they are to the bit.
 * Samples that are no numbers, or beyond ±8, become silence. */
void kb_rider_run(kb_rider *rider, float *samples, size_t n);

#endif
