/* What the encoders may cost: follows the share of its time that the mix thread works. Pure: told the time of each tick. */
#ifndef KB_EFFORT_H
#define KB_EFFORT_H

#include <stdint.h>

/* In the order in which cost is shed. Opus at 48 kbit/s with FEC, 20 ms: 242, 183, 150, 110 µs (audio-engine.md §2). */
typedef enum kb_effort_level {
    KB_EFFORT_RICH,   /* complexity 9 */
    KB_EFFORT_NORMAL, /* what was asked for, 5 */
    KB_EFFORT_LEAN,   /* 2 */
    KB_EFFORT_BARE,   /* 0 */
    KB_EFFORT_LEVELS
} kb_effort_level;

typedef struct kb_effort {
    kb_effort_level level;
    int normal_complexity;
    float load;        /* share of the last second, smoothed */
    int32_t calm_ticks; /* for how long the load has been low enough for the level above */
} kb_effort;

void kb_effort_init(kb_effort *effort, int normal_complexity);

/* A tick took `busy_ns` of its `period_ns`. */
void kb_effort_tell(kb_effort *effort, int64_t busy_ns, int64_t period_ns);

int kb_effort_complexity(const kb_effort *effort);

#endif
