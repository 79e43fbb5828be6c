/* Which packets of a publisher arrived, and when: told ten times a second, so that it finds the rate of its path. */
#define _GNU_SOURCE
#include "kb_state.h"

#define TELL_EVERY_NS 100000000
#define FEEDBACK_ROOM 1200

void kb_uplink_received(kb_peer *peer, uint16_t sequence, int64_t now_ns)
{
    kb_uplink *up = peer->up;
    if (!up)
        return;
    if (!up->started) {
        kb_twcc_receiver_init(&up->receiver);
        up->started = true;
    }
    kb_twcc_receive(&up->receiver, sequence, now_ns);
}

static void tell(kb_plane *plane, const kb_track *track, int64_t now_ns)
{
    kb_peer *peer = &plane->peers[track->peer];
    kb_uplink *up = peer->up;
    if (!up || !up->started || now_ns - up->told_ns < TELL_EVERY_NS || !peer->transmit || !kb_peer_egress(peer))
        return;
    up->told_ns = now_ns;
    for (;;) {
        uint8_t *packet = kb_outbound_claim(plane, peer);
        size_t bytes =
            kb_twcc_write(&up->receiver, packet, FEEDBACK_ROOM, peer->rtcp_ssrc, track->layers[0].ssrc);
        if (bytes == 0 || !kb_rtcp_send(plane, peer, packet, bytes))
            return;
        KB_COUNT(plane, twcc_sent);
    }
}

void kb_uplinks_run(kb_plane *plane, int64_t now_ns)
{
    for (const kb_track *track = plane->video_tracks; track; track = track->next_video)
        tell(plane, track, now_ns);
}
