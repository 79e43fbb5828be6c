/* How far the original is lowered under an interpreter: a state machine over (interpreters in the plan, a voice
 * heard), advanced in milliseconds. Pure: no clock, no samples. Levels move along half cosines in dB. */
#ifndef KB_DUCKING_H
#define KB_DUCKING_H

#include <stdint.h>

typedef struct kb_ducking_settings {
    float depth_db;    /* ≤ 0 */
    int32_t attack_ms; /* each ≥ 0 */
    int32_t hold_ms;
    int32_t release_ms;
} kb_ducking_settings;

typedef enum kb_ducking_state {
    KB_DUCKING_OPEN,    /* 0 dB: nobody interprets, or nobody who does was heard yet */
    KB_DUCKING_ATTACK,  /* on the way down */
    KB_DUCKING_DUCKED,  /* stays down while the plan has interpreters, silent or not: handover never unducks */
    KB_DUCKING_HOLD,    /* the last interpreter left; the level stays where it was */
    KB_DUCKING_RELEASE, /* on the way up */
    KB_DUCKING_STATES
} kb_ducking_state;

typedef enum kb_ducking_input {
    KB_DUCKING_NOBODY, /* no interpreter in the plan */
    KB_DUCKING_STAFFED, /* interpreters in the plan, none heard since it was added */
    KB_DUCKING_VOICED, /* one of them has been heard */
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

/* A new depth is taken up with the next attack: at once, when a voice holds the original down. */
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

#endif
