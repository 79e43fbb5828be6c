/* One packet of a slot, as its listener is to see it: header, extensions and counters are the slot's own. */
#define _GNU_SOURCE
#include "kb_bytes.h"
#include "kb_state.h"

#define RESEND_AGE_NS 1000000000
#define RESEND_LEAST_NS 40000000
/* Which packets a probe repeats: the last ones, the larger ones. */
#define PROBE_PACKETS 16u
#define PROBE_LEAST_BYTES 500u
/* RFC 3550 §5.1 counts padding in one byte. */
#define PADDING_BYTES 255u
#define PART_NS (1000000000 / KB_BUDGET_PARTS)
/* Without a listener's report yet: what is lost on a bad path is asked for again no sooner. */
#define UNKNOWN_RTT_NS 40000000

/* abs-send-time: 6.18 fixed point seconds of any clock. */
static void put_send_time(uint8_t *out, int64_t now_ns)
{
    uint64_t time = ((uint64_t)now_ns << 18) / 1000000000u;
    out[0] = (uint8_t)(time >> 16);
    out[1] = (uint8_t)(time >> 8);
    out[2] = (uint8_t)time;
}

static void budget_move(kb_budget *budget, int64_t now_ns)
{
    int64_t part = now_ns / PART_NS;
    int64_t steps = part - budget->part;
    if (steps > KB_BUDGET_PARTS)
        steps = KB_BUDGET_PARTS;
    for (int64_t i = 0; i < steps; i++) {
        budget->media[(part - i) % KB_BUDGET_PARTS] = 0;
        budget->resent[(part - i) % KB_BUDGET_PARTS] = 0;
    }
    budget->part = part;
}

static void budget_add(kb_budget *budget, uint32_t *parts, size_t bytes, int64_t now_ns)
{
    budget_move(budget, now_ns);
    parts[budget->part % KB_BUDGET_PARTS] += (uint32_t)bytes;
}

static bool budget_allows(kb_budget *budget, size_t bytes, int64_t now_ns)
{
    uint64_t media = 0, resent = bytes;
    budget_move(budget, now_ns);
    for (size_t i = 0; i < KB_BUDGET_PARTS; i++) {
        media += budget->media[i];
        resent += budget->resent[i];
    }
    return resent <= media;
}

typedef struct extension_values {
    uint8_t send_time[3], transport_cc[2], playout_delay[KB_PLAYOUT_DELAY_BYTES], capture_time[8], dependency[KB_DEPENDENCY_BYTES];
} extension_values;

/* Extensions of the packet by the slot's ids; what changes per listener is made here, the rest is the publisher's. */
static void fill_extensions(kb_plane *plane, const kb_slot *slot, const kb_media *media, const kb_sent *numbers,
                            kb_rtp_out *header, extension_values *own, int64_t now_ns)
{
    const kb_peer *peer = &plane->peers[slot->peer];
    static const uint16_t passed = 1u << KB_EXT_LEVEL | 1u << KB_EXT_CAPTURE_TIME | 1u << KB_EXT_PLAYOUT_DELAY |
                                   1u << KB_EXT_ORIENTATION | 1u << KB_EXT_DEPENDENCY;
    header->ids = slot->setup.ids;
    header->mask = slot->mask & (media->extensions.mask & passed);
    for (unsigned mask = header->mask; mask; mask &= mask - 1) {
        int kind = __builtin_ctz(mask);
        header->values[kind] = media->packet + media->extensions.at[kind];
        header->bytes[kind] = media->extensions.bytes[kind];
    }
    if (header->mask & 1u << KB_EXT_DEPENDENCY) {
        memcpy(own->dependency, header->values[KB_EXT_DEPENDENCY], header->bytes[KB_EXT_DEPENDENCY]);
        kb_put16(own->dependency + 1, numbers->frame_number);
        header->values[KB_EXT_DEPENDENCY] = own->dependency;
    }
    if (header->mask & 1u << KB_EXT_CAPTURE_TIME) {
        const kb_track *track = kb_track_at(plane, numbers->track);
        if (track && kb_clock_translate(plane, track, header->values[KB_EXT_CAPTURE_TIME], own->capture_time)) {
            header->values[KB_EXT_CAPTURE_TIME] = own->capture_time;
            header->bytes[KB_EXT_CAPTURE_TIME] = 8; /* in our clock: no offset to tell */
        }
    }
    if (slot->patience.told) {
        kb_patience_write(&slot->patience, header->bytes[KB_EXT_PLAYOUT_DELAY] == KB_PLAYOUT_DELAY_BYTES
                                               ? header->values[KB_EXT_PLAYOUT_DELAY] : NULL, own->playout_delay);
        header->mask |= 1u << KB_EXT_PLAYOUT_DELAY;
        header->values[KB_EXT_PLAYOUT_DELAY] = own->playout_delay;
        header->bytes[KB_EXT_PLAYOUT_DELAY] = KB_PLAYOUT_DELAY_BYTES;
    }
    if (slot->mask & 1u << KB_EXT_MID) {
        header->mask |= 1u << KB_EXT_MID;
        header->values[KB_EXT_MID] = slot->setup.mid;
        header->bytes[KB_EXT_MID] = slot->setup.mid_bytes;
    }
    if (slot->mask & 1u << KB_EXT_SEND_TIME) {
        put_send_time(own->send_time, now_ns);
        header->mask |= 1u << KB_EXT_SEND_TIME;
        header->values[KB_EXT_SEND_TIME] = own->send_time;
        header->bytes[KB_EXT_SEND_TIME] = 3;
    }
    if (slot->mask & 1u << KB_EXT_TRANSPORT_CC) {
        kb_put16(own->transport_cc, peer->transport_sequence);
        header->mask |= 1u << KB_EXT_TRANSPORT_CC;
        header->values[KB_EXT_TRANSPORT_CC] = own->transport_cc;
        header->bytes[KB_EXT_TRANSPORT_CC] = 2;
    }
}

static void rewrite_payload(uint8_t *payload, const kb_media *media, const kb_sent *numbers)
{
    const kb_frame_info *frame = &media->frame;
    if (frame->picture_at) {
        if (frame->long_picture)
            kb_put16(payload + frame->picture_at, 0x8000 | numbers->picture);
        else
            payload[frame->picture_at] = numbers->picture & 0x7f;
    }
    if (frame->tl0_at)
        payload[frame->tl0_at] = numbers->tl0;
}

/* The payload as this listener takes it; returns its size, 0 = there is no room. */
static size_t put_payload(uint8_t *out, size_t room, const kb_slot *slot, const kb_media *media)
{
    if (!kb_slot_takes_red(slot, media)) {
        if (media->bytes > room)
            return 0;
        memcpy(out, media->payload, media->bytes);
        return media->bytes;
    }
    unsigned within = kb_slot_red_within(slot, media);
    if (kb_red_bytes(media->red, within) > room)
        return 0;
    return kb_red_write(out, media->red, slot->types[KB_CODEC_OPUS].number, within);
}

static void note_sent(kb_peer *peer, uint16_t mask, size_t bytes, int64_t now_ns)
{
    if (mask & 1u << KB_EXT_TRANSPORT_CC) {
        kb_downlink_sent(peer, &peer->transport_sequence, bytes, now_ns);
        peer->transport_sequence++;
    } else {
        kb_downlink_sent(peer, NULL, bytes, now_ns);
    }
    kb_reading_add(&peer->readings[KB_PEER_PACKETS_SENT], 1);
    kb_reading_add(&peer->readings[KB_PEER_BYTES_SENT], (uint64_t)bytes);
}

size_t kb_slot_send(kb_plane *plane, kb_slot *slot, const kb_media *media, const kb_sent *numbers, bool again,
                    int64_t now_ns)
{
    kb_peer *peer = &plane->peers[slot->peer];
    const kb_payload_type *type = &slot->types[kb_slot_takes_red(slot, media) ? KB_CODEC_RED : media->codec];
    extension_values own;
    kb_rtp_out header = {
        .ssrc = again ? slot->setup.rtx_ssrc : slot->setup.ssrc,
        .timestamp = numbers->timestamp,
        .sequence = again ? slot->rtx_sequence : numbers->sequence,
        .payload_type = again ? type->rtx : type->number,
        .marker = numbers->marker,
    };
    fill_extensions(plane, slot, media, numbers, &header, &own, now_ns);
    uint8_t *packet = kb_outbound_claim(plane, peer);
    size_t at = kb_rtp_write(packet, &header);
    /* RFC 4588 §4: the original sequence number, then the original payload. */
    size_t original = again ? 2 : 0;
    size_t payload = put_payload(packet + at + original, KB_EGRESS_BUFFER_BYTES - at - original - peer->tag_bytes,
                                 slot, media);
    if (payload == 0) {
        KB_COUNT(plane, protect_failed);
        return 0;
    }
    if (again)
        kb_put16(packet + at, numbers->sequence);
    if (slot->video)
        rewrite_payload(packet + at + original, media, numbers);
    size_t bytes = kb_outbound_rtp(plane, peer, again ? NULL : slot, packet, at, at + original + payload);
    if (bytes == 0)
        return 0;
    note_sent(peer, header.mask, bytes, now_ns);
    if (again)
        slot->rtx_sequence++;
    kb_video_slot *video = slot->setup.video;
    if (video && !again) {
        video->sent[numbers->sequence % KB_SENT_PACKETS] = *numbers;
        budget_add(&video->budget, video->budget.media, bytes, now_ns);
    }
    return bytes;
}

/* The packet that went out under this number and can go again on the RTX stream, NULL = it is not kept. */
static const kb_stored *kept(kb_plane *plane, const kb_slot *slot, uint16_t sequence, int64_t now_ns)
{
    const kb_sent *sent = &slot->setup.video->sent[sequence % KB_SENT_PACKETS];
    const kb_track *track = kb_track_at(plane, sent->track);
    if (sent->sent_ns == 0 || sent->sequence != sequence || now_ns - sent->sent_ns > RESEND_AGE_NS || !track ||
        !track->layers[sent->layer].video)
        return NULL;
    const kb_stored *stored =
        &track->layers[sent->layer].video->stored[sent->source_sequence % KB_STORED_PACKETS];
    bool same = stored->used && stored->media.rtp.sequence == sent->source_sequence;
    return same && slot->types[stored->media.codec].rtx ? stored : NULL;
}

void kb_slot_resend(kb_plane *plane, kb_slot *slot, uint16_t sequence, int64_t now_ns)
{
    kb_peer *peer = &plane->peers[slot->peer];
    kb_video_slot *video = slot->setup.video;
    slot->patience.asked++;
    if (!video || !slot->setup.rtx_ssrc || slot->paused || !peer->transmit || !kb_peer_egress(peer))
        return;
    const kb_stored *stored = kept(plane, slot, sequence, now_ns);
    kb_sent *sent = &video->sent[sequence % KB_SENT_PACKETS];
    if (!stored) {
        KB_COUNT(plane, resends_unknown);
        return;
    }
    /* Of a layer that was left since, nothing will be decoded: its last frames would only delay the new one's first. */
    if (!slot->source || slot->source->handle != sent->track || slot->layer != sent->layer) {
        KB_COUNT(plane, resends_left);
        return;
    }
    int64_t rtt_ns = peer->rtt_ns ? peer->rtt_ns : UNKNOWN_RTT_NS;
    if (sent->resent_ns && now_ns - sent->resent_ns < (rtt_ns > RESEND_LEAST_NS ? rtt_ns : RESEND_LEAST_NS)) {
        KB_COUNT(plane, resends_too_soon);
        return;
    }
    if (!budget_allows(&video->budget, stored->media.bytes + 64, now_ns)) {
        KB_COUNT(plane, resends_over_budget);
        return;
    }
    sent->resent_ns = now_ns;
    size_t bytes = kb_slot_send(plane, slot, &stored->media, sent, true, now_ns);
    if (bytes) {
        budget_add(&video->budget, video->budget.resent, bytes, now_ns);
        KB_COUNT(plane, rtp_resent);
        kb_reading_add(&slot->readings[KB_SLOT_RETRANSMITTED], 1);
    }
}

/* Empty padding: where nothing that went out recently is worth a probe. */
static size_t pad(kb_plane *plane, kb_slot *slot, size_t bytes, int64_t now_ns)
{
    kb_peer *peer = &plane->peers[slot->peer];
    uint8_t type = 0;
    for (int codec = 0; codec < KB_CODEC_COUNT && !type; codec++)
        type = slot->types[codec].rtx;
    if (!type || bytes == 0)
        return 0;
    static const kb_media nothing;
    const kb_sent numbers = {.timestamp = slot->remap.last_timestamp};
    extension_values own;
    kb_rtp_out header = {
        .ssrc = slot->setup.rtx_ssrc,
        .timestamp = numbers.timestamp,
        .sequence = slot->rtx_sequence,
        .payload_type = type,
    };
    fill_extensions(plane, slot, &nothing, &numbers, &header, &own, now_ns);
    uint8_t *packet = kb_outbound_claim(plane, peer);
    size_t at = kb_rtp_write(packet, &header);
    packet[0] |= 0x20;
    memset(packet + at, 0, bytes);
    packet[at + bytes - 1] = (uint8_t)bytes;
    size_t size = kb_outbound_rtp(plane, peer, NULL, packet, at, at + bytes);
    if (size == 0)
        return 0;
    slot->rtx_sequence++;
    note_sent(peer, header.mask, size, now_ns);
    KB_COUNT(plane, paddings_sent);
    return size;
}

size_t kb_slot_probe(kb_plane *plane, kb_slot *slot, size_t bytes, int64_t now_ns)
{
    kb_video_slot *video = slot->setup.video;
    /* Recent packets once more, as a sender of its own would: 255 bytes of padding weigh too little against the headers
     * of the path, which made probes read 9 % low. */
    for (unsigned tries = 0; video && tries < PROBE_PACKETS; tries++) {
        uint16_t sequence = (uint16_t)(slot->remap.last_sequence - video->probed++ % PROBE_PACKETS);
        const kb_stored *stored = kept(plane, slot, sequence, now_ns);
        if (!stored || stored->media.bytes < PROBE_LEAST_BYTES || stored->media.bytes > 2 * bytes)
            continue;
        size_t sent = kb_slot_send(plane, slot, &stored->media, &video->sent[sequence % KB_SENT_PACKETS], true, now_ns);
        if (sent) {
            KB_COUNT(plane, probes_sent);
            return sent;
        }
    }
    return pad(plane, slot, bytes < PADDING_BYTES ? bytes : PADDING_BYTES, now_ns);
}
