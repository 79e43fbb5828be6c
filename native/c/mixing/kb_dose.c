#include "kb_dose.h"

#include <math.h>
#include <string.h>

#define SECOND 48000u
#define EIGHT_HOURS (8.0 * 3600.0 * (double)SECOND)

static double db_of(double ratio)
{
    return ratio > 0.0 ? fmax(10.0 * log10(ratio), -127.0) : -127.0;
}

void kb_dose_init(kb_dose *dose, double exposure)
{
    memset(dose, 0, sizeof *dose);
    dose->exposure = exposure;
}

static double minute_mean(const kb_dose *dose)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < KB_DOSE_SECONDS; i++)
        sum += dose->seconds[i];
    return sum / (KB_DOSE_SECONDS * (double)SECOND);
}

static int end_second(kb_dose *dose)
{
    dose->seconds[dose->second_at] = dose->second;
    dose->second_at = (dose->second_at + 1) % KB_DOSE_SECONDS;
    dose->second = 0.0;
    dose->second_samples = 0;
    if (dose->back_off_left || !(db_of(minute_mean(dose)) > (double)KB_DOSE_WARNING_DB))
        return 0;
    dose->back_off_left = KB_DOSE_BACK_OFF_SAMPLES;
    dose->warnings++;
    return 1;
}

int kb_dose_add(kb_dose *dose, double mean, uint32_t samples)
{
    int is_due = 0;
    dose->exposure += mean * samples;
    dose->back_off_left -= samples < dose->back_off_left ? samples : dose->back_off_left;
    while (samples) {
        const uint32_t left = SECOND - dose->second_samples;
        const uint32_t part = samples < left ? samples : left;
        dose->second += mean * part;
        dose->second_samples += part;
        samples -= part;
        if (dose->second_samples == SECOND)
            is_due |= end_second(dose);
    }
    return is_due;
}

double kb_dose_l_ex_db(const kb_dose *dose)
{
    return db_of(dose->exposure / EIGHT_HOURS);
}

double kb_dose_percent(const kb_dose *dose, double level_db)
{
    return 100.0 * dose->exposure / EIGHT_HOURS / pow(10.0, level_db * 0.1);
}

double kb_dose_minute_db(const kb_dose *dose)
{
    return db_of(minute_mean(dose));
}
