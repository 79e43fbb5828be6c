/* The media plane: one UDP port for all peers, one thread, no Python (media-plane.md); with egress threads (kb_shard.h)
 * that one hands what goes out to them.
 *
 * Two threads meet here. The control thread (Python) calls everything below except where said; what it wants done goes
 * down as commands, what happened comes up as events. The plane's own thread calls `kb_plane_turn` for ever.
 * Handles are generation << 16 | index, never 0, and given out by the control side; a stale one costs a counter.
 */
#ifndef KB_PLANE_H
#define KB_PLANE_H

#include "kb_bus.h"
#include "kb_counters.h"
#include "kb_downlink.h"
#include "kb_gcm.h"
#include "kb_rtcp.h"
#include "kb_rtp.h"
#include "kb_srtp_table.h"
#include "kb_uplink.h"
#include "kb_video.h"

#include <stdbool.h>
#include <stdint.h>

#define KB_UFRAG_BYTES 64
#define KB_PASSWORD_BYTES 128
#define KB_TRACK_SSRCS 8
#define KB_TRACK_PAYLOAD_TYPES 16
#define KB_DATAGRAM_BYTES 1500

typedef struct kb_plane kb_plane;

/* Bound, non-blocking, on one port number; −1 = none. IPv6 ones are IPV6_V6ONLY. */
typedef struct kb_sockets {
    int v4, v6;         /* UDP */
    int tcp_v4, tcp_v6; /* listening */
} kb_sockets;

typedef struct kb_plane_config {
    uint32_t max_peers; /* each ≤ 65535 */
    uint32_t max_tracks;
    uint32_t max_slots;
    uint32_t max_connections; /* TCP; < 65535 */
    int64_t peer_stalled_ns;
    int64_t peer_lost_ns;
    int64_t track_stalled_ns;
    uint32_t egress_threads; /* protect and send, beside the plane's own; ≤ KB_SHARDS_MOST, 0 = that one does it */
    uint32_t egress_packets; /* each of them may be behind, a power of two; 0 = KB_SHARD_PACKETS */
    bool portable; /* without what only Linux has, there as everywhere else */
    uint64_t seed; /* random: hash seed and NTP-independent ids */
    kb_crypto crypto;
    kb_srtp_table srtp;
    kb_gcm_table gcm; /* control side's, and what its contexts point to; all zero = not there */
} kb_plane_config;

typedef enum kb_command_kind {
    KB_ADD_PEER = 1,
    KB_SET_KEYS,
    KB_SEND,
    KB_REMOVE_PEER,
    KB_ADD_TRACK,
    KB_REMOVE_TRACK,
    KB_FEED_MIX,
    KB_ADD_SLOT,
    KB_SET_SLOT_SOURCE,
    KB_REMOVE_SLOT,
    KB_LIMIT_SLOT,
    KB_RESTART_ICE,
} kb_command_kind;

typedef struct kb_add_peer {
    uint32_t rtcp_ssrc; /* names us in receiver reports */
    uint16_t ufrag_bytes;
    uint16_t password_bytes;
    uint8_t ufrag[KB_UFRAG_BYTES];
    uint8_t password[KB_PASSWORD_BYTES];
} kb_add_peer;

typedef struct kb_set_keys {
    void *receive; /* libsrtp contexts; the control side destroys them when the peer's removal has released them */
    void *transmit;
    kb_gcm *gcm; /* for RTP out, instead of `transmit`; NULL = by libsrtp */
    uint8_t tag_bytes;
} kb_set_keys;

typedef struct kb_payload_type {
    uint8_t number;
    uint8_t codec; /* kb_codec */
    uint8_t rtx;   /* the RTX payload type whose apt is this one, 0 = none */
} kb_payload_type;

enum { KB_KIND_AUDIO, KB_KIND_VIDEO };

typedef struct kb_add_track {
    uint32_t peer; /* 0 = injected: filled from the bus */
    uint32_t clock_rate;
    uint32_t ssrcs[KB_TRACK_SSRCS];     /* with simulcast by SSRC: lowest layer first */
    uint32_t rtx_ssrcs[KB_TRACK_SSRCS]; /* of the same stream, 0 = none */
    kb_video_layer *video;              /* `layers` of them, NULL for audio */
    kb_uplink *up;                      /* the peer's, with its first track that needs it, else NULL */
    kb_payload_type payload_types[KB_TRACK_PAYLOAD_TYPES];
    uint8_t ssrc_count;
    uint8_t payload_type_count; /* 0 = any */
    uint8_t kind;
    uint8_t layers;    /* 1 … KB_LAYERS */
    uint8_t rid_count; /* 0 = not told apart by rid */
    uint8_t mid_bytes;
    uint8_t rid_bytes[KB_LAYERS];
    uint8_t ids[KB_EXT_COUNT]; /* 0 = not negotiated */
    uint8_t mid[KB_MID_BYTES];
    uint8_t rids[KB_LAYERS][KB_MID_BYTES];
    bool nack, pli, transport_cc, remb;
} kb_add_track;

typedef struct kb_add_slot {
    uint32_t peer;
    uint32_t ssrc;
    uint32_t rtx_ssrc; /* 0 = none */
    uint32_t clock_rate;
    uint32_t first_timestamp;
    uint16_t first_sequence;
    uint16_t first_rtx_sequence;
    kb_video_slot *video; /* NULL for audio */
    kb_downlink *down;    /* the peer's, with its first video slot, else NULL */
    kb_payload_type payload_types[KB_CODEC_COUNT]; /* one per codec the subscriber can receive */
    uint8_t payload_type_count;
    uint8_t kind;
    uint8_t mid_bytes;
    uint8_t cname_bytes;
    uint8_t ids[KB_EXT_COUNT]; /* 0 = not negotiated */
    uint8_t mid[KB_MID_BYTES];
    char cname[KB_CNAME_BYTES];
    bool nack;
} kb_add_slot;

#define KB_ANY_LAYER 255
typedef struct kb_limit_slot {
    uint8_t layer; /* the highest that may be sent, KB_ANY_LAYER = any */
    bool paused;
} kb_limit_slot;

typedef struct kb_command {
    uint32_t kind;
    uint32_t handle;
    union {
        kb_add_peer add_peer;
        kb_set_keys set_keys;
        kb_add_track add_track;
        kb_add_slot add_slot;
        kb_limit_slot limit_slot;
        kb_add_peer restart; /* KB_RESTART_ICE: the new credentials */
        uint32_t number; /* KB_FEED_MIX: the source, 0 = none. KB_SET_SLOT_SOURCE: the track, 0 = none */
        struct {
            uint32_t bytes;
            uint8_t data[KB_DATAGRAM_BYTES];
        } datagram;
    } with;
} kb_command;

typedef enum kb_event_kind {
    KB_DTLS_RECEIVED = 1,
    KB_NOMINATED,
    KB_PEER_STALLED,
    KB_PEER_RESUMED,
    KB_PEER_LOST,
    KB_TRACK_STARTED,
    KB_TRACK_STALLED,
    KB_TRACK_RESUMED,
} kb_event_kind;

typedef struct kb_event {
    uint32_t kind;
    uint32_t handle;
    uint32_t bytes; /* of `data`, KB_DTLS_RECEIVED only */
    uint8_t data[KB_DATAGRAM_BYTES];
} kb_event;

/* The sockets are the plane's from now on. NULL without memory or descriptors: then they stay the caller's. */
kb_plane *kb_plane_new(const kb_sockets *sockets, kb_bus *bus, const kb_plane_config *config);
/* After stop. */
void kb_plane_free(kb_plane *plane);
/* Returns 0 or an errno. */
int kb_plane_start(kb_plane *plane);
/* Ends the thread, which looks at least every 20 ms, and gives the port back. Idempotent. Without the GIL. */
void kb_plane_stop(kb_plane *plane);
/* One turn of the loop: waits up to `timeout_ms`, then does all that is due. The plane thread's, or, while there is
 * none, the control thread's: tests turn by hand. */
void kb_plane_turn(kb_plane *plane, int timeout_ms);
/* Fixes the time that turns see (CLOCK_MONOTONIC, ns), for tests without a thread; 0 gives the real clock back. */
void kb_plane_set_clock(kb_plane *plane, int64_t now_ns);

/* Copies the command down, or applies it at once while no thread runs. Returns its number, or 0 when the ring is full. */
uint64_t kb_plane_submit(kb_plane *plane, const kb_command *command);
/* Every command up to this number has been applied. */
uint64_t kb_plane_applied(const kb_plane *plane);
/* And no thread of the plane uses any more what those commands took away: it may be freed, its handle used again. */
uint64_t kb_plane_released(const kb_plane *plane);
/* Readable when `kb_plane_poll` has something. */
int kb_plane_event_fd(const kb_plane *plane);
/* Clears the descriptor; call before polling. */
void kb_plane_acknowledge(kb_plane *plane);
/* Takes the next event; false when there is none. States are never lost, DTLS datagrams may be. */
bool kb_plane_poll(kb_plane *plane, kb_event *event);

uint64_t kb_plane_counter(const kb_plane *plane, enum kb_counter counter);
const char *kb_counter_name(enum kb_counter counter);
/* "fifo" or "normal" once started, else "stopped". */
const char *kb_plane_scheduling(const kb_plane *plane);
/* The same of the egress threads, the worst of them; "none" without any. */
const char *kb_plane_egress_scheduling(const kb_plane *plane);
/* CPU time of the plane thread, 0 when there is none. */
int64_t kb_plane_cpu_ns(kb_plane *plane);
/* Of an egress thread, 0 … egress_threads − 1. */
int64_t kb_plane_egress_cpu_ns(const kb_plane *plane, uint32_t number);
int64_t kb_plane_now_ns(const kb_plane *plane);

/* Readings of one peer, track or slot, from any thread; 0 while the handle is not applied yet, or gone. */
enum kb_peer_reading {
    KB_PEER_HANDLE,
    KB_PEER_PACKETS_RECEIVED,
    KB_PEER_BYTES_RECEIVED,
    KB_PEER_PACKETS_SENT,
    KB_PEER_BYTES_SENT,
    KB_PEER_UNAUTHENTICATED,
    KB_PEER_LAST_HEARD_NS, /* 0 = never */
    KB_PEER_TUPLES_USED,
    KB_PEER_NOMINATIONS,
    KB_PEER_STREAMS_USED,
    KB_PEER_PATH,   /* kb_path of the way datagrams go now */
    KB_PEER_RTT_NS, /* as one of its reports said last, 0 = unknown */
    KB_PEER_READINGS,
};
enum kb_path { KB_PATH_NONE, KB_PATH_UDP, KB_PATH_TCP };
enum kb_track_reading {
    KB_TRACK_HANDLE,
    KB_TRACK_PACKETS,
    KB_TRACK_BYTES,
    KB_TRACK_LAST_NS, /* 0 = never */
    KB_TRACK_SSRC,
    KB_TRACK_LOST, /* as int64 */
    KB_TRACK_JITTER_TICKS,
    KB_TRACK_LEVEL, /* RFC 6464 octet; 0x7f = unknown or silent */
    KB_TRACK_ENERGY, /* sum of every packet's kb_level_power, modulo 2^64 */
    KB_TRACK_LAYERS, /* KB_LAYERS × KB_LAYER_READINGS */
    KB_TRACK_READINGS = KB_TRACK_LAYERS + KB_LAYERS * 8,
};
enum kb_layer_reading {
    KB_LAYER_PACKETS,
    KB_LAYER_BITRATE, /* bit/s of payload over the last half second */
    KB_LAYER_LOST,    /* as int64; after retransmission */
    KB_LAYER_NACKS,   /* packets asked for */
    KB_LAYER_PLIS,
    KB_LAYER_KEY_FRAMES,
    KB_LAYER_RECOVERED, /* packets that came by RTX, of sound those that came only as copies */
    KB_LAYER_LAST_NS,
    KB_LAYER_READINGS,
};
enum kb_slot_reading {
    KB_SLOT_HANDLE,
    KB_SLOT_PACKETS,
    KB_SLOT_BYTES,
    KB_SLOT_LAST_NS, /* 0 = never */
    KB_SLOT_SOURCE,  /* the track that is heard now, 0 = none */
    KB_SLOT_SOURCE_CHANGES,
    KB_SLOT_FRACTION_LOST, /* of the listener's last report, 1/256 */
    KB_SLOT_LOST,          /* as int64 */
    KB_SLOT_JITTER_TICKS,
    KB_SLOT_RTT_NS, /* 0 = unknown */
    KB_SLOT_REPORTED_NS, /* 0 = never */
    KB_SLOT_LAYER,  /* sent now, + 1; 0 = none */
    KB_SLOT_WANTED, /* + 1; 0 = none */
    KB_SLOT_RETRANSMITTED,
    KB_SLOT_PLIS, /* asked for by the listener */
    KB_SLOT_ESTIMATE_BPS, /* of the listener's downlink, 0 = unknown */
    KB_SLOT_LAYER_SWITCHES,
    KB_SLOT_PICTURES, /* begun; these five as in kb_freeze.h */
    KB_SLOT_FREEZES,
    KB_SLOT_FROZEN_NS,
    KB_SLOT_PAUSES,
    KB_SLOT_PAUSED_NS,
    KB_SLOT_READINGS,
};
uint64_t kb_plane_peer_reading(const kb_plane *plane, uint32_t handle, enum kb_peer_reading reading);
uint64_t kb_plane_track_reading(const kb_plane *plane, uint32_t handle, enum kb_track_reading reading);
uint64_t kb_plane_slot_reading(const kb_plane *plane, uint32_t handle, enum kb_slot_reading reading);

#endif
