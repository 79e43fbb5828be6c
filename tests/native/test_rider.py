"""The rider: voices of any level end equally loud, slowly, without a step, and only while there is a voice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kabina.native import _mixing
from kabina.native.reference import loudness as reference
from kabina_sim.voices import speech_like

SECOND = 48_000


def at_lufs(sound, lufs):
    """The sound at this integrated loudness."""
    found = reference.gated(reference.hops(sound))
    return (sound * 10 ** ((lufs - found) / 20)).astype(np.float32)


def ridden(sound, native=None, block=960):
    """The output, and the gain in dB behind every block."""
    native = native or _mixing.Rider()
    out, gains = np.array(sound, np.float32), []
    for at in range(0, len(out) // block * block, block):
        part = out[at : at + block]
        native.run(part)
        gains.append(native.gain_db)
    return out, np.array(gains)


def integrated(sound):
    return reference.gated(reference.hops(sound))


@pytest.mark.parametrize("seed", [1, 2])
def test_voices_of_any_level_end_within_1_lu_of_each_other(seed):
    """−32 … −8 LUFS is what ±12 dB reach; each at its level for 20 s, then judged over 20 s."""
    voice = speech_like(40, 0.03, seed)
    ends = [
        integrated(ridden(at_lufs(voice, lufs))[0][20 * SECOND :]) for lufs in range(-32, -7, 3)
    ]
    assert max(ends) - min(ends) < 1.0
    assert np.allclose(ends, -20, atol=1.0)


@pytest.mark.parametrize(("lufs", "end"), [(-38, -26), (-4, -16)])
def test_beyond_its_range_a_voice_is_moved_by_12_db(lufs, end):
    out, gains = ridden(at_lufs(speech_like(40, 0.03), lufs))
    assert np.max(np.abs(gains)) == pytest.approx(12.0, abs=0.001)
    assert integrated(out[20 * SECOND :]) == pytest.approx(end, abs=0.3)


def test_it_begins_at_0_db_and_moves_no_faster_than_it_may():
    for lufs in (-32, -8):
        _, gains = ridden(at_lufs(speech_like(20, 0.03), lufs))
        steps = np.diff(np.concatenate([[0.0], gains])) * 50
        assert np.max(steps) <= 1.0 + 1e-3
        assert np.min(steps) >= -3.0 - 1e-3


@pytest.mark.parametrize("pause", ["silence", "noise"])
def test_without_a_voice_the_gain_stands_still(pause):
    native = _mixing.Rider()
    ridden(at_lufs(speech_like(15, 0.03), -30), native)
    rest = np.zeros(60 * SECOND, np.float32)
    if pause == "noise":
        rest += np.random.default_rng(1).normal(0, 0.003, len(rest))
    _, gains = ridden(rest, native)
    # Noise that begins is taken for a voice until it has lasted for 3 s.
    assert np.ptp(gains[50 * 4 :]) == 0.0
    assert abs(gains[-1] - gains[0]) < 4.0
    if pause == "silence":
        assert gains[-1] == pytest.approx(gains[0], abs=0.3)


def test_a_hum_under_a_voice_is_not_raised_in_its_pauses():
    rng = np.random.default_rng(2)
    voice = at_lufs(speech_like(30, 0.03), -22)
    native = _mixing.Rider()
    noise = rng.normal(0, 0.0005, 90 * SECOND).astype(np.float32)
    _, before = ridden(voice + noise[: len(voice)], native)
    _, after = ridden(noise[len(voice) :], native)
    assert abs(after[-1] - before[-1]) < 0.3


@given(
    st.lists(
        st.tuples(st.floats(-60, 0), st.sampled_from([960, 480, 120])), min_size=2, max_size=80
    )
)
@settings(deadline=None, max_examples=30)
def test_the_gain_never_steps(parts):
    """A constant comes out as the gain itself."""
    native = _mixing.Rider()
    ridden(at_lufs(speech_like(5, 0.03), -8), native)
    before = 10 ** (native.gain_db / 20)
    rng = np.random.default_rng(3)
    for level_db, n in parts:
        sound = np.full(n, 10 ** (level_db / 20), np.float32)
        loud = (rng.normal(0, 10 ** (level_db / 20), 4800)).astype(np.float32)
        ridden(loud[: 4800 // n * n], native, n)
        before = 10 ** (native.gain_db / 20)
        out = sound.copy()
        native.run(out)
        gains = np.concatenate([[before], out / sound, [10 ** (native.gain_db / 20)]])
        assert np.max(np.abs(np.diff(gains))) < before * 3e-5  # 3 dB/s are 7.2e-6 per sample


def test_turned_off_it_goes_back_to_0_db_and_then_touches_nothing():
    native = _mixing.Rider()
    voice = at_lufs(speech_like(10, 0.03), -26)
    ridden(voice, native)
    assert native.gain_db > 2
    native.configure(range_db=0)
    ridden(np.zeros(SECOND * 12, np.float32), native)
    assert native.gain_db == 0.0
    out, _ = ridden(voice, native)
    assert np.array_equal(out, voice)


def test_another_target_is_taken_up():
    native = _mixing.Rider()
    voice = at_lufs(speech_like(20, 0.03), -20)
    ridden(voice, native)
    native.configure(target_lufs=-23)
    out, _ = ridden(np.concatenate([voice, voice]), native)
    assert integrated(out[20 * SECOND :]) == pytest.approx(-23, abs=1.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 9.0])
def test_a_sample_that_is_no_number_becomes_silence_and_leaves_no_trace(bad):
    voice = at_lufs(speech_like(12, 0.03), -28)
    broken = voice.copy()
    broken[6 * SECOND + 100] = bad
    out, gains = ridden(broken)
    expected, unbroken = ridden(voice)
    assert np.all(np.isfinite(out))
    assert out[6 * SECOND + 100] == 0.0
    assert np.allclose(gains, unbroken, atol=0.2)
    assert np.allclose(out[7 * SECOND :], expected[7 * SECOND :], rtol=0.05, atol=1e-6)
