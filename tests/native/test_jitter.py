"""The jitter buffer alone: order, time and delay, without audio."""

from __future__ import annotations

import random
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kabina.native._mixing import JitterBuffer

SILENCE, PLAY, RECOVER, CONCEAL, HOLD = range(5)
STORED, RESTARTED, DUPLICATE, LATE = range(4)
MS = 1_000_000
TICK = 20 * MS
START = 10_000 * MS


class Run:
    """A sender of 20 ms packets and a reader of 20 ms frames, both in virtual time."""

    def __init__(self, *, phase_ms=15.0, sequence=0, timestamp=0, **settings):
        self.buffer = JitterBuffer(**settings)
        self.phase_ms, self.sequence, self.timestamp = phase_ms, sequence, timestamp
        self.now = START
        self.arrivals: list[tuple[int, int]] = []
        self.steps: list[tuple[int, int, int | None, int]] = []

    def send(self, index, *, delay_ms=0.0):
        self.arrivals.append((START + index * TICK + round((self.phase_ms + delay_ms) * MS), index))

    def push(self, at_ns, index, *, ssrc=1, has_fec=True):
        return self.buffer.receive(
            at_ns,
            ssrc,
            (self.timestamp + 960 * index) & 0xFFFFFFFF,
            (self.sequence + index) & 0xFFFF,
            960,
            has_fec,
        )

    def run(self, frames):
        self.arrivals.sort()
        for _ in range(frames):
            self.now += TICK
            while self.arrivals and self.arrivals[0][0] <= self.now:
                self.push(*self.arrivals.pop(0))
            ready = 0
            while ready < 960:
                step = self.buffer.poll(self.now, 960 - ready)
                self.steps.append(step)
                ready += step[1]
        return self

    def actions(self):
        return [step[0] for step in self.steps]

    def played(self):
        return [
            (seq - self.sequence) & 0xFFFF for action, _, seq, _ in self.steps if action == PLAY
        ]


def test_a_steady_stream_is_played_in_order_without_a_gap():
    run = Run()
    for index in range(200):
        run.send(index)
    run.run(200)
    assert run.played() == list(range(len(run.played())))
    assert len(run.played()) >= 198
    assert set(run.actions()) == {SILENCE, PLAY}


def test_the_target_of_a_clean_stream_falls_to_its_minimum():
    run = Run()
    for index in range(100):
        run.send(index)
    run.run(40)
    assert run.buffer.target_ms == 20
    run.run(30)
    assert run.buffer.target_ms == 2


def test_sequence_and_timestamp_wrap_unnoticed():
    run = Run(sequence=65_530, timestamp=2**32 - 5 * 960)
    for index in range(50):
        run.send(index)
    run.run(50)
    assert run.played() == list(range(len(run.played())))
    assert len(run.played()) >= 48


def test_reordered_packets_within_the_delay_are_put_right():
    run = Run(start_ms=60)
    for index in range(0, 60, 2):
        run.send(index, delay_ms=25)
        run.send(index + 1)
    run.run(60)
    assert run.played() == list(range(len(run.played())))
    assert CONCEAL not in run.actions()
    assert RECOVER not in run.actions()


def test_a_duplicate_is_counted_as_one_before_and_after_it_was_played():
    run = Run()
    for index in range(10):
        run.send(index)
    run.run(10)
    assert run.push(run.now, 2) == DUPLICATE
    assert run.push(run.now + 1, 10) == STORED
    assert run.push(run.now + 2, 10) == DUPLICATE


def test_a_lost_packet_with_its_successor_here_is_recovered_and_adds_no_delay():
    run = Run(start_ms=60)
    for index in range(40):
        if index != 20:
            run.send(index)
    run.run(40)
    before = run.steps.index(next(step for step in run.steps if step[0] == RECOVER))
    assert run.steps[before][2] == 21
    assert run.steps[before + 1][:3] == (PLAY, 960, 21)
    assert run.actions().count(RECOVER) == 1
    assert HOLD not in run.actions()


def test_three_lost_packets_are_concealed_and_the_last_recovered():
    run = Run(start_ms=120)
    for index in range(40):
        if index not in (20, 21, 22):
            run.send(index)
    run.run(40)
    middle = [action for action in run.actions() if action in (CONCEAL, RECOVER)]
    assert middle == [CONCEAL, CONCEAL, RECOVER]
    assert HOLD not in run.actions()


def test_without_a_copy_a_loss_is_concealed_for_exactly_its_length():
    run = Run(start_ms=60)
    for index in range(20):
        if index != 10:
            run.push(START + index * TICK, index, has_fec=False)
    run.now += 2 * TICK
    run.run(18)
    assert run.actions().count(CONCEAL) == 1
    assert run.played() == [i for i in range(18) if i != 10]


@pytest.mark.parametrize("lost", [None, 200])
def test_while_late_packets_are_worth_it_a_missing_one_is_waited_for(lost):
    """Every sixth comes 60 ms late, after others: the first of them are passed over, then the delay
    has grown by waiting for one. What never comes costs its own length.
    """
    run = Run()
    push = run.push
    run.push = lambda at_ns, index: push(at_ns, index, has_fec=False)
    for index in range(300):
        if index != lost:
            run.send(index, delay_ms=60 if index % 6 == 1 else 0)
    run.run(100)
    early, run.steps = run.played(), []
    assert early != list(range(early[-1] + 1))
    run.run(195)
    assert run.played() == [i for i in range(early[-1] + 1, run.played()[-1] + 1) if i != lost]
    invented = sum(step[1] for step in run.steps if step[0] in (HOLD, CONCEAL))
    assert invented == (0 if lost is None else 960)


def test_a_late_packet_is_waited_for_and_not_dropped():
    run = Run()
    for index in range(30):
        run.send(
            index,
            delay_ms=70 if index == 15 else (max(0, 70 - 20 * (index - 15)) if index > 15 else 0),
        )
    run.run(40)
    assert run.played() == list(range(30))
    assert 3 <= run.actions()[:35].count(HOLD) <= 4


def test_a_stream_that_stops_is_given_up_and_starts_again():
    run = Run()
    for index in range(20):
        run.send(index)
    run.run(60)
    assert run.actions()[-1] == SILENCE
    for index in range(60, 80):
        run.send(index)
    run.run(22)
    assert run.played() == [*range(20), *range(60, 80)]


def test_a_pause_that_stops_the_senders_clock_is_no_delay():
    """A paused track goes on counting where it stopped; the network is not suddenly 3 s slower."""
    run = Run()
    for index in range(60):
        run.send(index)
    run.run(210)
    for index in range(60, 120):
        run.send(index, delay_ms=3000)
    run.run(62)
    assert run.played() == list(range(120))
    assert run.buffer.delay_ms(run.now) < 60


def test_a_spike_raises_the_target_and_it_falls_again():
    run = Run()
    for index in range(200):
        run.send(index)
    for index in range(200, 260):
        run.send(index, delay_ms=120 if index % 2 else 0)
    for index in range(260, 8500):
        run.send(index)
    run.run(264)
    assert run.buffer.target_ms >= 100
    run.run(2900)
    assert run.buffer.target_ms <= 30
    run.run(5000)
    assert run.buffer.target_ms <= 5


def stall(run, first, ms):
    """The packets of `ms` from `first` on come at its end, all at once."""
    for index in range(first, first + ms // 20):
        run.send(index, delay_ms=ms - 20 * (index - first))


def test_one_stall_leaves_the_target_alone_and_stalls_every_other_second_raise_it():
    run = Run()
    at = [3000, *range(4000, 5000, 100)]
    stalled = {index for first in at for index in range(first, first + 10)}
    for first in at:
        stall(run, first, 200)
    for index in range(5100):
        if index not in stalled:
            run.send(index)
    run.run(3015)
    assert run.buffer.target_ms <= 10
    run.run(1985)
    assert run.buffer.target_ms >= 50


def test_the_target_counts_delay_little_up_to_the_knee_and_fully_beyond():
    """One packet in a hundred late: worth 40 ms of full delay, and up to the knee 5.6 times that."""
    found = {}
    for cheap_ms, late_ms in ((0, 20), (0, 60), (64, 60), (64, 200)):
        run = Run(cost_ms=40, cheap_ms=cheap_ms)
        run.push = partial(run.push, has_fec=False)
        for index in range(3000):
            run.send(index, delay_ms=late_ms if index % 100 == 0 else 0)
        run.run(3000)
        found[cheap_ms, late_ms] = run.buffer.target_ms
    assert 20 <= found[0, 20] <= 30
    assert found[0, 60] <= 5
    assert 60 <= found[64, 60] <= 75
    assert found[64, 200] <= 5


@pytest.mark.parametrize(("every", "expected"), [(1000, 2), (100, 20)])
def test_copies_are_waited_for_where_losses_are_a_habit(every, expected):
    run = Run(cost_ms=40)
    for index in range(3000):
        if index % every != every // 2:
            run.send(index)
    run.run(2990)
    assert expected <= run.buffer.target_ms <= expected + 6


def test_a_new_ssrc_restarts_the_stream():
    run = Run()
    for index in range(20):
        run.send(index)
    run.run(21)
    assert run.push(run.now, 5000, ssrc=2) == RESTARTED
    assert run.push(run.now + TICK, 5001, ssrc=2) == STORED
    run.now += TICK
    run.run(2)
    assert run.steps[-1][2] == (5001 & 0xFFFF)


def test_a_sender_that_begins_again_far_below_is_believed_after_three_packets():
    run = Run(sequence=10_000, timestamp=50_000_000)
    for index in range(20):
        run.send(index)
    run.run(20)
    verdicts = [run.buffer.receive(run.now + i * TICK, 1, 960 * i, i) for i in range(4)]
    assert verdicts == [LATE, LATE, RESTARTED, STORED]


def test_three_late_packets_in_a_row_are_no_restart():
    run = Run()
    for index in range(40):
        if index not in (20, 21, 22, 23):
            run.send(index)
    run.run(38)
    assert [run.push(run.now, index) for index in (20, 21, 22, 23)] == [LATE] * 4


def test_dtx_pauses_neither_stretch_nor_shrink_time():
    """Continuous sequence numbers, 400 ms between timestamps: concealed, then played in time."""
    buffer = JitterBuffer()
    now = START
    for index in range(60):
        buffer.receive(now + index * 20 * TICK + 15 * MS, 1, index * 20 * 960, index)
        for _ in range(20):
            now_tick = now + index * 20 * TICK + 20 * MS + _ * TICK
            ready = 0
            while ready < 960:
                ready += buffer.poll(now_tick, 960 - ready)[1]
    assert buffer.delay_ms(now + 60 * 20 * TICK) < 460


def test_what_is_too_much_may_be_cut_in_whole_blocks_and_what_is_left_over_of_one_always():
    run = Run(start_ms=100)
    for index in range(100):
        run.send(index)
    run.run(90)
    assert 80 < run.buffer.delay_ms(run.now) < 110
    assert run.buffer.wish(run.now, 0, 960) == -960 * 4
    assert run.buffer.wish(run.now, 480 + 100, 480) <= -100
    bare = Run(start_ms=2)
    for index in range(100):
        bare.send(index)
    bare.run(90)
    assert bare.buffer.wish(bare.now, 960, 960) == 0
    assert bare.buffer.wish(bare.now, 1060, 960) == -100


def test_a_delay_below_the_target_asks_for_time():
    run = Run(start_ms=2)
    for index in range(400):
        run.send(index, delay_ms=60 if index > 100 and index % 3 == 0 else 0)
    run.run(101)
    wishes = []
    for _ in range(20):
        wishes.append(run.buffer.wish(run.now, 960, 960))
        run.run(1)
    assert wishes[0] == 0
    assert max(wishes) >= 960


def test_a_stretch_is_asked_for_before_the_buffer_runs_dry_in_a_stall():
    run = Run(start_ms=100)
    for index in range(100):
        run.send(index)
    run.run(102)
    late = run.buffer.wish(run.now + 20 * MS, 480, 480)
    assert late > 0


def test_packets_beyond_the_longest_delay_are_dropped():
    run = Run()
    for index in range(100):
        run.send(
            index,
            delay_ms=1500 if index == 50 else max(0, 1500 - 20 * (index - 50)) if index > 50 else 0,
        )
    run.run(140)
    assert run.buffer.skipped > 0
    assert run.buffer.delay_ms(run.now) <= 420


@given(st.integers(0, 2**32), st.floats(0, 0.4), st.floats(0, 200))
@settings(deadline=None, max_examples=40)
def test_whatever_the_network_does_packets_come_out_once_and_in_order(seed, loss, spread_ms):
    rng = random.Random(seed)
    run = Run(sequence=rng.randrange(65536), timestamp=rng.randrange(2**32))
    for index in range(200):
        if rng.random() >= loss:
            run.send(index, delay_ms=rng.random() * spread_ms)
            if rng.random() < 0.1:
                run.send(index, delay_ms=rng.random() * spread_ms)
    run.run(260)
    played = run.played()
    assert played == sorted(set(played))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 500),
            st.integers(0, 2),
            st.integers(0, 2**32 - 1),
            st.integers(0, 65535),
            st.sampled_from([120, 240, 480, 960, 1920, 2880, 5760]),
        ),
        max_size=200,
    )
)
@settings(deadline=None, max_examples=100)
def test_no_header_makes_it_stop_answering(packets):
    buffer = JitterBuffer()
    now = START
    for gap_ms, ssrc, timestamp, sequence, samples in packets:
        now += gap_ms * MS
        buffer.receive(now, ssrc, timestamp, sequence, samples)
        ready = 0
        for _ in range(2000):
            if ready >= 960:
                break
            given_samples = buffer.poll(now, 960 - ready)[1]
            assert given_samples >= 0
            ready += given_samples
        assert ready >= 960
        assert 2 <= buffer.target_ms <= 400


@pytest.mark.parametrize("ppm", [200, -200])
def test_eight_hours_of_drift_stay_within_ten_ms_of_the_target(ppm):
    """A pause every 2 s; the clocks part by 5.8 s in all."""
    hours = 8
    period = TICK / (1 + ppm * 1e-6)
    packets = round(hours * 3600e9 / period)
    rng = np.random.default_rng(1)
    jitter_ns = rng.gamma(1.5, 1.0, packets) * MS
    arrive = np.maximum.accumulate(START + np.arange(packets) * period + jitter_ns).astype(np.int64)
    buffer = JitterBuffer(start_ms=40)
    delays, guessed, cut, inserted = buffer.replay(
        arrive, first_ns=START + 3 * MS, blocks=hours * 360_000 - 100, pause_every=200
    )
    after_start = delays[3000:]
    assert np.all(np.abs(after_start - buffer.target_ms) < 20)
    assert abs(np.mean(after_start) - buffer.target_ms) < 10
    by_minute = after_start[: len(after_start) // 6000 * 6000].reshape(-1, 6000).mean(axis=1)
    assert np.ptp(by_minute) < 10
    moved_ms = (cut - inserted - guessed) / 48
    assert moved_ms == pytest.approx(ppm * 1e-6 * hours * 3600e3, abs=60)
    assert guessed / 48 < 1e-4 * hours * 3600e3
