/* An SRTP datagram from a peer: authenticate, find its track, count it, hand it on. */
#define _GNU_SOURCE
#include "kb_level.h"
#include "kb_state.h"

#include <arpa/inet.h>

#define STREAM_EXPIRY_NS 30000000000
/* Longer than any jitter between two packets of one stream, shorter than a restart that a listener would hear. */
#define STREAM_TAKEOVER_NS 200000000
#define DEFAULT_CLOCK_RATE 48000u
#define FIRST_REPORT_NS 500000000
/* Beyond this the publisher's clock was stepped: no drift explains it. */
#define ANCHOR_STEP_NS 2000000000
/* The shortest Opus frame makes 400 packets/s, benchmarks send 1,000; 1,000 at once are 20 s of 20 ms frames that a
 * network held back. */
#define AUDIO_COST_NS 500000 /* 2,000/s */
#define AUDIO_BURST 1000

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

static void anchor(kb_layer *layer, uint32_t clock_rate, uint32_t timestamp, int64_t now_ns)
{
    int32_t ticks = (int32_t)(timestamp - layer->anchor_timestamp);
    if (layer->anchored && ticks < 0 && ticks > -(int32_t)clock_rate)
        return; /* out of order */
    int64_t expected_ns = layer->anchor_ns + (int64_t)ticks * 1000000000 / clock_rate;
    int64_t late_ns = now_ns - expected_ns;
    if (!layer->anchored || late_ns < 0 || late_ns > ANCHOR_STEP_NS || ticks < 0)
        layer->anchor_ns = now_ns;
    else
        layer->anchor_ns = expected_ns + late_ns / 512; /* 512 packets ≈ 10 s: jitter averages out, drift does not */
    layer->anchor_timestamp = timestamp;
    layer->anchored = true;
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

static uint8_t level_of(const kb_media *media)
{
    return kb_rtp_has(&media->extensions, KB_EXT_LEVEL) ? media->packet[media->extensions.at[KB_EXT_LEVEL]] : 0x7f;
}

void kb_receive_mix(kb_plane *plane, kb_track *track, const kb_media *media, int64_t now_ns)
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
    packet->audio_level = level_of(media);
    packet->marker = media->marker;
    const kb_layer *layer = &track->layers[0];
    int64_t delay_ns = layer->anchor_ns - kb_clock_captured_ns(plane, track, layer);
    packet->delay_us = delay_ns > 0 ? (uint32_t)(delay_ns / 1000) : 0;
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

static kb_reading *layer_reading(kb_track *track, int layer, enum kb_layer_reading reading)
{
    return &track->readings[KB_TRACK_LAYERS + layer * KB_LAYER_READINGS + (int)reading];
}

static void note_track(kb_track *track, const kb_rx_stream *stream, const kb_media *media, int64_t now_ns)
{
    kb_reading_add(&track->readings[KB_TRACK_PACKETS], 1);
    kb_reading_add(&track->readings[KB_TRACK_BYTES], media->bytes);
    kb_reading_set(&track->readings[KB_TRACK_LAST_NS], (uint64_t)now_ns);
    kb_reading_set(&track->readings[KB_TRACK_SSRC], media->rtp.ssrc);
    kb_reading_set(&track->readings[KB_TRACK_LEVEL], level_of(media));
    kb_reading_add(&track->readings[KB_TRACK_ENERGY], kb_level_power(level_of(media)));
    kb_reading_add(layer_reading(track, media->layer, KB_LAYER_PACKETS), 1);
    kb_reading_set(layer_reading(track, media->layer, KB_LAYER_LAST_NS), (uint64_t)now_ns);
    if (stream->repairs)
        return;
    uint64_t lost = (uint64_t)(int64_t)kb_reception_lost(&stream->reception);
    if (media->layer == 0 || !track->video) {
        kb_reading_set(&track->readings[KB_TRACK_LOST], lost);
        kb_reading_set(&track->readings[KB_TRACK_JITTER_TICKS], stream->reception.jitter_16 >> 4);
    }
    kb_reading_set(layer_reading(track, media->layer, KB_LAYER_LOST), lost);
}

/* One layer is one stream at a time: two SSRCs in turn would re-base every listener with every packet. */
static bool takes_stream(kb_plane *plane, kb_layer *layer, uint32_t ssrc, int64_t now_ns)
{
    if (layer->has_ssrc && layer->ssrc != ssrc) {
        if (now_ns - layer->last_ns < STREAM_TAKEOVER_NS) {
            KB_COUNT(plane, rtp_second_stream);
            return false;
        }
        layer->anchored = false;
        layer->sr_ntp = 0;
        if (layer->video)
            layer->video->loss = (kb_loss){.restarted = true};
    }
    layer->has_ssrc = true;
    layer->ssrc = ssrc;
    return true;
}

/* Keeps the packet for retransmission; false for one that is kept already or too old to be. */
static bool store(kb_layer *layer, kb_media *media, const uint8_t *data, size_t size)
{
    if (!kb_loss_receive(&layer->video->loss, media->rtp.sequence, media->frame.key))
        return false;
    /* What was kept under the old numbers would be taken for what comes under the same new ones. */
    for (size_t i = 0; layer->video->loss.restarted && i < KB_STORED_PACKETS; i++)
        layer->video->stored[i].used = false;
    kb_stored *stored = &layer->video->stored[media->rtp.sequence % KB_STORED_PACKETS];
    stored->used = true;
    memcpy(stored->data, data, size);
    stored->media = *media;
    stored->media.packet = stored->data;
    stored->media.payload = stored->data + (media->payload - data);
    return true;
}

static bool receive_video(kb_plane *plane, kb_track *track, kb_media *media, const uint8_t *data, size_t size,
                          int64_t now_ns)
{
    kb_layer *layer = &track->layers[media->layer];
    kb_codec_read((kb_codec)media->codec, media->payload, media->bytes, &media->frame);
    if (kb_rtp_has(&media->extensions, KB_EXT_DEPENDENCY) && media->codec >= KB_CODEC_VP9)
        media->frame.key |= kb_dependency_key(data + media->extensions.at[KB_EXT_DEPENDENCY],
                                              media->extensions.bytes[KB_EXT_DEPENDENCY]);
    if (!store(layer, media, data, size)) {
        KB_COUNT(plane, rtp_duplicate);
        return false;
    }
    if (layer->video->loss.restarted) {
        layer->video->loss.restarted = false;
        kb_forward_restart(track, media->layer);
    }
    layer->rate_bytes += media->bytes;
    if (media->frame.key) {
        layer->key_wanted = false;
        KB_COUNT(plane, key_frames);
        kb_reading_add(layer_reading(track, media->layer, KB_LAYER_KEY_FRAMES), 1);
    }
    kb_forward(plane, track, media, now_ns);
    return true;
}

/* What the packet is to its track: media of a codec, or the repair of one; false when it is neither. */
static bool read_type(const kb_track *track, uint8_t number, uint8_t *codec, bool *repairs)
{
    *repairs = false;
    *codec = KB_CODEC_OPUS;
    if (track->setup.payload_type_count == 0)
        return true;
    for (uint8_t i = 0; i < track->setup.payload_type_count; i++) {
        const kb_payload_type *type = &track->setup.payload_types[i];
        *codec = type->codec;
        if (type->number == number)
            return true;
        *repairs = type->rtx && type->rtx == number;
        if (*repairs)
            return true;
    }
    return false;
}

/* RFC 4588 §4: the payload begins with the sequence number of what is repaired. */
static bool unwrap(kb_plane *plane, kb_track *track, kb_rx_stream *stream, kb_media *media)
{
    KB_COUNT(plane, rtx_received);
    stream->repairs = true;
    const kb_layer *layer = &track->layers[stream->layer];
    if (media->bytes <= 2) {
        KB_COUNT(plane, rtx_empty); /* probing */
        return false;
    }
    if (!layer->video || !layer->has_ssrc) {
        KB_COUNT(plane, rtx_unrouted);
        return false;
    }
    media->rtp.ssrc = layer->ssrc;
    media->rtp.sequence = (uint16_t)(media->payload[0] << 8 | media->payload[1]);
    /* A repaired packet is one of the near past: a number from elsewhere would restart the stream. */
    if ((uint16_t)(layer->video->loss.highest - media->rtp.sequence) > KB_LOSS_JUMP) {
        KB_COUNT(plane, rtx_unrouted);
        return false;
    }
    media->payload += 2;
    media->bytes -= 2;
    return true;
}

static void receive_media(kb_plane *plane, kb_track *track, kb_rx_stream *stream, kb_media *media,
                          const uint8_t *data, size_t size, bool repairs, int64_t now_ns)
{
    if (repairs && !unwrap(plane, track, stream, media))
        return;
    media->layer = stream->layer;
    kb_layer *layer = &track->layers[media->layer];
    if (!repairs && !takes_stream(plane, layer, stream->ssrc, now_ns))
        return;
    if (media->bytes == 0) {
        KB_COUNT(plane, rtp_empty);
        if (!track->video) {
            kb_audio_empty(track, media);
        } else if (kb_loss_receive(&layer->video->loss, media->rtp.sequence, false)) {
            /* Kept as empty, for those who are not that far yet. */
            kb_stored *stored = &layer->video->stored[media->rtp.sequence % KB_STORED_PACKETS];
            stored->used = true;
            stored->media = (kb_media){.rtp = media->rtp};
            kb_forward_empty(track, media->layer, media->rtp.sequence);
        }
        return;
    }
    note_running(plane, track, now_ns);
    layer->last_ns = now_ns;
    if (!repairs)
        anchor(layer, track->setup.clock_rate, media->rtp.timestamp, now_ns);
    note_track(track, stream, media, now_ns);
    if (track->video) {
        if (receive_video(plane, track, media, data, size, now_ns) && repairs)
            kb_reading_add(layer_reading(track, media->layer, KB_LAYER_RECOVERED), 1);
        return;
    }
    kb_audio_receive(plane, track, media, now_ns);
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
    kb_media media = {
        .packet = data,
        .payload = data + rtp.header_bytes,
        .bytes = (size_t)payload_bytes,
        .rtp = {.ssrc = rtp.ssrc, .timestamp = rtp.timestamp, .sequence = rtp.sequence, .at_ns = now_ns},
        .marker = rtp.marker,
    };
    if (kb_rtp_extensions_parse(data, &rtp, &peer->ids, &media.extensions) != 0)
        KB_COUNT(plane, rtp_bad_extensions);
    if (peer->up && kb_rtp_has(&media.extensions, KB_EXT_TRANSPORT_CC)) {
        const uint8_t *number = data + media.extensions.at[KB_EXT_TRANSPORT_CC];
        kb_uplink_received(peer, (uint16_t)(number[0] << 8 | number[1]), now_ns);
    }
    kb_track *track = kb_route(plane, peer, stream, &rtp, &media);
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
    if (!track->video && !kb_bucket_take(&track->packets, AUDIO_COST_NS, AUDIO_BURST, now_ns)) {
        KB_COUNT(plane, rtp_limited);
        return;
    }
    bool repairs;
    if (!read_type(track, rtp.payload_type, &media.codec, &repairs)) {
        KB_COUNT(plane, rtp_wrong_payload_type);
        return;
    }
    /* An extension that this section did not negotiate is not its. */
    for (unsigned mask = media.extensions.mask; mask; mask &= mask - 1)
        if (!track->setup.ids[__builtin_ctz(mask)])
            media.extensions.mask &= (uint16_t)~(mask & -mask);
    receive_media(plane, track, stream, &media, data, size, repairs, now_ns);
}
