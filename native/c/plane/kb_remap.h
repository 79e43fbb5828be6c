/* One outgoing RTP stream that never breaks, whatever source fills it (media-plane.md: slots).
 *
 * Sequence numbers go on by one and timestamps by the time that passed when the source changes, so a receiver hears a
 * switch as nothing more than other sound. Pure: time is passed in.
 */
#ifndef KB_REMAP_H
#define KB_REMAP_H

#include <stdbool.h>
#include <stdint.h>

typedef struct kb_remap {
    uint32_t clock_rate;
    bool video;   /* sources open with a key frame: nothing is left out, and a frame may follow at once */
    bool rebase;  /* the next packet opens a source */
    bool started; /* something was sent */
    bool left_out; /* the first packet of the coming source was */
    uint16_t last_sequence;
    uint32_t last_timestamp;
    int64_t last_at_ns;
    int64_t ahead_ns; /* of the stream before the clock, from the last change */
    uint32_t source_ssrc;
    uint16_t highest; /* of the source, the packet last_* belong to */
    uint16_t sequence_offset;
    uint32_t timestamp_offset;
    uint16_t since_base; /* how far `highest` is past the packet that opened the source; sticks at 0xffff */
} kb_remap;

typedef struct kb_remap_in {
    uint32_t ssrc;
    uint32_t timestamp;
    uint16_t sequence;
    bool nominal;  /* at_ns is the mixer's tick, not an arrival: elapsed time is whole 10 ms */
    int64_t at_ns;
    bool aligned;           /* `aligned_timestamp` is known: */
    uint32_t aligned_timestamp; /* what `timestamp` would be on the clock of the source before */
} kb_remap_in;

typedef struct kb_remap_out {
    uint32_t timestamp;
    uint16_t sequence;
    bool rebased; /* the first packet of a source: set the marker */
} kb_remap_out;

/* `first_sequence` below 32768: libsrtp guesses the roll-over counter from it (RFC 3711 §3.3.1). */
void kb_remap_init(kb_remap *remap, uint32_t clock_rate, uint16_t first_sequence, uint32_t first_timestamp);
/* The next packet comes from another source. */
void kb_remap_switch(kb_remap *remap);
/* Returns 0, or -1 for a packet that must not be sent: one from before the switch, whose number is taken, or the first
 * of a source when the last one of the old source has just gone. */
int kb_remap_next(kb_remap *remap, const kb_remap_in *in, kb_remap_out *out);

/* The packet after the furthest one has nothing to send: the number it would have had goes to the next one. */
void kb_remap_skip(kb_remap *remap, uint16_t sequence);

#endif
