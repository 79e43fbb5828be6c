/* What is missing of one incoming stream, and when to ask for it again. Pure: time is passed in. `kb_loss` is for
 * pictures, `kb_recent` for sound, where what is a second old is of no use.
 *
 * Limits as in media-plane.md §7 (mediasoup's): 1000 packets, none older than 10,000, ten tries, 40 ms apart.
 */
#ifndef KB_LOSS_H
#define KB_LOSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KB_LOSS_ENTRIES 1000
#define KB_LOSS_TRIES 10
/* A jump this far is a restarted stream, not loss (RFC 3550 A.1). */
#define KB_LOSS_JUMP 3000
#define KB_LOSS_LEAST_NS 40000000

typedef struct kb_missing {
    int64_t asked_ns; /* 0 = not yet */
    uint16_t sequence;
    uint16_t tries;
} kb_missing;

typedef struct kb_loss {
    kb_missing missing[KB_LOSS_ENTRIES]; /* in order of sequence */
    uint32_t count;
    uint16_t highest;
    bool started;
    bool restarted; /* the numbers began anew somewhere else. The reader clears it */
    bool gave_up; /* something will never come: a key frame is needed. The reader clears it */
} kb_loss;

/* A packet arrived. `key` = it opens a key frame: what is missing before it is not worth asking for. Returns false for
 * a packet that was neither expected next nor missing: a duplicate, or one too old to be of use. */
bool kb_loss_receive(kb_loss *loss, uint16_t sequence, bool key);
/* Up to `room` sequence numbers to ask for now, at least max(rtt_ns, 40 ms) after the last time. */
size_t kb_loss_due(kb_loss *loss, int64_t now_ns, int64_t rtt_ns, uint16_t *out, size_t room);

#define KB_RECENT_PACKETS 64

/* The last packets of a stream of sound: which are here, by themselves or out of another one's copies. Zeroed memory is
 * a valid start. */
typedef struct kb_recent {
    uint64_t here; /* bit i = the packet `highest` − i */
    uint64_t asked, asked_again;
    uint16_t asked_at[KB_RECENT_PACKETS]; /* what was the highest then */
    uint32_t timestamps[KB_RECENT_PACKETS]; /* of those that are here, by the low bits of their sequence numbers */
    uint32_t before; /* the newest timestamp of what is no longer among them */
    uint32_t ssrc;
    uint16_t highest;
    uint16_t since; /* how far `highest` is past the first packet; nothing is known of what was before that */
    bool started;
} kb_recent;

typedef enum kb_recent_verdict {
    KB_RECENT_NEW,
    KB_RECENT_KNOWN, /* a copy of it was taken before */
    KB_RECENT_OLD,   /* too old to tell */
} kb_recent_verdict;

/* A packet came. Another SSRC begins anew. */
kb_recent_verdict kb_recent_receive(kb_recent *recent, uint32_t ssrc, uint16_t sequence, uint32_t timestamp);
/* A copy of a packet from before the highest came. True, and the packet is here from now on, if it is missing and its
 * timestamp lies between those of its neighbours. */
bool kb_recent_fill(kb_recent *recent, uint16_t sequence, uint32_t timestamp);
/* What to ask for now, oldest first, in `out`: what is missing and `from` … `most` packets behind the highest, once, and
 * once more `retry` packets later. from ≥ 1. Returns how many. */
size_t kb_recent_due(kb_recent *recent, unsigned from, unsigned retry, unsigned most,
                     uint16_t out[KB_RECENT_PACKETS]);

#endif
