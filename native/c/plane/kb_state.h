/* The plane's inside, shared by its C files only. Everything here belongs to the plane thread, except the rings,
 * what is _Atomic, and, with egress threads, what a peer's packets are protected with: the contexts and `indices`. */
#ifndef KB_STATE_H
#define KB_STATE_H

#include "kb_bucket.h"
#include "kb_downlink.h"
#include "kb_egress.h"
#include "kb_freeze.h"
#include "kb_index.h"
#include "kb_patience.h"
#include "kb_plane.h"
#include "kb_poller.h"
#include "kb_reception.h"
#include "kb_remap.h"
#include "kb_shard.h"
#include "kb_tcp.h"

#include <pthread.h>
#include <sys/socket.h>

#define KB_PEER_TUPLES 8
#define KB_PEER_STREAMS 32
#define KB_PEER_TRANSACTIONS 256 /* ten minutes of libwebrtc's checks */
#define KB_RECEIVE_BATCH 64

typedef _Atomic uint64_t kb_reading; /* one writer, relaxed */

typedef struct kb_tuple {
    kb_address address;
    bool used;
    int64_t heard_ns; /* the last authenticated datagram */
} kb_tuple;

typedef struct kb_rx_stream {
    uint32_t ssrc;
    uint32_t track; /* handle, 0 = not routed */
    uint8_t layer;
    bool repairs;   /* an RTX stream */
    bool sends_rtp; /* not only reports */
    int64_t last_ns;
    kb_reception reception;
    uint32_t reported; /* packets in `reception` at our last report */
    uint32_t last_sr;  /* middle 32 bits of its NTP time, for our next report */
    int64_t last_sr_ns;
} kb_rx_stream;

/* By seeded hashes: 256 checks in 2 kB. */
typedef struct kb_transaction {
    uint32_t id;
    uint32_t from;
} kb_transaction;

typedef struct kb_track kb_track;
typedef struct kb_slot kb_slot;

typedef struct kb_credentials {
    uint16_t ufrag_bytes; /* 0 = none */
    uint16_t password_bytes;
    uint8_t ufrag[KB_UFRAG_BYTES];
    uint8_t password[KB_PASSWORD_BYTES];
} kb_credentials;

typedef struct kb_peer {
    uint32_t handle; /* 0 = free */
    uint32_t rtcp_ssrc;
    kb_credentials credentials[2]; /* the second: after an ICE restart, until a check with it nominates */
    kb_tuple tuples[KB_PEER_TUPLES];
    int8_t nominated; /* tuple index, −1 = none */
    int8_t validated; /* the latest checked tuple, −1 = none */
    uint8_t tag_bytes;
    uint8_t stream_count;
    uint8_t last_stream;
    void *receive;
    void *transmit;
    kb_gcm *gcm; /* RTP out, retransmissions apart; NULL = `transmit` does it */
    uint8_t shard; /* of `shards`, + 1: whose `transmit` and `gcm` are; 0 = the plane's own */
    kb_bucket dtls;
    kb_bucket srtp;
    kb_bucket checks[2]; /* from strange addresses, from validated ones */
    kb_rx_stream streams[KB_PEER_STREAMS];
    kb_transaction transactions[KB_PEER_TRANSACTIONS];
    uint32_t transaction_count;
    kb_track *tracks;
    kb_slot *slots;
    uint16_t nominations;
    uint16_t transport_sequence; /* of the next packet that carries one */
    bool clock_known;
    int64_t clock_offset;        /* 32.32 s: the server's NTP time − the peer's, as its quickest reports say */
    int64_t rtt_ns;              /* as the peer last reported, 0 = unknown */
    kb_extension_ids ids;
    kb_downlink *down; /* NULL without video slots */
    kb_uplink *up;     /* NULL without a video track that has transport-wide feedback */
    kb_reading readings[KB_PEER_READINGS];
} kb_peer;

/* One encoding of a track; audio has one. */
typedef struct kb_layer {
    uint32_t ssrc; /* the stream that is heard now */
    bool has_ssrc;
    bool key_wanted; /* somebody waits for a key frame: asked again until one comes */
    int64_t key_wanted_ns;
    int64_t asked_ns; /* for a key frame, last */
    int64_t last_ns;
    /* Server time of an RTP timestamp: the quickest arrival seen, let go slowly so that it follows drift. */
    bool anchored;
    uint32_t anchor_timestamp;
    int64_t anchor_ns;
    /* The publisher's own report: tells where two layers stand on one clock. */
    uint64_t sr_ntp;
    uint32_t sr_timestamp;
    uint64_t rate_bytes; /* since the bitrate was last read */
    uint64_t steady_bps;
    kb_video_layer *video;
} kb_layer;

struct kb_track {
    uint32_t handle; /* 0 = free */
    uint32_t peer;   /* index; meaningless when injected */
    bool injected;
    bool video;
    kb_add_track setup;
    kb_layer layers[KB_LAYERS];
    uint32_t mix_source;
    uint16_t injected_sequence;
    int64_t last_ns;
    int64_t asked_ns[2]; /* the last time for a key frame of any layer, and the time before */
    int64_t rated_ns;  /* when the bitrates were last read */
    int64_t remb_ns;
    kb_bucket packets; /* of audio */
    kb_recent recent;  /* of audio that may come twice */
    kb_red_kept kept;  /* of injected audio */
    kb_slot *listeners, *last_listener; /* constant order = constant delay */
    kb_slot *waiting;                   /* slots that change to this track with its next packet, or key frame */
    kb_track *next_of_peer;
    kb_track *next_video, *previous_video;
    kb_reading readings[KB_TRACK_READINGS];
};

/* A counter of the payload or of an extension that goes on when the source changes. */
typedef struct kb_counter_map {
    uint16_t offset; /* out = in + offset */
    uint16_t last;   /* the furthest that went out */
    bool started;
} kb_counter_map;

struct kb_slot {
    uint32_t handle; /* 0 = free */
    uint32_t peer;   /* index */
    kb_add_slot setup;
    kb_payload_type types[KB_CODEC_COUNT]; /* by codec; number 0 and `has_type` false = cannot be received */
    bool has_type[KB_CODEC_COUNT];
    bool video;
    bool paused;
    bool lossy;        /* its listener misses sound: a mix is sent with copies */
    uint8_t calm;      /* reports since that say otherwise */
    bool starved;      /* the path carries not even its lowest layer */
    bool changed;      /* nothing of the present source was sent yet */
    int8_t layer;      /* sent now, −1 = none: waits for a key frame */
    uint8_t limit;     /* by what the page shows */
    uint8_t allocated; /* by what the path carries */
    uint16_t mask;     /* extensions that have an id here */
    uint16_t rtx_sequence;
    kb_remap remap;
    kb_counter_map picture, tl0, frame_number;
    kb_patience patience;
    kb_downlink *down;      /* the peer's */
    bool waits;             /* packets of the layer from `cursor` on are not sent yet */
    bool in_backlogs;
    uint16_t cursor;        /* the source's number */
    uint32_t key_timestamp; /* the source's, of the last key frame that was begun */
    int64_t key_waited_ns;  /* what its last packet waited, 0 = it did not */
    uint32_t left_waiting;  /* packets, not counted yet */
    uint64_t served;        /* when its turn was */
    kb_freeze freeze;
    kb_track *source;  /* heard now */
    kb_track *pending; /* wanted next */
    kb_slot *next, *previous;                 /* in source->listeners */
    kb_slot *next_waiting, *previous_waiting; /* in pending->waiting */
    kb_slot *next_of_peer;
    kb_slot *next_video, *previous_video;
    kb_slot *next_backlog, *previous_backlog;
    uint32_t packets; /* the report's own counts, modulo 2^32 */
    uint32_t octets;
    kb_reading readings[KB_SLOT_READINGS];
};

enum { KB_LIVE, KB_STALLED, KB_LOST };
enum { KB_TRACK_SILENT, KB_TRACK_RUNNING, KB_TRACK_QUIET };

/* Timers scan these dense arrays instead of the large structures: 4096 peers are one pass of 100 kB. */
typedef struct kb_peer_clock {
    int64_t heard_ns; /* 0 = no peer here */
    int64_t report_ns; /* next receiver report, INT64_MAX = none due */
    int32_t state;
} kb_peer_clock;

typedef struct kb_track_clock {
    int64_t last_ns; /* 0 = nothing to watch */
    int32_t state;
} kb_track_clock;

/* By slot, and in lines of their own: whoever has the peer's contexts writes here per packet. */
typedef struct kb_slot_index {
    alignas(64) kb_gcm_index index;
} kb_slot_index;

/* What went up last, per peer or track: consumer's. */
typedef struct kb_reported {
    uint32_t handle;
    uint16_t nominations;
    uint8_t state;
} kb_reported;

/* States on their way up: a word per entity, and its number in a ring at most once, so the ring never overflows. */
typedef struct kb_states {
    _Atomic uint64_t *words; /* handle << 32 | nominations << 8 | state; peers first, then tracks */
    _Atomic uint8_t *queued;
    kb_reported *reported;
    kb_ring dirty;
    uint32_t reading; /* consumer: the entity whose differences are being given out, UINT32_MAX = none */
} kb_states;

/* Tags of the poller: of a socket, listener or kb_wake its descriptor, of a connection its number. */
enum { KB_WATCH_DESCRIPTOR, KB_WATCH_LISTENER, KB_WATCH_CONNECTION };
#define KB_WATCH(kind, number) ((uint64_t)(kind) << 32 | (uint32_t)(number))

struct kb_plane {
    kb_plane_config config;
    kb_sockets sockets;
    kb_poller *poller;
    kb_wake command_wake, event_wake;
    kb_tcp tcp;
    kb_bus *bus;
    kb_egress *egress; /* STUN and DTLS, and without shards everything */
    kb_shard *shards[KB_SHARDS_MOST];
    uint32_t shard_peers[KB_SHARDS_MOST];
    uint32_t shard_count;
    bool hold; /* the rest of a picture is on its way */
    kb_slot_index *indices;
    kb_ring commands;
    kb_ring datagrams;
    kb_states states;
    bool wake_python;
    uint64_t submitted; /* control thread's */
    _Atomic uint64_t applied;
    _Atomic bool running; /* a thread owns the state */
    _Atomic bool quit;
    _Atomic int scheduling;
    pthread_t thread;
    _Atomic int64_t fixed_now_ns;
    int64_t ntp_offset_ns; /* CLOCK_REALTIME − CLOCK_MONOTONIC once, plus 1900 → 1970: one clock for all reports */
    int64_t timers_ns;
    bool injected_left; /* the ring from the mixer was not emptied in the last turn */
    bool reports_now;   /* a report is due before the next timer: a re-base, or the budget of a turn was spent */
    char cname[KB_CNAME_BYTES];
    size_t cname_bytes;

    kb_peer *peers;
    kb_track *tracks;
    kb_slot *slots;
    kb_peer_clock *peer_clocks;
    kb_track_clock *track_clocks;
    int64_t *slot_reports; /* next sender report per slot, INT64_MAX = none */
    uint32_t peer_end, track_end, slot_end; /* one past the highest index in use */
    uint32_t slot_report_from;
    kb_track *video_tracks; /* all of them: what timers walk */
    kb_slot *video_slots;
    kb_slot *backlogs; /* those with packets that wait, and some that had */
    int64_t backlogs_ns;
    int64_t downlinks_ns; /* when bandwidth was last looked at */
    kb_twcc_sample samples[KB_TWCC_SAMPLES];
    kb_index by_address; /* value = peer index × KB_PEER_TUPLES + tuple */
    kb_index by_ufrag;   /* value = peer index × 2 + which of its credentials */
    kb_bucket strange_checks;

    void *messages; /* kb_ingress.c's */
    uint8_t *receive_buffers;
    kb_reading counters[KB_COUNTER_COUNT];
};

static inline void kb_reading_add(kb_reading *reading, uint64_t amount)
{
    atomic_store_explicit(reading, atomic_load_explicit(reading, memory_order_relaxed) + amount, memory_order_relaxed);
}

static inline void kb_reading_set(kb_reading *reading, uint64_t value)
{
    atomic_store_explicit(reading, value, memory_order_relaxed);
}

#define KB_COUNT(plane, name) kb_reading_add(&(plane)->counters[KB_COUNT_##name], 1)

static inline uint32_t kb_handle_index(uint32_t handle)
{
    return handle & 0xffff;
}

/* Whether the slot's listener takes the packet together with its copies: the publisher's always, ours where they are
 * needed. */
static inline bool kb_slot_takes_red(const kb_slot *slot, const kb_media *media)
{
    return media->red && slot->has_type[KB_CODEC_RED] && (slot->lossy || !media->rtp.nominal);
}

/* How old the copies in a packet that was just mapped may be: nothing from before a source change. */
static inline unsigned kb_slot_red_within(const kb_slot *slot, const kb_media *media)
{
    uint16_t behind = (uint16_t)(slot->remap.highest - media->rtp.sequence);
    return slot->remap.since_base > behind ? (unsigned)(slot->remap.since_base - behind) : 0;
}

/* The entity with exactly this handle, or NULL. */
static inline kb_peer *kb_peer_at(kb_plane *plane, uint32_t handle)
{
    uint32_t index = kb_handle_index(handle);
    return handle && index < plane->config.max_peers && plane->peers[index].handle == handle ? &plane->peers[index]
                                                                                              : NULL;
}

static inline kb_track *kb_track_at(kb_plane *plane, uint32_t handle)
{
    uint32_t index = kb_handle_index(handle);
    return handle && index < plane->config.max_tracks && plane->tracks[index].handle == handle
               ? &plane->tracks[index]
               : NULL;
}

static inline kb_slot *kb_slot_at(kb_plane *plane, uint32_t handle)
{
    uint32_t index = kb_handle_index(handle);
    return handle && index < plane->config.max_slots && plane->slots[index].handle == handle ? &plane->slots[index]
                                                                                              : NULL;
}

/* Where datagrams to the peer go: the nominated tuple, else the last one a check validated, else NULL. */
static inline const kb_address *kb_peer_egress(const kb_peer *peer)
{
    int at = peer->nominated >= 0 ? peer->nominated : peer->validated;
    return at >= 0 ? &peer->tuples[at].address : NULL;
}

/* 32.32 NTP time of a CLOCK_MONOTONIC time. */
static inline uint64_t kb_ntp(const kb_plane *plane, int64_t now_ns)
{
    uint64_t ns = (uint64_t)(now_ns + plane->ntp_offset_ns);
    return ns / 1000000000u << 32 | ((ns % 1000000000u) << 32) / 1000000000u;
}

/* kb_commands.c */
void kb_commands_drain(kb_plane *plane, int64_t now_ns);
void kb_command_apply(kb_plane *plane, const kb_command *command, int64_t now_ns);

/* kb_outbound.c */
/* Returns 0, or −1 without memory or descriptors. */
int kb_outbound_init(kb_plane *plane);
void kb_outbound_free(kb_plane *plane);
/* Returns 0 or an errno. */
int kb_outbound_start(kb_plane *plane);
void kb_outbound_stop(kb_plane *plane);
void kb_outbound_retire(kb_plane *plane);
/* The peer has contexts: from now on, and until it leaves, they are one thread's. */
void kb_outbound_join(kb_plane *plane, kb_peer *peer);
void kb_outbound_leave(kb_plane *plane, kb_peer *peer);
/* Protects a packet that stands in a claimed buffer and sends it to the peer's path. With a slot it is that slot's own
 * SSRC. Returns its size on the wire, 0 when it must not go out. */
size_t kb_outbound_rtp(kb_plane *plane, kb_peer *peer, const kb_slot *slot, uint8_t *packet, size_t header_bytes,
                       size_t bytes);
size_t kb_outbound_rtcp(kb_plane *plane, kb_peer *peer, uint8_t *packet, size_t bytes);
/* As kb_egress_hold. */
void kb_outbound_hold(kb_plane *plane, bool more);
/* The turn is over. */
void kb_outbound_flush(kb_plane *plane);

/* Room for a packet to the peer that `kb_outbound_rtp` or `_rtcp` will send, until the next claim. */
static inline uint8_t *kb_outbound_claim(kb_plane *plane, const kb_peer *peer)
{
    return peer->shard ? kb_shard_claim(plane->shards[peer->shard - 1]) : kb_egress_claim(plane->egress);
}

/* kb_ingress.c */
/* Returns 0, or −1 without memory. */
int kb_ingress_init(kb_plane *plane);
void kb_ingress_free(kb_plane *plane);
/* Reads up to one batch from a UDP socket; returns how many datagrams there were. */
int kb_ingress_poll(kb_plane *plane, int fd, int64_t now_ns);
/* Gives the datagram to the part that understands it. */
void kb_ingress_receive(kb_plane *plane, uint8_t *data, size_t size, const kb_address *from, int64_t now_ns);

/* kb_peers.c */
/* The peer with this fragment and which of its credentials that is, or NULL. */
kb_peer *kb_peer_by_ufrag(kb_plane *plane, const uint8_t *ufrag, size_t bytes, int *which);
/* The peer and its tuple at this address, or NULL. */
kb_peer *kb_peer_by_address(kb_plane *plane, const kb_address *address, int *tuple);
/* Of a whole address, seeded. */
uint64_t kb_peer_hash_address(const kb_plane *plane, const kb_address *address);
int kb_peer_register(kb_plane *plane, kb_peer *peer);
void kb_peer_unregister(kb_plane *plane, kb_peer *peer);
/* The tuple is no way to the peer any more: datagrams go by another one. */
void kb_peer_forget_path(kb_plane *plane, kb_peer *peer, int tuple);
/* The tuple at the address, made when there is none; −1 when the address is another live peer's. */
int kb_peer_validate(kb_plane *plane, kb_peer *peer, const kb_address *address, int64_t now_ns);
/* An authenticated datagram came over the tuple: the peer lives, and egress may follow it. */
void kb_peer_heard(kb_plane *plane, kb_peer *peer, int tuple, bool media, int64_t now_ns);
/* The same without a path: it is known to live, wherever. */
void kb_peer_alive(kb_plane *plane, kb_peer *peer, int64_t now_ns);
void kb_peer_nominate(kb_plane *plane, kb_peer *peer, int tuple);
void kb_peer_credentials(kb_credentials *credentials, const kb_add_peer *from);
/* Takes these credentials besides the present ones; −1 when the fragment is in use. */
int kb_peer_restart(kb_plane *plane, kb_peer *peer, const kb_add_peer *with);
/* A check with the new credentials chose a path: the old ones go. */
void kb_peer_restarted(kb_plane *plane, kb_peer *peer);

/* kb_stun_server.c */
void kb_stun_serve(kb_plane *plane, uint8_t *data, size_t size, const kb_address *from, int64_t now_ns);

/* kb_receive.c */
void kb_receive_rtp(kb_plane *plane, kb_peer *peer, int tuple, uint8_t *data, size_t size, int64_t now_ns);
/* Whether a datagram of this SSRC may be tried: libsrtp makes a stream for every SSRC it authenticates, so the table
 * must have room before. An SSRC silent for 30 s gives way, only when its room is needed. */
bool kb_receive_may(kb_plane *plane, kb_peer *peer, uint32_t ssrc, int64_t now_ns);
/* After authentication: the table's entry, made when new. Call only after `kb_receive_may`. */
kb_rx_stream *kb_receive_stream(kb_plane *plane, kb_peer *peer, uint32_t ssrc, int64_t now_ns);

/* Copies the payload to the mixer. */
void kb_receive_mix(kb_plane *plane, kb_track *track, const kb_media *media, int64_t now_ns);

/* kb_audio.c: what a packet of sound has to tell that was not known, to the mixer and to those who listen. */
void kb_audio_receive(kb_plane *plane, kb_track *track, kb_media *media, int64_t now_ns);
/* A packet without sound (Chromium probes with such): nobody misses it. */
void kb_audio_empty(kb_track *track, const kb_media *media);

/* kb_route.c: the track of an authenticated packet, NULL = none; sets the stream's track and layer. */
kb_track *kb_route(kb_plane *plane, kb_peer *peer, kb_rx_stream *stream, const kb_rtp *rtp, const kb_media *media);

/* kb_feedback.c */
void kb_receive_rtcp(kb_plane *plane, kb_peer *peer, int tuple, uint8_t *data, size_t size, int64_t now_ns);

/* kb_reports.c */
/* Sender and receiver reports that are due, within a budget per turn. */
void kb_reports_send(kb_plane *plane, int64_t now_ns);
/* Protects and sends a compound that stands in a claimed buffer (kb_outbound_claim); false when that fails. */
bool kb_rtcp_send(kb_plane *plane, kb_peer *peer, uint8_t *packet, size_t size);

/* kb_clock.c */
/* A sender report with this NTP time came from the peer. */
void kb_clock_report(const kb_plane *plane, kb_peer *peer, uint64_t ntp, int64_t now_ns);
/* When the layer's `anchor_timestamp` was captured: CLOCK_MONOTONIC of the server. */
int64_t kb_clock_captured_ns(const kb_plane *plane, const kb_track *track, const kb_layer *layer);
/* The 8 bytes of an abs-capture-time of this track in the server's clock; false while the publisher's is unknown. */
bool kb_clock_translate(const kb_plane *plane, const kb_track *track, const uint8_t *in, uint8_t out[8]);

/* kb_send.c */
/* The slot's own packet of this media, protected and committed. `mapped` has the numbers, `again` is NULL except for a
 * retransmission. Returns the bytes on the wire, 0 when it could not be sent. */
size_t kb_slot_send(kb_plane *plane, kb_slot *slot, const kb_media *media, const kb_sent *numbers, bool again,
                    int64_t now_ns);
/* Sends again what the listener misses, within its budget. */
void kb_slot_resend(kb_plane *plane, kb_slot *slot, uint16_t sequence, int64_t now_ns);

/* About `bytes` of what tells nothing new, on the slot's RTX stream; what it weighed, 0 = it could not be sent. */
size_t kb_slot_probe(kb_plane *plane, kb_slot *slot, size_t bytes, int64_t now_ns);

/* kb_downlink.c */
/* A datagram went to the peer; `sequence` is its transport-wide number, NULL = it has none. */
void kb_downlink_sent(kb_peer *peer, const uint16_t *sequence, size_t bytes, int64_t now_ns);
/* False when the feedback is malformed. */
bool kb_downlink_feedback(kb_plane *plane, kb_peer *peer, const kb_rtcp_packet *packet, int64_t now_ns);
void kb_downlink_remb(kb_peer *peer, uint64_t bps, int64_t now_ns);
/* Divides the estimate among the peer's video slots, now: what one of them is to show has changed. */
void kb_downlink_allocate(kb_plane *plane, kb_peer *peer, int64_t now_ns);
/* Estimates, probes, layers; does nothing when it was called less than 10 ms ago. */
void kb_downlinks_run(kb_plane *plane, int64_t now_ns);

/* kb_uplink.c */
/* An authenticated packet with a transport-wide number came. */
void kb_uplink_received(kb_peer *peer, uint16_t sequence, int64_t now_ns);
/* Feedback to publishers that is due; every timer. */
void kb_uplinks_run(kb_plane *plane, int64_t now_ns);

/* kb_backlog.c */
/* Whether the packet, kept already, waits: the path of the slot's peer has had enough for now. */
bool kb_backlog_takes(kb_plane *plane, kb_slot *slot, const kb_media *media, int64_t now_ns);
/* What waits will not be sent. */
void kb_backlog_forget(kb_slot *slot);
void kb_backlog_remove_slot(kb_plane *plane, kb_slot *slot);
/* Sends what may go by now; does nothing when it was called less than 5 ms ago. */
void kb_backlogs_run(kb_plane *plane, int64_t now_ns);

/* kb_video.c */
/* Whether the publisher sends the layer: it is not seconds behind the others. */
bool kb_layer_exists(const kb_track *track, int layer);
/* What the path carries: a layer, −1 = nothing. A higher one goes on until the key frame of this one, or, `at_once`, not. */
void kb_slot_allocate(kb_plane *plane, kb_slot *slot, int target, bool at_once, int64_t now_ns);
/* The highest layer the slot may have of this track now, −1 = none. */
int kb_slot_target(const kb_slot *slot, const kb_track *track);
/* Asks the publisher for a key frame, at most every 500 ms; what is too early is asked later. */
void kb_track_ask(kb_plane *plane, kb_track *track, int layer, int64_t now_ns);
/* Asks for what the slot waits for, if it waits. */
void kb_slot_ask(kb_plane *plane, kb_slot *slot, int64_t now_ns);
void kb_slot_limit(kb_plane *plane, kb_slot *slot, const kb_limit_slot *limit, int64_t now_ns);
void kb_video_add_track(kb_plane *plane, kb_track *track);
void kb_video_remove_track(kb_plane *plane, kb_track *track);
void kb_video_add_slot(kb_plane *plane, kb_slot *slot);
void kb_video_remove_slot(kb_plane *plane, kb_slot *slot);
/* Losses to ask for, key frames to ask for again, bitrates; every timer. */
void kb_video_run(kb_plane *plane, int64_t now_ns);

/* kb_forward.c */
void kb_forward(kb_plane *plane, kb_track *track, const kb_media *media, int64_t now_ns);
/* One packet of the slot's present source and layer, with the numbers that come next. */
void kb_slot_forward(kb_plane *plane, kb_slot *slot, const kb_track *track, const kb_media *media, int64_t now_ns);
/* Nothing more is sent before a key frame. */
void kb_slot_stop(kb_slot *slot);
/* A packet without payload: it takes no number of those who listen. */
void kb_forward_empty(kb_track *track, int layer, uint16_t sequence);
/* The layer's numbers began anew: who gets it waits for a key frame. */
void kb_forward_restart(kb_track *track, int layer);
/* Reads the mixer's packets until the ring is empty or enough was sent for one turn; true when some are left. */
bool kb_forward_injected(kb_plane *plane, int64_t now_ns);
void kb_slot_set_source(kb_plane *plane, kb_slot *slot, kb_track *track, int64_t now_ns);
/* Takes the track out of every slot. */
void kb_track_abandon(kb_plane *plane, kb_track *track, int64_t now_ns);

/* kb_states.c */
int kb_states_init(kb_plane *plane);
void kb_states_free(kb_plane *plane);
void kb_states_peer(kb_plane *plane, const kb_peer *peer);
void kb_states_track(kb_plane *plane, const kb_track *track);
void kb_states_datagram(kb_plane *plane, const kb_peer *peer, const uint8_t *data, size_t size);

/* kb_timers.c */
/* The track has ended or fallen silent. */
void kb_track_quiet(kb_plane *plane, kb_track *track);
void kb_timers_run(kb_plane *plane, int64_t now_ns);

#endif
