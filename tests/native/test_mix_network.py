"""Streams through bad networks, heard: what a lost, late or broken packet costs."""

from __future__ import annotations

import random

import numpy as np
import pytest

from kabina.native.mixing import RowPlan
from kabina_sim.mix_bench import FRAME, MS, TICK, MixBench, bursts, encode, level_db, tone, voice


def listening(packets, *, phase_ms=15.0, **options):
    """A bench with one talker on one heard row."""
    bench = MixBench()
    row = bench.row()
    talker = bench.talker(packets, phase_ms=phase_ms, **options)
    bench.engine.apply([RowPlan(row, (talker.number,), (), True)])
    return bench, talker


def readings(bench, talker):
    return bench.engine.source_readings(talker.number)


def run(bench, talker, frames, arrival):
    """`arrival(index)` is the extra delay in ms of a packet, None when it is lost."""
    pending = []
    for _ in range(frames):
        until = bench.now_ns + TICK
        while talker.due() <= until:
            delay = arrival(talker.sent)
            if delay is not None:
                pending.append((talker.due(delay), talker.sent))
            talker.skip()
        pending.sort()
        while pending and pending[0][0] <= until:
            talker.push(*pending.pop(0))
        bench.tick()


def test_a_clean_stream_waits_for_nothing_but_the_frame_clock():
    bench, talker = listening(encode(bursts(350)))
    bench.run(350)
    found = readings(bench, talker)
    assert found.target_ms == 2
    assert found.delay_ms <= 6
    assert found.concealed == 0
    assert found.late == 0


def test_a_single_lost_packet_is_replaced_by_its_copy_and_the_delay_is_back_in_two_seconds():
    packets = encode(bursts(700, on=40, off=20))
    bench, talker = listening(packets)
    run(bench, talker, 310, lambda index: None if index == 305 else 0.0)
    run(bench, talker, 100, lambda index: 0.0)
    found = readings(bench, talker)
    assert found.fec == 1
    assert found.concealed <= 2
    assert found.delay_ms <= 10


def test_losses_in_a_jittery_stream_are_recovered_from_copies():
    """At worst a copy is one frame late: then 20 ms are extrapolated before it."""
    rng = random.Random(7)
    packets = encode(bursts(400, on=60, off=10))
    bench, talker = listening(packets)
    run(bench, talker, 300, lambda index: rng.random() * 40)
    before = readings(bench, talker)
    run(bench, talker, 400, lambda index: None if index % 50 == 10 else rng.random() * 40)
    after = readings(bench, talker)
    assert after.fec - before.fec >= 6
    assert after.concealed - before.concealed <= 2 * 8


def levels_10_ms(samples):
    return 10 * np.log10(np.mean(samples.reshape(-1, FRAME // 2) ** 2, axis=1))


@pytest.mark.parametrize("phase_ms", [15.0, 1.0])
@pytest.mark.parametrize("lost", [64, 65, 66, 67])
def test_a_lost_packet_of_a_voice_leaves_no_gap(lost, phase_ms):
    """Whether its successor is here in time (phase 15: 25 ms of delay) or too late (phase 1: 19)."""
    levels = {}
    for is_lost in (False, True):
        bench, talker = listening(encode(voice(50)), phase_ms=phase_ms)
        run(bench, talker, 100, lambda index: None if is_lost and index == lost else 0.0)  # noqa: B023
        levels[is_lost] = levels_10_ms(bench.heard(100)[10 * FRAME : 95 * FRAME])
        assert readings(bench, talker).fec == is_lost
    assert np.min(levels[True]) > np.min(levels[False]) - 3
    assert np.max(levels[True]) < np.max(levels[False]) + 3


def test_a_burst_after_a_stall_loses_no_word_and_the_delay_is_worked_off():
    packets = encode(bursts(900, on=30, off=20))
    bench, talker = listening(packets)
    stall = lambda index: max(0.0, 200.0 - 20 * (index - 300)) if 300 <= index < 310 else 0.0  # noqa: E731
    run(bench, talker, 325, stall)
    assert readings(bench, talker).late == 0
    assert readings(bench, talker).delay_ms > 100
    run(bench, talker, 400, lambda index: 0.0)
    found = readings(bench, talker)
    assert found.decodes == found.received - round(found.buffered_ms / 20)
    assert found.delay_ms < 30
    assert found.cut > 0


def test_reordered_and_duplicated_packets_are_played_once_and_in_order():
    rng = random.Random(3)
    bench, talker = listening(encode(bursts(500, on=30, off=20)))
    pending = []
    for _ in range(500):
        until = bench.now_ns + TICK
        while talker.due() <= until:
            copies = 2 if rng.random() < 0.2 else 1
            pending.extend(
                (talker.due(rng.choice([0, 0, 0, 25])), talker.sent) for _ in range(copies)
            )
            talker.skip()
        pending.sort()
        while pending and pending[0][0] <= until:
            talker.push(*pending.pop(0))
        bench.tick()
    found = readings(bench, talker)
    assert found.duplicates > 50
    assert found.late <= 6
    assert found.concealed <= 40


@pytest.mark.parametrize("ppm", [200.0, -200.0])
def test_four_minutes_of_200_ppm_drift_are_worked_off_in_silence(ppm):
    bench, talker = listening(encode(bursts(350)), ppm=ppm)
    worst, concealed = 0.0, 0
    for second in range(240):
        bench.run(50)
        found = readings(bench, talker)
        worst = max(worst, found.delay_ms if second > 10 else 0.0)
        concealed = found.concealed
    assert worst < 45
    assert concealed <= 12
    assert (found.cut if ppm > 0 else found.inserted + found.concealed) >= 2


def test_a_stream_that_begins_with_a_burst_is_not_late_by_it():
    packets = encode(tone(300.0, 50))
    bench, talker = listening(packets)
    for _ in range(50):
        talker.send(bench.now_ns + 5 * MS)
    talker.start_ns -= 50 * TICK
    bench.run(100)
    found = readings(bench, talker)
    assert found.skipped >= 45
    assert found.delay_ms <= 60
    assert found.concealed == 0


def test_a_clock_that_drifts_under_sound_without_pauses_stays_near_and_smooth():
    bench, talker = listening(encode(tone(300.0, 50)), ppm=500.0)
    worst = 0.0
    for second in range(360):
        bench.run(50)
        worst = max(worst, readings(bench, talker).delay_ms if second > 10 else 0.0)
    assert worst < 110
    assert readings(bench, talker).cut >= 5
    # A cut keeps the period of the tone: its level never dips.
    steady = bench.heard(100)[50 * FRAME :]
    levels = [level_db(steady[at : at + FRAME], 300.0) for at in range(0, len(steady), 5 * FRAME)]
    assert min(levels) > max(levels) - 2.0


def test_skipped_frames_leave_no_delay_behind():
    bench, talker = listening(encode(tone(300.0, 50)))
    bench.run(50)
    before = readings(bench, talker).delay_ms
    for _ in range(8):
        bench.now_ns += TICK
        bench.run(25)
    assert readings(bench, talker).delay_ms <= before + 20


def test_wrapping_sequence_numbers_and_timestamps_are_inaudible():
    bench, talker = listening(encode(tone(450, 50)), sequence=65_500, timestamp=2**32 - 30 * FRAME)
    bench.run(100)
    found = readings(bench, talker)
    assert found.concealed == 0
    assert found.restarts == 1
    heard = bench.heard(100)[10 * FRAME :]
    assert level_db(heard, 450) == pytest.approx(-15.05, abs=0.3)


def test_a_new_ssrc_is_a_new_stream_with_its_own_clock():
    bench, talker = listening(encode(tone(450, 50)))
    bench.run(50)
    talker.ssrc, talker.sequence, talker.timestamp = 2, 40_000, 123_456_789
    bench.run(50)
    found = readings(bench, talker)
    assert found.restarts == 2
    assert found.playing
    assert found.delay_ms < 45
    assert found.level_db == pytest.approx(-15.05, abs=0.5)


def test_a_sender_that_jumps_in_time_goes_on():
    bench, talker = listening(encode(tone(450, 50)))
    bench.run(50)
    for jump in (48_000 * 3600, -48_000 * 7200, 1):
        talker.timestamp += jump
        bench.run(100)
        assert readings(bench, talker).level_db == pytest.approx(-15.05, abs=1.0)


def test_malformed_payloads_cost_a_counter_and_concealment_and_nothing_more():
    rng = random.Random(11)
    bench, talker = listening(encode(tone(450, 50)))
    bench.run(50)
    sent = 0
    for frame in range(300):
        if frame % 3 == 0:
            sent += 1
            talker.send(
                talker.due(), rng.choice([b"", b"\xff", rng.randbytes(rng.randrange(1, 1456))])
            )
        bench.run(1)
    found = readings(bench, talker)
    assert found.malformed > 0
    bench.run(50)
    assert readings(bench, talker).level_db == pytest.approx(-15.05, abs=1.0)
    assert np.all(np.isfinite(bench.heard(100)))


def test_random_bytes_from_one_talker_never_silence_another():
    rng = random.Random(13)
    bench = MixBench()
    row = bench.row()
    good, bad = bench.talker(encode(tone(450, 50))), bench.talker([b"\x00"])
    bench.engine.apply([RowPlan(row, (good.number, bad.number), (), True)])
    bad.packets = [rng.randbytes(rng.randrange(1, 400)) for _ in range(500)]
    bench.run(200)
    heard = bench.heard(100)
    assert np.all(np.isfinite(heard))
    assert bench.engine.source_readings(good.number).level_db == pytest.approx(-15.05, abs=0.3)


@pytest.mark.parametrize("frame", [480, 1920, 2880])
def test_packets_of_10_40_and_60_ms_are_played_without_a_seam(frame):
    packets = encode(tone(450, 60), frame=frame)
    bench, talker = listening(packets, frame=frame)
    bench.run(200)
    found = readings(bench, talker)
    assert found.concealed == 0
    assert found.late == 0
    heard = bench.heard(100)[20 * FRAME :]
    levels = [
        level_db(part, 450) for part in heard[: len(heard) // FRAME * FRAME].reshape(-1, FRAME)
    ]
    assert np.ptp(levels) < 1.0


SILENT = tone(450, 50, amplitude=0.0)
FULL_SCALE_DB = -3.01  # of a sine


@pytest.mark.parametrize(
    ("left", "right", "level"),
    [
        (tone(450, 50), tone(450, 50), -15.05),  # the same on both sides keeps its level
        (tone(450, 50), SILENT, -15.05 - 6.02),  # on one side it is halved
        (tone(450, 50), tone(1000, 50), -15.05 - 3.01),
        (tone(450, 50, amplitude=1.0), tone(450, 50, amplitude=1.0), FULL_SCALE_DB),
        (tone(450, 50, amplitude=1.0), tone(1000, 50, amplitude=1.0), FULL_SCALE_DB - 3.01),
    ],
)
def test_a_stereo_packet_is_mixed_as_the_mean_of_its_channels(left, right, level):
    """The mean, not the sum less 3 dB: at full scale on both sides nothing clips."""
    both = np.stack([left, right], axis=1).reshape(-1)
    bench, talker = listening(encode(both, channels=2, fec=False))
    bench.run(100)
    assert readings(bench, talker).level_db == pytest.approx(level, abs=0.3)
    heard = bench.heard(100)[50 * FRAME :]
    assert np.max(np.abs(heard)) <= 1.0
    if level > -10:
        return  # there the limiter has its say
    for hz in (450, 1000):
        expected = level_db((left + right)[: len(heard)] / 2, hz)
        if expected > -60:
            assert level_db(heard, hz) == pytest.approx(expected, abs=0.5)


def test_a_talker_who_stops_fades_out_and_costs_no_delay_when_he_returns():
    bench, talker = listening(encode(tone(450, 50)))
    bench.run(60)
    talker.is_on = False
    bench.run(60)
    found = readings(bench, talker)
    assert not found.playing
    assert found.level_db == -127.0
    talker.is_on = True
    bench.run(60)
    assert readings(bench, talker).delay_ms < 45
    heard = bench.heard(100)
    frames = np.lib.stride_tricks.sliding_window_view(heard[20 * FRAME :], 256)[::64] * np.hanning(
        256
    )
    high = np.abs(np.fft.rfft(frames, axis=1))[:, 27:] * 4 / 256
    assert 20 * np.log10(np.max(high)) < -45


def test_packets_that_arrive_by_another_threads_clock_are_no_danger():
    """Arrival times after the tick's nominal time, as when the tick itself is late."""
    bench, talker = listening(encode(tone(450, 50)), phase_ms=0.0)
    for _ in range(100):
        talker.send(bench.now_ns + TICK + 3 * MS)
        bench.tick()
    assert readings(bench, talker).playing
