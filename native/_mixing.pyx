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


# ---- kernels -------------------------------------------------------------------------------------


def mix_ramp(float[::1] out, const float[::1] src, float g0, float g1):
    """Adds `src` × a linear ramp to `out`; both float32, (samples,). ValueError if lengths differ."""
    if out.shape[0] != src.shape[0]:
        raise ValueError("out and src differ in length")
    if out.shape[0]:
        kb_mix_ramp(&out[0], &src[0], out.shape[0], g0, g1)


def apply_ramp(float[::1] samples, float g0, float g1):
    """Multiplies `samples` by a linear ramp, in place."""
    if samples.shape[0]:
        kb_apply_ramp(&samples[0], samples.shape[0], g0, g1)


def crossfade(const float[::1] a, const float[::1] b):
    """A new array going linearly from `a` to `b`. ValueError if lengths differ."""
    if a.shape[0] != b.shape[0]:
        raise ValueError("a and b differ in length")
    result = np.empty(a.shape[0], np.float32)
    cdef float[::1] out = result
    if a.shape[0]:
        kb_crossfade(&out[0], &a[0], &b[0], a.shape[0])
    return result


def energy(const float[::1] samples):
    """Sum of squares."""
    return kb_energy(&samples[0], samples.shape[0]) if samples.shape[0] else 0.0


def peak(const float[::1] samples):
    """Largest magnitude."""
    return kb_peak(&samples[0], samples.shape[0]) if samples.shape[0] else 0.0


def all_within(const float[::1] samples, float limit):
    """Whether every sample is a number of at most `limit` in magnitude."""
    return bool(kb_all_within(&samples[0], samples.shape[0], limit)) if samples.shape[0] else True


def sanitize(float[::1] samples, float limit):
    """Silences what is no number, beyond ±limit or denormal, in place; how many were beyond."""
    return kb_sanitize(&samples[0], samples.shape[0], limit) if samples.shape[0] else 0


def true_peak(const float[::1] samples):
    """Per-sample true peak of all but the first and last 8 samples, (samples − 16,). ValueError below 17."""
    cdef Py_ssize_t n = samples.shape[0] - 2 * KB_TRUE_PEAK_REACH
    if n < 1:
        raise ValueError("a true peak needs 8 samples on either side")
    result = np.empty(n, np.float32)
    cdef float[::1] out = result
    kb_true_peak(&out[0], &samples[KB_TRUE_PEAK_REACH], n)
    return result


def wsola_search(const float[::1] model, const float[::1] candidates):
    """(where candidates resemble the 240 samples of `model` most, their normalised correlation).

    ValueError unless both have 240 samples.
    """
    if model.shape[0] < KB_WSOLA_OVERLAP or candidates.shape[0] < KB_WSOLA_OVERLAP:
        raise ValueError("240 samples are compared")
    cdef kb_wsola_match found = kb_wsola_search(
        &model[0], &candidates[0], <int32_t>(candidates.shape[0] - KB_WSOLA_OVERLAP + 1))
    return found.at, found.likeness


def wsola_cut(const float[::1] samples, int lag):
    """A copy without the first `lag` samples, faded into what follows. ValueError below lag + 240."""
    if lag < 0 or samples.shape[0] < lag + KB_WSOLA_OVERLAP:
        raise ValueError("nothing to fade into")
    result = np.array(samples)
    cdef float[::1] out = result
    return result[: kb_wsola_cut(&out[0], out.shape[0], lag)]


def wsola_insert(const float[::1] samples, int at, int lag):
    """A copy in which the `lag` samples before `at` come twice. ValueError unless 240 more follow."""
    if lag < 0 or at < lag or samples.shape[0] < at + KB_WSOLA_OVERLAP:
        raise ValueError("nothing to repeat, or to fade out of")
    result = np.concatenate([samples, np.zeros(lag, np.float32)])
    cdef float[::1] out = result
    kb_wsola_insert(&out[at], samples.shape[0] - at, lag)
    return result


cdef class Limiter:
    """One limiter; `run` works in place and is 64 samples late."""

    cdef kb_limiter _limiter
    delay_samples = KB_LIMITER_DELAY

    def __cinit__(self):
        kb_limiter_reset(&self._limiter)

    def run(self, float[::1] samples):
        """Limits up to 960 samples in place. ValueError beyond."""
        if samples.shape[0] > KB_LIMITER_MAX_BLOCK:
            raise ValueError("a block has at most 960 samples")
        if samples.shape[0]:
            kb_limiter_run(&self._limiter, &samples[0], samples.shape[0])

    def lower(self, float by_db, uint32_t samples=0):
        """Moves the ceiling to `by_db` below its own, linearly within `samples`. ValueError below 0."""
        if not by_db >= 0:
            raise ValueError("the ceiling is not raised above its own")
        kb_limiter_lower(&self._limiter, by_db, samples)

    def equals(self, Limiter other not None):
        """Whether both give the same for the same input from now on."""
        return bool(kb_limiter_equals(&self._limiter, &other._limiter))

    @property
    def is_open(self):
        """Whether the gain is 1 and stays so without an overload."""
        return bool(self._limiter.is_open)


cdef class Weighting:
    """The K weighting of loudness, or with `a` the A weighting of noise."""

    cdef kb_weighting _weighting
    cdef bint _is_a

    def __cinit__(self, bint a=False):
        self._is_a = a

    def run(self, const float[::1] samples):
        """The next samples weighted, as a new array. ValueError unless their number is a multiple of 8."""
        if samples.shape[0] % KB_WEIGHTING_STEP:
            raise ValueError("the weighting takes steps of 8 samples")
        result = np.empty(samples.shape[0], np.float32)
        cdef float[::1] out = result
        if not samples.shape[0]:
            return result
        if self._is_a:
            kb_weigh_a(&self._weighting, &out[0], &samples[0], samples.shape[0])
        else:
            kb_weigh_k(&self._weighting, &out[0], &samples[0], samples.shape[0])
        return result


cdef int _check_block(Py_ssize_t n) except -1:
    if n > KB_LOUDNESS_MAX_BLOCK or n % KB_LOUDNESS_STEP:
        raise ValueError("a block is a multiple of 120 samples, at most 960")
    return 0


cdef class Loudness:
    """The loudness of one mono signal, ITU-R BS.1770-4; readings are in LUFS, −127 is silence."""

    cdef kb_loudness _loudness

    def __cinit__(self):
        kb_loudness_reset(&self._loudness)

    def run(self, const float[::1] samples):
        """Measures a block. ValueError unless it is a multiple of 120 samples, at most 960."""
        _check_block(samples.shape[0])
        if samples.shape[0]:
            kb_loudness_run(&self._loudness, &samples[0], samples.shape[0])

    @property
    def momentary_lufs(self):
        """Of the last 400 ms."""
        return self._loudness.momentary_lufs

    @property
    def short_term_lufs(self):
        """Of the last 3 s."""
        return self._loudness.short_term_lufs

    @property
    def gated_lufs(self):
        """Of the blocks of the last 3 s that pass the gates."""
        return self._loudness.gated_lufs

    @property
    def is_voiced(self):
        """Whether a voice stood out of the background within the last 300 ms."""
        return bool(kb_loudness_is_voiced(&self._loudness))


cdef class Rider:
    """The loudness rider of one source, in place. Off with a range of 0."""

    cdef kb_rider _rider

    def __cinit__(self, float target_lufs=-20, float range_db=12):
        cdef kb_rider_settings settings
        settings.target_lufs, settings.range_db = target_lufs, range_db
        kb_rider_init(&self._rider, &settings)

    def configure(self, float target_lufs=-20, float range_db=12):
        """Other settings, taken up at the pace of every other move."""
        cdef kb_rider_settings settings
        settings.target_lufs, settings.range_db = target_lufs, range_db
        kb_rider_configure(&self._rider, &settings)

    def run(self, float[::1] samples):
        """Rides a block. ValueError unless it is a multiple of 120 samples, at most 960."""
        _check_block(samples.shape[0])
        if samples.shape[0]:
            kb_rider_run(&self._rider, &samples[0], samples.shape[0])

    @property
    def gain_db(self):
        """The present gain."""
        return self._rider.gain_db

    @property
    def loudness_lufs(self):
        """Gated loudness of the last 3 s of what came in."""
        return self._rider.loudness.gated_lufs

    @property
    def is_voiced(self):
        """Whether there is a voice; only then the gain moves."""
        return bool(kb_loudness_is_voiced(&self._rider.loudness))


cdef class HearingGuard:
    """Hearing protection of one interpreter's feed, in place and 64 samples late.

    `spl_at_full_scale_db` is the dB SPL of a mean square of 1, `exposure` what was read before, today.
    """

    cdef kb_guard _guard
    delay_samples = KB_GUARD_DELAY

    def __cinit__(self, float spl_at_full_scale_db=94, float target_lufs=-20, double exposure=0):
        cdef kb_guard_settings settings
        settings.spl_at_full_scale_db, settings.target_lufs = spl_at_full_scale_db, target_lufs
        kb_guard_init(&self._guard, &settings, exposure)

    def configure(self, float spl_at_full_scale_db=94, float target_lufs=-20):
        """Another calibration or target, from the next block on."""
        cdef kb_guard_settings settings
        settings.spl_at_full_scale_db, settings.target_lufs = spl_at_full_scale_db, target_lufs
        kb_guard_configure(&self._guard, &settings)

    def run(self, float[::1] samples):
        """Guards a block. ValueError unless it is a multiple of 120 samples, at most 960."""
        _check_block(samples.shape[0])
        if samples.shape[0]:
            kb_guard_run(&self._guard, &samples[0], samples.shape[0])

    def readings(self):
        """By name, as in kb_guard.h."""
        return kb_guard_read(&self._guard)

    def equals(self, HearingGuard other not None):
        """Whether both leave what is not too loud alone, and give the same."""
        return bool(kb_guard_equals(&self._guard, &other._guard))

    @property
    def is_beeping(self):
        """Whether a warning is being given."""
        return self._guard.beep_left > 0


cdef class Denoiser:
    """Noise suppression of one source, in place and 960 samples late; off at first.

    `handle` is a dlopen handle of RNNoise. OSError when it is something else.
    """

    cdef kb_denoise _denoise
    delay_samples = KB_DENOISE_DELAY

    def __cinit__(self, uintptr_t handle):
        cdef kb_denoise_table table
        cdef const char *missing = kb_denoise_table_load(&table, <void *>handle)
        if missing != NULL:
            raise OSError(f"RNNoise lacks {missing.decode()}")
        if kb_denoise_init(&self._denoise, &table):
            raise MemoryError

    def __dealloc__(self):
        kb_denoise_free(&self._denoise)

    def switch(self, bint on):
        """On after 200 ms, off with the next frame; both by a crossfade of 10 ms."""
        kb_denoise_switch(&self._denoise, on)

    def run(self, float[::1] samples):
        """Cleans a block. ValueError unless it has 480 or 960 samples."""
        if samples.shape[0] % KB_DENOISE_FRAME or samples.shape[0] > KB_DENOISE_MAX_BLOCK:
            raise ValueError("a block has 480 or 960 samples")
        if samples.shape[0]:
            kb_denoise_run(&self._denoise, &samples[0], samples.shape[0])

    @property
    def is_heard(self):
        """Whether the output is RNNoise's."""
        return bool(self._denoise.is_heard)

    @property
    def voice(self):
        """RNNoise's guess whether the last frame had a voice, 0 … 1."""
        return self._denoise.voice


cdef kb_ducking_settings _ducking_settings(ducking):
    cdef kb_ducking_settings settings
    settings.depth_db, settings.attack_ms, settings.hold_ms = ducking[0], ducking[1], ducking[2]
    settings.release_ms, settings.silent_db, settings.silent_rise_ms = ducking[3], ducking[4], ducking[5]
    return settings


cdef class DuckingCurve:
    """One ducking state machine.

    Made of (depth_db, attack_ms, hold_ms, release_ms, silent_db, silent_rise_ms).
    """

    cdef kb_ducking _ducking

    def __cinit__(self, tuple settings):
        cdef kb_ducking_settings taken = _ducking_settings(settings)
        kb_ducking_init(&self._ducking, &taken)

    def configure(self, tuple settings):
        """Takes other settings from the next move on."""
        cdef kb_ducking_settings taken = _ducking_settings(settings)
        kb_ducking_configure(&self._ducking, &taken)

    def receive(self, int fact):
        """0 nobody interprets, 1 somebody unheard so far, 2 somebody heard now, 3 somebody silent now.

        ValueError otherwise.
        """
        if not 0 <= fact < KB_DUCKING_INPUTS:
            raise ValueError("a fact is 0, 1, 2 or 3")
        kb_ducking_receive(&self._ducking, <kb_ducking_input>fact)

    def advance(self, int ms):
        """The linear gains at the ms + 1 boundaries of the next `ms` milliseconds, float32."""
        if ms < 0:
            raise ValueError("time does not go back")
        result = np.empty(ms + 1, np.float32)
        cdef float[::1] gains = result
        kb_ducking_advance(&self._ducking, ms, &gains[0])
        return result

    @property
    def state(self):
        """0 open, 1 attack, 2 ducked, 3 hold, 4 release, 5 pause, 6 rise, 7 raised."""
        return <int>self._ducking.state

    @property
    def needs_care(self):
        """Whether the original is on its way back, or has been for less than a second."""
        return bool(kb_ducking_needs_care(&self._ducking))

    @property
    def level_db(self):
        """The present level in dB."""
        return self._ducking.db


cdef class JitterBuffer:
    """The jitter buffer alone, for tests and replays: no payloads, no decoder."""

    cdef kb_jitter *_jitter

    def __cinit__(self, int cost_ms=20, int min_ms=2, int start_ms=20, int max_ms=400,
                  int cheap_ms=60):
        cdef kb_jitter_settings settings
        settings.cost_ms = cost_ms
        settings.min_ms = min_ms
        settings.start_ms = start_ms
        settings.max_ms = max_ms
        settings.cheap_ms = cheap_ms
        self._jitter = <kb_jitter *>malloc(sizeof(kb_jitter))
        if self._jitter == NULL:
            raise MemoryError
        kb_jitter_init(self._jitter, &settings)

    def __dealloc__(self):
        free(self._jitter)

    def receive(self, int64_t at_ns, uint32_t ssrc, uint32_t timestamp, uint16_t sequence,
                uint16_t samples=960, bint has_fec=False):
        """0 stored, 1 stored after a restart, 2 duplicate, 3 late."""
        cdef kb_jitter_packet packet
        cdef uint8_t payload = 0
        packet.at_ns = at_ns
        packet.ssrc = ssrc
        packet.timestamp = timestamp
        packet.sequence = sequence
        packet.bytes = 1
        packet.samples = samples
        packet.has_fec = has_fec
        return <int>kb_jitter_receive(self._jitter, &packet, &payload)

    def poll(self, int64_t now_ns, int32_t samples=960):
        """(action, samples, sequence or None, held): 0 silence, 1 play, 2 recover, 3 conceal, 4 hold."""
        if samples < 1:
            raise ValueError("nothing is needed")
        cdef kb_jitter_step step = kb_jitter_poll(self._jitter, now_ns, samples)
        sequence = None if step.packet == NULL else step.packet.sequence
        return <int>step.action, step.samples, sequence, step.held_samples

    def wish(self, int64_t now_ns, int32_t ready=0, int32_t block=960):
        """How many samples had better be inserted (> 0), or may be cut (< 0)."""
        if block < 1 or ready < 0:
            raise ValueError("a block has samples")
        return kb_jitter_wish(self._jitter, now_ns, ready, block)

    def replay(self, const int64_t[::1] arrive_ns, *, int64_t first_ns, int blocks, int32_t block=480,
               int pause_every=1, int32_t packet=960):
        """Runs packets of `packet` samples through the buffer alone; hours in seconds.

        arrive_ns: (packets,), when each came, 0 where it is lost, rising. A block of `block` samples is
        due every `block` samples from `first_ns` on; every `pause_every`-th is a pause, in which the reader
        cuts or inserts as the buffer wishes, 10 ms at most. Returns ((blocks,) float32 delays in ms, 0 unless
        playing; samples guessed; samples cut; samples inserted).
        """
        if blocks < 1 or block < 1 or pause_every < 1 or packet < 1:
            raise ValueError("a positive number of blocks, and samples in each")
        delays = np.zeros(blocks, np.float32)
        cdef float[::1] out = delays
        cdef int64_t now = first_ns, guessed = 0, cut = 0, inserted = 0
        cdef Py_ssize_t sent = 0, i
        cdef int32_t ready = 0, wish, edit
        cdef kb_jitter_packet header
        cdef kb_jitter_step step
        cdef uint8_t payload = 0
        with nogil:
            for i in range(blocks):
                now = first_ns + i * block * 62500 // 3
                while sent < arrive_ns.shape[0] and arrive_ns[sent] <= now:
                    header.at_ns = arrive_ns[sent]
                    header.ssrc = 1
                    header.timestamp = <uint32_t>(sent * packet)
                    header.sequence = <uint16_t>sent
                    header.bytes = 1
                    header.samples = <uint16_t>packet
                    header.has_fec = 0
                    if arrive_ns[sent]:
                        kb_jitter_receive(self._jitter, &header, &payload)
                    sent += 1
                out[i] = <float>(kb_jitter_delay_ms(self._jitter, now) + ready / 48.0)
                edit = 0
                if i % pause_every == 0:
                    wish = kb_jitter_wish(self._jitter, now, ready, block)
                    if wish < 0:
                        edit = -min(-wish, 480, max(0, ready + kb_jitter_here(self._jitter) - block))
                    elif ready + kb_jitter_here(self._jitter) >= block:
                        edit = min(wish, 480)
                while ready < block - min(edit, 0):
                    step = kb_jitter_poll(self._jitter, now, block - min(edit, 0) - ready)
                    ready += step.samples
                    if step.action in (3, 4):
                        guessed += step.samples
                ready += edit - block
                cut -= min(edit, 0)
                inserted += max(edit, 0)
        return delays, guessed, cut, inserted

    def delay_ms(self, int64_t now_ns):
        """How late the next packet may come."""
        return kb_jitter_delay_ms(self._jitter, now_ns)

    @property
    def target_ms(self):
        """The delay the buffer aims at."""
        return self._jitter.target_ms

    @property
    def skipped(self):
        """Packets dropped beyond the longest delay."""
        return self._jitter.skipped

    @property
    def buffered_samples(self):
        """Samples here and not yet asked for."""
        return kb_jitter_buffered(self._jitter)


# ---- Opus ----------------------------------------------------------------------------------------

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


# ---- one stream ----------------------------------------------------------------------------------

cdef class StreamReplay:
    """One Opus stream through the mixer's jitter buffer and decoder, in virtual time.

    For tests and for replaying a trace: `push` every packet that has arrived by a moment, in order of
    arrival, then `take` the block that is due then; and so on, 10 or 20 ms apart. It is the code that the
    engine runs, no more: nothing is mixed, levelled or encoded. Times are ns of any clock that both calls
    share and should begin well above 0 (a second); one thread. `handle` is libopus's dlopen handle; the
    other settings are ms (`cost_ms`: the delay that a per cent of late packets is worth; `cheap_ms`: up to
    there a ms of delay counts 1/5.6).

        replay = StreamReplay(load_opus().handle, cost_ms=20)
        for block in range(blocks):
            now_ns = start_ns + block * 10_000_000
            while arrivals and arrivals[0][0] <= now_ns:
                at_ns, index = arrivals.pop(0)
                replay.push(at_ns, payloads[index], sequence=index & 0xFFFF, timestamp=index * 960)
            heard.append(replay.take(now_ns, 480))
        print(replay.readings())
    """

    cdef kb_opus_table _table
    cdef kb_stream *_stream
    cdef double _delay_sum_ms
    cdef int64_t _delay_samples
    cdef int64_t _taken

    def __cinit__(self, uintptr_t handle, *, int cost_ms=40, int min_ms=2, int start_ms=40, int max_ms=400,
                  int cheap_ms=60):
        cdef kb_jitter_settings settings
        settings.cost_ms = cost_ms
        settings.min_ms = min_ms
        settings.start_ms = start_ms
        settings.max_ms = max_ms
        settings.cheap_ms = cheap_ms
        cdef const char *missing = kb_opus_table_load(&self._table, <void *>handle)
        if missing != NULL:
            raise OSError(f"libopus lacks {missing.decode()}")
        self._stream = <kb_stream *>malloc(sizeof(kb_stream))
        if self._stream == NULL:
            raise MemoryError
        if kb_stream_init(self._stream, &self._table, &settings):
            free(self._stream)
            self._stream = NULL
            raise MemoryError

    def __dealloc__(self):
        if self._stream != NULL:
            kb_stream_free(self._stream)
            free(self._stream)

    def push(self, int64_t at_ns, bytes payload, *, uint16_t sequence, uint32_t timestamp, uint32_t ssrc=1):
        """One packet that arrived at `at_ns`; `timestamp` is of a 48 kHz clock. False when it is not Opus."""
        cdef kb_stream_packet packet
        cdef const uint8_t *data = payload
        if len(payload) > KB_JITTER_PAYLOAD_BYTES:
            raise ValueError("a payload has at most 1456 bytes")
        packet.at_ns = at_ns
        packet.ssrc = ssrc
        packet.timestamp = timestamp
        packet.sequence = sequence
        packet.bytes = <uint16_t>len(payload)
        packet.level = 0x7f
        packet.delay_us = 0
        return bool(kb_stream_receive(self._stream, &packet, data))

    def moved_ns(self, int64_t now_ns):
        """By how much the mix thread would move its tick 20 ms after `now_ns` for this stream alone."""
        cdef kb_phase phase
        kb_phase_begin(&phase)
        kb_phase_tell(&phase, kb_stream_spare_ms(self._stream, now_ns + 20_000_000))
        return kb_phase_move_ns(&phase)

    def take(self, int64_t now_ns, int samples=480, bint wanted=True):
        """The next `samples` (1 … 960), read from `now_ns` on: float32, (samples,). ValueError beyond."""
        if not 1 <= samples <= KB_FRAME:
            raise ValueError("1 to 960 samples")
        cdef int64_t begin = kb_stream_settled(self._stream)
        if self._stream.jitter.state == KB_JITTER_PLAYING:
            self._delay_sum_ms += samples * kb_stream_delay_ms(self._stream, now_ns)
            self._delay_samples += samples
        with nogil:
            kb_stream_produce(self._stream, now_ns, begin + samples, wanted)
        self._taken += samples
        return self.at(begin, samples)

    def at(self, int64_t position, int samples):
        """A copy of `samples` from `position` (samples since the beginning). IndexError unless readable."""
        cdef const float *found = kb_stream_at(self._stream, position)
        if found == NULL or samples < 0 or position + samples > kb_stream_settled(self._stream):
            raise IndexError("not settled, or too long ago")
        result = np.empty(samples, np.float32)
        cdef float[::1] out = result
        if samples:
            memcpy(&out[0], found, samples * sizeof(float))
        return result

    @property
    def settled(self):
        """How many samples are final."""
        return kb_stream_settled(self._stream)

    def is_here(self, int samples):
        """Whether the next `samples` could be made now without a guess."""
        return bool(kb_stream_is_here(self._stream, samples))

    def delay_ms(self, int64_t now_ns):
        """The delay of the next sample, read at `now_ns`, above the fastest path; 0 unless playing."""
        return kb_stream_delay_ms(self._stream, now_ns)

    @property
    def ideal_ns(self):
        """When that delay would be 0; 0 unless playing."""
        return kb_stream_ideal_ns(self._stream)

    @property
    def target_ms(self):
        """The delay the buffer aims at."""
        return self._stream.jitter.target_ms

    @property
    def network(self):
        """(p95 of the time above the fastest path in ms, share of packets out of order)."""
        cdef kb_jitter_network found = kb_stream_network(self._stream)
        return found.late_p95_ms, found.reordered

    def readings(self):
        """Sums since the beginning, by name.

        delay_ms: mean of how much later than by the fastest path the samples were played.
        waited_ms: mean of arrival to playing of the packets that were played (getStats' jitterBufferDelay
        ÷ jitterBufferEmittedCount). Of taken_samples: concealed_samples were neither packet nor copy,
        quiet_samples of those lay in pauses of the speech, recovered_samples came from copies (FEC);
        cut_samples were taken out and inserted_samples put in. received, duplicates, malformed, played and
        decodes count packets, discarded those that came too late to be played or were left out.
        """
        cdef const kb_stream_counts *counts = &self._stream.counts
        return {
            "delay_ms": self._delay_sum_ms / (self._delay_samples or 1),
            "waited_ms": counts.waited_ns / 1e6 / (counts.played or 1),
            "taken_samples": self._taken,
            "concealed_samples": counts.concealed_samples,
            "quiet_samples": counts.quiet_samples,
            "recovered_samples": counts.recovered_samples,
            "cut_samples": counts.cut_samples,
            "inserted_samples": counts.inserted_samples,
            "received": counts.received,
            "played": counts.played,
            "decodes": counts.decodes,
            "duplicates": counts.duplicates,
            "malformed": counts.malformed,
            "restarts": counts.restarts,
            "discarded": counts.late + self._stream.jitter.skipped,
        }


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
