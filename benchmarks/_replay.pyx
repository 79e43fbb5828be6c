# cython: language_level=3
"""Sends datagrams at given times from one thread without the GIL; neteq.py says what and when."""

import os
import threading

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec, tv_nsec
    int CLOCK_MONOTONIC, TIMER_ABSTIME
    int clock_gettime(int clock, timespec *now)
    int clock_nanosleep(int clock, int flags, const timespec *until, timespec *left)

cdef extern from "<sys/socket.h>" nogil:
    enum:
        MSG_DONTWAIT
    ssize_t send(int fd, const void *data, size_t bytes, int flags)

cdef struct shot:
    int64_t due_ns
    int64_t late_ns
    int32_t fd
    uint32_t offset, bytes


cdef class TimedSender:
    """`packets` are (ns after the start, connected socket, datagram); sent in order of time."""

    cdef shot *_shots
    cdef uint8_t *_data
    cdef readonly int count
    cdef int _refused
    cdef bint _stopped
    cdef readonly bint is_fifo

    def __cinit__(self, packets):
        ordered = sorted(packets, key=lambda packet: packet[0])
        cdef bytes data = b"".join(datagram for _, _, datagram in ordered)
        cdef uint32_t offset = 0
        self._shots = <shot *>malloc(max(len(ordered), 1) * sizeof(shot))
        self._data = <uint8_t *>malloc(max(len(data), 1))
        if self._shots == NULL or self._data == NULL:
            raise MemoryError
        memcpy(self._data, <const char *>data, len(data))
        for due_ns, fd, datagram in ordered:
            self._shots[self.count] = shot(
                due_ns=due_ns, late_ns=0, fd=fd, offset=offset, bytes=len(datagram))
            offset += <uint32_t>len(datagram)
            self.count += 1

    def __dealloc__(self):
        free(self._shots)
        free(self._data)

    def run(self, int64_t start_ns):
        """Blocks until all are sent; `start_ns` is of CLOCK_MONOTONIC.

        Its thread gets real-time priority for that time where the system allows it.
        """
        try:
            os.sched_setscheduler(threading.get_native_id(), os.SCHED_FIFO, os.sched_param(10))
            self.is_fifo = True
        except PermissionError:
            self.is_fifo = False
        try:
            with nogil:
                self._send_all(start_ns)
        finally:
            if self.is_fifo:
                os.sched_setscheduler(threading.get_native_id(), os.SCHED_OTHER, os.sched_param(0))

    cdef void _send_all(self, int64_t start_ns) noexcept nogil:
        cdef timespec when
        cdef int64_t due_ns
        cdef shot *each
        for i in range(self.count):
            each = &self._shots[i]
            due_ns = start_ns + each.due_ns
            when.tv_sec = due_ns // 1000000000
            when.tv_nsec = due_ns % 1000000000
            while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL):
                pass
            if self._stopped:
                return
            if send(each.fd, self._data + each.offset, each.bytes, MSG_DONTWAIT) < 0:
                self._refused += 1
            clock_gettime(CLOCK_MONOTONIC, &when)
            each.late_ns = when.tv_sec * 1000000000 + when.tv_nsec - due_ns

    def stop(self):
        """From another thread: `run` returns at the next packet, which is not sent."""
        self._stopped = True

    @property
    def refused(self):
        """Datagrams that the kernel did not take."""
        return self._refused

    def lateness_ns(self):
        """How long after its time each packet had been handed to the kernel, in order of time."""
        return [self._shots[i].late_ns for i in range(self.count)]
