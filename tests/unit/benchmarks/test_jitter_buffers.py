"""The buffers that `kabina bench jitter` runs in virtual time, each the real one."""

from __future__ import annotations

import numpy as np
import pytest

from kabina.benchmarks import jitter_buffers
from kabina.benchmarks.jitter_buffers import MS, START_NS, push, ticks
from kabina.benchmarks.jitter_profiles import PROFILES
from kabina.benchmarks.jitter_trace import TAIL_PACKETS, after_loss, lost_share, one_lost, outcome
from kabina.benchmarks.neteq import speech, speech_packets
from kabina.native._mixing import StreamReplay
from kabina.native.libraries import load_opus

PACKETS = 1000
WINDOW = 9600
LOOK_AHEAD = 312  # libopus, VOIP: 6.5 ms
LONGEST_MS = 400


@pytest.fixture(scope="module")
def payloads() -> list[bytes]:
    return speech_packets(PACKETS + TAIL_PACKETS + 1)


def test_ticks_are_given_each_packet_once_and_none_before_it_came():
    trace = PROFILES["stalls"](200, 2)
    seen = []
    for at_ms, arrived in ticks(trace, 3.0, 10.0):
        assert all(ms <= at_ms for ms, _ in arrived)
        seen += [number for _, number in arrived]
    assert len(seen) == len(set(seen))
    came = {n for n, ms in enumerate(trace.arrive_ms) if ms <= trace.send_ms[-1] - 10}
    assert came <= set(seen)


@pytest.mark.parametrize("block_ms", [10.0, 20.0])
def test_kabina_conceals_nothing_on_a_perfect_network_and_little_else(payloads, block_ms: float):
    trace = one_lost(PACKETS)
    found = outcome(trace, jitter_buffers.kabina(trace, payloads, phase_ms=3.0, block_ms=block_ms))
    assert found.concealed <= 2 / PACKETS
    assert found.discarded == 0
    assert 0 <= found.wait_ms == pytest.approx(found.delay_ms)


@pytest.mark.parametrize("name", ["lan", "office_wifi"])
def test_the_delay_that_is_told_is_the_delay_that_is_heard(payloads, name: str):
    trace = PROFILES[name](PACKETS, 20)
    replay = StreamReplay(load_opus().handle)
    blocks, first_ms = [], None
    for at_ms, arrived in ticks(trace, 3.0, 10.0):
        first_ms = at_ms if first_ms is None else first_ms
        push(replay, arrived, payloads)
        blocks.append(replay.take(START_NS + round(at_ms * MS), 480))
    heard = np.concatenate(blocks)
    spoken = np.tile(speech(), 2)
    # What is heard at a moment was spoken `delay` and the codec's 6.5 ms before.
    delays = []
    for at in range(2 * 48000, len(heard) - WINDOW, WINDOW):
        now = round(first_ms * 48) + at - LOOK_AHEAD
        if np.abs(heard[at : at + WINDOW]).mean() > 0.01:
            begin = now - 48 * LONGEST_MS
            delays.append(
                LONGEST_MS - best_lag(spoken[begin : now + WINDOW], heard[at:][:WINDOW]) / 48
            )
    told = outcome(trace, jitter_buffers.kabina(trace, payloads, phase_ms=3.0))
    assert len(delays) > 20
    assert np.mean(delays) == pytest.approx(told.delay_ms, abs=3.0)


def best_lag(sound, part) -> int:
    """Where in `sound` the `part` is."""
    power = np.convolve(sound**2, np.ones(len(part)), "valid")
    return int(np.argmax(np.correlate(sound, part, "valid") / np.sqrt(power + 1e-9)))


def test_kabina_plays_copies_of_what_the_network_lost(payloads):
    trace = PROFILES["random_loss"](PACKETS, 20)
    found = outcome(trace, jitter_buffers.kabina(trace, payloads, phase_ms=3.0))
    lost = round(lost_share(trace) * PACKETS)
    assert 0 < found.recovered <= lost


def test_aiortc_delays_by_80_ms_and_one_lost_packet_adds_200_for_good():
    found = outcome(one_lost(PACKETS), jitter_buffers.aiortc(one_lost(PACKETS)))
    added_ms, gone_s, left_ms = after_loss(found)
    before = [ms for at, ms in found.over_time if at < 9000]
    assert before == pytest.approx([80.0] * len(before))
    assert (added_ms, left_ms) == pytest.approx((200.0, 200.0))
    assert gone_s == np.inf


def test_aiortc_loses_packets_that_had_arrived():
    trace = PROFILES["random_loss"](PACKETS, 20)
    found = outcome(trace, jitter_buffers.aiortc(trace))
    assert found.discarded > 0
    assert found.concealed > 3 * lost_share(trace)


@pytest.mark.skipif(bool(jitter_buffers.speex_missing()), reason=jitter_buffers.speex_missing())
def test_speexdsp_in_audiobridges_setting_conceals_each_lost_packet_once():
    trace = one_lost(PACKETS)
    found = outcome(trace, jitter_buffers.speex(trace, phase_ms=3.0))
    assert found.concealed * PACKETS == pytest.approx(1, abs=2.1)  # and its own filling up
    assert found.recovered == 0
    assert found.wait_ms > 20
