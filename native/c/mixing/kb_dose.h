/* How much sound an ear has had: A-weighted exposure against the European action values (2003/10/EC: 80 and 85 dB(A)
 * over eight hours, 3 dB more for half the time), and when a minute was so loud that its listener should know. Levels
 * are dB(A) SPL as far as the calibration is true. Virtual time: samples at 48 kHz. */
#ifndef KB_DOSE_H
#define KB_DOSE_H

#include <stdint.h>

#define KB_DOSE_SECONDS 60
#define KB_DOSE_WARNING_DB 80.0f
#define KB_DOSE_BACK_OFF_SAMPLES (30u * 60u * 48000u)

typedef struct kb_dose {
    double exposure;                /* squared sound pressure over that of 0 dB, times samples */
    double second;                  /* the same, of the second that is on */
    double seconds[KB_DOSE_SECONDS]; /* of the last minute, a ring */
    uint32_t second_samples;
    uint32_t second_at;
    uint32_t back_off_left;         /* samples until the next warning may come */
    uint32_t warnings;
} kb_dose;

/* `exposure`: what the same person had before, today; 0 to begin a day. */
void kb_dose_init(kb_dose *dose, double exposure);

/* `samples` ≤ 48000 more whose mean squared pressure over that of 0 dB is `mean`. 1 when a warning is due now: the
 * last minute's mean is above 80 dB(A), and none was due for 30 minutes. */
int kb_dose_add(kb_dose *dose, double mean, uint32_t samples);

/* The exposure so far as a level over eight hours, dB(A); −127 without any. */
double kb_dose_l_ex_db(const kb_dose *dose);
/* The exposure so far in per cent of eight hours at `level_db`. */
double kb_dose_percent(const kb_dose *dose, double level_db);
/* The mean level of the last whole 60 s. */
double kb_dose_minute_db(const kb_dose *dose);

#endif
