# The C interface of the mixing extension, header by header.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t

cdef extern from "kb_ring.h" nogil:
    ctypedef struct kb_ring:
        pass
    void *kb_ring_claim(kb_ring *ring)
    void kb_ring_publish(kb_ring *ring)
    void *kb_ring_peek(kb_ring *ring)
    void kb_ring_release(kb_ring *ring)


cdef extern from "kb_bus.h" nogil:
    ctypedef struct kb_wake:
        int read_fd
    const char *KB_BUS_CAPSULE
    enum:
        KB_BUS_PAYLOAD_BYTES
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


cdef extern from "kb_kernels.h" nogil:
    void kb_mix_ramp(float *out, const float *src, size_t n, float g0, float g1)
    void kb_apply_ramp(float *samples, size_t n, float g0, float g1)
    void kb_crossfade(float *out, const float *a, const float *b, size_t n)
    float kb_energy(const float *samples, size_t n)
    float kb_peak(const float *samples, size_t n)
    int kb_all_within(const float *samples, size_t n, float limit)
    size_t kb_sanitize(float *samples, size_t n, float limit)
    void kb_true_peak(float *out, const float *samples, size_t n)
    enum:
        KB_TRUE_PEAK_REACH


cdef extern from "kb_limiter.h" nogil:
    enum:
        KB_LIMITER_DELAY
        KB_LIMITER_MAX_BLOCK
    ctypedef struct kb_limiter:
        int32_t is_open
    void kb_limiter_reset(kb_limiter *limiter)
    void kb_limiter_lower(kb_limiter *limiter, float by_db, uint32_t samples)
    int kb_limiter_equals(const kb_limiter *limiter, const kb_limiter *other)
    void kb_limiter_run(kb_limiter *limiter, float *samples, size_t n)


cdef extern from "kb_weighting.h" nogil:
    enum:
        KB_WEIGHTING_STEP
    ctypedef struct kb_weighting:
        float *state
    void kb_weigh_k(kb_weighting *weighting, float *out, const float *samples, size_t n)
    void kb_weigh_a(kb_weighting *weighting, float *out, const float *samples, size_t n)


cdef extern from "kb_loudness.h" nogil:
    enum:
        KB_LOUDNESS_STEP
        KB_LOUDNESS_MAX_BLOCK
    ctypedef struct kb_loudness:
        float momentary_lufs
        float short_term_lufs
        float gated_lufs
    void kb_loudness_reset(kb_loudness *loudness)
    void kb_loudness_run(kb_loudness *loudness, const float *samples, size_t n)
    int kb_loudness_is_voiced(const kb_loudness *loudness)


cdef extern from "kb_rider.h" nogil:
    ctypedef struct kb_rider_settings:
        float target_lufs
        float range_db
    ctypedef struct kb_rider:
        kb_loudness loudness
        float gain_db
    void kb_rider_init(kb_rider *rider, const kb_rider_settings *settings)
    void kb_rider_configure(kb_rider *rider, const kb_rider_settings *settings)
    void kb_rider_run(kb_rider *rider, float *samples, size_t n)


cdef extern from "kb_guard.h" nogil:
    enum:
        KB_GUARD_STEP
        KB_GUARD_MAX_BLOCK
        KB_GUARD_DELAY
    ctypedef struct kb_guard_settings:
        float spl_at_full_scale_db
        float target_lufs
    ctypedef struct kb_guard:
        uint32_t beep_left
    ctypedef struct kb_guard_readings:
        double l_ex_db
        double dose_80_percent
        double dose_85_percent
        double minute_db
        double exposure
        uint32_t warnings
        float ceiling_db
        float sustained_db
        float loudness_db
    void kb_guard_init(kb_guard *guard, const kb_guard_settings *settings, double exposure)
    void kb_guard_configure(kb_guard *guard, const kb_guard_settings *settings)
    void kb_guard_run(kb_guard *guard, float *samples, size_t n)
    kb_guard_readings kb_guard_read(const kb_guard *guard)
    int kb_guard_equals(const kb_guard *guard, const kb_guard *other)


cdef extern from "kb_denoise.h" nogil:
    enum:
        KB_DENOISE_FRAME
        KB_DENOISE_DELAY
        KB_DENOISE_MAX_BLOCK
    ctypedef struct kb_denoise_table:
        pass
    ctypedef struct kb_denoise:
        uint8_t is_heard
        float voice
    const char *kb_denoise_table_load(kb_denoise_table *table, void *handle)
    int kb_denoise_init(kb_denoise *denoise, const kb_denoise_table *table)
    void kb_denoise_free(kb_denoise *denoise)
    void kb_denoise_switch(kb_denoise *denoise, int is_on)
    void kb_denoise_run(kb_denoise *denoise, float *samples, size_t n)


cdef extern from "kb_ducking.h" nogil:
    ctypedef struct kb_ducking_settings:
        float depth_db
        int32_t attack_ms
        int32_t hold_ms
        int32_t release_ms
        float silent_db
        int32_t silent_rise_ms
    ctypedef enum kb_ducking_state:
        KB_DUCKING_OPEN
    ctypedef enum kb_ducking_input:
        KB_DUCKING_NOBODY
        KB_DUCKING_INPUTS
    ctypedef struct kb_ducking:
        kb_ducking_state state
        float db
    void kb_ducking_init(kb_ducking *ducking, const kb_ducking_settings *settings)
    void kb_ducking_configure(kb_ducking *ducking, const kb_ducking_settings *settings)
    void kb_ducking_receive(kb_ducking *ducking, kb_ducking_input fact)
    int kb_ducking_needs_care(const kb_ducking *ducking)
    int kb_ducking_advance(kb_ducking *ducking, int32_t ms, float *gains)


cdef extern from "kb_jitter.h" nogil:
    enum:
        KB_JITTER_PAYLOAD_BYTES
    ctypedef struct kb_jitter_settings:
        int32_t cost_ms
        int32_t min_ms
        int32_t start_ms
        int32_t max_ms
        int32_t cheap_ms
    ctypedef struct kb_jitter_packet:
        int64_t at_ns
        uint32_t ssrc
        uint32_t timestamp
        uint16_t sequence
        uint16_t bytes
        uint16_t samples
        uint8_t has_fec
    ctypedef enum kb_jitter_action:
        KB_JITTER_SILENCE
    ctypedef enum kb_jitter_verdict:
        KB_JITTER_STORED
    ctypedef struct kb_jitter_slot:
        uint16_t sequence
    ctypedef struct kb_jitter_step:
        kb_jitter_action action
        int32_t samples
        const kb_jitter_slot *packet
        int32_t held_samples
        int32_t skipped_samples
    ctypedef struct kb_jitter_network:
        float late_p95_ms
        float reordered
    ctypedef enum kb_jitter_state:
        KB_JITTER_PLAYING
    ctypedef struct kb_jitter:
        kb_jitter_state state
        int32_t target_ms
        uint64_t skipped
    void kb_jitter_init(kb_jitter *jitter, const kb_jitter_settings *settings)
    kb_jitter_verdict kb_jitter_receive(
        kb_jitter *jitter, const kb_jitter_packet *packet, const uint8_t *payload)
    kb_jitter_step kb_jitter_poll(kb_jitter *jitter, int64_t now_ns, int32_t samples)
    int32_t kb_jitter_wish(const kb_jitter *jitter, int64_t now_ns, int32_t ready, int32_t block)
    int32_t kb_jitter_here(const kb_jitter *jitter)
    double kb_jitter_delay_ms(const kb_jitter *jitter, int64_t now_ns)
    int32_t kb_jitter_buffered(const kb_jitter *jitter)


cdef extern from "kb_opus_table.h" nogil:
    enum:
        KB_OPUS_RATE
        KB_OPUS_MAX_SAMPLES
        KB_OPUS_APPLICATION_VOIP
        KB_OPUS_APPLICATION_AUDIO
        KB_OPUS_SET_BITRATE
        KB_OPUS_SET_COMPLEXITY
        KB_OPUS_SET_INBAND_FEC
        KB_OPUS_SET_PACKET_LOSS_PERC
        KB_OPUS_SET_DTX
        KB_OPUS_RESET_STATE
    ctypedef struct kb_opus_table:
        const char *(*version)()
        int (*encoder_bytes)(int channels)
        int (*encoder_init)(void *state, int32_t rate, int channels, int application)
        int (*encoder_ctl)(void *state, int request, ...)
        int32_t (*encode)(void *state, const float *pcm, int samples, unsigned char *out, int32_t out_bytes)
        int (*decoder_bytes)(int channels)
        int (*decoder_init)(void *state, int32_t rate, int channels)
        int (*decoder_ctl)(void *state, int request, ...)
        int (*decode)(void *state, const unsigned char *data, int32_t n, float *pcm, int samples, int fec)
        int (*packet_samples)(const unsigned char *data, int32_t n, int32_t rate)
        int (*packet_has_fec)(const unsigned char *data, int32_t n)
    const char *kb_opus_table_load(kb_opus_table *table, void *handle)


cdef extern from "kb_wsola.h" nogil:
    enum:
        KB_WSOLA_OVERLAP
        KB_WSOLA_LEAST
        KB_WSOLA_MOST
    ctypedef struct kb_wsola_match:
        int32_t at
        float likeness
    kb_wsola_match kb_wsola_search(const float *model, const float *candidates, int32_t count)
    size_t kb_wsola_cut(float *samples, size_t n, size_t lag)
    size_t kb_wsola_insert(float *samples, size_t n, size_t lag)


cdef extern from "kb_stream.h" nogil:
    enum:
        KB_FRAME
        KB_STREAM_HISTORY
    ctypedef struct kb_stream_counts:
        uint64_t received
        uint64_t duplicates
        uint64_t late
        uint64_t malformed
        uint64_t restarts
        uint64_t decodes
        uint64_t recovered
        uint64_t played
        uint64_t concealed_samples
        uint64_t quiet_samples
        uint64_t recovered_samples
        uint64_t cut_samples
        uint64_t inserted_samples
        int64_t waited_ns
    ctypedef struct kb_stream:
        kb_jitter jitter
        kb_stream_counts counts
    ctypedef struct kb_stream_packet:
        int64_t at_ns
        uint32_t ssrc
        uint32_t timestamp
        uint16_t sequence
        uint16_t bytes
        uint8_t level
        uint32_t delay_us
    int kb_stream_init(kb_stream *stream, const kb_opus_table *opus, const kb_jitter_settings *settings)
    void kb_stream_free(kb_stream *stream)
    int kb_stream_receive(kb_stream *stream, const kb_stream_packet *packet, const uint8_t *payload)
    int64_t kb_stream_settled(const kb_stream *stream)
    void kb_stream_produce(kb_stream *stream, int64_t now_ns, int64_t until, int is_wanted)
    const float *kb_stream_at(const kb_stream *stream, int64_t position)
    int kb_stream_is_here(const kb_stream *stream, int32_t samples)
    int64_t kb_stream_ideal_ns(const kb_stream *stream)
    kb_jitter_network kb_stream_network(const kb_stream *stream)
    float kb_stream_spare_ms(const kb_stream *stream, int64_t at_ns)
    double kb_stream_delay_ms(const kb_stream *stream, int64_t now_ns)


cdef extern from "kb_engine.h" nogil:
    enum:
        KB_ROW_SOURCES
        KB_OK
        KB_NO_MEMORY
        KB_FULL
        KB_UNKNOWN
        KB_NO_THREAD
    ctypedef int kb_status
    ctypedef struct kb_plan_row:
        uint32_t row
        uint32_t first
        uint16_t floor_count
        uint16_t interpreter_count
        uint8_t is_heard
        uint8_t loss_percent
        kb_ducking_settings ducking
    ctypedef struct kb_plan:
        uint32_t *numbers
        kb_plan_row *rows
    ctypedef struct kb_source:
        pass
    ctypedef struct kb_row:
        pass
    ctypedef struct kb_engine:
        kb_opus_table opus
        int is_running
    kb_engine *kb_engine_new(
        kb_bus *bus, void *handle, int complexity, int rides, uint32_t first, const char **missing)
    void kb_engine_free(kb_engine *engine)
    kb_status kb_engine_add_stream(kb_engine *engine, uint32_t *number)
    kb_status kb_engine_add_clip(
        kb_engine *engine, const float *samples, size_t n, int loop, uint32_t *number)
    kb_status kb_engine_play_clip(kb_engine *engine, uint32_t number, int is_playing, int must_rewind)
    kb_status kb_engine_remove_source(kb_engine *engine, uint32_t number)
    kb_status kb_engine_add_row(
        kb_engine *engine, uint32_t track, int32_t bitrate_bps, int guarded, uint32_t *number)
    kb_status kb_engine_remove_row(kb_engine *engine, uint32_t number)
    const kb_source *kb_engine_source(const kb_engine *engine, uint32_t number)
    const kb_row *kb_engine_row(const kb_engine *engine, uint32_t number)
    kb_plan *kb_plan_new(uint32_t row_count, uint32_t number_count)
    void kb_engine_apply(kb_engine *engine, kb_plan *plan)
    kb_status kb_engine_start(kb_engine *engine)
    void kb_engine_stop(kb_engine *engine)
    enum:
        KB_SOURCE_READINGS
        KB_ROW_READINGS
        KB_COUNTERS
    void kb_source_read(const kb_source *source, double *values)
    void kb_row_read(const kb_row *row, double *values)
    void kb_engine_read(const kb_engine *engine, uint64_t *values)
    void kb_engine_tick(kb_engine *engine, int64_t now_ns)
    int64_t kb_engine_next_ns(const kb_engine *engine, int64_t now_ns)


cdef extern from "kb_phase.h" nogil:
    ctypedef struct kb_phase:
        pass
    void kb_phase_begin(kb_phase *phase)
    void kb_phase_tell(kb_phase *phase, float spare_ms)
    int64_t kb_phase_move_ns(const kb_phase *phase)


cdef extern from "kb_effort.h" nogil:
    ctypedef struct kb_effort:
        int level
    void kb_effort_init(kb_effort *effort, int normal_complexity)
    void kb_effort_tell(kb_effort *effort, int64_t busy_ns, int64_t period_ns)
    int kb_effort_complexity(const kb_effort *effort)


# In the order of kb_engine_read.
