/* Who is behind an address: ICE user fragments, validated tuples, nomination (media-plane.md §3). */
#define _GNU_SOURCE
#include "kb_state.h"

/* Media comes over the selected pair alone, so half a second of it from elsewhere is a move. A check without
 * USE-CANDIDATE may be a backup pair's (libwebrtc checks each about every 2.5 s): only when the old one missed one. */
#define MOVE_BY_MEDIA_NS 500000000
#define MOVE_BY_CHECK_NS 3000000000

typedef struct ufrag_key {
    const uint8_t *bytes;
    size_t size;
} ufrag_key;

static bool same_ufrag(const void *owner, uint32_t value, const void *key)
{
    const kb_credentials *credentials = &((const kb_peer *)owner + value / 2)->credentials[value % 2];
    const ufrag_key *ufrag = key;
    return credentials->ufrag_bytes == ufrag->size && memcmp(credentials->ufrag, ufrag->bytes, ufrag->size) == 0;
}

static bool same_address(const void *owner, uint32_t value, const void *key)
{
    const kb_peer *peer = (const kb_peer *)owner + value / KB_PEER_TUPLES;
    return kb_address_same(&peer->tuples[value % KB_PEER_TUPLES].address, key);
}

/* Words instead of octets, as this runs per packet; the multiplication spreads what the seed has hidden. */
uint64_t kb_peer_hash_address(const kb_plane *plane, const kb_address *address)
{
    uint64_t words[2];
    uint32_t rest;
    memcpy(words, address->ip, sizeof words);
    memcpy(&rest, &address->port, sizeof rest);
    uint64_t hash = plane->by_address.seed;
    for (int i = 0; i < 3; i++) {
        hash = (hash ^ (i < 2 ? words[i] : rest)) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    return hash;
}

static uint32_t index_of(const kb_peer *peer)
{
    return kb_handle_index(peer->handle);
}

kb_peer *kb_peer_by_ufrag(kb_plane *plane, const uint8_t *ufrag, size_t bytes, int *which)
{
    ufrag_key key = {ufrag, bytes};
    uint32_t found = kb_index_find(&plane->by_ufrag, kb_index_hash(&plane->by_ufrag, ufrag, bytes), same_ufrag,
                                   plane->peers, &key);
    if (found == KB_INDEX_NONE)
        return NULL;
    *which = (int)(found % 2);
    return &plane->peers[found / 2];
}

kb_peer *kb_peer_by_address(kb_plane *plane, const kb_address *address, int *tuple)
{
    uint32_t found =
        kb_index_find(&plane->by_address, kb_peer_hash_address(plane, address), same_address, plane->peers, address);
    if (found == KB_INDEX_NONE)
        return NULL;
    *tuple = (int)(found % KB_PEER_TUPLES);
    return &plane->peers[found / KB_PEER_TUPLES];
}

void kb_peer_credentials(kb_credentials *credentials, const kb_add_peer *from)
{
    credentials->ufrag_bytes = from->ufrag_bytes;
    credentials->password_bytes = from->password_bytes;
    memcpy(credentials->ufrag, from->ufrag, sizeof credentials->ufrag);
    memcpy(credentials->password, from->password, sizeof credentials->password);
}

static uint64_t hash_ufrag(const kb_plane *plane, const kb_credentials *credentials)
{
    return kb_index_hash(&plane->by_ufrag, credentials->ufrag, credentials->ufrag_bytes);
}

static int register_ufrag(kb_plane *plane, kb_peer *peer, int at)
{
    const kb_credentials *credentials = &peer->credentials[at];
    int which;
    if (kb_peer_by_ufrag(plane, credentials->ufrag, credentials->ufrag_bytes, &which))
        return -1;
    return kb_index_add(&plane->by_ufrag, hash_ufrag(plane, credentials), index_of(peer) * 2 + (uint32_t)at);
}

static void unregister_ufrag(kb_plane *plane, kb_peer *peer, int at)
{
    if (peer->credentials[at].ufrag_bytes)
        kb_index_remove(&plane->by_ufrag, hash_ufrag(plane, &peer->credentials[at]),
                        index_of(peer) * 2 + (uint32_t)at);
    plane->config.crypto.cleanse(&peer->credentials[at], sizeof peer->credentials[at]);
}

int kb_peer_register(kb_plane *plane, kb_peer *peer)
{
    return register_ufrag(plane, peer, 0);
}

int kb_peer_restart(kb_plane *plane, kb_peer *peer, const kb_add_peer *with)
{
    /* A second restart before the first one was used: only the latest offer counts. */
    unregister_ufrag(plane, peer, 1);
    kb_credentials fresh = {0};
    int which;
    if (kb_peer_by_ufrag(plane, with->ufrag, with->ufrag_bytes, &which))
        return -1;
    kb_peer_credentials(&fresh, with);
    peer->credentials[1] = fresh;
    plane->config.crypto.cleanse(&fresh, sizeof fresh);
    if (kb_index_add(&plane->by_ufrag, hash_ufrag(plane, &peer->credentials[1]), index_of(peer) * 2 + 1) == 0)
        return 0;
    plane->config.crypto.cleanse(&peer->credentials[1], sizeof peer->credentials[1]);
    return -1;
}

void kb_peer_restarted(kb_plane *plane, kb_peer *peer)
{
    kb_credentials chosen = peer->credentials[1];
    unregister_ufrag(plane, peer, 0);
    unregister_ufrag(plane, peer, 1);
    peer->credentials[0] = chosen;
    plane->config.crypto.cleanse(&chosen, sizeof chosen);
    kb_index_add(&plane->by_ufrag, hash_ufrag(plane, &peer->credentials[0]), index_of(peer) * 2);
    KB_COUNT(plane, ice_restarts);
}

/* The tuple in use that was heard last; -1 without any. */
static int8_t latest_tuple(const kb_peer *peer)
{
    int latest = -1;
    for (int tuple = 0; tuple < KB_PEER_TUPLES; tuple++)
        if (peer->tuples[tuple].used && (latest < 0 || peer->tuples[tuple].heard_ns > peer->tuples[latest].heard_ns))
            latest = tuple;
    return (int8_t)latest;
}

/* Which way datagrams go now. */
static void note_path(kb_peer *peer)
{
    const kb_address *egress = kb_peer_egress(peer);
    kb_reading_set(&peer->readings[KB_PEER_PATH], !egress ? KB_PATH_NONE : egress->stream ? KB_PATH_TCP : KB_PATH_UDP);
}

static void count_tuples(kb_peer *peer)
{
    uint64_t count = 0;
    for (size_t i = 0; i < KB_PEER_TUPLES; i++)
        count += peer->tuples[i].used;
    kb_reading_set(&peer->readings[KB_PEER_TUPLES_USED], count);
}

void kb_peer_forget_path(kb_plane *plane, kb_peer *peer, int tuple)
{
    kb_index_remove(&plane->by_address, kb_peer_hash_address(plane, &peer->tuples[tuple].address),
                    index_of(peer) * KB_PEER_TUPLES + (uint32_t)tuple);
    peer->tuples[tuple].used = false;
    if (peer->nominated == tuple)
        peer->nominated = -1;
    if (peer->validated == tuple)
        peer->validated = latest_tuple(peer);
    count_tuples(peer);
    note_path(peer);
    if (peer->tuples[tuple].address.stream)
        kb_tcp_release(plane, peer->tuples[tuple].address.stream);
}

void kb_peer_unregister(kb_plane *plane, kb_peer *peer)
{
    for (int tuple = 0; tuple < KB_PEER_TUPLES; tuple++)
        if (peer->tuples[tuple].used)
            kb_peer_forget_path(plane, peer, tuple);
    unregister_ufrag(plane, peer, 0);
    unregister_ufrag(plane, peer, 1);
}

static int free_tuple(kb_plane *plane, kb_peer *peer)
{
    int oldest = -1;
    for (int tuple = 0; tuple < KB_PEER_TUPLES; tuple++) {
        if (!peer->tuples[tuple].used)
            return tuple;
        if (tuple != peer->nominated &&
            (oldest < 0 || peer->tuples[tuple].heard_ns < peer->tuples[oldest].heard_ns))
            oldest = tuple;
    }
    kb_peer_forget_path(plane, peer, oldest);
    KB_COUNT(plane, tuples_evicted);
    return oldest;
}

int kb_peer_validate(kb_plane *plane, kb_peer *peer, const kb_address *address, int64_t now_ns)
{
    int tuple;
    kb_peer *owner = kb_peer_by_address(plane, address, &tuple);
    if (owner && owner != peer) {
        /* A port that a NAT gave away is silent. One that is not belongs to its owner, whoever signs with another
         * password from there: the sender of a UDP packet can write any address into it. A connection has one owner. */
        if (address->stream || now_ns - owner->tuples[tuple].heard_ns < plane->config.peer_lost_ns) {
            KB_COUNT(plane, stun_conflicts);
            return -1;
        }
        kb_peer_forget_path(plane, owner, tuple);
        owner = NULL;
    }
    if (!owner) {
        tuple = free_tuple(plane, peer);
        if (kb_index_add(&plane->by_address, kb_peer_hash_address(plane, address),
                         index_of(peer) * KB_PEER_TUPLES + (uint32_t)tuple) != 0)
            return -1;
        peer->tuples[tuple] = (kb_tuple){.address = *address, .used = true, .heard_ns = now_ns};
        KB_COUNT(plane, tuples_added);
        count_tuples(peer);
    }
    peer->validated = (int8_t)tuple;
    note_path(peer);
    return tuple;
}

void kb_peer_nominate(kb_plane *plane, kb_peer *peer, int tuple)
{
    if (peer->nominated == tuple)
        return;
    peer->nominated = (int8_t)tuple;
    peer->nominations++;
    note_path(peer);
    kb_reading_set(&peer->readings[KB_PEER_NOMINATIONS], peer->nominations);
    KB_COUNT(plane, nominations);
    kb_states_peer(plane, peer);
}

void kb_peer_alive(kb_plane *plane, kb_peer *peer, int64_t now_ns)
{
    kb_peer_clock *clock = &plane->peer_clocks[index_of(peer)];
    clock->heard_ns = now_ns;
    kb_reading_set(&peer->readings[KB_PEER_LAST_HEARD_NS], (uint64_t)now_ns);
    if (clock->state != KB_LIVE) {
        clock->state = KB_LIVE;
        KB_COUNT(plane, peers_resumed);
        kb_states_peer(plane, peer);
    }
}

void kb_peer_heard(kb_plane *plane, kb_peer *peer, int tuple, bool media, int64_t now_ns)
{
    peer->tuples[tuple].heard_ns = now_ns;
    kb_peer_alive(plane, peer, now_ns);
    if (peer->nominated >= 0 && peer->nominated != tuple) {
        int64_t silent_ns = now_ns - peer->tuples[peer->nominated].heard_ns;
        if (silent_ns > (media ? MOVE_BY_MEDIA_NS : MOVE_BY_CHECK_NS))
            kb_peer_nominate(plane, peer, tuple);
    }
}
