/* Which track and which of its layers a stream is: by mid and rid, then signalled SSRC, then a payload type of its own
 * (media-plane.md §8: FFmpeg's WHIP sends no extensions). What was learned once holds without extensions. */
#define _GNU_SOURCE
#include "kb_state.h"

static bool same_text(const uint8_t *text, uint8_t bytes, const kb_media *media, kb_extension kind)
{
    return bytes == media->extensions.bytes[kind] &&
           memcmp(text, media->packet + media->extensions.at[kind], bytes) == 0;
}

static kb_track *track_by_mid(kb_peer *peer, const kb_media *media)
{
    for (kb_track *track = peer->tracks; track; track = track->next_of_peer)
        if (same_text(track->setup.mid, track->setup.mid_bytes, media, KB_EXT_MID))
            return track;
    return NULL;
}

static uint8_t last_layer(const kb_track *track)
{
    return (uint8_t)(track->setup.layers - 1);
}

static kb_track *track_by_ssrc(kb_peer *peer, kb_rx_stream *stream)
{
    for (kb_track *track = peer->tracks; track; track = track->next_of_peer) {
        for (uint8_t i = 0; i < track->setup.ssrc_count; i++) {
            bool repairs = track->setup.rtx_ssrcs[i] == stream->ssrc && stream->ssrc;
            if (track->setup.ssrcs[i] != stream->ssrc && !repairs)
                continue;
            stream->layer = i < last_layer(track) ? i : last_layer(track);
            stream->repairs = repairs;
            return track;
        }
    }
    return NULL;
}

static bool takes(const kb_track *track, uint8_t payload_type)
{
    for (uint8_t i = 0; i < track->setup.payload_type_count; i++)
        if (track->setup.payload_types[i].number == payload_type ||
            (track->setup.payload_types[i].rtx && track->setup.payload_types[i].rtx == payload_type))
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

/* The layer the rid names, −1 when it is none of ours. */
static int layer_by_rid(const kb_track *track, const kb_media *media, kb_extension kind)
{
    for (uint8_t layer = 0; layer < track->setup.rid_count; layer++)
        if (same_text(track->setup.rids[layer], track->setup.rid_bytes[layer], media, kind))
            return layer;
    return -1;
}

/* Tells the layer; false when the stream cannot be placed in a track that has several. */
static bool place(kb_track *track, kb_rx_stream *stream, const kb_media *media)
{
    if (track->setup.layers <= 1) {
        stream->layer = 0;
        return true;
    }
    kb_extension kind = kb_rtp_has(&media->extensions, KB_EXT_REPAIRED_RID) ? KB_EXT_REPAIRED_RID : KB_EXT_RID;
    if (!kb_rtp_has(&media->extensions, kind))
        return false;
    int layer = layer_by_rid(track, media, kind);
    if (layer < 0)
        return false;
    stream->layer = (uint8_t)layer;
    return true;
}

kb_track *kb_route(kb_plane *plane, kb_peer *peer, kb_rx_stream *stream, const kb_rtp *rtp, const kb_media *media)
{
    kb_track *known = kb_track_at(plane, stream->track);
    kb_track *track = known;
    if (kb_rtp_has(&media->extensions, KB_EXT_MID)) {
        /* A mid that names nothing is a section we refused: its SSRC or PT must not put it elsewhere. */
        track = track_by_mid(peer, media);
    } else if (known) {
        return known;
    }
    if (!track && !kb_rtp_has(&media->extensions, KB_EXT_MID)) {
        track = track_by_ssrc(peer, stream);
        if (track) {
            stream->track = track->handle;
            return track;
        }
        track = track_by_payload_type(peer, rtp->payload_type);
    }
    if (track && track == known && !kb_rtp_has(&media->extensions, KB_EXT_RID))
        return track; /* the layer is known too */
    if (track && !place(track, stream, media)) {
        /* The mid is right, the rid did not come with it: the signalled SSRC may still tell. */
        track = track_by_ssrc(peer, stream) == track ? track : NULL;
    }
    stream->track = track ? track->handle : 0;
    return track;
}
