/* Our own reports: about what we send (with one clock for all streams) and about what we receive. */
#define _GNU_SOURCE
#include "kb_state.h"

/* Reports per turn: ≈ 0.8 ms of sending, 12,800 a second at 20 ms turns. */
#define REPORTS_PER_TURN 256u
#define REPORT_INTERVAL_NS 900000000
/* Spread over the last fifth of a second by index, so that a thousand slots that began together drift apart. */
#define REPORT_SPREAD_NS 200000000
/* A stream silent for two intervals is no sender (RFC 3550 §6.3.5). */
#define SENDER_NS 2000000000

static int64_t next_report(int64_t now_ns, uint32_t index)
{
    return now_ns + REPORT_INTERVAL_NS + (int64_t)(index * 2654435761u % 1000) * (REPORT_SPREAD_NS / 1000);
}

bool kb_rtcp_send(kb_plane *plane, kb_peer *peer, uint8_t *packet, size_t size)
{
    size_t bytes = kb_outbound_rtcp(plane, peer, packet, size);
    if (bytes == 0)
        return false;
    kb_reading_add(&peer->readings[KB_PEER_PACKETS_SENT], 1);
    kb_reading_add(&peer->readings[KB_PEER_BYTES_SENT], bytes);
    return true;
}

static void send_sender_report(kb_plane *plane, kb_slot *slot, int64_t now_ns)
{
    kb_peer *peer = &plane->peers[slot->peer];
    const kb_track *track = slot->source;
    const kb_layer *layer = track && slot->layer >= 0 ? &track->layers[slot->layer] : NULL;
    if (!layer || !layer->anchored || slot->remap.rebase || !peer->transmit || !kb_peer_egress(peer) ||
        now_ns - track->last_ns > SENDER_NS)
        return;
    int64_t since_ns = now_ns - kb_clock_captured_ns(plane, track, layer);
    uint32_t since_ticks = (uint32_t)(since_ns / 1000 * track->setup.clock_rate / 1000000);
    kb_rtcp_sender sender = {
        .ssrc = slot->setup.ssrc,
        .ntp = kb_ntp(plane, now_ns),
        .rtp_timestamp = layer->anchor_timestamp - slot->remap.timestamp_offset + since_ticks,
        .packets = slot->packets,
        .octets = slot->octets,
    };
    uint8_t *packet = kb_outbound_claim(plane, peer);
    if (kb_rtcp_send(plane, peer, packet,
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
    uint8_t *packet = kb_outbound_claim(plane, peer);
    size_t size =
        kb_rtcp_write_receiver(packet, peer->rtcp_ssrc, blocks, count, plane->cname, plane->cname_bytes);
    if (kb_rtcp_send(plane, peer, packet, size))
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
