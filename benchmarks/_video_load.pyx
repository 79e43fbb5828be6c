# cython: language_level=3
"""The video publisher's C code as Python calls; video_load.py joins it."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t, uintptr_t

cdef extern from "kb_srtp_table.h":
    ctypedef struct kb_srtp_table:
        pass
    ctypedef int kb_srtp_profile
    int kb_srtp_resolve(kb_srtp_table *table, void *handle, const char **missing)
    size_t kb_srtp_key_bytes(kb_srtp_profile profile)

cdef extern from "kb_vp8_stream.h" nogil:
    enum:
        KB_VP8_ROOM
    ctypedef struct kb_vp8_config:
        uint32_t ssrc, rate_bps, frames_per_s, key_period_frames, key_factor, payload_bytes
        uint8_t payload_type
    ctypedef struct kb_vp8_stream:
        pass
    void kb_vp8_init(kb_vp8_stream *stream, const kb_vp8_config *config)
    void kb_vp8_begin(kb_vp8_stream *stream, bint key)
    size_t kb_vp8_packet(kb_vp8_stream *stream, uint8_t *out, int64_t stamp)

cdef extern from "kb_video_load.h" nogil:
    ctypedef struct kb_video_load:
        pass
    ctypedef struct kb_video_figures:
        uint64_t packets, bytes, frames, key_frames, plis, refused, late
    kb_video_load *kb_video_load_new(const kb_srtp_table *srtp, int fd, kb_srtp_profile profile,
                                     const uint8_t *transmit, const uint8_t *receive,
                                     const uint8_t *check, size_t check_bytes,
                                     const kb_vp8_config *video, uint32_t audio_ssrc,
                                     uint8_t audio_payload_type)
    void kb_video_load_free(kb_video_load *load)
    int kb_video_load_start(kb_video_load *load)
    void kb_video_load_read(kb_video_load *load, kb_video_figures *out)


cdef int _config(kb_vp8_config *out, dict settings) except -1:
    out[0] = settings
    if not 1 <= out.frames_per_s <= 1000 or out.key_period_frames < 1 or out.key_factor < 1:
        raise ValueError("frame rate, key frame period and factor are positive")
    if not 64 <= out.payload_bytes <= 1200 or out.payload_type > 127:
        raise ValueError("payloads of 64 to 1200 bytes, payload types below 128")
    return 0


cdef class Vp8Stream:
    """The stream alone, for tests."""

    cdef kb_vp8_stream _stream

    def __cinit__(self, dict settings):
        cdef kb_vp8_config config
        _config(&config, settings)
        kb_vp8_init(&self._stream, &config)

    def frame(self, *, bint key=False, int64_t stamp=0):
        """The RTP packets of the next frame."""
        cdef uint8_t[KB_VP8_ROOM] room
        kb_vp8_begin(&self._stream, key)
        packets = []
        while True:
            size = kb_vp8_packet(&self._stream, room, stamp)
            if not size:
                return packets
            packets.append(bytes(room[:size]))


cdef class VideoLoad:
    """Publishes from `start` to `close`; owns `fd`."""

    cdef kb_video_load *_load

    def __cinit__(self, uintptr_t srtp, int fd, int profile, bytes transmit, bytes receive,
                  bytes check, *, dict video, uint32_t audio_ssrc, uint8_t audio_payload_type):
        cdef kb_srtp_table table
        cdef kb_vp8_config config
        cdef const char *missing = NULL
        cdef size_t key_bytes = kb_srtp_key_bytes(profile)
        if kb_srtp_resolve(&table, <void *>srtp, &missing):
            raise RuntimeError(f"libsrtp has no {missing.decode()}")
        if not key_bytes or <size_t>len(transmit) != key_bytes or <size_t>len(receive) != key_bytes:
            raise ValueError("key and salt do not fit the profile")
        _config(&config, video)
        self._load = kb_video_load_new(&table, fd, profile, transmit, receive, check, len(check),
                                       &config, audio_ssrc, audio_payload_type)
        if self._load == NULL:
            raise RuntimeError("libsrtp refuses the keys, or the check is too long")

    def __dealloc__(self):
        self.close()

    def close(self):
        cdef kb_video_load *load = self._load
        self._load = NULL
        if load != NULL:
            with nogil:
                kb_video_load_free(load)

    def start(self):
        if self._load == NULL:
            raise ValueError("the load is closed")
        status = kb_video_load_start(self._load)
        if status:
            raise OSError(status, "the publisher's thread does not start")

    def figures(self):
        cdef kb_video_figures figures
        if self._load == NULL:
            raise ValueError("the load is closed")
        kb_video_load_read(self._load, &figures)
        return figures
