# One source alone, in virtual time: its jitter buffer, and all of its stream.

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
