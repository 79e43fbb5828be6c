/* An SRTP datagram from a peer: authenticate, find its track, count it, hand it on. */
#define _GNU_SOURCE
#include "kb_state.h"

#include <arpa/inet.h>

#define STREAM_EXPIRY_NS 30000000000
/* Longer than any jitter between two packets of one stream, shorter than a restart that a listener would hear. */
#define STREAM_TAKEOVER_NS 200000000
#define DEFAULT_CLOCK_RATE 48000u
#define FIRST_REPORT_NS 500000000
/* Beyond this the publisher's clock was stepped: no drift explains it. */
#define ANCHOR_STEP_NS 2000000000

static kb_rx_stream *find_stream(kb_peer *peer, uint32_t ssrc)
{
    if (peer->last_stream < peer->stream_count && peer->streams[peer->last_stream].ssrc == ssrc)
        return &peer->streams[peer->last_stream];
    for (uint8_t i = 0; i < peer->stream_count; i++) {
        if (peer->streams[i].ssrc == ssrc) {
            peer->last_stream = i;
            return &peer->streams[i];
        }
    }
    return NULL;
}

static kb_rx_stream *oldest_stream(kb_peer *peer)
{
    kb_rx_stream *oldest = &peer->streams[0];
    for (uint8_t i = 1; i < peer->stream_count; i++)
        if (peer->streams[i].last_ns < oldest->last_ns)
            oldest = &peer->streams[i];
    return oldest;
}

bool kb_receive_may(kb_plane *plane, kb_peer *peer, uint32_t ssrc, int64_t now_ns)
{
    if (peer->stream_count < KB_PEER_STREAMS || find_stream(peer, ssrc))
        return true;
    if (now_ns - oldest_stream(peer)->last_ns > STREAM_EXPIRY_NS)
        return true;
    KB_COUNT(plane, srtp_streams_refused);
    return false;
}

kb_rx_stream *kb_receive_stream(kb_plane *plane, kb_peer *peer, uint32_t ssrc, int64_t now_ns)
{
    kb_rx_stream *stream = find_stream(peer, ssrc);
    if (!stream) {
        if (peer->stream_count < KB_PEER_STREAMS) {
            stream = &peer->streams[peer->stream_count++];
        } else {
            /* libsrtp forgets it too. Its replay window goes with it, which is why only need drives one out. */
            stream = oldest_stream(peer);
            if (plane->config.srtp.remove_stream(peer->receive, htonl(stream->ssrc)))
                KB_COUNT(plane, srtp_streams_stuck);
        }
        *stream = (kb_rx_stream){.ssrc = ssrc};
        kb_reading_set(&peer->readings[KB_PEER_STREAMS_USED], peer->stream_count);
    }
    stream->last_ns = now_ns;
    return stream;
}

static kb_track *track_by_mid(kb_peer *peer, const kb_rtp_extensions *found)
{
    for (kb_track *track = peer->tracks; track; track = track->next_of_peer)
        if (track->setup.mid_bytes == found->mid_bytes && memcmp(track->setup.mid, found->mid, found->mid_bytes) == 0)
            return track;
    return NULL;
}

static kb_track *track_by_ssrc(kb_peer *peer, uint32_t ssrc)
{
    for (kb_track *track = peer->tracks; track; track = track->next_of_peer)
        for (uint8_t i = 0; i < track->setup.ssrc_count; i++)
            if (track->setup.ssrcs[i] == ssrc)
                return track;
    return NULL;
}

static bool takes(const kb_track *track, uint8_t payload_type)
{
    for (uint8_t i = 0; i < track->setup.payload_type_count; i++)
        if (track->setup.payload_types[i] == payload_type)
            return true;
    return false;
}

static kb_track *track_by_payload_type(kb_peer *peer, uint8_t payload_type)
{
    kb_track *only = NULL;
    for (kb_track *track = peer->tracks; track; track = track->next_of_peer) {
        if (!takes(track, payload_type))
            continue;
        if (only)
            return NULL;
        only = track;
    }
    return only;
}

static kb_track *route(kb_plane *plane, kb_peer *peer, kb_rx_stream *stream, const kb_rtp *rtp,
                       const kb_rtp_extensions *found)
{
    kb_track *track = NULL;
    if (found->mid) {
        /* A mid that names nothing is a section we refused: its SSRC or PT must not put it elsewhere. */
        track = track_by_mid(peer, found);
        stream->track = track ? track->handle : 0;
        return track;
    }
    track = kb_track_at(plane, stream->track);
    if (track)
        return track;
    track = track_by_ssrc(peer, rtp->ssrc);
    if (!track)
        track = track_by_payload_type(peer, rtp->payload_type);
    stream->track = track ? track->handle : 0;
    return track;
}

static void anchor(kb_track *track, uint32_t timestamp, int64_t now_ns)
{
    int32_t ticks = (int32_t)(timestamp - track->anchor_timestamp);
    if (track->anchored && ticks < 0 && ticks > -(int32_t)track->setup.clock_rate)
        return; /* out of order */
    int64_t expected_ns = track->anchor_ns + (int64_t)ticks * 1000000000 / track->setup.clock_rate;
    int64_t late_ns = now_ns - expected_ns;
    if (!track->anchored || late_ns < 0 || late_ns > ANCHOR_STEP_NS || ticks < 0)
        track->anchor_ns = now_ns;
    else
        track->anchor_ns = expected_ns + late_ns / 512; /* 512 packets ≈ 10 s: jitter averages out, drift does not */
    track->anchor_timestamp = timestamp;
    track->anchored = true;
}

static void note_running(kb_plane *plane, kb_track *track, int64_t now_ns)
{
    kb_track_clock *clock = &plane->track_clocks[kb_handle_index(track->handle)];
    clock->last_ns = now_ns;
    track->last_ns = now_ns;
    if (clock->state == KB_TRACK_RUNNING)
        return;
    if (clock->state == KB_TRACK_SILENT)
        KB_COUNT(plane, tracks_started);
    else
        KB_COUNT(plane, tracks_resumed);
    clock->state = KB_TRACK_RUNNING;
    kb_states_track(plane, track);
}

static void push_to_mix(kb_plane *plane, kb_track *track, const kb_media *media, int64_t now_ns)
{
    if (media->bytes > KB_BUS_PAYLOAD_BYTES) {
        KB_COUNT(plane, mix_oversized);
        return;
    }
    kb_bus_packet *packet = kb_ring_claim(&plane->bus->to_mix);
    if (!packet) {
        KB_COUNT(plane, mix_dropped);
        return;
    }
    packet->at_ns = now_ns;
    packet->number = track->mix_source;
    packet->rtp_timestamp = media->rtp.timestamp;
    packet->ssrc = media->rtp.ssrc;
    packet->sequence = media->rtp.sequence;
    packet->payload_bytes = (uint16_t)media->bytes;
    packet->audio_level = media->has_level ? media->level : 0x7f;
    packet->marker = media->marker;
    memcpy(packet->payload, media->payload, media->bytes);
    kb_ring_publish(&plane->bus->to_mix);
    KB_COUNT(plane, mix_pushed);
}

static bool unprotect(kb_plane *plane, kb_peer *peer, uint8_t *data, size_t *size)
{
    int bytes = (int)*size;
    int status = plane->config.srtp.unprotect(peer->receive, data, &bytes);
    if (status == KB_SRTP_OK && bytes >= 12 && (size_t)bytes <= *size) {
        *size = (size_t)bytes;
        return true;
    }
    kb_reading_add(&peer->readings[KB_PEER_UNAUTHENTICATED], 1);
    if (status == KB_SRTP_REPLAY_FAIL || status == KB_SRTP_REPLAY_OLD)
        KB_COUNT(plane, srtp_replayed);
    else
        KB_COUNT(plane, srtp_unauthenticated);
    return false;
}

static void note_track(kb_track *track, const kb_rx_stream *stream, const kb_media *media, int64_t now_ns)
{
    kb_reading_add(&track->readings[KB_TRACK_PACKETS], 1);
    kb_reading_add(&track->readings[KB_TRACK_BYTES], media->bytes);
    kb_reading_set(&track->readings[KB_TRACK_LAST_NS], (uint64_t)now_ns);
    kb_reading_set(&track->readings[KB_TRACK_SSRC], stream->ssrc);
    kb_reading_set(&track->readings[KB_TRACK_LOST], (uint64_t)(int64_t)kb_reception_lost(&stream->reception));
    kb_reading_set(&track->readings[KB_TRACK_JITTER_TICKS], stream->reception.jitter_16 >> 4);
    kb_reading_set(&track->readings[KB_TRACK_LEVEL], media->has_level ? media->level : 0x7f);
}

/* One track is one stream at a time: two SSRCs in turn would re-base every listener with every packet. */
static bool takes_stream(kb_plane *plane, kb_track *track, uint32_t ssrc, int64_t now_ns)
{
    if (track->has_ssrc && track->ssrc != ssrc) {
        if (now_ns - track->last_ns < STREAM_TAKEOVER_NS) {
            KB_COUNT(plane, rtp_second_stream);
            return false;
        }
        track->anchored = false;
    }
    track->has_ssrc = true;
    track->ssrc = ssrc;
    return true;
}

void kb_receive_rtp(kb_plane *plane, kb_peer *peer, int tuple, uint8_t *data, size_t size, int64_t now_ns)
{
    kb_rtp rtp;
    if (kb_rtp_parse(data, size, &rtp) != 0 || size < (size_t)rtp.header_bytes + peer->tag_bytes) {
        KB_COUNT(plane, rtp_malformed);
        return;
    }
    if (!kb_receive_may(plane, peer, rtp.ssrc, now_ns) || !unprotect(plane, peer, data, &size))
        return;
    KB_COUNT(plane, rtp_received);
    kb_rx_stream *stream = kb_receive_stream(plane, peer, rtp.ssrc, now_ns);
    kb_peer_heard(plane, peer, tuple, true, now_ns);
    int payload_bytes = kb_rtp_payload_bytes(data, size, &rtp);
    if (payload_bytes < 0) {
        KB_COUNT(plane, rtp_malformed);
        return;
    }
    kb_rtp_extensions found;
    if (kb_rtp_extensions_parse(data, &rtp, peer->mid_id, peer->level_id, &found) != 0)
        KB_COUNT(plane, rtp_bad_extensions);
    kb_track *track = route(plane, peer, stream, &rtp, &found);
    kb_reception_receive(&stream->reception, rtp.sequence, rtp.timestamp,
                      track ? track->setup.clock_rate : DEFAULT_CLOCK_RATE, now_ns);
    stream->sends_rtp = true;
    kb_peer_clock *clock = &plane->peer_clocks[kb_handle_index(peer->handle)];
    if (clock->report_ns == INT64_MAX)
        clock->report_ns = now_ns + FIRST_REPORT_NS;
    if (!track) {
        KB_COUNT(plane, rtp_unrouted);
        return;
    }
    if (track->setup.payload_type_count && !takes(track, rtp.payload_type)) {
        KB_COUNT(plane, rtp_wrong_payload_type);
        return;
    }
    if (!takes_stream(plane, track, rtp.ssrc, now_ns))
        return;
    if (payload_bytes == 0) {
        KB_COUNT(plane, rtp_empty);
        return;
    }
    kb_media media = {
        .payload = data + rtp.header_bytes,
        .bytes = (size_t)payload_bytes,
        .rtp = {.ssrc = rtp.ssrc, .timestamp = rtp.timestamp, .sequence = rtp.sequence, .at_ns = now_ns},
        .marker = rtp.marker,
        .has_level = found.has_level && track->setup.level_id != 0,
        .level = found.level,
    };
    note_running(plane, track, now_ns);
    note_track(track, stream, &media, now_ns);
    anchor(track, rtp.timestamp, now_ns);
    if (track->mix_source)
        push_to_mix(plane, track, &media, now_ns);
    kb_forward(plane, track, &media, now_ns);
}
