"""The C side of the plane, as much of it as the façade and the probes touch."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "<unistd.h>" nogil:
    int usleep(unsigned int microseconds)

cdef extern from "kb_egress.h" nogil:
    ctypedef struct kb_address:
        uint8_t *ip
        uint16_t port
        uint16_t stream
    ctypedef struct kb_egress:
        pass
    kb_egress *kb_egress_new(int v4, int v6)
    void kb_egress_free(kb_egress *egress)
    uint8_t *kb_egress_claim(kb_egress *egress)
    void kb_egress_commit(kb_egress *egress, size_t size, const kb_address *to)
    void kb_egress_flush(kb_egress *egress)

cdef extern from "kb_shard.h" nogil:
    enum:
        KB_SHARDS_MOST
        KB_SHARD_PACKETS

cdef extern from "kb_framing.h" nogil:
    int kb_fuzz_framing(const uint8_t *data, size_t size)

cdef extern from "<time.h>" nogil:
    struct timespec:
        int64_t tv_sec
        long tv_nsec
    int CLOCK_THREAD_CPUTIME_ID
    int clock_gettime(int clock, timespec *now)

cdef extern from "kb_ring.h" nogil:
    ctypedef struct kb_ring:
        pass
    void *kb_ring_claim(kb_ring *ring)
    void kb_ring_publish(kb_ring *ring)
    void *kb_ring_peek(kb_ring *ring)
    void kb_ring_release(kb_ring *ring)

cdef extern from "kb_wake.h" nogil:
    ctypedef struct kb_wake:
        int read_fd
    void kb_wake_tell(const kb_wake *wake)

cdef extern from "kb_bus.h" nogil:
    enum: KB_BUS_PAYLOAD_BYTES
    const char *KB_BUS_CAPSULE
    ctypedef struct kb_bus_packet:
        int64_t at_ns
        uint32_t number
        uint32_t rtp_timestamp
        uint32_t ssrc
        uint16_t sequence
        uint16_t payload_bytes
        uint8_t audio_level
        uint8_t marker
        uint32_t delay_us
        uint8_t *payload
    ctypedef struct kb_bus:
        kb_ring to_mix
        kb_ring from_mix
        kb_wake wake
    kb_bus *kb_bus_new()
    void kb_bus_free(kb_bus *bus)

cdef extern from "kb_gcm.h" nogil:
    ctypedef struct kb_gcm_table:
        pass
    ctypedef struct kb_gcm:
        pass
    ctypedef struct kb_gcm_index:
        pass
    int kb_gcm_resolve(kb_gcm_table *table, void *handle, const char **missing)
    kb_gcm *kb_gcm_new(const kb_gcm_table *table, const uint8_t *master)
    void kb_gcm_free(kb_gcm *gcm)
    int64_t kb_gcm_take(kb_gcm_index *index, uint16_t sequence)
    bint kb_gcm_protect(kb_gcm *gcm, kb_gcm_index *index, uint8_t *packet, size_t header_bytes, int *bytes)

cdef extern from "kb_srtp_table.h" nogil:
    enum:
        KB_SRTP_AEAD_AES_128_GCM
    ctypedef struct kb_crypto:
        pass
    ctypedef struct kb_srtp_crypto_policy:
        uint32_t cipher_type
        int services
    ctypedef struct kb_srtp_policy:
        int ssrc_type
        kb_srtp_crypto_policy rtp
        kb_srtp_crypto_policy rtcp
        unsigned char *key
        unsigned long key_count
        unsigned long window_size
        int allow_repeat_tx
        kb_srtp_policy *next
    ctypedef struct kb_srtp_table:
        int (*dealloc)(void *context)
    ctypedef int kb_srtp_profile
    int kb_crypto_resolve(kb_crypto *crypto, void *handle, const char **missing)
    int kb_srtp_resolve(kb_srtp_table *table, void *handle, const char **missing)
    size_t kb_srtp_key_bytes(kb_srtp_profile profile)
    size_t kb_srtp_tag_bytes(kb_srtp_profile profile)
    void *kb_srtp_context(const kb_srtp_table *table, kb_srtp_profile profile, const uint8_t *key,
                          bint outbound)

cdef extern from "<stdlib.h>" nogil:
    void *calloc(size_t count, size_t size)
    void free(void *at)

cdef extern from "kb_plane.h" nogil:
    enum:
        KB_UFRAG_BYTES
        KB_PASSWORD_BYTES
        KB_TRACK_SSRCS
        KB_TRACK_PAYLOAD_TYPES
        KB_DATAGRAM_BYTES
        KB_MID_BYTES
        KB_CNAME_BYTES
        KB_LAYERS
        KB_CODEC_COUNT
        KB_EXT_COUNT
        KB_LAYER_READINGS
        KB_TRACK_LAYERS
    ctypedef struct kb_video_layer:
        pass
    ctypedef struct kb_video_slot:
        pass
    ctypedef struct kb_uplink:
        pass
    ctypedef struct kb_downlink:
        pass
    ctypedef struct kb_plane:
        pass
    ctypedef struct kb_plane_config:
        uint32_t max_peers
        uint32_t max_tracks
        uint32_t max_slots
        uint32_t max_connections
        int64_t peer_stalled_ns
        int64_t peer_lost_ns
        int64_t track_stalled_ns
        uint64_t seed
        uint32_t egress_threads
        uint32_t egress_packets
        bint portable
        kb_crypto crypto
        kb_srtp_table srtp
        kb_gcm_table gcm
    enum:
        KB_ADD_PEER
        KB_SET_KEYS
        KB_SEND
        KB_REMOVE_PEER
        KB_ADD_TRACK
        KB_REMOVE_TRACK
        KB_FEED_MIX
        KB_ADD_SLOT
        KB_SET_SLOT_SOURCE
        KB_REMOVE_SLOT
        KB_LIMIT_SLOT
        KB_RESTART_ICE
    ctypedef struct kb_add_peer:
        uint32_t rtcp_ssrc
        uint16_t ufrag_bytes
        uint16_t password_bytes
        uint8_t *ufrag
        uint8_t *password
    ctypedef struct kb_set_keys:
        void *receive
        void *transmit
        kb_gcm *gcm
        uint8_t tag_bytes
    ctypedef struct kb_payload_type:
        uint8_t number
        uint8_t codec
        uint8_t rtx
    ctypedef struct kb_add_track:
        uint32_t peer
        uint32_t clock_rate
        uint32_t *ssrcs
        uint32_t *rtx_ssrcs
        kb_video_layer *video
        kb_uplink *up
        kb_payload_type *payload_types
        uint8_t ssrc_count
        uint8_t payload_type_count
        uint8_t kind
        uint8_t layers
        uint8_t rid_count
        uint8_t mid_bytes
        uint8_t *rid_bytes
        uint8_t *ids
        uint8_t *mid
        uint8_t (*rids)[16]
        bint nack
        bint pli
        bint transport_cc
        bint remb
    ctypedef struct kb_add_slot:
        uint32_t peer
        uint32_t ssrc
        uint32_t rtx_ssrc
        uint32_t clock_rate
        uint32_t first_timestamp
        uint16_t first_sequence
        uint16_t first_rtx_sequence
        kb_video_slot *video
        kb_downlink *down
        kb_payload_type *payload_types
        uint8_t payload_type_count
        uint8_t kind
        uint8_t mid_bytes
        uint8_t cname_bytes
        uint8_t *ids
        uint8_t *mid
        char *cname
        bint nack
    ctypedef struct kb_limit_slot:
        uint8_t layer
        bint paused
    ctypedef struct kb_command:
        uint32_t kind
        uint32_t handle
        kb_add_peer add_peer "with.add_peer"
        kb_set_keys set_keys "with.set_keys"
        kb_add_track add_track "with.add_track"
        kb_add_slot add_slot "with.add_slot"
        kb_limit_slot limit_slot "with.limit_slot"
        kb_add_peer restart "with.restart"
        uint32_t number "with.number"
        uint32_t datagram_bytes "with.datagram.bytes"
        uint8_t *datagram_data "with.datagram.data"
    enum:
        KB_DTLS_RECEIVED
    ctypedef struct kb_event:
        uint32_t kind
        uint32_t handle
        uint32_t bytes
        uint8_t *data
    enum:
        KB_COUNTER_COUNT
        KB_PEER_READINGS
        KB_TRACK_READINGS
        KB_SLOT_READINGS
    ctypedef struct kb_sockets:
        int v4
        int v6
        int tcp_v4
        int tcp_v6
    kb_plane *kb_plane_new(const kb_sockets *sockets, kb_bus *bus, const kb_plane_config *config)
    void kb_plane_free(kb_plane *plane)
    int kb_plane_start(kb_plane *plane)
    void kb_plane_stop(kb_plane *plane)
    void kb_plane_turn(kb_plane *plane, int timeout_ms)
    void kb_plane_set_clock(kb_plane *plane, int64_t now_ns)
    uint64_t kb_plane_submit(kb_plane *plane, const kb_command *command)
    uint64_t kb_plane_applied(const kb_plane *plane)
    uint64_t kb_plane_released(const kb_plane *plane)
    int kb_plane_event_fd(const kb_plane *plane)
    void kb_plane_acknowledge(kb_plane *plane)
    bint kb_plane_poll(kb_plane *plane, kb_event *event)
    uint64_t kb_plane_counter(const kb_plane *plane, int counter)
    const char *kb_counter_name(int counter)
    const char *kb_plane_scheduling(const kb_plane *plane)
    const char *kb_plane_egress_scheduling(const kb_plane *plane)
    int64_t kb_plane_cpu_ns(kb_plane *plane)
    int64_t kb_plane_egress_cpu_ns(const kb_plane *plane, uint32_t number)
    int64_t kb_plane_now_ns(const kb_plane *plane)
    uint64_t kb_plane_peer_reading(const kb_plane *plane, uint32_t handle, int reading)
    uint64_t kb_plane_track_reading(const kb_plane *plane, uint32_t handle, int reading)
    uint64_t kb_plane_slot_reading(const kb_plane *plane, uint32_t handle, int reading)

cdef extern from "kb_remap.h" nogil:
    ctypedef struct kb_remap:
        pass
    ctypedef struct kb_remap_in:
        uint32_t ssrc
        uint32_t timestamp
        uint16_t sequence
        bint nominal
        bint aligned
        int64_t at_ns
    ctypedef struct kb_remap_out:
        uint32_t timestamp
        uint16_t sequence
        bint rebased
    void kb_remap_init(kb_remap *remap, uint32_t clock_rate, uint16_t first_sequence,
                       uint32_t first_timestamp)
    void kb_remap_switch(kb_remap *remap)
    int kb_remap_next(kb_remap *remap, const kb_remap_in *packet, kb_remap_out *out)

cdef extern from "kb_stun.h" nogil:
    int kb_fuzz_stun(const uint8_t *data, size_t size)

cdef extern from "kb_rtp.h" nogil:
    ctypedef struct kb_rtp:
        uint32_t timestamp
        uint32_t ssrc
        uint16_t sequence
        uint16_t header_bytes
        uint8_t payload_type
        bint marker
        bint padded
    enum: KB_EXT_MID
    enum: KB_EXT_LEVEL
    ctypedef struct kb_extension_ids:
        uint8_t *kind
    ctypedef struct kb_rtp_extensions:
        uint16_t mask
        uint16_t *at
        uint8_t *bytes
    int kb_rtp_parse(const uint8_t *data, size_t size, kb_rtp *out)
    int kb_rtp_payload_bytes(const uint8_t *data, size_t size, const kb_rtp *rtp)
    int kb_rtp_extensions_parse(const uint8_t *data, const kb_rtp *rtp,
                                const kb_extension_ids *ids, kb_rtp_extensions *out)
    int kb_fuzz_demux(const uint8_t *data, size_t size)
    int kb_fuzz_rtp(const uint8_t *data, size_t size)

cdef extern from "kb_codec.h" nogil:
    ctypedef int kb_codec
    ctypedef struct kb_frame_info:
        bint key
        bint long_picture
        uint8_t picture_at
        uint8_t tl0_at
        uint16_t picture
        uint8_t tl0
    void kb_codec_read(int codec, const uint8_t *payload, size_t size, kb_frame_info *out)
    int kb_fuzz_codec(const uint8_t *data, size_t size)

cdef extern from "kb_red.h" nogil:
    int kb_fuzz_red(const uint8_t *data, size_t size)

cdef extern from "kb_twcc.h" nogil:
    int kb_fuzz_twcc(const uint8_t *data, size_t size)

cdef extern from "kb_loss.h" nogil:
    ctypedef struct kb_loss:
        bint gave_up
    bint kb_loss_receive(kb_loss *loss, uint16_t sequence, bint key)
    size_t kb_loss_due(kb_loss *loss, int64_t now_ns, int64_t rtt_ns, uint16_t *out, size_t room)

cdef extern from "kb_rtcp.h" nogil:
    ctypedef struct kb_rtcp_block:
        uint32_t ssrc
        uint8_t fraction_lost
        int lost "lost"
        uint32_t highest_sequence
        uint32_t jitter
    int kb_rtcp_check(const uint8_t *data, size_t size)
    int kb_fuzz_rtcp(const uint8_t *data, size_t size)

cdef extern from "kb_reception.h" nogil:
    ctypedef struct kb_reception:
        pass
    void kb_reception_receive(kb_reception *reception, uint16_t sequence, uint32_t timestamp,
                              uint32_t clock_rate, int64_t now_ns)
    void kb_reception_report(kb_reception *reception, kb_rtcp_block *out)
