# cython: language_level=3
"""The plane's C code as Python calls: types are checked in plane.py, pointers stay here."""

import socket

from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memset


cdef void _free_bus(object capsule) noexcept:
    kb_bus_free(<kb_bus *>PyCapsule_GetPointer(capsule, KB_BUS_CAPSULE))


def new_bus():
    """A fresh bus in a capsule: whoever holds the capsule keeps it alive."""
    cdef kb_bus *bus = kb_bus_new()
    if bus == NULL:
        raise MemoryError
    return PyCapsule_New(bus, KB_BUS_CAPSULE, _free_bus)


cdef void _fill_types(kb_payload_type *out, list payload_types) except *:
    for i in range(len(payload_types)):
        number, codec, rtx = payload_types[i]
        out[i].number = number
        out[i].codec = codec
        out[i].rtx = rtx


cdef class PlaneCore:
    """Owns the plane and every SRTP context given to it. One caller at a time: plane.py locks."""

    cdef kb_plane *_plane
    cdef kb_plane_config _config
    cdef object _bus
    cdef object _contexts   # peer handle -> (receive, transmit, gcm), addresses as integers
    cdef object _retired    # [(command number, receive, transmit, gcm)], in order
    cdef bint _has_gcm
    cdef object _memory     # (kind, handle) -> what the plane uses for its video, an address
    cdef object _unused     # [(command number, memory)], in order

    def __cinit__(self, tuple sockets, object bus, uintptr_t srtp, uintptr_t crypto, *,
                  uint32_t max_peers, uint32_t max_tracks, uint32_t max_slots,
                  uint32_t max_connections, int64_t peer_stalled_ns, int64_t peer_lost_ns,
                  int64_t track_stalled_ns, uint64_t seed, bint portable,
                  uint32_t egress_threads, uint32_t egress_packets):
        """`sockets` are the descriptors of kb_sockets, −1 = none."""
        cdef const char *missing = NULL
        cdef kb_sockets opened
        self._contexts = {}
        self._retired = []
        self._memory = {}
        self._unused = []
        self._bus = bus
        if kb_crypto_resolve(&self._config.crypto, <void *>crypto, &missing) or \
                kb_srtp_resolve(&self._config.srtp, <void *>srtp, &missing):
            raise LookupError(missing.decode("ascii"))
        # An OpenSSL without EVP's ciphers leaves all of SRTP to libsrtp.
        self._has_gcm = kb_gcm_resolve(&self._config.gcm, <void *>crypto, &missing) == 0
        self._config.max_peers = max_peers
        self._config.max_tracks = max_tracks
        self._config.max_slots = max_slots
        self._config.max_connections = max_connections
        self._config.peer_stalled_ns = peer_stalled_ns
        self._config.peer_lost_ns = peer_lost_ns
        self._config.track_stalled_ns = track_stalled_ns
        self._config.seed = seed
        self._config.portable = portable
        self._config.egress_threads = egress_threads
        self._config.egress_packets = egress_packets
        opened.v4, opened.v6, opened.tcp_v4, opened.tcp_v6 = sockets
        self._plane = kb_plane_new(
            &opened, <kb_bus *>PyCapsule_GetPointer(bus, KB_BUS_CAPSULE), &self._config
        )
        if self._plane == NULL:
            raise MemoryError("the plane got no memory or no descriptors")

    def __dealloc__(self):
        if self._plane != NULL:
            with nogil:
                kb_plane_stop(self._plane)
            kb_plane_free(self._plane)
        for contexts in self._contexts.values():
            self._destroy(*contexts)
        for _, *contexts in self._retired:
            self._destroy(*contexts)
        for memory in self._memory.values():
            free(<void *><uintptr_t>memory)
        for _, memory in self._unused:
            free(<void *><uintptr_t>memory)

    def _destroy(self, uintptr_t receive, uintptr_t transmit, uintptr_t gcm):
        # libsrtp wipes the keys before it frees them.
        if receive:
            self._config.srtp.dealloc(<void *>receive)
        if transmit:
            self._config.srtp.dealloc(<void *>transmit)
        kb_gcm_free(<kb_gcm *>gcm)

    cdef uint64_t _submit(self, const kb_command *command, int tries) noexcept nogil:
        # Full only while the plane is 1024 commands behind, which takes it about a millisecond.
        cdef uint64_t number = kb_plane_submit(self._plane, command)
        while number == 0 and tries > 0:
            usleep(500)
            tries -= 1
            number = kb_plane_submit(self._plane, command)
        return number

    cdef uint64_t _order(self, const kb_command *command) except 0:
        cdef uint64_t number
        with nogil:
            number = self._submit(command, 2000)
        if number == 0:
            raise TimeoutError("the plane takes no commands")
        return number

    def start(self):
        """Starts the thread. OSError when the system refuses one."""
        cdef int status = kb_plane_start(self._plane)
        if status:
            raise OSError(status, "the plane thread did not start")

    def stop(self):
        with nogil:
            kb_plane_stop(self._plane)

    def turn(self, int64_t now_ns):
        """One turn at a fixed time; the caller has made sure that no thread runs."""
        kb_plane_set_clock(self._plane, now_ns)
        with nogil:
            kb_plane_turn(self._plane, 0)

    def add_peer(self, uint32_t handle, bytes ufrag, bytes password, uint32_t rtcp_ssrc):
        cdef kb_command command
        memset(&command, 0, sizeof(command))
        command.kind = KB_ADD_PEER
        command.handle = handle
        command.add_peer.rtcp_ssrc = rtcp_ssrc
        command.add_peer.ufrag_bytes = <uint16_t>len(ufrag)
        command.add_peer.password_bytes = <uint16_t>len(password)
        memcpy(command.add_peer.ufrag, <const char *>ufrag, len(ufrag))
        memcpy(command.add_peer.password, <const char *>password, len(password))
        self._order(&command)

    def set_keys(self, uint32_t handle, int profile, bytes transmit, bytes receive):
        """False when libsrtp refuses the keys."""
        cdef kb_command command
        cdef void *transmits = kb_srtp_context(&self._config.srtp, profile, transmit, True)
        cdef void *receives = kb_srtp_context(&self._config.srtp, profile, receive, False)
        cdef kb_gcm *gcm = NULL
        if self._has_gcm and profile == KB_SRTP_AEAD_AES_128_GCM:
            gcm = kb_gcm_new(&self._config.gcm, transmit)
        if transmits == NULL or receives == NULL:
            self._destroy(<uintptr_t>receives, <uintptr_t>transmits, <uintptr_t>gcm)
            return False
        memset(&command, 0, sizeof(command))
        command.kind = KB_SET_KEYS
        command.handle = handle
        command.set_keys.receive = receives
        command.set_keys.transmit = transmits
        command.set_keys.gcm = gcm
        command.set_keys.tag_bytes = <uint8_t>kb_srtp_tag_bytes(profile)
        self._contexts[handle] = (<uintptr_t>receives, <uintptr_t>transmits, <uintptr_t>gcm)
        self._order(&command)
        return True

    def send(self, uint32_t handle, const uint8_t[::1] datagram):
        """False when the ring is full: the sender of DTLS sends again."""
        cdef kb_command command
        command.kind = KB_SEND
        command.handle = handle
        command.datagram_bytes = <uint32_t>datagram.shape[0]
        if datagram.shape[0]:
            memcpy(command.datagram_data, &datagram[0], datagram.shape[0])
        return self._submit(&command, 0) != 0

    def remove_peer(self, uint32_t handle):
        cdef kb_command command
        command.kind = KB_REMOVE_PEER
        command.handle = handle
        number = self._order(&command)
        contexts = self._contexts.pop(handle, None)
        if contexts is not None:
            self._retired.append((number, *contexts))
        self.release("up", handle, number)
        self.release("down", handle, number)
        return number

    def reap(self):
        """Frees the contexts of peers whose removal is applied and that no thread uses any more."""
        cdef uint64_t released = kb_plane_released(self._plane)
        while self._retired and self._retired[0][0] <= released:
            _, *contexts = self._retired.pop(0)
            self._destroy(*contexts)
        while self._unused and self._unused[0][0] <= released:
            free(<void *><uintptr_t>self._unused.pop(0)[1])

    cdef void *_allocate(self, object key, size_t count, size_t size) except NULL:
        # Zeroed pages cost nothing until packets touch them.
        cdef void *memory = calloc(count, size)
        if memory == NULL:
            raise MemoryError
        self._memory[key] = <uintptr_t>memory
        return memory

    def release(self, str kind, uint32_t handle, uint64_t number):
        """Frees what a track, slot or peer used, once the command with this number released it."""
        memory = self._memory.pop((kind, handle), None)
        if memory is not None:
            self._unused.append((number, memory))

    def restart_ice(self, uint32_t handle, bytes ufrag, bytes password):
        cdef kb_command command
        memset(&command, 0, sizeof(command))
        command.kind = KB_RESTART_ICE
        command.handle = handle
        command.restart.ufrag_bytes = <uint16_t>len(ufrag)
        command.restart.password_bytes = <uint16_t>len(password)
        memcpy(command.restart.ufrag, <const char *>ufrag, len(ufrag))
        memcpy(command.restart.password, <const char *>password, len(password))
        self._order(&command)

    def add_track(self, uint32_t handle, uint32_t peer, *, int kind, uint32_t clock_rate,
                  bytes mid, list payload_types, bytes ids, list ssrcs, list rtx_ssrcs, list rids,
                  bint nack, bint pli, bint transport_cc, bint remb):
        """`payload_types` are (number, codec, rtx); `ids` has one byte per kind of extension."""
        cdef kb_command command
        memset(&command, 0, sizeof(command))
        command.kind = KB_ADD_TRACK
        command.handle = handle
        command.add_track.peer = peer
        command.add_track.kind = <uint8_t>kind
        command.add_track.clock_rate = clock_rate
        command.add_track.mid_bytes = <uint8_t>len(mid)
        memcpy(command.add_track.mid, <const char *>mid, len(mid))
        memcpy(command.add_track.ids, <const char *>ids, len(ids))
        command.add_track.ssrc_count = <uint8_t>len(ssrcs)
        for i in range(len(ssrcs)):
            command.add_track.ssrcs[i] = ssrcs[i]
            command.add_track.rtx_ssrcs[i] = rtx_ssrcs[i]
        _fill_types(command.add_track.payload_types, payload_types)
        command.add_track.payload_type_count = <uint8_t>len(payload_types)
        command.add_track.rid_count = <uint8_t>len(rids)
        for i in range(len(rids)):
            command.add_track.rid_bytes[i] = <uint8_t>len(rids[i])
            memcpy(command.add_track.rids[i], <const char *>rids[i], len(rids[i]))
        layers = 1
        if kind:
            layers = len(rids) or min(max(len(ssrcs), 1), KB_LAYERS)
            command.add_track.video = <kb_video_layer *>self._allocate(
                ("track", handle), layers, sizeof(kb_video_layer)
            )
            if transport_cc and ("up", peer) not in self._memory:
                command.add_track.up = <kb_uplink *>self._allocate(
                    ("up", peer), 1, sizeof(kb_uplink)
                )
        command.add_track.layers = <uint8_t>layers
        command.add_track.nack = nack
        command.add_track.pli = pli
        command.add_track.transport_cc = transport_cc
        command.add_track.remb = remb
        self._order(&command)

    def add_slot(self, uint32_t handle, uint32_t peer, *, int kind, uint32_t ssrc,
                 uint32_t rtx_ssrc, uint32_t clock_rate, list payload_types, bytes mid, bytes ids,
                 bytes cname, bint nack, uint16_t first_sequence, uint16_t first_rtx_sequence,
                 uint32_t first_timestamp):
        """`payload_types` are (number, codec, rtx); `ids` has one byte per kind of extension."""
        cdef kb_command command
        memset(&command, 0, sizeof(command))
        command.kind = KB_ADD_SLOT
        command.handle = handle
        command.add_slot.peer = peer
        command.add_slot.kind = <uint8_t>kind
        command.add_slot.ssrc = ssrc
        command.add_slot.rtx_ssrc = rtx_ssrc
        command.add_slot.clock_rate = clock_rate
        _fill_types(command.add_slot.payload_types, payload_types)
        command.add_slot.payload_type_count = <uint8_t>len(payload_types)
        command.add_slot.mid_bytes = <uint8_t>len(mid)
        memcpy(command.add_slot.mid, <const char *>mid, len(mid))
        memcpy(command.add_slot.ids, <const char *>ids, len(ids))
        command.add_slot.cname_bytes = <uint8_t>len(cname)
        memcpy(command.add_slot.cname, <const char *>cname, len(cname))
        command.add_slot.nack = nack
        command.add_slot.first_sequence = first_sequence
        command.add_slot.first_rtx_sequence = first_rtx_sequence
        command.add_slot.first_timestamp = first_timestamp
        if kind:
            command.add_slot.video = <kb_video_slot *>self._allocate(
                ("slot", handle), 1, sizeof(kb_video_slot)
            )
            if ("down", peer) not in self._memory:
                command.add_slot.down = <kb_downlink *>self._allocate(
                    ("down", peer), 1, sizeof(kb_downlink)
                )
        self._order(&command)

    def limit_slot(self, uint32_t handle, uint8_t layer, bint paused):
        cdef kb_command command
        command.kind = KB_LIMIT_SLOT
        command.handle = handle
        command.limit_slot.layer = layer
        command.limit_slot.paused = paused
        self._order(&command)

    cdef uint64_t _order_number(self, uint32_t kind, uint32_t handle, uint32_t number) except 0:
        cdef kb_command command
        command.kind = kind
        command.handle = handle
        command.number = number
        return self._order(&command)

    def remove_track(self, uint32_t handle):
        return self._order_number(KB_REMOVE_TRACK, handle, 0)

    def feed_mix(self, uint32_t handle, uint32_t source):
        self._order_number(KB_FEED_MIX, handle, source)

    def set_slot_source(self, uint32_t handle, uint32_t track):
        self._order_number(KB_SET_SLOT_SOURCE, handle, track)

    def remove_slot(self, uint32_t handle):
        return self._order_number(KB_REMOVE_SLOT, handle, 0)

    def wait_applied(self, uint64_t number, double timeout_s):
        """False when the command is not applied in time."""
        cdef int64_t left_us = <int64_t>(timeout_s * 1e6)
        with nogil:
            while kb_plane_applied(self._plane) < number and left_us > 0:
                usleep(100)
                left_us -= 100
        return kb_plane_applied(self._plane) >= number

    def released(self):
        return kb_plane_released(self._plane)

    def event_fd(self):
        return kb_plane_event_fd(self._plane)

    def poll(self):
        """[(kind, handle, datagram)]; the datagram is empty except for KB_DTLS_RECEIVED."""
        cdef kb_event event
        events = []
        kb_plane_acknowledge(self._plane)
        while kb_plane_poll(self._plane, &event):
            events.append((event.kind, event.handle, (<char *>event.data)[:event.bytes]))
        return events

    def counters(self):
        return {
            kb_counter_name(i).decode("ascii"): kb_plane_counter(self._plane, i)
            for i in range(KB_COUNTER_COUNT)
        }

    def scheduling(self):
        return kb_plane_scheduling(self._plane).decode("ascii")

    def egress_scheduling(self):
        return kb_plane_egress_scheduling(self._plane).decode("ascii")

    def cpu_ns(self):
        return kb_plane_cpu_ns(self._plane)

    def egress_cpu_ns(self):
        return [
            kb_plane_egress_cpu_ns(self._plane, i) for i in range(self._config.egress_threads)
        ]

    def now_ns(self):
        return kb_plane_now_ns(self._plane)

    def peer_readings(self, uint32_t handle):
        return [kb_plane_peer_reading(self._plane, handle, i) for i in range(KB_PEER_READINGS)]

    def track_readings(self, uint32_t handle):
        return [kb_plane_track_reading(self._plane, handle, i) for i in range(KB_TRACK_READINGS)]

    def slot_readings(self, uint32_t handle):
        return [kb_plane_slot_reading(self._plane, handle, i) for i in range(KB_SLOT_READINGS)]


LIMITS = {
    "ufrag_bytes": KB_UFRAG_BYTES,
    "password_bytes": KB_PASSWORD_BYTES,
    "mid_bytes": KB_MID_BYTES,
    "cname_bytes": KB_CNAME_BYTES,
    "track_ssrcs": KB_TRACK_SSRCS,
    "track_payload_types": KB_TRACK_PAYLOAD_TYPES,
    "datagram_bytes": KB_DATAGRAM_BYTES,
    "layers": KB_LAYERS,
    "codecs": KB_CODEC_COUNT,
    "extensions": KB_EXT_COUNT,
    "layer_readings": KB_LAYER_READINGS,
    "track_layers": KB_TRACK_LAYERS,
    "egress_threads": KB_SHARDS_MOST,
    "egress_packets": KB_SHARD_PACKETS,
}


# --- For tests and benchmarks ---------------------------------------------------------------------


cdef class BusProbe:
    """The mixer's end of a bus, driven by hand."""

    cdef kb_bus *_bus
    cdef object _capsule

    def __cinit__(self, object capsule):
        self._capsule = capsule
        self._bus = <kb_bus *>PyCapsule_GetPointer(capsule, KB_BUS_CAPSULE)

    def put(self, uint32_t track, bytes payload, *, uint32_t rtp_timestamp, int64_t at_ns,
            uint8_t audio_level=0x7f, bint marker=False, bint wake=True, uint32_t delay_us=0):
        """Writes a packet as the mixer does; False when the ring is full."""
        cdef kb_bus_packet *packet = <kb_bus_packet *>kb_ring_claim(&self._bus.from_mix)
        if packet == NULL:
            return False
        if len(payload) > KB_BUS_PAYLOAD_BYTES:
            raise ValueError("a bus packet holds no more")
        packet.at_ns = at_ns
        packet.number = track
        packet.rtp_timestamp = rtp_timestamp
        packet.payload_bytes = <uint16_t>len(payload)
        packet.audio_level = audio_level
        packet.marker = marker
        packet.delay_us = delay_us
        memcpy(packet.payload, <const char *>payload, len(payload))
        kb_ring_publish(&self._bus.from_mix)
        if wake:
            self.wake()
        return True

    def wake(self):
        kb_wake_tell(&self._bus.wake)

    def take(self):
        """Everything the plane pushed, oldest first.

        [(source, sequence, timestamp, ssrc, level, marker, at_ns, delay_us, payload)]
        """
        cdef kb_bus_packet *packet
        taken = []
        while True:
            packet = <kb_bus_packet *>kb_ring_peek(&self._bus.to_mix)
            if packet == NULL:
                return taken
            taken.append((
                packet.number, packet.sequence, packet.rtp_timestamp, packet.ssrc,
                packet.audio_level, bool(packet.marker), packet.at_ns, packet.delay_us,
                (<char *>packet.payload)[:packet.payload_bytes],
            ))
            kb_ring_release(&self._bus.to_mix)


cdef class Gcm:
    """kb_gcm with the index of one SSRC, for tests."""

    cdef kb_gcm_table _table
    cdef kb_gcm *_gcm
    cdef kb_gcm_index _index

    def __cinit__(self, uintptr_t crypto, bytes master):
        cdef const char *missing = NULL
        if len(master) != 28:
            raise ValueError("16 bytes of key and 12 of salt")
        if kb_gcm_resolve(&self._table, <void *>crypto, &missing):
            raise LookupError(missing.decode("ascii"))
        self._gcm = kb_gcm_new(&self._table, master)
        if self._gcm == NULL:
            raise MemoryError

    def __dealloc__(self):
        kb_gcm_free(self._gcm)

    def protect(self, bytes packet, size_t header_bytes):
        """The packet as it goes out; None when its index must not be used."""
        cdef int size = <int>len(packet)
        if header_bytes < 12 or header_bytes > <size_t>len(packet):
            raise ValueError("a header has 12 bytes or more and lies in the packet")
        out = bytearray(packet) + bytes(16)
        cdef uint8_t[::1] view = out
        if not kb_gcm_protect(self._gcm, &self._index, &view[0], header_bytes, &size):
            return None
        return bytes(out[:size])

    def take(self, uint16_t sequence):
        """The 48-bit index, None when it is used up."""
        cdef int64_t index = kb_gcm_take(&self._index, sequence)
        return None if index < 0 else index


cdef class Remap:
    """kb_remap, for property tests."""

    cdef kb_remap _remap

    def __cinit__(self, uint32_t clock_rate, uint16_t first_sequence, uint32_t first_timestamp):
        kb_remap_init(&self._remap, clock_rate, first_sequence, first_timestamp)

    def switch(self):
        kb_remap_switch(&self._remap)

    def next(self, uint16_t sequence, uint32_t timestamp, int64_t at_ns, *, uint32_t ssrc=0,
             bint nominal=False):
        """(sequence, timestamp, rebased), or None for a late packet."""
        cdef kb_remap_in packet
        cdef kb_remap_out out
        packet.ssrc = ssrc
        packet.sequence = sequence
        packet.timestamp = timestamp
        packet.nominal = nominal
        packet.aligned = False
        packet.at_ns = at_ns
        if kb_remap_next(&self._remap, &packet, &out) != 0:
            return None
        return out.sequence, out.timestamp, bool(out.rebased)


cdef class Loss:
    """kb_loss, for tests."""

    cdef kb_loss _loss

    def __cinit__(self):
        memset(&self._loss, 0, sizeof(self._loss))

    def receive(self, uint16_t sequence, *, bint key=False):
        """False for a duplicate."""
        return bool(kb_loss_receive(&self._loss, sequence, key))

    def due(self, int64_t now_ns, int64_t rtt_ns=0):
        """(sequence numbers to ask for now, whether something was given up since the last call)."""
        cdef uint16_t[1000] out
        cdef size_t count = kb_loss_due(&self._loss, now_ns, rtt_ns, out, 1000)
        gave_up = bool(self._loss.gave_up)
        self._loss.gave_up = False
        return [out[i] for i in range(count)], gave_up


cdef class Reception:
    """kb_reception, for tests."""

    cdef kb_reception _reception

    def __cinit__(self):
        memset(&self._reception, 0, sizeof(self._reception))

    def receive(self, uint16_t sequence, uint32_t timestamp, uint32_t clock_rate, int64_t now_ns):
        kb_reception_receive(&self._reception, sequence, timestamp, clock_rate, now_ns)

    def report(self):
        """(fraction lost, lost, highest sequence, jitter)."""
        cdef kb_rtcp_block block
        kb_reception_report(&self._reception, &block)
        return block.fraction_lost, block.lost, block.highest_sequence, block.jitter


def bare_send_ns(list ports, size_t wire_bytes, int datagrams):
    """CPU ns per datagram when the kernel gets batches of unchanged bytes, to ports in turn."""
    cdef kb_address to
    cdef timespec begin, end
    cdef int i, _
    cdef size_t count = len(ports), at = 0
    cdef uint16_t[65536] numbers
    if not 0 < count <= 65536 or wire_bytes > 1500:
        raise ValueError("ports or size")
    for i in range(<int>count):
        numbers[i] = ports[i]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        egress = kb_egress_new(sender.fileno(), -1)
        if egress == NULL:
            raise MemoryError
        memset(&to, 0, sizeof(to))
        to.ip[10] = to.ip[11] = 0xff
        to.ip[12] = 127
        to.ip[15] = 1
        with nogil:
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin)
            for _ in range(datagrams):
                kb_egress_claim(egress)
                to.port = numbers[at]
                kb_egress_commit(egress, wire_bytes, &to)
                at = at + 1 if at + 1 < count else 0
            kb_egress_flush(egress)
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end)
        kb_egress_free(egress)
    return ((end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec)) / datagrams


def fuzz(str parser, bytes data):
    """Runs one parser's fuzz entry and returns its status."""
    cdef const uint8_t *at = <const uint8_t *><const char *>data
    if parser == "demux":
        return kb_fuzz_demux(at, len(data))
    if parser == "stun":
        return kb_fuzz_stun(at, len(data))
    if parser == "rtp":
        return kb_fuzz_rtp(at, len(data))
    if parser == "rtcp":
        return kb_fuzz_rtcp(at, len(data))
    if parser == "codec":
        return kb_fuzz_codec(at, len(data))
    if parser == "red":
        return kb_fuzz_red(at, len(data))
    if parser == "twcc":
        return kb_fuzz_twcc(at, len(data))
    if parser == "framing":
        return kb_fuzz_framing(at, len(data))
    raise ValueError(parser)


def read_frame(int codec, bytes payload):
    """(opens a key frame, picture id, TL0PICIDX); what is absent is None."""
    cdef kb_frame_info info
    kb_codec_read(codec, <const uint8_t *><const char *>payload, len(payload), &info)
    return (bool(info.key), info.picture if info.picture_at else None,
            info.tl0 if info.tl0_at else None)


def check_rtcp(bytes data):
    """How many packets the compound has; negative when it is malformed."""
    return kb_rtcp_check(<const uint8_t *><const char *>data, len(data))


def parse_rtp(bytes data, uint8_t mid_id=0, uint8_t level_id=0):
    """(payload type, marker, sequence, timestamp, ssrc, payload, mid, level); None if malformed."""
    cdef const uint8_t *at = <const uint8_t *><const char *>data
    cdef kb_rtp rtp
    cdef kb_rtp_extensions found
    cdef kb_extension_ids ids
    if kb_rtp_parse(at, len(data), &rtp) != 0:
        return None
    cdef int bytes_ = kb_rtp_payload_bytes(at, len(data), &rtp)
    if bytes_ < 0:
        return None
    memset(&ids, 0, sizeof(ids))
    ids.kind[mid_id] = KB_EXT_MID + 1
    ids.kind[level_id] = KB_EXT_LEVEL + 1
    ids.kind[0] = 0
    kb_rtp_extensions_parse(at, &rtp, &ids, &found)
    mid = level = None
    if found.mask & 1 << KB_EXT_MID:
        begin = found.at[KB_EXT_MID]
        mid = data[begin:begin + found.bytes[KB_EXT_MID]]
    if found.mask & 1 << KB_EXT_LEVEL:
        level = data[found.at[KB_EXT_LEVEL]]
    payload = data[rtp.header_bytes:rtp.header_bytes + bytes_]
    return (rtp.payload_type, bool(rtp.marker), rtp.sequence, rtp.timestamp, rtp.ssrc, payload, mid,
            level)


cdef extern from *:
    """
    #include <stddef.h>
    #include "kb_srtp_table.h"
    #define KB_OFFSET(field) offsetof(kb_srtp_policy, field)
    """
    size_t policy_rtp "KB_OFFSET(rtp)"
    size_t policy_rtcp "KB_OFFSET(rtcp)"
    size_t policy_key "KB_OFFSET(key)"
    size_t policy_window "KB_OFFSET(window_size)"
    size_t policy_repeat "KB_OFFSET(allow_repeat_tx)"
    size_t policy_next "KB_OFFSET(next)"


def srtp_policy_layout():
    """Size and field offsets of our copy of srtp_policy_t."""
    return {
        "size": sizeof(kb_srtp_policy),
        "rtp": policy_rtp,
        "rtcp": policy_rtcp,
        "key": policy_key,
        "window_size": policy_window,
        "allow_repeat_tx": policy_repeat,
        "next": policy_next,
    }
