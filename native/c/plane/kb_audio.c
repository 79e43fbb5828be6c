/* Sound that came in: copies of lost packets (RFC 2198) are taken out, everything is told once. */
#define _GNU_SOURCE
#include "kb_state.h"

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

static void receive(kb_plane *plane, kb_track *track, kb_media *media, int64_t now_ns)
{
    if (type_of(track, KB_CODEC_RED) >= 0) {
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
    if (type_of(track, KB_CODEC_RED) >= 0)
        kb_recent_receive(&track->recent, media->rtp.ssrc, media->rtp.sequence, media->rtp.timestamp);
    kb_forward_empty(track, media->layer, media->rtp.sequence);
}
