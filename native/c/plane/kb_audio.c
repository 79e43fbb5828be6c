/* Sound that came in: copies of lost packets (RFC 2198) are taken out, what else is lost is asked for, everything is
 * told once. */
#define _GNU_SOURCE
#include "kb_state.h"

#define UNKNOWN_RTT_NS 100000000
#define LONGEST_RTT_NS 150000000
/* From when it was due to when its repair is of no use. */
#define LONGEST_WAIT_NS 300000000

static void tell(kb_plane *plane, kb_track *track, const kb_media *media, int64_t now_ns)
{
    if (track->mix_source && media->audience != KB_FOR_RED)
        kb_receive_mix(plane, track, media, now_ns);
    kb_forward(plane, track, media, now_ns);
}

/* The payload type of this codec, −1 = not negotiated. */
static int type_of(const kb_track *track, kb_codec codec)
{
    for (uint8_t i = 0; i < track->setup.payload_type_count; i++)
        if (track->setup.payload_types[i].codec == codec)
            return track->setup.payload_types[i].number;
    return -1;
}

static bool unwrap(kb_plane *plane, const kb_track *track, kb_media *media, kb_red *red)
{
    int opus = type_of(track, KB_CODEC_OPUS);
    KB_COUNT(plane, red_received);
    if (kb_red_parse(media->payload, media->bytes, red) != 0) {
        KB_COUNT(plane, red_malformed);
        return false;
    }
    if (opus != red->primary_type) {
        KB_COUNT(plane, rtp_wrong_payload_type);
        return false;
    }
    kb_red_place(red, (uint8_t)opus);
    media->codec = KB_CODEC_OPUS;
    media->payload = red->primary;
    media->bytes = red->primary_bytes;
    media->red = red;
    return true;
}

/* What was lost and came with this packet goes on as the packets it was, before it. */
static void recover(kb_plane *plane, kb_track *track, const kb_media *media, int64_t now_ns)
{
    for (uint8_t i = 0; i < media->red->count; i++) {
        const kb_red_block *block = &media->red->blocks[i];
        if (block->distance == 0) {
            KB_COUNT(plane, red_misplaced);
            continue;
        }
        kb_media lost = {
            .packet = media->packet,
            .payload = block->data,
            .bytes = block->bytes,
            .rtp = {.ssrc = media->rtp.ssrc,
                    .timestamp = media->rtp.timestamp - block->offset,
                    .sequence = (uint16_t)(media->rtp.sequence - block->distance),
                    .at_ns = now_ns},
            .codec = KB_CODEC_OPUS,
            .audience = KB_FOR_PLAIN,
        };
        if (!kb_recent_fill(&track->recent, lost.rtp.sequence, lost.rtp.timestamp))
            continue;
        KB_COUNT(plane, red_recovered);
        kb_reading_add(&track->readings[KB_TRACK_LAYERS + KB_LAYER_RECOVERED], 1);
        tell(plane, track, &lost, now_ns);
    }
}

/* Asks for what did not come and was in no copy. It must be back before its turn to be played: a mix waits 20 ms for
 * each per cent of late packets, 400 ms at most, so a repair over a longer path than this comes too late at any loss a
 * voice can bear. */
static void ask_for_lost(kb_plane *plane, kb_track *track, const kb_media *media)
{
    kb_peer *peer = &plane->peers[track->peer];
    int64_t rtt_ns = peer->rtt_ns ? peer->rtt_ns : UNKNOWN_RTT_NS;
    int64_t frame_ns = (int64_t)kb_opus_samples(media->payload, media->bytes) * 62500 / 3;
    if (rtt_ns > LONGEST_RTT_NS || frame_ns == 0 || !peer->transmit || !kb_peer_egress(peer))
        return;
    uint16_t due[KB_RECENT_PACKETS];
    /* A copy may come with the next packet: what is one behind is not yet lost. */
    unsigned from = media->red ? 2 : 1;
    unsigned retry = (unsigned)((rtt_ns + frame_ns - 1) / frame_ns) + 1;
    unsigned most = (unsigned)((LONGEST_WAIT_NS - rtt_ns) / frame_ns);
    size_t count = kb_recent_due(&track->recent, from, retry, most, due);
    if (count == 0)
        return;
    uint8_t *packet = kb_outbound_claim(plane, peer);
    size_t bytes = kb_rtcp_write_nack(packet, peer->rtcp_ssrc, media->rtp.ssrc, due, count);
    kb_reading_add(&track->readings[KB_TRACK_LAYERS + KB_LAYER_NACKS], count);
    if (kb_rtcp_send(plane, peer, packet, bytes))
        KB_COUNT(plane, nacks_sent);
}

/* Whether a packet may come twice, or is asked for. */
static bool is_watched(const kb_track *track)
{
    return track->setup.nack || type_of(track, KB_CODEC_RED) >= 0;
}

static void receive(kb_plane *plane, kb_track *track, kb_media *media, int64_t now_ns)
{
    if (is_watched(track)) {
        /* Sent to a listener a second time it would be a second packet under one SRTP index, which libsrtp and our own
         * GCM refuse; and the mixer has it. */
        switch (kb_recent_receive(&track->recent, media->rtp.ssrc, media->rtp.sequence, media->rtp.timestamp)) {
        case KB_RECENT_OLD:
            KB_COUNT(plane, rtp_late);
            return;
        case KB_RECENT_KNOWN:
            KB_COUNT(plane, rtp_duplicate);
            media->audience = KB_FOR_RED;
            break;
        case KB_RECENT_NEW:
            break;
        }
        if (media->red)
            recover(plane, track, media, now_ns);
    }
    tell(plane, track, media, now_ns);
    if (track->setup.nack)
        ask_for_lost(plane, track, media);
}

void kb_audio_receive(kb_plane *plane, kb_track *track, kb_media *media, int64_t now_ns)
{
    kb_red red;
    if (media->codec == KB_CODEC_RED && !unwrap(plane, track, media, &red))
        return;
    receive(plane, track, media, now_ns);
    media->red = NULL;
}

void kb_audio_empty(kb_track *track, const kb_media *media)
{
    if (is_watched(track))
        kb_recent_receive(&track->recent, media->rtp.ssrc, media->rtp.sequence, media->rtp.timestamp);
    kb_forward_empty(track, media->layer, media->rtp.sequence);
}
