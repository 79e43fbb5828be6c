# cython: language_level=3
"""The load generator's C code as Python calls; load.py joins and reads."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t

cdef extern from "kb_srtp_table.h":
    ctypedef struct kb_srtp_table:
        pass
    ctypedef int kb_srtp_profile
    int kb_srtp_resolve(kb_srtp_table *table, void *handle, const char **missing)
    size_t kb_srtp_key_bytes(kb_srtp_profile profile)

cdef extern from "kb_load.h" nogil:
    enum:
        KB_LOAD_BUCKETS
        KB_LOAD_BUCKET_NS
    ctypedef struct kb_load:
        pass
    ctypedef struct kb_load_figures:
        uint64_t received, bytes, lost, overflowed, duplicates, failures, rtcp, sent, refused
    ctypedef struct kb_load_publication:
        const uint8_t *payloads
        const uint32_t *lengths
        uint32_t count, interval_ns, timestamp_step, ssrc
        uint8_t payload_type
        bint stamped
        uint32_t phase_ns
    ctypedef struct kb_load_packet:
        int64_t at_ns
        uint32_t timestamp
        uint16_t sequence, payload_bytes
        uint8_t *payload
    kb_load *kb_load_new(const kb_srtp_table *srtp, uint32_t capacity, uint32_t read_every_ns)
    void kb_load_free(kb_load *load)
    int kb_load_add(kb_load *load, int fd, kb_srtp_profile profile, const uint8_t *transmit,
                    const uint8_t *receive, const uint8_t *check, size_t check_bytes, bint stamped)
    void kb_load_publish(kb_load *load, int end, const kb_load_publication *publication)
    void kb_load_record(kb_load *load, int end, kb_load_packet *packets, uint32_t capacity)
    uint32_t kb_load_recorded(const kb_load *load, int end)
    int kb_load_start(kb_load *load, bint realtime)
    void kb_load_stop(kb_load *load)
    void kb_load_reset(kb_load *load)
    void kb_load_read(const kb_load *load, int end, kb_load_figures *out)
    void kb_load_delays(const kb_load *load, uint32_t *out)

BUCKET_NS = KB_LOAD_BUCKET_NS


cdef class Load:
    """Owns the sockets and contexts given to it; `close` ends them."""

    cdef kb_load *_load
    cdef object _kept
    cdef dict _recordings
    cdef int _count

    def __cinit__(self, uintptr_t srtp, uint32_t capacity, uint32_t read_every_ns=0):
        cdef kb_srtp_table table
        cdef const char *missing = NULL
        if kb_srtp_resolve(&table, <void *>srtp, &missing):
            raise RuntimeError(f"libsrtp has no {missing.decode()}")
        self._load = kb_load_new(&table, capacity, read_every_ns)
        if self._load == NULL:
            raise MemoryError
        self._kept = []
        self._recordings = {}

    def __dealloc__(self):
        self.close()

    def close(self):
        if self._load != NULL:
            with nogil:
                kb_load_free(self._load)
            self._load = NULL

    def add(self, int fd, int profile, bytes transmit, bytes receive, bytes check, *,
            bint stamped=False):
        """The number of the new end, which owns `fd` from now on."""
        cdef size_t key_bytes = kb_srtp_key_bytes(profile)
        if not key_bytes or <size_t>len(transmit) != key_bytes or <size_t>len(receive) != key_bytes:
            raise ValueError("key and salt do not fit the profile")
        end = kb_load_add(self._load, fd, profile, transmit, receive, check, len(check), stamped)
        if end < 0:
            raise RuntimeError("the load generator is full, or libsrtp refuses the keys")
        self._count += 1
        return end

    def add_plain(self, int fd, *, bint stamped=False):
        """An end that speaks RTP without SRTP, STUN or DTLS."""
        end = kb_load_add(self._load, fd, <kb_srtp_profile>0, NULL, NULL, NULL, 0, stamped)
        if end < 0:
            raise RuntimeError("the load generator is full")
        self._count += 1
        return end

    def publish(self, int end, list payloads, *, uint32_t interval_ns, uint32_t timestamp_step,
                uint32_t ssrc, uint8_t payload_type, bint stamped=False, uint32_t phase_ns=0):
        """Sends the payloads in turn, for ever, `phase_ns` after multiples of the interval."""
        cdef kb_load_publication publication
        if not 0 <= end < self._count:
            raise IndexError(end)
        if not payloads or max(map(len, payloads)) > 1500:
            raise ValueError("payloads of 1 to 1500 bytes")
        together = b"".join(payloads)
        lengths = b"".join(len(payload).to_bytes(4, "little") for payload in payloads)
        self._kept.append((together, lengths))
        publication.payloads = <const uint8_t *><char *>together
        publication.lengths = <const uint32_t *><char *>lengths
        publication.count = len(payloads)
        publication.interval_ns = interval_ns
        publication.timestamp_step = timestamp_step
        publication.ssrc = ssrc
        publication.payload_type = payload_type
        publication.stamped = stamped
        publication.phase_ns = phase_ns
        kb_load_publish(self._load, end, &publication)

    def record(self, int end, uint32_t packets):
        """From the next start on: keeps so many of the packets that the end sends or gets."""
        if not 0 <= end < self._count:
            raise IndexError(end)
        kept = bytearray(packets * sizeof(kb_load_packet))
        cdef uint8_t[::1] view = kept
        self._recordings[end] = kept
        kb_load_record(self._load, end, <kb_load_packet *>&view[0], packets)

    def recorded(self, int end):
        """[(at_ns, timestamp, sequence, payload)] in their order.

        CLOCK_REALTIME, before the send or at the kernel's arrival. The payload is zeros where the
        end sends. Nothing where nothing is recorded.
        """
        if end not in self._recordings:
            return []
        cdef uint8_t[::1] view = self._recordings[end]
        cdef kb_load_packet *packet = <kb_load_packet *>&view[0]
        found = []
        for _ in range(kb_load_recorded(self._load, end)):
            found.append((packet.at_ns, packet.timestamp, packet.sequence,
                          (<char *>packet.payload)[:packet.payload_bytes]))
            packet += 1
        return found

    def start(self, *, bint realtime=False):
        """`realtime` asks for SCHED_FIFO, and does without where it may not."""
        status = kb_load_start(self._load, realtime)
        if status:
            raise OSError(status, "the load thread does not start")

    def stop(self):
        with nogil:
            kb_load_stop(self._load)

    def reset(self):
        """Counts from here."""
        with nogil:
            kb_load_reset(self._load)

    def figures(self, int end=-1):
        """Counters of one end, or of all together."""
        cdef kb_load_figures figures
        if end >= self._count:
            raise IndexError(end)
        kb_load_read(self._load, end, &figures)
        return dict(figures)

    def delays_us(self, list quantiles):
        """Upper bounds of the quantiles (0 to 1) in µs, None without a packet; 20 µs resolution."""
        buckets = bytearray(4 * KB_LOAD_BUCKETS)
        cdef uint8_t[::1] view = buckets
        kb_load_delays(self._load, <uint32_t *>&view[0])
        counts = memoryview(buckets).cast("I").tolist()
        total = sum(counts)
        found = []
        for quantile in quantiles:
            wanted, seen, at = quantile * total, 0, None
            for index, count in enumerate(counts):
                seen += count
                if total and seen >= wanted and seen:
                    at = (index + 1) * KB_LOAD_BUCKET_NS / 1000
                    break
            found.append(at)
        return found
