#include "kb_effort.h"

#include <string.h>

#define SHARE (1.0f / 50.0f) /* one second of ticks */
#define CALM_TICKS 500       /* 10 s: a level must not be taken up and given back by turns */

/* Above `most` the next cheaper level is taken at once, below `least` of the level above for 10 s that one. Rich only
 * where 40 sources and 8 languages would still fit into 15 % of a core beside it. */
static const struct {
    int complexity; /* −1: the normal one */
    float most, least;
} LEVELS[KB_EFFORT_LEVELS] = {
    [KB_EFFORT_RICH] = {9, 0.10f, 0.06f},
    [KB_EFFORT_NORMAL] = {-1, 0.80f, 0.50f},
    [KB_EFFORT_LEAN] = {2, 0.90f, 0.60f},
    [KB_EFFORT_BARE] = {0, 1e9f, 0.0f},
};

void kb_effort_init(kb_effort *effort, int normal_complexity)
{
    memset(effort, 0, sizeof *effort);
    effort->level = KB_EFFORT_NORMAL;
    effort->normal_complexity = normal_complexity;
}

void kb_effort_tell(kb_effort *effort, int64_t busy_ns, int64_t period_ns)
{
    effort->load += ((float)busy_ns / (float)period_ns - effort->load) * SHARE;
    if (effort->load > LEVELS[effort->level].most) {
        effort->level++;
        effort->calm_ticks = 0;
        return;
    }
    const int is_calm = effort->level > 0 && effort->load < LEVELS[effort->level - 1].least;
    effort->calm_ticks = is_calm ? effort->calm_ticks + 1 : 0;
    if (effort->calm_ticks < CALM_TICKS)
        return;
    effort->level--;
    effort->calm_ticks = 0;
}

int kb_effort_complexity(const kb_effort *effort)
{
    const int complexity = LEVELS[effort->level].complexity;
    return complexity < 0 ? effort->normal_complexity : complexity;
}
