/* The way out of the plane: here, or, with egress threads, by the thread that has the peer's transmit contexts. */
#define _GNU_SOURCE
#include "kb_state.h"

int kb_outbound_init(kb_plane *plane)
{
    const kb_plane_config *config = &plane->config;
    plane->indices = aligned_alloc(64, (size_t)config->max_slots * sizeof *plane->indices);
    plane->egress = kb_egress_new(plane->sockets.v4, plane->sockets.v6);
    if (!plane->indices || !plane->egress || config->egress_threads > KB_SHARDS_MOST)
        return -1;
    if (config->portable)
        kb_egress_use(plane->egress, KB_EGRESS_SENDTO);
    kb_egress_streams(plane->egress, kb_tcp_send, plane);
    for (; plane->shard_count < config->egress_threads; plane->shard_count++) {
        const kb_shard_config shard = {
            .v4 = plane->sockets.v4,
            .v6 = plane->sockets.v6,
            .portable = config->portable,
            .streams = config->max_connections > 0,
            .number = plane->shard_count,
            .packets = config->egress_packets,
            .srtp = &plane->config.srtp,
            .plane_wake = &plane->command_wake,
        };
        plane->shards[plane->shard_count] = kb_shard_new(&shard);
        if (!plane->shards[plane->shard_count])
            return -1;
    }
    return 0;
}

void kb_outbound_free(kb_plane *plane)
{
    for (uint32_t i = 0; i < plane->shard_count; i++)
        kb_shard_free(plane->shards[i]);
    if (plane->egress)
        kb_egress_free(plane->egress);
    free(plane->indices);
}

int kb_outbound_start(kb_plane *plane)
{
    int status = 0;
    for (uint32_t i = 0; i < plane->shard_count && status == 0; i++)
        status = kb_shard_start(plane->shards[i]);
    return status;
}

void kb_outbound_stop(kb_plane *plane)
{
    for (uint32_t i = 0; i < plane->shard_count; i++)
        kb_shard_stop(plane->shards[i]);
}

void kb_outbound_retire(kb_plane *plane)
{
    for (uint32_t i = 0; i < plane->shard_count; i++)
        kb_shard_retire(plane->shards[i]);
    kb_egress_retire(plane->egress);
}

void kb_outbound_join(kb_plane *plane, kb_peer *peer)
{
    if (peer->shard || plane->shard_count == 0)
        return;
    uint32_t least = 0;
    for (uint32_t i = 1; i < plane->shard_count; i++)
        if (plane->shard_peers[i] < plane->shard_peers[least])
            least = i;
    plane->shard_peers[least]++;
    peer->shard = (uint8_t)(least + 1);
}

void kb_outbound_leave(kb_plane *plane, kb_peer *peer)
{
    if (peer->shard)
        plane->shard_peers[peer->shard - 1]--;
    peer->shard = 0;
}

/* Protects the claimed packet and sends it to the peer's path. Returns its size on the wire, 0 when it must not go out.
 * What a full ring drops counts as sent, as what a full socket drops does: its number is used, and lost on the way. */
static size_t send_sealed(kb_plane *plane, kb_peer *peer, const kb_seal *seal, uint8_t *packet, size_t bytes,
                          size_t added)
{
    const kb_address *to = kb_peer_egress(peer);
    if (peer->shard) {
        if (!kb_shard_commit(plane->shards[peer->shard - 1], seal, bytes, to, plane->hold))
            KB_COUNT(plane, egress_overrun);
        return bytes + added;
    }
    int size = (int)bytes;
    if (!kb_seal_apply(&plane->config.srtp, seal, packet, &size)) {
        KB_COUNT(plane, protect_failed);
        return 0;
    }
    kb_egress_commit(plane->egress, (size_t)size, to);
    return (size_t)size;
}

size_t kb_outbound_rtp(kb_plane *plane, kb_peer *peer, const kb_slot *slot, uint8_t *packet, size_t header_bytes,
                       size_t bytes)
{
    kb_seal seal = {.kind = KB_SEAL_RTP, .context = peer->transmit};
    if (slot && peer->gcm)
        seal = (kb_seal){.kind = KB_SEAL_GCM,
                         .context = peer->gcm,
                         .index = &plane->indices[kb_handle_index(slot->handle)].index,
                         .header_bytes = (uint16_t)header_bytes};
    return send_sealed(plane, peer, &seal, packet, bytes, peer->tag_bytes);
}

size_t kb_outbound_rtcp(kb_plane *plane, kb_peer *peer, uint8_t *packet, size_t bytes)
{
    const kb_seal seal = {.kind = KB_SEAL_RTCP, .context = peer->transmit};
    return send_sealed(plane, peer, &seal, packet, bytes, peer->tag_bytes + (size_t)KB_SEAL_RTCP_INDEX_BYTES);
}

void kb_outbound_hold(kb_plane *plane, bool more)
{
    plane->hold = more;
    kb_egress_hold(plane->egress, more);
}

/* What egress threads have protected for TCP connections. */
static void collect(kb_plane *plane, kb_shard *shard)
{
    for (const kb_shard_datagram *back; (back = kb_shard_returned(shard)) != NULL; kb_shard_take(shard)) {
        memcpy(kb_egress_claim(plane->egress), back->data, back->bytes);
        kb_egress_commit(plane->egress, back->bytes, &back->to);
    }
}

void kb_outbound_flush(kb_plane *plane)
{
    plane->hold = false;
    if (plane->shard_count) {
        uint64_t applied = atomic_load_explicit(&plane->applied, memory_order_relaxed);
        for (uint32_t i = 0; i < plane->shard_count; i++)
            kb_shard_end(plane->shards[i], applied);
        for (uint32_t i = 0; i < plane->shard_count; i++)
            collect(plane, plane->shards[i]);
    }
    kb_egress_flush(plane->egress);
}
