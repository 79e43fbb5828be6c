"""The engine in virtual time: levels, ducking, sharing of encoders, plans."""

from __future__ import annotations

import os
import threading
import time
from itertools import pairwise

import numpy as np
import pytest

from kabina.native import _mixing
from kabina.native.mixing import Ducking, MixEngine, RowPlan
from kabina_sim.mix_bench import FRAME, TICK, MixBench, encode, level_db, tone

SPEAKER = 440.0
INTERPRETER = 880.0


@pytest.fixture
def bench():
    return MixBench()


def plan(row, floor=(), interpreters=(), *, heard=True, ducking=None):
    return RowPlan(row, tuple(floor), tuple(interpreters), heard, ducking or Ducking())


def speaker(bench):
    return bench.talker(encode(tone(SPEAKER, 50)))


def interpreter(bench):
    return bench.talker(encode(tone(INTERPRETER, 50)))


def envelope(samples, hz, length=480):
    """The level of a tone per 10 ms, dBFS."""
    whole = len(samples) // length * length
    return np.array([level_db(part, hz) for part in samples[:whole].reshape(-1, length)])


# ---- levels and ducking -----------------------------------------------------------------------------------------


def test_the_floor_alone_passes_at_its_own_level(bench):
    row, floor = bench.row(), speaker(bench)
    bench.engine.apply([plan(row, [floor.number])])
    bench.run(100)
    heard = bench.heard(100)[30 * FRAME :]
    assert level_db(heard, SPEAKER) == pytest.approx(level_db(tone(SPEAKER, 70), SPEAKER), abs=0.3)


def test_an_interpreter_lowers_the_original_by_18_db_and_is_heard_in_full(bench):
    row, floor, voice = bench.row(), speaker(bench), interpreter(bench)
    bench.engine.apply([plan(row, [floor.number])])
    bench.run(100)
    open_db = level_db(bench.heard(100)[50 * FRAME :], SPEAKER)
    bench.engine.apply([plan(row, [floor.number], [voice.number])])
    bench.run(100)
    heard = bench.heard(100)[120 * FRAME :]
    assert open_db - level_db(heard, SPEAKER) == pytest.approx(18.0, abs=0.5)
    assert level_db(heard, INTERPRETER) == pytest.approx(
        level_db(tone(INTERPRETER, 80), INTERPRETER), abs=0.3
    )
    readings = bench.engine.row_readings(row)
    assert readings.duck_db == pytest.approx(-18.0)
    assert readings.original_db == pytest.approx(-33.0, abs=0.7)
    assert readings.interpreter_db == pytest.approx(-15.0, abs=0.7)


def test_after_the_microphone_goes_off_the_original_waits_2500_ms_and_rises_over_800(bench):
    row, floor, voice = bench.row(), speaker(bench), interpreter(bench)
    bench.engine.apply([plan(row, [floor.number], [voice.number])])
    bench.run(100)
    bench.engine.apply([plan(row, [floor.number])])
    bench.run(200)
    levels = envelope(bench.heard(100)[100 * FRAME :], SPEAKER) - level_db(
        tone(SPEAKER, 50), SPEAKER
    )
    assert np.all(np.abs(levels[10:248] + 18.0) < 1.5)
    assert np.all(np.abs(levels[345:]) < 0.7)
    middle = float(np.argmax(levels > -9.0)) * 10
    assert middle == pytest.approx(2500 + 400, abs=40)
    assert np.min(np.diff(levels[248:345])) > -0.7


def test_the_release_has_neither_gap_nor_step(bench):
    row, floor, voice = bench.row(), speaker(bench), interpreter(bench)
    bench.engine.apply([plan(row, [floor.number], [voice.number])])
    bench.run(100)
    bench.engine.apply([plan(row, [floor.number])])
    bench.run(200)
    heard = bench.heard(100)[101 * FRAME :]
    assert np.min(envelope(heard, SPEAKER)) > -36
    # A step would be broad-band: nothing above 4 kHz may stand out of two tones.
    frames = heard[: len(heard) // FRAME * FRAME].reshape(-1, FRAME) * np.hanning(FRAME)
    high = np.abs(np.fft.rfft(frames, axis=1))[:, 80:] * 2 / FRAME
    assert 20 * np.log10(np.max(high)) < -60


def test_a_handover_never_lets_the_original_back(bench):
    row, floor = bench.row(), speaker(bench)
    first, second = interpreter(bench), interpreter(bench)
    second.is_on = False
    bench.engine.apply([plan(row, [floor.number], [first.number])])
    bench.run(60)
    bench.engine.apply([plan(row, [floor.number], [second.number])])
    bench.run(100)
    assert bench.engine.row_readings(row).duck_db == pytest.approx(-18.0)
    bench.run(500)  # a successor who says nothing is as silent as one who makes a pause
    assert bench.engine.row_readings(row).duck_db == pytest.approx(-12.0)


def test_an_interpreter_nobody_has_heard_yet_lowers_nothing(bench):
    row, floor, voice = bench.row(), speaker(bench), interpreter(bench)
    voice.is_on = False
    bench.engine.apply([plan(row, [floor.number], [voice.number])])
    bench.run(60)
    assert bench.engine.row_readings(row).duck_db == 0.0
    voice.is_on = True
    bench.run(5)
    assert bench.engine.row_readings(row).duck_db == pytest.approx(-18.0)


def test_an_unheard_row_keeps_its_ducking_in_step(bench):
    row, floor, voice = bench.row(), speaker(bench), interpreter(bench)
    bench.engine.apply([plan(row, [floor.number], [voice.number], heard=False)])
    bench.run(20)
    assert bench.engine.row_readings(row).duck_db == pytest.approx(-18.0)
    bench.engine.apply([plan(row, [floor.number], heard=False)])
    bench.run(125 + 42)
    assert bench.engine.row_readings(row).duck_db == 0.0


def test_a_hot_mix_stays_below_minus_one_dbfs(bench):
    row = bench.row()
    talkers = [bench.talker(encode(tone(hz, 50, amplitude=0.8))) for hz in (300, 450, 700)]
    bench.engine.apply([plan(row, [talker.number for talker in talkers])])
    bench.run(60)
    assert bench.engine.row_readings(row).mix_db > -12
    # What the limiter holds at −1 dBTP the codec exceeds by up to 2 dB again.
    assert np.max(np.abs(bench.heard(100))) < 1.12


# ---- packets out ------------------------------------------------------------------------------------------------


def test_every_frame_has_a_packet_960_ticks_after_the_last(bench):
    row, floor = bench.row(), speaker(bench)
    bench.engine.apply([plan(row, [floor.number])])
    bench.run(50)
    stamps = [timestamp for _, timestamp, _ in bench.packets[100]]
    assert len(stamps) == 50
    assert {(b - a) & 0xFFFFFFFF for a, b in pairwise(stamps)} == {960}


def test_a_late_tick_skips_whole_frames_and_the_rtp_clock_runs_on(bench):
    row, floor = bench.row(), speaker(bench)
    bench.engine.apply([plan(row, [floor.number])])
    bench.run(10)
    bench.now_ns += 3 * TICK
    bench.tick()
    stamps = [timestamp for _, timestamp, _ in bench.packets[100]]
    assert (stamps[-1] - stamps[-2]) & 0xFFFFFFFF == 4 * 960
    assert bench.counted("skipped_frames") == 3


def test_a_tick_with_output_wakes_the_plane_once(bench):
    rows = [bench.row() for _ in range(3)]
    bench.engine.apply([plan(row) for row in rows])
    bench.tick()
    assert int.from_bytes(os.read(bench.probe.wake_fd, 8), "little") == 1
    bench.engine.apply([])
    bench.tick()
    with pytest.raises(BlockingIOError):
        os.read(bench.probe.wake_fd, 8)


def test_a_plane_that_does_not_read_costs_dropped_packets_and_nothing_else(bench):
    rows = [bench.row() for _ in range(64)]
    bench.engine.apply([plan(row) for row in rows])
    for _ in range(70):
        bench.now_ns += TICK
        bench.engine.tick(bench.now_ns)
    assert bench.counted("row_packets") == 4096
    assert bench.counted("dropped_packets") == 64 * 70 - 4096


# ---- one encode per distinct mix --------------------------------------------------------------------------------


def encodes_per_frame(bench, frames=20):
    before = bench.counted("encodes"), bench.counted("row_packets")
    bench.run(frames)
    after = bench.counted("encodes"), bench.counted("row_packets")
    return (after[0] - before[0]) / frames, (after[1] - before[1]) / frames


def test_three_rows_without_an_interpreter_cost_one_encode(bench):
    rows, floor = [bench.row() for _ in range(3)], speaker(bench)
    bench.engine.apply([plan(row, [floor.number]) for row in rows])
    bench.run(10)
    assert encodes_per_frame(bench) == (1.0, 3.0)
    payloads = [
        [payload for _, _, payload in bench.packets[track]][-20:] for track in (100, 101, 102)
    ]
    assert payloads[0] == payloads[1] == payloads[2]
    assert [bench.engine.row_readings(row).shared for row in rows] == [False, True, True]


def test_one_interpreter_costs_a_second_encode_until_the_original_is_back(bench):
    rows, floor, voice = [bench.row() for _ in range(3)], speaker(bench), interpreter(bench)
    bench.engine.apply([plan(row, [floor.number]) for row in rows])
    bench.run(10)
    bench.engine.apply(
        [
            plan(rows[0], [floor.number], [voice.number]),
            *(plan(r, [floor.number]) for r in rows[1:]),
        ]
    )
    bench.run(1)
    assert encodes_per_frame(bench) == (2.0, 3.0)
    bench.engine.apply([plan(row, [floor.number]) for row in rows])
    # Hold, release, a second of care, and the limiter's way back up.
    bench.run(125 + 40 + 50 + 5 + 4)
    assert encodes_per_frame(bench) == (1.0, 3.0)


def test_a_speaker_who_joins_everywhere_costs_no_second_encode(bench):
    rows = [bench.row() for _ in range(3)]
    first, second = speaker(bench), bench.talker(encode(tone(600, 50)))
    bench.engine.apply([plan(row, [first.number]) for row in rows])
    bench.run(10)
    before = bench.counted("encodes")
    bench.engine.apply([plan(row, [second.number, first.number]) for row in rows])
    bench.run(10)
    bench.engine.apply([plan(row, [second.number]) for row in rows])
    bench.run(10)
    assert bench.counted("encodes") - before == 20


def test_rows_that_nobody_hears_cost_neither_encode_nor_decode(bench):
    rows, floor, voice = [bench.row() for _ in range(3)], speaker(bench), interpreter(bench)
    bench.engine.apply([plan(row, [floor.number], [voice.number], heard=False) for row in rows])
    bench.run(30)
    assert bench.counted("encodes") == 0
    assert bench.counted("decodes") == 0
    assert bench.counted("row_packets") == 0
    assert bench.engine.source_readings(floor.number).buffered_ms < 100
    bench.engine.apply([plan(rows[0], [floor.number]), *(plan(r, heard=False) for r in rows[1:])])
    bench.run(20)
    assert bench.counted("encodes") == 20
    assert 20 <= bench.counted("decodes") <= 22  # a packet or two ahead, where time is cut


def discontinuity_db(samples):
    """The loudest moment above 5 kHz relative to full scale: a click in a stream of low tones."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 256)[::64] * np.hanning(256)
    high = np.abs(np.fft.rfft(frames, axis=1))[:, 27:] * 4 / 256
    return 20 * np.log10(np.max(high))


@pytest.mark.parametrize("leader_diverges", [True, False])
def test_diverging_and_converging_streams_have_no_click(bench, leader_diverges):
    rows, floor, voice = [bench.row() for _ in range(3)], speaker(bench), interpreter(bench)
    rows = rows if leader_diverges else rows[::-1]
    alone = [plan(row, [floor.number]) for row in rows]
    bench.engine.apply(alone)
    bench.run(50)
    bench.engine.apply([plan(rows[0], [floor.number], [voice.number]), *alone[1:]])
    bench.run(50)
    bench.engine.apply(alone)
    bench.run(125 + 40 + 50)
    for track in (100, 101, 102):
        heard = bench.heard(track)[20 * FRAME :]
        assert discontinuity_db(heard) < -55


def test_a_row_that_diverges_goes_on_bit_for_bit(bench):
    """The new encoder of a row is the shared one's copy: until the mixes differ the packets are the same."""
    rows, floor, voice = [bench.row() for _ in range(2)], speaker(bench), interpreter(bench)
    voice.is_on = False
    bench.engine.apply([plan(row, [floor.number]) for row in rows])
    bench.run(20)
    bench.engine.apply(
        [plan(rows[0], [floor.number]), plan(rows[1], [floor.number], [voice.number])]
    )
    bench.run(20)
    first, second = ([payload for _, _, payload in bench.packets[track]] for track in (100, 101))
    assert first == second
    assert bench.counted("encodes") == 20 + 2 * 20


def test_removing_the_leading_row_leaves_the_others_without_a_seam(bench):
    lonely = MixBench()
    for each, count in ((bench, 3), (lonely, 1)):
        rows, floor = [each.row() for _ in range(count)], speaker(each)
        each.engine.apply([plan(row, [floor.number]) for row in rows])
        each.run(30)
        if count == 3:
            each.engine.remove_row(rows[0])
            each.engine.apply([plan(row, [floor.number]) for row in rows[1:]])
        each.run(30)
    expected = [payload for _, _, payload in lonely.packets[100]]
    for track in (101, 102):
        assert [payload for _, _, payload in bench.packets[track]] == expected
    assert bench.counted("encodes") == 60


# ---- clips ------------------------------------------------------------------------------------------------------


def test_a_clip_plays_pauses_and_rewinds_with_fades(bench):
    row = bench.row()
    clip = bench.engine.add_clip(tone(500, 50), loop=False)
    bench.engine.apply([plan(row, [clip])])
    bench.run(5)
    assert bench.engine.source_readings(clip).level_db == -127.0
    bench.engine.play_clip(clip, True)
    bench.run(20)
    assert bench.engine.source_readings(clip).level_db == pytest.approx(-15.05, abs=0.1)
    bench.engine.play_clip(clip, False)
    bench.run(10)
    assert bench.engine.source_readings(clip).level_db == -127.0
    bench.engine.play_clip(clip, True, rewind=True)
    bench.run(49)
    assert bench.engine.source_readings(clip).playing
    bench.run(10)
    assert not bench.engine.source_readings(clip).playing
    assert discontinuity_db(bench.heard(100)[:-FRAME]) < -45


def test_a_looped_clip_has_no_seam(bench):
    row = bench.row()
    clip = bench.engine.add_clip(tone(500, 7), loop=True)
    bench.engine.play_clip(clip, True)
    bench.engine.apply([plan(row, [clip])])
    bench.run(100)
    levels = envelope(bench.heard(100)[20 * FRAME :], 500)
    assert np.ptp(levels) < 1.0


def test_a_playing_clip_ducks_like_any_interpreter(bench):
    row, floor = bench.row(), speaker(bench)
    clip = bench.engine.add_clip(tone(INTERPRETER, 7), loop=True)
    bench.engine.apply([plan(row, [floor.number], [clip])])
    bench.run(20)
    assert bench.engine.row_readings(row).duck_db == 0.0
    bench.engine.play_clip(clip, True)
    bench.run(5)
    assert bench.engine.row_readings(row).duck_db == pytest.approx(-18.0)


def test_bad_clips_are_refused(bench):
    for bad in (np.zeros(0), np.zeros((2, 100)), np.full(100, np.nan), np.full(100, 1.5)):
        with pytest.raises(ValueError, match="clip"):
            bench.engine.add_clip(bad.astype(np.float32), loop=False)


# ---- plans and lives --------------------------------------------------------------------------------------------


def test_numbers_are_never_given_twice(bench):
    first = bench.engine.add_source()
    bench.engine.remove_source(first)
    bench.run(2)
    assert bench.engine.add_source() != first
    with pytest.raises(KeyError):
        bench.engine.source_readings(first)
    with pytest.raises(KeyError):
        bench.engine.remove_source(first)


def test_packets_for_a_source_that_is_gone_cost_a_counter(bench):
    talker = speaker(bench)
    bench.engine.remove_source(talker.number)
    bench.run(5)
    assert bench.counted("unknown_source_packets") == 5


def test_a_plan_with_an_error_changes_nothing(bench):
    row, floor = bench.row(), speaker(bench)
    bench.engine.apply([plan(row, [floor.number])])
    bench.run(5)
    with pytest.raises(KeyError):
        bench.engine.apply([plan(row, [99_999])])
    with pytest.raises(KeyError):
        bench.engine.apply([plan(77_777)])
    with pytest.raises(ValueError, match="twice"):
        bench.engine.apply([plan(row), plan(row)])
    with pytest.raises(ValueError, match="twice"):
        bench.engine.apply([plan(row, [floor.number, floor.number])])
    bench.run(20)
    assert bench.engine.row_readings(row).mix_db == pytest.approx(-15, abs=1)


def test_a_source_removed_while_it_is_mixed_fades_out(bench):
    row, floor = bench.row(), speaker(bench)
    bench.engine.apply([plan(row, [floor.number])])
    bench.run(50)
    bench.engine.remove_source(floor.number)
    bench.run(20)
    heard = bench.heard(100)[20 * FRAME : 60 * FRAME]
    assert discontinuity_db(heard) < -50
    assert bench.engine.row_readings(row).mix_db < -100


def test_a_row_that_is_not_named_falls_silent(bench):
    row, floor = bench.row(), speaker(bench)
    bench.engine.apply([plan(row, [floor.number])])
    bench.run(10)
    bench.engine.apply([])
    bench.run(10)
    assert len(bench.packets[100]) == 10


def test_joining_and_leaving_all_day_neither_leaks_numbers_nor_fails(bench):
    row = bench.row()
    for _ in range(1500):
        source = bench.engine.add_source()
        bench.engine.apply([plan(row, [source], heard=False)])
        bench.engine.remove_source(source)
        bench.engine.apply([plan(row, heard=False)])
        bench.engine.tick(bench.now_ns)
        bench.now_ns += TICK


def test_too_many_sources_are_an_error_and_not_a_crash(bench):
    numbers = [bench.engine.add_clip(np.zeros(10, np.float32), loop=True) for _ in range(1024)]
    with pytest.raises(BufferError):
        bench.engine.add_source()
    row = bench.row()
    bench.engine.apply([plan(row, numbers[:64])])
    with pytest.raises(ValueError, match="64"):
        bench.engine.apply([plan(row, numbers[:65])])
    bench.run(3)
    bench.engine.apply([plan(row, numbers[64:128])])
    bench.run(3)


@pytest.mark.parametrize(
    "bad",
    [
        {"depth_db": 1.0},
        {"depth_db": -91.0},
        {"silent_db": 0.5},
        {"attack_ms": -1},
        {"hold_ms": 60_001},
    ],
)
def test_ducking_that_makes_no_sense_is_refused(bad):
    with pytest.raises(ValueError, match="is not in"):
        Ducking(**bad)


def test_what_is_not_a_bus_is_refused(bench):
    with pytest.raises(TypeError):
        MixEngine(bus=object(), opus=bench.opus)


# ---- the thread -------------------------------------------------------------------------------------------------


def test_the_thread_ticks_by_itself_and_stops_within_a_frame(bench):
    row = bench.row()
    clip = bench.engine.add_clip(tone(500, 7), loop=True)
    bench.engine.play_clip(clip, True)
    bench.engine.apply([plan(row, [clip])])
    bench.engine.start()
    bench.engine.start()
    with pytest.raises(RuntimeError):
        bench.engine.tick(1)
    received = []
    deadline = time.monotonic() + 10
    while len(received) < 20 and time.monotonic() < deadline:
        if (packet := bench.probe.pop()) is not None:
            received.append(packet)
        else:
            threading.Event().wait(0.005)
    bench.engine.stop()
    bench.engine.stop()
    assert len(received) >= 20
    gaps = {b[1] - a[1] for a, b in pairwise(received)}
    assert all(gap % TICK == 0 for gap in gaps)
    counters = bench.engine.counters()
    assert counters["busy_ns"] > 0
    assert counters["lateness_max_ns"] >= 0


def test_joins_and_plans_while_the_thread_runs(bench):
    """Commands cross to the running thread; what is removed comes back and its number's place is used again."""
    row = bench.row()
    bench.engine.start()
    for _ in range(300):
        source = bench.engine.add_clip(np.zeros(100, np.float32), loop=True)
        bench.engine.apply([plan(row, [source])])
        bench.engine.remove_source(source)
    bench.engine.apply([])
    bench.engine.stop()
    while bench.probe.pop() is not None:
        pass
    bench.tick()
    assert bench.engine.add_source() < 1024 * 300


def test_the_engine_holds_its_bus():
    bus = _mixing.new_bus()
    bench = MixBench()
    engine = MixEngine(bus=bus, opus=bench.opus)
    row = engine.add_row(1)
    engine.apply([plan(row)])
    del bus
    engine.tick(TICK)
    assert engine.counters()["row_packets"] == 1
