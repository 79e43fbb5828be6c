"""The mix engine, its kernels and thin Opus classes: shapes are checked here, the work is in native/c."""

from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid, PyCapsule_New
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

import numpy as np

_COUNTERS = (
    "ticks", "late_ticks", "skipped_frames", "encodes", "encode_errors", "decodes", "row_packets",
    "dropped_packets", "source_packets", "unknown_source_packets", "busy_ns", "busy_max_ns",
    "lateness_sum_ns", "lateness_max_ns", "lateness_p99_ns", "effort", "demotions", "is_fifo",
)

include "_mixing_kernels.pxi"
include "_mixing_dynamics.pxi"
include "_mixing_opus.pxi"
include "_mixing_stream.pxi"


# ---- the bus -------------------------------------------------------------------------------------

cdef void _free_bus(object capsule) noexcept:
    kb_bus_free(<kb_bus *>PyCapsule_GetPointer(capsule, KB_BUS_CAPSULE))


def new_bus():
    """A bus as the plane makes it: a capsule that frees it with its last reference."""
    cdef kb_bus *bus = kb_bus_new()
    if bus == NULL:
        raise MemoryError
    return PyCapsule_New(bus, KB_BUS_CAPSULE, _free_bus)


cdef kb_bus *_bus_of(object capsule) except NULL:
    if not PyCapsule_IsValid(capsule, KB_BUS_CAPSULE):
        raise TypeError("bus is not a kabina.mix_bus capsule")
    return <kb_bus *>PyCapsule_GetPointer(capsule, KB_BUS_CAPSULE)


cdef class BusProbe:
    """Stands where the plane would: pushes source packets, pops row packets. One thread."""

    cdef object _capsule
    cdef kb_bus *_bus

    def __cinit__(self, bus):
        self._bus = _bus_of(bus)
        self._capsule = bus

    def push(self, bytes payload, *, uint32_t number, int64_t at_ns, uint16_t sequence, uint32_t timestamp,
             uint32_t ssrc=1, uint8_t audio_level=0x7f):
        """False when the ring is full. ValueError for a payload beyond 1456 bytes."""
        cdef const uint8_t *data = payload
        cdef size_t size = len(payload)
        if size > KB_BUS_PAYLOAD_BYTES:
            raise ValueError("a payload has at most 1456 bytes")
        cdef kb_bus_packet *packet = <kb_bus_packet *>kb_ring_claim(&self._bus.to_mix)
        if packet == NULL:
            return False
        packet.at_ns = at_ns
        packet.number = number
        packet.rtp_timestamp = timestamp
        packet.ssrc = ssrc
        packet.sequence = sequence
        packet.payload_bytes = <uint16_t>size
        packet.audio_level = audio_level
        packet.marker = 0
        packet.delay_us = 0
        memcpy(packet.payload, data, size)
        kb_ring_publish(&self._bus.to_mix)
        return True

    def pop(self):
        """(track, at_ns, timestamp, audio_level, payload) of the oldest row packet, or None."""
        cdef kb_bus_packet *packet = <kb_bus_packet *>kb_ring_peek(&self._bus.from_mix)
        if packet == NULL:
            return None
        payload = (<char *>packet.payload)[:packet.payload_bytes]
        found = (packet.number, packet.at_ns, packet.rtp_timestamp, packet.audio_level, payload)
        kb_ring_release(&self._bus.from_mix)
        return found

    @property
    def wake_fd(self):
        """The eventfd that a tick with output adds 1 to; closed with the bus."""
        return self._bus.wake.read_fd


# ---- the engine ----------------------------------------------------------------------------------

cdef class Engine:
    """The engine behind native/mixing.py. One thread at a time may call it (the GIL sees to that)."""

    cdef kb_engine *_engine
    cdef object _bus  # keeps the capsule alive as long as the engine

    def __cinit__(self, bus, uintptr_t opus_handle, int complexity, bint rides, uint32_t first_timestamp):
        cdef const char *missing = NULL
        self._bus = bus
        self._engine = kb_engine_new(
            _bus_of(bus), <void *>opus_handle, complexity, rides, first_timestamp, &missing)
        if missing != NULL:
            raise OSError(f"libopus lacks {missing.decode()}")
        if self._engine == NULL:
            raise MemoryError

    def __dealloc__(self):
        kb_engine_free(self._engine)

    cdef int _check(self, kb_status status) except -1:
        if status == KB_OK:
            return 0
        if status == KB_NO_MEMORY:
            raise MemoryError
        if status == KB_UNKNOWN:
            raise KeyError("no such source or row")
        if status == KB_NO_THREAD:
            raise OSError("no thread for the mix engine")
        raise BufferError("the mix engine is full")

    def start(self):
        self._check(kb_engine_start(self._engine))

    def stop(self):
        with nogil:
            kb_engine_stop(self._engine)

    @property
    def is_running(self):
        return bool(self._engine.is_running)

    def opus_version(self):
        return self._engine.opus.version().decode()

    def add_stream(self):
        cdef uint32_t number = 0
        self._check(kb_engine_add_stream(self._engine, &number))
        return number

    def add_clip(self, const float[::1] samples, bint loop):
        cdef uint32_t number = 0
        if samples.shape[0] == 0:
            raise ValueError("a clip has at least one sample")
        self._check(kb_engine_add_clip(self._engine, &samples[0], samples.shape[0], loop, &number))
        return number

    def play_clip(self, uint32_t source, bint playing, bint rewind):
        self._check(kb_engine_play_clip(self._engine, source, playing, rewind))

    def remove_source(self, uint32_t source):
        self._check(kb_engine_remove_source(self._engine, source))

    def add_row(self, uint32_t track, int32_t bitrate_bps, bint guarded):
        cdef uint32_t number = 0
        self._check(kb_engine_add_row(self._engine, track, bitrate_bps, guarded, &number))
        return number

    def remove_row(self, uint32_t row):
        self._check(kb_engine_remove_row(self._engine, row))

    def apply(self, rows):
        """rows: (row, floor, interpreters, heard, loss_percent, ducking) each; see DuckingCurve."""
        total = 0
        for row, floor, interpreters, *_ in rows:
            if kb_engine_row(self._engine, row) == NULL:
                raise KeyError(f"no row {row}")
            if len(floor) + len(interpreters) > KB_ROW_SOURCES:
                raise ValueError(f"a row has at most {KB_ROW_SOURCES} sources")
            for number in (*floor, *interpreters):
                if kb_engine_source(self._engine, number) == NULL:
                    raise KeyError(f"no source {number}")
            total += len(floor) + len(interpreters)
        cdef kb_plan *plan = kb_plan_new(<uint32_t>len(rows), <uint32_t>total)
        if plan == NULL:
            raise MemoryError
        cdef uint32_t at = 0
        cdef kb_plan_row *planned
        for index, (row, floor, interpreters, heard, loss_percent, ducking) in enumerate(rows):
            planned = &plan.rows[<int>index]
            planned.row = row
            planned.first = at
            planned.floor_count = <uint16_t>len(floor)
            planned.interpreter_count = <uint16_t>len(interpreters)
            planned.is_heard = heard
            planned.loss_percent = loss_percent
            planned.ducking = _ducking_settings(ducking)
            for number in (*floor, *interpreters):
                plan.numbers[at] = number
                at += 1
        kb_engine_apply(self._engine, plan)

    def source_readings(self, uint32_t source):
        """(level_db, delay_ms, target_ms, buffered_ms, playing, received … inserted)."""
        cdef const kb_source *found = kb_engine_source(self._engine, source)
        if found == NULL:
            raise KeyError("no such source")
        cdef double values[KB_SOURCE_READINGS]
        kb_source_read(found, values)
        return (values[0], values[1], *[int(values[i]) for i in range(2, KB_SOURCE_READINGS)])

    def row_readings(self, uint32_t row):
        """(interpreter_db, original_db, mix_db, duck_db, exposure_db, warnings, heard, shared)."""
        cdef const kb_row *found = kb_engine_row(self._engine, row)
        if found == NULL:
            raise KeyError("no such row")
        cdef double values[KB_ROW_READINGS]
        kb_row_read(found, values)
        return (*[values[i] for i in range(5)], int(values[5]), bool(values[6]), bool(values[7]))

    def counters(self):
        """By name, in the order of kb_engine_read."""
        cdef uint64_t values[KB_COUNTERS]
        kb_engine_read(self._engine, values)
        return dict(zip(_COUNTERS, [values[i] for i in range(KB_COUNTERS)], strict=True))

    def tick(self, int64_t now_ns):
        if self._engine.is_running:
            raise RuntimeError("the engine's own thread is ticking")
        kb_engine_tick(self._engine, now_ns)

    def next_tick_ns(self, int64_t now_ns):
        return kb_engine_next_ns(self._engine, now_ns)


cdef class Effort:
    """What encoders may cost, for tests: told how busy each tick was."""

    cdef kb_effort _effort

    def __cinit__(self, int complexity=5):
        kb_effort_init(&self._effort, complexity)

    def tell(self, int64_t busy_ns, int64_t period_ns=20_000_000):
        kb_effort_tell(&self._effort, busy_ns, period_ns)

    @property
    def complexity(self):
        return kb_effort_complexity(&self._effort)
