/* Answers ICE connectivity checks. Nothing happens, and nothing is answered, before MESSAGE-INTEGRITY holds. */
#define _GNU_SOURCE
#include "kb_state.h"
#include "kb_stun.h"

static kb_peer *peer_of(kb_plane *plane, const kb_stun_message *message, int *which)
{
    /* USERNAME is "ours:theirs" (RFC 8445 §7.2.2). */
    const uint8_t *colon = message->username ? memchr(message->username, ':', message->username_bytes) : NULL;
    return colon ? kb_peer_by_ufrag(plane, message->username, (size_t)(colon - message->username), which)
                 : NULL;
}

/* A signature costs an HMAC, about a microsecond, and a user fragment travels in the clear. Browsers send 20 checks/s
 * while they connect and 0.4 later; over one user fragment strangers get 200/s looked at, and 10,000/s over all of them,
 * 1 to 2 % of a core. Validated addresses have their own measure, which strangers cannot use up. */
#define STRANGE_COST_NS 5000000
#define STRANGE_BURST 400
#define ALL_STRANGE_COST_NS 100000
#define ALL_STRANGE_BURST 10000
#define KNOWN_COST_NS 1000000
#define KNOWN_BURST 1000

static bool may_verify(kb_plane *plane, kb_peer *peer, bool known, int64_t now_ns)
{
    if (known)
        return kb_bucket_take(&peer->checks[1], KNOWN_COST_NS, KNOWN_BURST, now_ns);
    return kb_bucket_take(&peer->checks[0], STRANGE_COST_NS, STRANGE_BURST, now_ns) &&
           kb_bucket_take(&plane->strange_checks, ALL_STRANGE_COST_NS, ALL_STRANGE_BURST, now_ns);
}

enum { FIRST, AGAIN, ELSEWHERE };

/* A check recorded and sent again from elsewhere is signed too. Its transaction is known under another address, and
 * moving the media there is what an attacker wants. One that comes again from where it came is a retransmission: it
 * is answered and counts for the peer (there are clients that repeat one check for consent), but not for the path, or
 * whoever has one could hold the media there with it. */
static int seen_before(kb_plane *plane, kb_peer *peer, const uint8_t *transaction, const kb_address *from)
{
    uint32_t id = (uint32_t)kb_index_hash(&plane->by_ufrag, transaction, 12);
    uint32_t place = (uint32_t)kb_peer_hash_address(plane, from);
    uint32_t known = peer->transaction_count < KB_PEER_TRANSACTIONS ? peer->transaction_count : KB_PEER_TRANSACTIONS;
    for (uint32_t i = 0; i < known; i++)
        if (peer->transactions[i].id == id)
            return peer->transactions[i].from == place ? AGAIN : ELSEWHERE;
    peer->transactions[peer->transaction_count++ % KB_PEER_TRANSACTIONS] = (kb_transaction){.id = id, .from = place};
    return FIRST;
}

static void answer(kb_plane *plane, size_t bytes, const kb_address *to)
{
    if (bytes == 0)
        return;
    kb_egress_commit(plane->egress, bytes, to);
    KB_COUNT(plane, stun_answers);
}

void kb_stun_serve(kb_plane *plane, uint8_t *data, size_t size, const kb_address *from, int64_t now_ns)
{
    kb_stun_message message;
    int status = kb_stun_parse(data, size, &message);
    if (status == KB_STUN_BAD_FINGERPRINT) {
        KB_COUNT(plane, stun_bad_fingerprint);
        return;
    }
    if (status != 0) {
        KB_COUNT(plane, stun_malformed);
        return;
    }
    if (message.type != KB_STUN_BINDING_REQUEST) {
        KB_COUNT(plane, stun_ignored);
        return;
    }
    KB_COUNT(plane, stun_requests);
    int which;
    kb_peer *peer = peer_of(plane, &message, &which);
    if (!peer) {
        KB_COUNT(plane, stun_unknown_user);
        return;
    }
    int tuple;
    bool known = kb_peer_by_address(plane, from, &tuple) == peer;
    if (!may_verify(plane, peer, known, now_ns)) {
        KB_COUNT(plane, stun_limited);
        return;
    }
    const kb_crypto *crypto = &plane->config.crypto;
    const kb_credentials *signed_with = &peer->credentials[which];
    if (!kb_stun_verify(crypto, data, &message, signed_with->password, signed_with->password_bytes)) {
        KB_COUNT(plane, stun_unauthenticated);
        return;
    }
    int seen = seen_before(plane, peer, message.transaction, from);
    if (seen == ELSEWHERE) {
        KB_COUNT(plane, stun_replayed);
        return;
    }
    uint8_t *out = kb_egress_claim(plane->egress);
    if (message.unknown_count > 0) {
        KB_COUNT(plane, stun_unknown_attributes);
        answer(plane, kb_stun_error(crypto, out, &message, 420, signed_with->password, signed_with->password_bytes), from);
        return;
    }
    if (message.controlled) {
        /* A lite end is always controlled: the other one has to change (RFC 8445 §7.3.1.1). */
        KB_COUNT(plane, stun_role_conflicts);
        answer(plane, kb_stun_error(crypto, out, &message, 487, signed_with->password, signed_with->password_bytes), from);
        return;
    }
    bool repeated = seen == AGAIN && known;
    if (!repeated)
        tuple = kb_peer_validate(plane, peer, from, now_ns);
    if (tuple < 0)
        return;
    answer(plane, kb_stun_success(crypto, out, &message, from, signed_with->password, signed_with->password_bytes), from);
    if (repeated) {
        kb_peer_alive(plane, peer, now_ns);
        return;
    }
    if (message.use_candidate) {
        if (which == 1) {
            kb_peer_restarted(plane, peer);
            peer->nominated = -1; /* the same path may be chosen: that is news too */
        }
        kb_peer_nominate(plane, peer, tuple);
    }
    kb_peer_heard(plane, peer, tuple, false, now_ns);
}
