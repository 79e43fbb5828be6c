"""What the engine makes of loudness, of ears, of the moment of its ticks and of its own load."""

from __future__ import annotations

import numpy as np
import pytest

from kabina.native._mixing import Effort, OpusDecoder
from kabina.native.libraries import load_opus
from kabina.native.mixing import Ducking, RowPlan, Voice
from kabina.native.reference import loudness
from kabina_sim.mix_bench import FRAME, MS, MixBench, encode, tone
from kabina_sim.voices import speech_like

TEN_SECONDS = 500


def lufs_of(sound):
    return loudness.gated(loudness.hops(sound))


def spoken(lufs, seed=1):
    """Ten seconds at a loudness, over and over."""
    sound = speech_like(10.0, 0.05, seed)
    return encode((sound * 10 ** ((lufs - lufs_of(sound)) / 20)).astype(np.float32))


def lufs_in(packets):
    """What the sender's codec left of it."""
    decoder = OpusDecoder(load_opus().handle)
    return lufs_of(np.concatenate([decoder.decode(packet) for packet in packets]))


def heard_lufs(bench, track):
    """Of the last ten seconds."""
    return lufs_of(bench.heard(track)[-TEN_SECONDS * FRAME :])


# ---- loudness ---------------------------------------------------------------------------------------------------


def test_channels_of_quiet_and_loud_interpreters_are_equally_loud():
    bench = MixBench(rides=True)
    floor = bench.talker((), is_on=False)
    rows = [bench.row() for _ in range(3)]
    voices = [bench.talker(spoken(lufs, seed)) for seed, lufs in enumerate((-30, -22, -13))]
    plans = [
        RowPlan(row, (floor.number,), (voice.number,), True, Ducking())
        for row, voice in zip(rows, voices, strict=True)
    ]
    bench.engine.apply(plans)
    bench.run(1500)
    levels = [heard_lufs(bench, track) for track in (100, 101, 102)]
    assert max(levels) - min(levels) < 2.0
    assert np.mean(levels) == pytest.approx(-20.0, abs=1.0)


def test_a_voice_that_is_alone_is_left_as_it_is():
    bench = MixBench(rides=True)
    row, voice = bench.row(), bench.talker(spoken(-30.0))
    bench.engine.apply([RowPlan(row, (voice.number,), (), True)])
    bench.run(1500)
    assert heard_lufs(bench, 100) == pytest.approx(lufs_in(voice.packets), abs=1.0)


def test_a_voice_moves_to_the_common_loudness_and_back_without_a_step():
    bench = MixBench(rides=True)
    row, voice = bench.row(), bench.talker(spoken(-30.0))
    other = bench.talker((), is_on=False)
    alone = RowPlan(row, (voice.number,), (), True)
    bench.engine.apply([alone])
    bench.run(600)
    bench.engine.apply([RowPlan(row, (voice.number, other.number), (), True)])
    bench.run(700)
    beside = heard_lufs(bench, 100)
    bench.engine.apply([alone])
    bench.run(1000)
    assert beside == pytest.approx(-20.0, abs=1.5)
    assert heard_lufs(bench, 100) == pytest.approx(lufs_in(voice.packets), abs=1.0)


# ---- ears -------------------------------------------------------------------------------------------------------


def test_a_guarded_row_lets_no_sound_be_far_louder_than_voices_are():
    bench = MixBench()
    plain, guarded = bench.row(), bench.row(Voice(guarded=True))
    voice = bench.talker(spoken(-6.0))
    bench.engine.apply([RowPlan(row, (voice.number,), (), True) for row in (plain, guarded)])
    bench.run(700)
    assert heard_lufs(bench, 101) < heard_lufs(bench, 100) - 1.5
    assert heard_lufs(bench, 101) < -14.0
    assert bench.engine.row_readings(guarded).exposure_db > 0.0


def test_a_guarded_row_has_an_encoder_of_its_own():
    bench = MixBench()
    rows = [bench.row(), bench.row(Voice(guarded=True)), bench.row(Voice(bitrate_bps=64_000))]
    voice = bench.talker(encode(tone(440, 50)))
    bench.engine.apply([RowPlan(row, (voice.number,), (), True) for row in rows])
    bench.run(20)
    assert [bench.engine.row_readings(row).shared for row in rows] == [False] * 3
    assert bench.counted("encodes") == 60


def test_a_row_that_opens_under_an_interpreter_at_work_never_lets_the_original_through():
    bench = MixBench()
    floor, voice = bench.talker(encode(tone(440, 50))), bench.talker(encode(tone(880, 50)))
    first = bench.row()
    planned = RowPlan(first, (floor.number,), (voice.number,), True, Ducking())
    bench.engine.apply([planned])
    bench.run(50)
    late = bench.row()
    at_once = Ducking(attack_ms=0)
    bench.engine.apply([planned, RowPlan(late, (floor.number,), (voice.number,), True, at_once)])
    bench.run(1)
    assert bench.engine.row_readings(late).duck_db == pytest.approx(-18.0)


# ---- the moment of ticks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase_ms", [1.0, 6.0, 11.0, 16.0])
def test_the_tick_moves_to_where_a_packet_waits_for_nothing_but_the_target(phase_ms):
    bench = MixBench(follows=True)
    row, voice = bench.row(), bench.talker(spoken(-20.0), phase_ms=phase_ms)
    bench.engine.apply([RowPlan(row, (voice.number,), (), True)])
    bench.run(1500)
    readings = bench.engine.source_readings(voice.number)
    assert readings.concealed == 0
    assert readings.delay_ms - readings.target_ms == pytest.approx(0.0, abs=1.0)


def test_of_two_talkers_the_one_who_would_miss_it_first_decides():
    bench = MixBench(follows=True)
    row = bench.row()
    voices = [bench.talker(spoken(-20.0, seed), phase_ms=5.0 + 9.0 * seed) for seed in range(2)]
    bench.engine.apply([RowPlan(row, tuple(voice.number for voice in voices), (), True)])
    bench.run(1500)
    readings = [bench.engine.source_readings(voice.number) for voice in voices]
    waits = sorted(each.delay_ms - each.target_ms for each in readings)
    assert waits[0] == pytest.approx(0.0, abs=1.0)
    assert [each.concealed for each in readings] == [0, 0]


def test_the_tick_never_moves_by_more_than_one_per_cent():
    bench = MixBench(follows=True)
    row, voice = bench.row(), bench.talker(spoken(-20.0), phase_ms=10.0)
    bench.engine.apply([RowPlan(row, (voice.number,), (), True)])
    bench.run(300)
    times = np.diff([at_ns for at_ns, _, _ in bench.packets[100]])
    assert np.all(np.abs(times - 20 * MS) <= 0.2 * MS)


# ---- load -------------------------------------------------------------------------------------------------------


def settled(effort, load, ticks=1000):
    for _ in range(ticks):
        effort.tell(round(load * 20 * MS))
    return effort.complexity


def test_encoders_get_cheaper_under_load_and_better_when_there_is_time():
    effort = Effort(5)
    assert effort.complexity == 5
    assert settled(effort, 0.03) == 9
    assert settled(effort, 0.30) == 5
    assert settled(effort, 0.85) == 2
    assert settled(effort, 0.97) == 0
    assert settled(effort, 0.30, 1500) == 5


def test_one_slow_second_does_not_make_encoders_flap():
    effort = Effort(5)
    settled(effort, 0.85)
    seen = {settled(effort, load, 25) for load in (0.3, 0.7) * 40}
    assert seen == {2}


def test_a_row_expects_at_least_one_per_cent_of_loss():
    bench = MixBench()
    with pytest.raises(ValueError, match="loss_percent"):
        bench.engine.apply([RowPlan(bench.row(), (), (), True, loss_percent=0)])


def test_more_loss_makes_for_more_copies():
    packets = {}
    for percent in (1, 20):
        bench = MixBench()
        row, voice = bench.row(), bench.talker(spoken(-20.0))
        bench.engine.apply([RowPlan(row, (voice.number,), (), True, loss_percent=percent)])
        bench.run(200)
        packets[percent] = tuple(packet for _, _, packet in bench.packets[100])
    assert packets[1] != packets[20]
