#include "kb_ducking.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979f

/* The whole machine; what an elapsed time does stands in `elapse`. HOLD under STAFFED stays down: a successor whose
 * first packet is on its way must not find the original breaking through. OPEN and RELEASE under STAFFED or SILENT go
 * on as they are until the voice is there, because an open microphone alone is no reason to lower the speaker. */
static const unsigned char NEXT[KB_DUCKING_STATES][KB_DUCKING_INPUTS] = {
    /*                       NOBODY              STAFFED             VOICED             SILENT             */
    [KB_DUCKING_OPEN] = {KB_DUCKING_OPEN, KB_DUCKING_OPEN, KB_DUCKING_ATTACK, KB_DUCKING_OPEN},
    [KB_DUCKING_ATTACK] = {KB_DUCKING_HOLD, KB_DUCKING_ATTACK, KB_DUCKING_ATTACK, KB_DUCKING_ATTACK},
    [KB_DUCKING_DUCKED] = {KB_DUCKING_HOLD, KB_DUCKING_PAUSE, KB_DUCKING_DUCKED, KB_DUCKING_PAUSE},
    [KB_DUCKING_HOLD] = {KB_DUCKING_HOLD, KB_DUCKING_PAUSE, KB_DUCKING_ATTACK, KB_DUCKING_PAUSE},
    [KB_DUCKING_RELEASE] = {KB_DUCKING_RELEASE, KB_DUCKING_RELEASE, KB_DUCKING_ATTACK, KB_DUCKING_RELEASE},
    [KB_DUCKING_PAUSE] = {KB_DUCKING_HOLD, KB_DUCKING_PAUSE, KB_DUCKING_ATTACK, KB_DUCKING_PAUSE},
    [KB_DUCKING_RISE] = {KB_DUCKING_HOLD, KB_DUCKING_RISE, KB_DUCKING_ATTACK, KB_DUCKING_RISE},
    [KB_DUCKING_RAISED] = {KB_DUCKING_HOLD, KB_DUCKING_RAISED, KB_DUCKING_ATTACK, KB_DUCKING_RAISED},
};

static float gain_of(float db)
{
    return db == 0.0f ? 1.0f : powf(10.0f, db * 0.05f);
}

static void enter(kb_ducking *ducking, kb_ducking_state state)
{
    ducking->state = state;
    ducking->from_db = ducking->db;
    ducking->elapsed_ms = 0;
}

void kb_ducking_init(kb_ducking *ducking, const kb_ducking_settings *settings)
{
    memset(ducking, 0, sizeof *ducking);
    ducking->settings = *settings;
    ducking->elapsed_ms = KB_DUCKING_CARE_MS;
}

static float silent_db(const kb_ducking_settings *settings)
{
    return settings->silent_db > settings->depth_db ? settings->silent_db : settings->depth_db;
}

void kb_ducking_configure(kb_ducking *ducking, const kb_ducking_settings *settings)
{
    ducking->settings = *settings;
}

void kb_ducking_receive(kb_ducking *ducking, kb_ducking_input input)
{
    const kb_ducking_state next = (kb_ducking_state)NEXT[ducking->state][input];
    if (next != ducking->state)
        enter(ducking, next);
    else if (ducking->state == KB_DUCKING_DUCKED && input == KB_DUCKING_VOICED &&
             ducking->db != ducking->settings.depth_db)
        enter(ducking, KB_DUCKING_ATTACK); /* another depth */
    else if (ducking->state == KB_DUCKING_RAISED && ducking->db != silent_db(&ducking->settings))
        enter(ducking, KB_DUCKING_RISE); /* another silent level */
}

/* A half cosine from `from` to `to`; a move of no length is over at once. */
static float moved(float from, float to, int32_t elapsed_ms, int32_t length_ms)
{
    if (elapsed_ms >= length_ms)
        return to;
    const float part = (float)elapsed_ms / (float)length_ms;
    return from + (to - from) * 0.5f * (1.0f - cosf(PI * part));
}

static void elapse(kb_ducking *ducking)
{
    const kb_ducking_settings *settings = &ducking->settings;
    ducking->elapsed_ms++;
    switch (ducking->state) {
    case KB_DUCKING_ATTACK:
        ducking->db = moved(ducking->from_db, settings->depth_db, ducking->elapsed_ms, settings->attack_ms);
        if (ducking->elapsed_ms >= settings->attack_ms)
            enter(ducking, KB_DUCKING_DUCKED);
        break;
    case KB_DUCKING_HOLD:
        if (ducking->elapsed_ms >= settings->hold_ms)
            enter(ducking, KB_DUCKING_RELEASE);
        break;
    case KB_DUCKING_RELEASE:
        ducking->db = moved(ducking->from_db, 0.0f, ducking->elapsed_ms, settings->release_ms);
        if (ducking->elapsed_ms >= settings->release_ms)
            enter(ducking, KB_DUCKING_OPEN);
        break;
    case KB_DUCKING_PAUSE:
        if (ducking->elapsed_ms >= settings->hold_ms)
            enter(ducking, KB_DUCKING_RISE);
        break;
    case KB_DUCKING_RISE:
        ducking->db =
            moved(ducking->from_db, silent_db(settings), ducking->elapsed_ms, settings->silent_rise_ms);
        if (ducking->elapsed_ms >= settings->silent_rise_ms)
            enter(ducking, KB_DUCKING_RAISED);
        break;
    default: /* nothing but the time of care is due: the count must not overflow over a long meeting */
        if (ducking->elapsed_ms > KB_DUCKING_CARE_MS)
            ducking->elapsed_ms = KB_DUCKING_CARE_MS;
    }
}

int kb_ducking_advance(kb_ducking *ducking, int32_t ms, float *gains)
{
    int has_moved = 0;
    float before_db = ducking->db;
    gains[0] = gain_of(before_db);
    for (int32_t i = 1; i <= ms; i++) {
        elapse(ducking);
        if (ducking->db == before_db) {
            gains[i] = gains[i - 1];
            continue;
        }
        before_db = ducking->db;
        gains[i] = gain_of(before_db);
        has_moved = 1;
    }
    return has_moved;
}
