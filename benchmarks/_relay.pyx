# cython: language_level=3
"""The impairment relay's C code as Python calls; relay.py has the values and checks them."""

import os
import socket

from libc.errno cimport errno
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        uint32_t s_addr
    struct sockaddr_in:
        uint16_t sin_family, sin_port
        in_addr sin_addr
    uint16_t htons(uint16_t value)

cdef extern from "kb_impair.h" nogil:
    ctypedef struct kb_impair_settings:
        double good_loss, bad_loss, good_to_bad, bad_to_good
        double reorder, duplicate, corrupt
        int64_t delay_ns, jitter_ns
        uint64_t rate_bps
        int64_t queue_ns
        uint64_t queue_bytes
        uint32_t reorder_packets, mtu_bytes
        bint blackout
    ctypedef struct kb_impair_counters:
        uint64_t received, forwarded, bytes, lost, blacked_out, too_large, queue_drops
        uint64_t duplicated, corrupted, reordered, exhausted
    ctypedef struct kb_impair_packet:
        uint32_t link, bytes
        int64_t due_ns
        uint8_t *data
    ctypedef struct kb_impair:
        pass
    kb_impair *kb_impair_new(uint64_t seed, uint32_t links, uint32_t packets)
    void kb_impair_free(kb_impair *impair)
    void kb_impair_set(kb_impair *impair, int direction, const kb_impair_settings *settings)
    const kb_impair_counters *kb_impair_count(const kb_impair *impair, int direction)
    void kb_impair_receive(kb_impair *impair, uint32_t link, const uint8_t *data, size_t bytes,
                           int64_t now_ns)
    bint kb_impair_poll(kb_impair *impair, int64_t now_ns, kb_impair_packet *out)

cdef extern from "kb_relay.h" nogil:
    enum:
        KB_RELAY_BUCKETS
        KB_RELAY_BUCKET_NS
    ctypedef struct kb_relay:
        pass
    ctypedef struct kb_relay_config:
        sockaddr_in server, listen
        uint64_t seed
        uint32_t clients, packets
    ctypedef struct kb_relay_counters:
        kb_impair_counters impair
        uint64_t refused, overruns
    kb_relay *kb_relay_new(const kb_relay_config *config)
    void kb_relay_free(kb_relay *relay)
    int kb_relay_start(kb_relay *relay)
    void kb_relay_stop(kb_relay *relay)
    uint16_t kb_relay_port(const kb_relay *relay)
    bint kb_relay_is_fifo(kb_relay *relay)
    void kb_relay_set(kb_relay *relay, int direction, const kb_impair_settings *settings)
    int kb_relay_rebind(kb_relay *relay, int client)
    uint32_t kb_relay_clients(kb_relay *relay)
    bint kb_relay_ports(kb_relay *relay, uint32_t client, uint16_t *own, uint16_t *seen)
    void kb_relay_read(kb_relay *relay, int direction, kb_relay_counters *out)
    void kb_relay_lateness(kb_relay *relay, uint32_t *out)

BUCKET_NS = KB_RELAY_BUCKET_NS


cdef int _address(sockaddr_in *out, object address) except -1:
    host, port = address
    cdef bytes packed = socket.inet_pton(socket.AF_INET, host)
    memset(out, 0, sizeof(sockaddr_in))
    out.sin_family = socket.AF_INET
    out.sin_port = htons(port)
    memcpy(&out.sin_addr.s_addr, <const char *>packed, 4)
    return 0


cdef class ImpairCore:
    """The relay's core alone, at given times. Link n is of direction n & 1."""

    cdef kb_impair *_impair
    cdef list _arrived

    def __cinit__(self, uint64_t seed, uint32_t links, uint32_t packets):
        self._impair = kb_impair_new(seed, links, packets)
        if self._impair == NULL:
            raise MemoryError
        self._arrived = [[] for _ in range(links)]

    def __dealloc__(self):
        kb_impair_free(self._impair)

    def set(self, int direction, dict settings):
        cdef kb_impair_settings made = settings
        kb_impair_set(self._impair, direction, &made)

    def receive(self, uint32_t link, bytes datagram, int64_t now_ns):
        if link >= <uint32_t>len(self._arrived):
            raise IndexError(link)
        kb_impair_receive(self._impair, link, datagram, len(datagram), now_ns)

    def arrived(self, uint32_t link, int64_t now_ns):
        """[(due_ns, datagram)] of the link until now, each told once."""
        cdef kb_impair_packet packet
        while kb_impair_poll(self._impair, now_ns, &packet):
            datagram = packet.data[:packet.bytes]
            self._arrived[packet.link].append((packet.due_ns, datagram))
        # Another link may have been asked about a later time: what is not due here yet stays.
        mine = self._arrived[link]
        self._arrived[link] = [each for each in mine if each[0] > now_ns]
        return [each for each in mine if each[0] <= now_ns]

    def counters(self, int direction):
        # A plane's tests have no kernel between: nothing is refused or overrun.
        return {**kb_impair_count(self._impair, direction)[0], "refused": 0, "overruns": 0}


cdef class RelayCore:
    """Owns the sockets and the thread. After `close` every call is a ValueError."""

    cdef kb_relay *_relay

    def __cinit__(self, object server, object listen, *, uint64_t seed, uint32_t clients,
                  uint32_t packets):
        cdef kb_relay_config config
        memset(&config, 0, sizeof(config))
        _address(&config.server, server)
        _address(&config.listen, listen)
        config.seed, config.clients, config.packets = seed, clients, packets
        self._relay = kb_relay_new(&config)
        if self._relay == NULL:
            raise OSError(errno, f"no relay at {listen}: {os.strerror(errno)}")

    def __dealloc__(self):
        self.close()

    def close(self):
        cdef kb_relay *relay = self._relay
        self._relay = NULL
        if relay != NULL:
            with nogil:
                kb_relay_free(relay)

    cdef kb_relay *_open(self) except NULL:
        if self._relay == NULL:
            raise ValueError("the relay is closed")
        return self._relay

    def start(self):
        status = kb_relay_start(self._open())
        if status:
            raise OSError(status, "the relay's thread does not start")

    @property
    def port(self):
        return kb_relay_port(self._open())

    @property
    def is_fifo(self):
        return kb_relay_is_fifo(self._open())

    def set(self, int direction, dict settings):
        cdef kb_impair_settings made = settings
        kb_relay_set(self._open(), direction, &made)

    def rebind(self, int client):
        status = kb_relay_rebind(self._open(), client)
        if status:
            raise OSError(status, "no new socket toward the server")

    def ports(self):
        """(the client's own port, the port that the server sees) per client, in order of arrival."""
        cdef uint16_t own = 0, seen = 0
        found = []
        for client in range(kb_relay_clients(self._open())):
            if kb_relay_ports(self._relay, client, &own, &seen):
                found.append((own, seen))
        return found

    def counters(self, int direction):
        cdef kb_relay_counters counters
        kb_relay_read(self._open(), direction, &counters)
        return {**counters.impair, "refused": counters.refused, "overruns": counters.overruns}

    def lateness(self):
        """How many packets left late by 0, 1, 2 … buckets of BUCKET_NS."""
        buckets = bytearray(4 * KB_RELAY_BUCKETS)
        cdef uint8_t[::1] view = buckets
        kb_relay_lateness(self._open(), <uint32_t *>&view[0])
        return memoryview(buckets).cast("I").tolist()
