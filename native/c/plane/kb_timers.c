/* Silence: of peers, of tracks. */
#define _GNU_SOURCE
#include "kb_state.h"

static void watch_peer(kb_plane *plane, uint32_t index, int64_t now_ns)
{
    kb_peer_clock *clock = &plane->peer_clocks[index];
    int64_t silent_ns = now_ns - clock->heard_ns;
    if (clock->heard_ns == 0 || silent_ns < plane->config.peer_stalled_ns)
        return;
    int32_t before = clock->state;
    if (clock->state == KB_LIVE) {
        clock->state = KB_STALLED;
        KB_COUNT(plane, peers_stalled);
    }
    if (clock->state == KB_STALLED && silent_ns >= plane->config.peer_lost_ns) {
        clock->state = KB_LOST;
        KB_COUNT(plane, peers_lost);
    }
    if (clock->state != before)
        kb_states_peer(plane, &plane->peers[index]);
}

void kb_track_quiet(kb_plane *plane, kb_track *track)
{
    kb_track_clock *clock = &plane->track_clocks[kb_handle_index(track->handle)];
    if (clock->state != KB_TRACK_RUNNING)
        return;
    clock->state = KB_TRACK_QUIET;
    KB_COUNT(plane, tracks_stalled);
    kb_states_track(plane, track);
}

static void watch_track(kb_plane *plane, uint32_t index, int64_t now_ns)
{
    kb_track_clock *clock = &plane->track_clocks[index];
    if (clock->state != KB_TRACK_RUNNING || now_ns - clock->last_ns < plane->config.track_stalled_ns)
        return;
    kb_track_quiet(plane, &plane->tracks[index]);
}

void kb_timers_run(kb_plane *plane, int64_t now_ns)
{
    for (uint32_t index = 0; index < plane->peer_end; index++)
        watch_peer(plane, index, now_ns);
    for (uint32_t index = 0; index < plane->track_end; index++)
        watch_track(plane, index, now_ns);
    kb_tcp_run(plane, now_ns);
    kb_video_run(plane, now_ns);
    kb_uplinks_run(plane, now_ns);
}
