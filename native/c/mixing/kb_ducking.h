/* How far the original is lowered under an interpreter: a state machine over (interpreters in the plan, a voice
 * heard or not), advanced in milliseconds. Pure: no clock, no samples. Levels move along half cosines in dB. */
#ifndef KB_DUCKING_H
#define KB_DUCKING_H

#include <stdint.h>

typedef struct kb_ducking_settings {
    float depth_db;    /* ≤ 0 */
    int32_t attack_ms; /* each ≥ 0 */
    int32_t hold_ms;
    int32_t release_ms;
    float silent_db;        /* ≤ 0: as far the original rises under a silent interpreter; below depth_db: not at all */
    int32_t silent_rise_ms; /* ≥ 0: how long that takes, after hold_ms of silence */
} kb_ducking_settings;

#define KB_DUCKING_DEFAULTS ((kb_ducking_settings){-18.0f, 60, 2500, 800, -12.0f, 1500})
/* After a release the original is suddenly loud: its limiter stands lower for so long. */
#define KB_DUCKING_CARE_MS 1000

typedef enum kb_ducking_state {
    KB_DUCKING_OPEN,    /* 0 dB: nobody interprets, or nobody who does was heard yet */
    KB_DUCKING_ATTACK,  /* on the way down */
    KB_DUCKING_DUCKED,  /* down, under a voice */
    KB_DUCKING_HOLD,    /* the last interpreter left; the level stays where it was */
    KB_DUCKING_RELEASE, /* on the way up */
    KB_DUCKING_PAUSE,   /* interpreters in the plan, all silent; the level stays where it was */
    KB_DUCKING_RISE,    /* on the way to the silent level */
    KB_DUCKING_RAISED,  /* there: no further, as long as the plan has interpreters; handover never unducks */
    KB_DUCKING_STATES
} kb_ducking_state;

typedef enum kb_ducking_input {
    KB_DUCKING_NOBODY,  /* no interpreter in the plan */
    KB_DUCKING_STAFFED, /* interpreters in the plan, none heard since it was added */
    KB_DUCKING_VOICED,  /* one of them is heard now */
    KB_DUCKING_SILENT,  /* one of them has been heard, all are silent now */
    KB_DUCKING_INPUTS
} kb_ducking_input;

typedef struct kb_ducking {
    kb_ducking_settings settings;
    kb_ducking_state state;
    float from_db; /* where the present move began */
    float db;      /* now */
    int32_t elapsed_ms;
} kb_ducking;

void kb_ducking_init(kb_ducking *ducking, const kb_ducking_settings *settings);

/* A new depth is taken up with the next attack: at once, when a voice holds the original down. A new silent level
 * likewise with the next rise. */
void kb_ducking_configure(kb_ducking *ducking, const kb_ducking_settings *settings);

/* A fact: told once per tick, before `_advance`. */
void kb_ducking_receive(kb_ducking *ducking, kb_ducking_input input);

/* Passes `ms` milliseconds and writes ms + 1 linear gains, the level at each boundary; gains[0] is the level
 * before, so that blocks join without a step. Returns 1 when the gain moved, else 0 (all gains are equal). */
int kb_ducking_advance(kb_ducking *ducking, int32_t ms, float *gains);

static inline int kb_ducking_is_open(const kb_ducking *ducking)
{
    return ducking->state == KB_DUCKING_OPEN;
}

/* 1 from the beginning of a release until KB_DUCKING_CARE_MS after its end. */
static inline int kb_ducking_needs_care(const kb_ducking *ducking)
{
    return ducking->state == KB_DUCKING_RELEASE ||
           (ducking->state == KB_DUCKING_OPEN && ducking->elapsed_ms < KB_DUCKING_CARE_MS);
}

#endif
