/* RTCP from a peer: reports about what we send, requests to send again, key frames, the end of a stream. */
#define _GNU_SOURCE
#include "kb_state.h"

#define LONGEST_RTT_65536 (10u * 65536u)
#define LOSSY_256 5
#define CALM_256 3
#define CALM_REPORTS 3

static kb_slot *slot_of(const kb_peer *peer, uint32_t ssrc)
{
    for (kb_slot *slot = peer->slots; slot; slot = slot->next_of_peer)
        if (slot->setup.ssrc == ssrc)
            return slot;
    return NULL;
}

/* Copies double the bytes of a voice: worth it from 2 % on, and no more when three reports say less than 1 %. */
static void note_loss(kb_slot *slot, uint8_t fraction_lost)
{
    if (fraction_lost >= LOSSY_256) {
        slot->lossy = true;
        slot->calm = 0;
    } else if (slot->lossy && fraction_lost < CALM_256 && ++slot->calm >= CALM_REPORTS) {
        slot->lossy = false;
    }
}

static void receive_block(kb_plane *plane, kb_peer *peer, const kb_rtcp_block *block, int64_t now_ns)
{
    kb_slot *slot = slot_of(peer, block->ssrc);
    if (!slot) {
        KB_COUNT(plane, rtcp_foreign_blocks);
        return;
    }
    kb_reading_set(&slot->readings[KB_SLOT_FRACTION_LOST], block->fraction_lost);
    kb_reading_set(&slot->readings[KB_SLOT_LOST], (uint64_t)(int64_t)block->lost);
    note_loss(slot, block->fraction_lost);
    kb_reading_set(&slot->readings[KB_SLOT_JITTER_TICKS], block->jitter);
    kb_reading_set(&slot->readings[KB_SLOT_REPORTED_NS], (uint64_t)now_ns);
    if (block->last_sr == 0)
        return;
    uint32_t rtt = (uint32_t)(kb_ntp(plane, now_ns) >> 16) - block->last_sr - block->delay;
    /* 1 ms of clock rounding can make it negative; more than 10 s is a lie or a report from before a restart. */
    if (rtt > 0xffffff00u)
        rtt = 0;
    if (rtt <= LONGEST_RTT_65536) {
        peer->rtt_ns = (int64_t)rtt * 1000000000 / 65536;
        kb_reading_set(&slot->readings[KB_SLOT_RTT_NS], (uint64_t)peer->rtt_ns);
        kb_reading_set(&peer->readings[KB_PEER_RTT_NS], (uint64_t)peer->rtt_ns);
    }
}

static void receive_sender(kb_plane *plane, kb_peer *peer, const kb_rtcp_sender *sender, int64_t now_ns)
{
    kb_clock_report(plane, peer, sender->ntp, now_ns);
    for (uint8_t i = 0; i < peer->stream_count; i++) {
        kb_rx_stream *stream = &peer->streams[i];
        if (stream->ssrc != sender->ssrc)
            continue;
        stream->last_sr = (uint32_t)(sender->ntp >> 16);
        stream->last_sr_ns = now_ns;
        kb_track *track = kb_track_at(plane, stream->track);
        kb_layer *layer = track ? &track->layers[stream->layer] : NULL;
        if (layer && layer->has_ssrc && layer->ssrc == sender->ssrc) {
            layer->sr_ntp = sender->ntp;
            layer->sr_timestamp = sender->rtp_timestamp;
        }
        return;
    }
}

static void receive_nack(kb_plane *plane, const kb_peer *peer, const kb_rtcp_packet *packet, int64_t now_ns)
{
    KB_COUNT(plane, rtcp_nacks);
    kb_slot *slot = slot_of(peer, kb_rtcp_feedback_media(packet));
    if (!slot || !slot->setup.nack)
        return;
    for (size_t i = 0; i < kb_rtcp_nack_count(packet); i++) {
        uint16_t sequence, following;
        kb_rtcp_read_nack(packet, i, &sequence, &following);
        kb_slot_resend(plane, slot, sequence, now_ns);
        for (uint16_t mask = following, ahead = 1; mask; mask >>= 1, ahead++)
            if (mask & 1)
                kb_slot_resend(plane, slot, (uint16_t)(sequence + ahead), now_ns);
    }
}

static void receive_transport_feedback(kb_plane *plane, kb_peer *peer, const kb_rtcp_packet *packet,
                                       int64_t now_ns)
{
    if (packet->count == KB_RTPFB_NACK) {
        receive_nack(plane, peer, packet, now_ns);
    } else if (packet->count == KB_RTPFB_TWCC) {
        KB_COUNT(plane, rtcp_twcc);
        if (!kb_downlink_feedback(plane, peer, packet, now_ns))
            KB_COUNT(plane, rtcp_malformed);
    } else {
        KB_COUNT(plane, rtcp_unknown);
    }
}

/* A listener cannot decode: what it has now is asked for, or what it waits for. */
static void receive_key_request(kb_plane *plane, const kb_peer *peer, uint32_t ssrc, int64_t now_ns)
{
    kb_slot *slot = slot_of(peer, ssrc);
    if (!slot || !slot->video || slot->paused || !slot->source)
        return;
    kb_reading_add(&slot->readings[KB_SLOT_PLIS], 1);
    if (slot->layer >= 0)
        kb_track_ask(plane, slot->source, slot->layer, now_ns);
    else
        kb_slot_ask(plane, slot, now_ns);
}

static void receive_payload_feedback(kb_plane *plane, kb_peer *peer, const kb_rtcp_packet *packet,
                                     int64_t now_ns)
{
    uint64_t rate;
    if (packet->count == KB_PSFB_PLI) {
        KB_COUNT(plane, rtcp_plis);
        receive_key_request(plane, peer, kb_rtcp_feedback_media(packet), now_ns);
    } else if (packet->count == KB_PSFB_FIR) {
        KB_COUNT(plane, rtcp_firs);
        for (size_t i = 0; i < kb_rtcp_fir_count(packet); i++)
            receive_key_request(plane, peer, kb_rtcp_fir_media(packet, i), now_ns);
    } else if (packet->count == KB_PSFB_AFB && kb_rtcp_read_remb(packet, &rate)) {
        KB_COUNT(plane, rtcp_rembs);
        kb_downlink_remb(peer, rate, now_ns);
    } else {
        KB_COUNT(plane, rtcp_unknown);
    }
}

/* The stream ends now, and not when its silence is noticed. */
static void receive_bye(kb_plane *plane, kb_peer *peer, const kb_rtcp_packet *packet)
{
    KB_COUNT(plane, rtcp_byes);
    for (size_t i = 0; i < packet->count; i++) {
        const uint8_t *at = packet->body + 4 * i;
        uint32_t ssrc = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
        for (kb_track *track = peer->tracks; track; track = track->next_of_peer) {
            bool left = false, ended = false;
            for (int layer = 0; layer < track->setup.layers; layer++) {
                kb_layer *heard = &track->layers[layer];
                if (heard->has_ssrc && heard->ssrc == ssrc) {
                    heard->has_ssrc = heard->anchored = heard->key_wanted = false;
                    heard->sr_ntp = 0;
                    if (heard->video)
                        heard->video->loss = (kb_loss){.restarted = true};
                    ended = true;
                }
                left |= heard->has_ssrc;
            }
            if (ended && !left)
                kb_track_quiet(plane, track);
        }
    }
}

static void receive_packet(kb_plane *plane, kb_peer *peer, const kb_rtcp_packet *packet, int64_t now_ns)
{
    kb_rtcp_sender sender;
    kb_rtcp_block block;
    switch (packet->type) {
    case KB_RTCP_SR:
        KB_COUNT(plane, rtcp_sender_reports);
        kb_rtcp_read_sender(packet, &sender);
        receive_sender(plane, peer, &sender, now_ns);
        break;
    case KB_RTCP_RR:
        KB_COUNT(plane, rtcp_receiver_reports);
        break;
    case KB_RTCP_SDES:
        KB_COUNT(plane, rtcp_descriptions);
        return;
    case KB_RTCP_BYE:
        receive_bye(plane, peer, packet);
        return;
    case KB_RTCP_RTPFB:
        receive_transport_feedback(plane, peer, packet, now_ns);
        return;
    case KB_RTCP_PSFB:
        receive_payload_feedback(plane, peer, packet, now_ns);
        return;
    default:
        KB_COUNT(plane, rtcp_unknown);
        return;
    }
    for (size_t i = 0; i < packet->count; i++) {
        kb_rtcp_read_block(packet, i, &block);
        receive_block(plane, peer, &block, now_ns);
    }
}

static bool unprotect(kb_plane *plane, kb_peer *peer, uint8_t *data, size_t *size)
{
    int bytes = (int)*size;
    int status = plane->config.srtp.unprotect_rtcp(peer->receive, data, &bytes);
    if (status == KB_SRTP_OK && bytes >= 8 && (size_t)bytes <= *size) {
        *size = (size_t)bytes;
        return true;
    }
    kb_reading_add(&peer->readings[KB_PEER_UNAUTHENTICATED], 1);
    if (status == KB_SRTP_REPLAY_FAIL || status == KB_SRTP_REPLAY_OLD)
        KB_COUNT(plane, srtcp_replayed);
    else
        KB_COUNT(plane, srtcp_unauthenticated);
    return false;
}

void kb_receive_rtcp(kb_plane *plane, kb_peer *peer, int tuple, uint8_t *data, size_t size, int64_t now_ns)
{
    /* Header and sender's SSRC, the index word, the tag. */
    if (size < 8u + 4u + peer->tag_bytes) {
        KB_COUNT(plane, rtcp_malformed);
        return;
    }
    uint32_t ssrc = (uint32_t)data[4] << 24 | (uint32_t)data[5] << 16 | (uint32_t)data[6] << 8 | data[7];
    if (!kb_receive_may(plane, peer, ssrc, now_ns) || !unprotect(plane, peer, data, &size))
        return;
    KB_COUNT(plane, rtcp_received);
    kb_receive_stream(plane, peer, ssrc, now_ns);
    kb_peer_heard(plane, peer, tuple, true, now_ns);
    kb_rtcp_packet packet;
    size_t at = 0;
    int status;
    while ((status = kb_rtcp_next(data, size, &at, &packet)) == 1)
        receive_packet(plane, peer, &packet, now_ns);
    if (status != 0)
        KB_COUNT(plane, rtcp_malformed);
}
