"""One stream alone: the time line it makes, read by several, and what it says of itself."""

from __future__ import annotations

import numpy as np
import pytest

from kabina.native._mixing import StreamReplay
from kabina.native.libraries import load_opus
from kabina_sim.mix_bench import FRAME, MS, TICK, encode, tone, voice

START = 10_000 * MS
HISTORY = 9600


class Run:
    """A sender of 20 ms packets and a reader of 10 or 20 ms blocks, in virtual time."""

    def __init__(self, packets, *, phase_ms=3.0, ppm=0.0, **settings):
        self.replay = StreamReplay(load_opus().handle, **settings)
        self.packets, self.phase_ms, self.ppm = packets, phase_ms, ppm
        self.now, self.sent, self.blocks = START, 0, []
        self.pending: list[tuple[int, int]] = []

    def due(self, index, delay_ms=0.0):
        return START + round(index * TICK / (1 + self.ppm * 1e-6) + (self.phase_ms + delay_ms) * MS)

    def run(self, ms, *, delay=lambda index: 0.0, block=480, wanted=True):
        """`delay(index)` is the extra delay of a packet in ms, None when it is lost."""
        until = self.now + ms * MS
        while self.now < until:
            self.now += block * MS // 48
            while self.due(self.sent) <= self.now:
                extra = delay(self.sent)
                if extra is not None:
                    self.pending.append((self.due(self.sent, extra), self.sent))
                self.sent += 1
            self.pending.sort()
            while self.pending and self.pending[0][0] <= self.now:
                self.push(*self.pending.pop(0))
            self.blocks.append(self.replay.take(self.now, block, wanted))
        return self

    def push(self, at_ns, index):
        return self.replay.push(
            at_ns,
            self.packets[index % len(self.packets)],
            sequence=index & 0xFFFF,
            timestamp=(index * FRAME) & 0xFFFFFFFF,
        )

    def heard(self):
        return np.concatenate(self.blocks)


def test_what_is_settled_reads_the_same_for_every_reader_and_for_200_ms():
    run = Run(encode(voice(100))).run(600)
    heard = run.heard()
    assert run.replay.settled == len(heard)
    for position in (len(heard) - HISTORY, len(heard) - 1234, len(heard) - 1):
        samples = len(heard) - position
        assert np.array_equal(run.replay.at(position, samples), heard[position:])
    for position, samples in ((len(heard) - HISTORY - 1, 1), (len(heard), 1), (len(heard) - 5, 6)):
        with pytest.raises(IndexError):
            run.replay.at(position, samples)


def test_before_its_beginning_a_stream_is_silent():
    replay = StreamReplay(load_opus().handle)
    assert not np.any(replay.at(-HISTORY, HISTORY))


@pytest.mark.parametrize("block", [120, 480, 960])
def test_blocks_of_any_size_join_without_a_seam(block):
    heard = Run(encode(tone(450, 50))).run(800, block=block).heard()[-500 * 48 :]
    at = np.arange(len(heard)) * 2 * np.pi * 450 / 48_000
    waves = np.stack([np.sin(at), np.cos(at)], axis=1)
    rest = heard - waves @ np.linalg.lstsq(waves, heard, rcond=None)[0]
    assert np.max(np.abs(heard)) == pytest.approx(0.25, abs=0.01)
    assert np.max(np.abs(rest)) < 0.01


def test_it_knows_whether_the_next_samples_need_a_guess():
    run = Run(encode(voice(100))).run(300)
    index = run.sent
    while run.replay.is_here(480):
        run.blocks.append(run.replay.take(run.now, 480))
    assert not run.replay.is_here(480)
    run.push(run.now, index)
    assert run.replay.is_here(480)
    assert run.replay.is_here(960)
    assert not run.replay.is_here(2 * 960 + 1)
    run.push(run.now, index + 2)  # the one before it is lost, but its copy is in this
    assert run.replay.is_here(3 * 960)
    run.push(run.now, index + 5)
    assert not run.replay.is_here(4 * 960 + 1)


def test_the_ideal_time_is_now_less_the_delay():
    run = Run(encode(voice(100)))
    assert run.replay.ideal_ns == 0
    run.run(300)
    for later_ms in (0, 7):
        now = run.now + later_ms * MS
        expected = now - round(run.replay.delay_ms(now) * MS)
        assert run.replay.ideal_ns == pytest.approx(expected, abs=2)


def test_it_tells_a_jittery_from_a_steady_and_a_reordering_from_an_orderly_path():
    steady = Run(encode(voice(100))).run(4000).replay.network
    assert steady == (0.0, 0.0)
    late = Run(encode(voice(100))).run(4000, delay=lambda i: 30.0 if i % 10 == 0 else 0.0)
    assert 30 <= late.replay.network[0] <= 38
    assert late.replay.network[1] > 0.001
