# What makes sound louder and quieter, each piece alone: for tests and benchmarks.

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
