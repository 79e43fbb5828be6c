/* RTCP both ways: what peers report about us, and what we report about what we send and receive. */
#define _GNU_SOURCE
#include "kb_state.h"

/* Reports per turn: ≈ 0.8 ms of sending, 12,800 a second at 20 ms turns. */
#define REPORTS_PER_TURN 256u
#define REPORT_INTERVAL_NS 900000000
/* Spread over the last fifth of a second by index, so that a thousand slots that began together drift apart. */
#define REPORT_SPREAD_NS 200000000
/* A stream silent for two intervals is no sender (RFC 3550 §6.3.5). */
#define SENDER_NS 2000000000
#define LONGEST_RTT_65536 (10u * 65536u)

static int64_t next_report(int64_t now_ns, uint32_t index)
{
    return now_ns + REPORT_INTERVAL_NS + (int64_t)(index * 2654435761u % 1000) * (REPORT_SPREAD_NS / 1000);
}

static kb_slot *slot_of(const kb_peer *peer, uint32_t ssrc)
{
    for (kb_slot *slot = peer->slots; slot; slot = slot->next_of_peer)
        if (slot->setup.ssrc == ssrc)
            return slot;
    return NULL;
}

static void receive_block(kb_plane *plane, const kb_peer *peer, const kb_rtcp_block *block, int64_t now_ns)
{
    kb_slot *slot = slot_of(peer, block->ssrc);
    if (!slot) {
        KB_COUNT(plane, rtcp_foreign_blocks);
        return;
    }
    kb_reading_set(&slot->readings[KB_SLOT_FRACTION_LOST], block->fraction_lost);
    kb_reading_set(&slot->readings[KB_SLOT_LOST], (uint64_t)(int64_t)block->lost);
    kb_reading_set(&slot->readings[KB_SLOT_JITTER_TICKS], block->jitter);
    kb_reading_set(&slot->readings[KB_SLOT_REPORTED_NS], (uint64_t)now_ns);
    if (block->last_sr == 0)
        return;
    uint32_t rtt = (uint32_t)(kb_ntp(plane, now_ns) >> 16) - block->last_sr - block->delay;
    /* 1 ms of clock rounding can make it negative; more than 10 s is a lie or a report from before a restart. */
    if (rtt > 0xffffff00u)
        rtt = 0;
    if (rtt <= LONGEST_RTT_65536)
        kb_reading_set(&slot->readings[KB_SLOT_RTT_NS], (uint64_t)rtt * 1000000000u / 65536u);
}

static void receive_sender(kb_plane *plane, kb_peer *peer, const kb_rtcp_sender *sender, int64_t now_ns)
{
    for (uint8_t i = 0; i < peer->stream_count; i++) {
        kb_rx_stream *stream = &peer->streams[i];
        if (stream->ssrc != sender->ssrc)
            continue;
        stream->last_sr = (uint32_t)(sender->ntp >> 16);
        stream->last_sr_ns = now_ns;
        kb_track *track = kb_track_at(plane, stream->track);
        if (track && track->has_ssrc && track->ssrc == sender->ssrc) {
            track->sr_ntp = sender->ntp;
            track->sr_timestamp = sender->rtp_timestamp;
            track->sr_at_ns = now_ns;
        }
        return;
    }
}

static void receive_transport_feedback(kb_plane *plane, const kb_rtcp_packet *packet)
{
    if (packet->count == KB_RTPFB_NACK)
        KB_COUNT(plane, rtcp_nacks);
    else if (packet->count == KB_RTPFB_TWCC)
        KB_COUNT(plane, rtcp_twcc);
    else
        KB_COUNT(plane, rtcp_unknown);
}

static void receive_payload_feedback(kb_plane *plane, const kb_rtcp_packet *packet)
{
    if (packet->count == KB_PSFB_PLI)
        KB_COUNT(plane, rtcp_plis);
    else if (packet->count == KB_PSFB_FIR)
        KB_COUNT(plane, rtcp_firs);
    else if (packet->count == KB_PSFB_AFB && packet->body_bytes >= 16 && memcmp(packet->body + 8, "REMB", 4) == 0)
        KB_COUNT(plane, rtcp_rembs);
    else
        KB_COUNT(plane, rtcp_unknown);
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
        /* Only a word: who stops sending is seen by the track's timer, who leaves by the peer's. */
        KB_COUNT(plane, rtcp_byes);
        return;
    case KB_RTCP_RTPFB:
        receive_transport_feedback(plane, packet);
        return;
    case KB_RTCP_PSFB:
        receive_payload_feedback(plane, packet);
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

static bool send_report(kb_plane *plane, kb_peer *peer, uint8_t *packet, size_t size)
{
    int bytes = (int)size;
    if (plane->config.srtp.protect_rtcp(peer->transmit, packet, &bytes) != KB_SRTP_OK) {
        KB_COUNT(plane, protect_failed);
        return false;
    }
    kb_egress_commit(plane->egress, (size_t)bytes, kb_peer_egress(peer));
    kb_reading_add(&peer->readings[KB_PEER_PACKETS_SENT], 1);
    kb_reading_add(&peer->readings[KB_PEER_BYTES_SENT], (uint64_t)bytes);
    return true;
}

static void send_sender_report(kb_plane *plane, kb_slot *slot, int64_t now_ns)
{
    kb_peer *peer = &plane->peers[slot->peer];
    const kb_track *track = slot->source;
    if (!track || !track->anchored || slot->remap.rebase || !peer->transmit || !kb_peer_egress(peer) ||
        now_ns - track->last_ns > SENDER_NS)
        return;
    int64_t since_ns = now_ns - track->anchor_ns;
    uint32_t since_ticks = (uint32_t)(since_ns / 1000 * track->setup.clock_rate / 1000000);
    kb_rtcp_sender sender = {
        .ssrc = slot->setup.ssrc,
        .ntp = kb_ntp(plane, now_ns),
        .rtp_timestamp = track->anchor_timestamp - slot->remap.timestamp_offset + since_ticks,
        .packets = slot->packets,
        .octets = slot->octets,
    };
    uint8_t *packet = kb_egress_claim(plane->egress);
    if (send_report(plane, peer, packet,
                    kb_rtcp_write_sender(packet, &sender, slot->setup.cname, slot->setup.cname_bytes)))
        KB_COUNT(plane, sender_reports_sent);
}

static bool send_receiver_report(kb_plane *plane, kb_peer *peer, int64_t now_ns)
{
    kb_rtcp_block blocks[KB_RTCP_MAX_BLOCKS];
    size_t count = 0;
    for (uint8_t i = 0; i < peer->stream_count && count < KB_RTCP_MAX_BLOCKS; i++) {
        kb_rx_stream *stream = &peer->streams[i];
        if (!stream->sends_rtp || stream->reception.received == stream->reported)
            continue;
        kb_rtcp_block *block = &blocks[count++];
        *block = (kb_rtcp_block){.ssrc = stream->ssrc};
        kb_reception_report(&stream->reception, block);
        stream->reported = stream->reception.received;
        if (stream->last_sr) {
            block->last_sr = stream->last_sr;
            block->delay = (uint32_t)((now_ns - stream->last_sr_ns) / 1000 * 65536 / 1000000);
        }
    }
    if (count == 0)
        return false;
    if (!peer->transmit || !kb_peer_egress(peer))
        return true;
    uint8_t *packet = kb_egress_claim(plane->egress);
    size_t size =
        kb_rtcp_write_receiver(packet, peer->rtcp_ssrc, blocks, count, plane->cname, plane->cname_bytes);
    if (send_report(plane, peer, packet, size))
        KB_COUNT(plane, receiver_reports_sent);
    return true;
}

void kb_reports_send(kb_plane *plane, int64_t now_ns)
{
    uint32_t budget = REPORTS_PER_TURN;
    plane->reports_now = false;
    /* Begin where the budget ended last time, else high indices would starve. */
    for (uint32_t i = 0; i < plane->slot_end && budget; i++) {
        uint32_t index = (plane->slot_report_from + i) % plane->slot_end;
        if (plane->slot_reports[index] > now_ns)
            continue;
        plane->slot_reports[index] = next_report(now_ns, index);
        send_sender_report(plane, &plane->slots[index], now_ns);
        if (--budget == 0)
            plane->slot_report_from = index + 1;
    }
    for (uint32_t index = 0; index < plane->peer_end && budget; index++) {
        kb_peer_clock *clock = &plane->peer_clocks[index];
        if (clock->report_ns > now_ns)
            continue;
        bool more = send_receiver_report(plane, &plane->peers[index], now_ns);
        clock->report_ns = more ? next_report(now_ns, index) : INT64_MAX;
        budget--;
    }
    if (budget == 0)
        plane->reports_now = true;
}
