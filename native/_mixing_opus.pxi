# libopus by function table.

cdef class _Opus:
    cdef kb_opus_table _table
    cdef void *_state
    cdef readonly int channels

    cdef int _load(self, uintptr_t handle, int channels) except -1:
        cdef const char *missing = kb_opus_table_load(&self._table, <void *>handle)
        if missing != NULL:
            raise OSError(f"libopus lacks {missing.decode()}")
        if channels not in (1, 2):
            raise ValueError("Opus has 1 or 2 channels")
        self.channels = channels
        return 0

    def __dealloc__(self):
        free(self._state)

    @property
    def version(self):
        """libopus's own name and version."""
        return self._table.version().decode()


cdef class OpusEncoder(_Opus):
    """An Opus encoder at 48 kHz over libopus's function table. `handle` is a dlopen handle."""

    def __init__(self, uintptr_t handle, *, int channels=1, int bitrate_bps=48000, int complexity=5,
                 bint fec=True, int loss_percent=5, bint voip=True, bint dtx=False):
        self._load(handle, channels)
        self._state = malloc(self._table.encoder_bytes(channels))
        application = KB_OPUS_APPLICATION_VOIP if voip else KB_OPUS_APPLICATION_AUDIO
        if self._state == NULL or self._table.encoder_init(self._state, KB_OPUS_RATE, channels, application):
            raise MemoryError
        settings = (
            (KB_OPUS_SET_BITRATE, bitrate_bps), (KB_OPUS_SET_COMPLEXITY, complexity),
            (KB_OPUS_SET_INBAND_FEC, fec), (KB_OPUS_SET_PACKET_LOSS_PERC, loss_percent),
            (KB_OPUS_SET_DTX, dtx),
        )
        for request, value in settings:
            if self._table.encoder_ctl(self._state, <int>request, <int32_t>value):
                raise ValueError(f"libopus refused {value} for ctl {request}")

    def encode(self, const float[::1] samples):
        """One packet from interleaved float32 of 2.5 … 60 ms. ValueError for another length."""
        cdef unsigned char out[4000]
        if samples.shape[0] == 0 or self._state == NULL:
            raise ValueError("nothing to encode")
        cdef int32_t given = self._table.encode(
            self._state, &samples[0], <int>(samples.shape[0] // self.channels), out, 4000)
        if given < 0:
            raise ValueError(f"libopus cannot encode this ({given})")
        return out[:given]


cdef class OpusDecoder(_Opus):
    """An Opus decoder at 48 kHz over libopus's function table. `handle` is a dlopen handle."""

    def __init__(self, uintptr_t handle, *, int channels=1):
        self._load(handle, channels)
        self._state = malloc(self._table.decoder_bytes(channels))
        if self._state == NULL or self._table.decoder_init(self._state, KB_OPUS_RATE, channels):
            raise MemoryError

    def decode(self, bytes packet):
        """Interleaved float32 of the packet's own length. ValueError when it is not Opus."""
        return self._decode(packet, KB_OPUS_MAX_SAMPLES, False)

    def recover(self, bytes next_packet, int samples):
        """`samples` per channel of the packet before `next_packet`, from the copy in it."""
        return self._decode(next_packet, samples, True)

    def conceal(self, int samples):
        """`samples` per channel extrapolated; a multiple of 2.5 ms."""
        return self._decode(None, samples, False)

    cdef object _decode(self, packet, int samples, bint fec):
        if self._state == NULL or samples < 1 or samples > KB_OPUS_MAX_SAMPLES:
            raise ValueError("at most 120 ms at a time")
        result = np.empty(samples * self.channels, np.float32)
        cdef float[::1] out = result
        cdef const unsigned char *data = NULL
        cdef int32_t size = 0
        if packet is not None:
            data = packet
            size = <int32_t>len(packet)
            if size == 0:
                raise ValueError("an Opus packet has at least one byte")
        cdef int given = self._table.decode(self._state, data, size, &out[0], samples, fec)
        if given < 0:
            raise ValueError(f"not Opus ({given})")
        return result[: given * self.channels]
