"""The hearing guard: three tiers, a dose, and nothing at all while nothing is too loud."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kabina.native import _mixing
from kabina.native.reference import guard as reference
from kabina.native.reference import loudness
from kabina_sim.voices import speech_like

SECOND = 48_000
QUIET_TARGET = 20.0
"""A target so high that the loudness limit is never met, to see the others alone."""


def tone(rms_db, seconds, hz=1000.0):
    """A sine whose mean square is that many dB below 1."""
    at = np.arange(round(seconds * SECOND)) / SECOND
    return (np.sqrt(2) * 10 ** (rms_db / 20) * np.sin(2 * np.pi * hz * at)).astype(np.float32)


def guarded(sound, native=None, block=960):
    native = native or _mixing.HearingGuard()
    out = np.array(sound, np.float32)
    for at in range(0, len(out) // block * block, block):
        native.run(out[at : at + block])
    return out


def rms_db(sound):
    return 10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-30)


def voice_at(lufs, seconds, seed=1):
    sound = speech_like(seconds, 0.03, seed)
    found = loudness.gated(loudness.hops(sound))
    return (sound * 10 ** ((lufs - found) / 20)).astype(np.float32)


@pytest.mark.parametrize("block", [120, 480, 960])
def test_a_voice_near_the_target_passes_bit_for_bit_64_samples_later(block):
    voice = voice_at(-22, 10)
    native = _mixing.HearingGuard()
    out = guarded(voice, native, block)
    assert np.array_equal(out[64:], voice[:-64])
    assert native.delay_samples == 64
    read = native.readings()
    assert read["warnings"] == 0
    assert (read["ceiling_db"], read["sustained_db"], read["loudness_db"]) == (0, 0, 0)


# ---- tier 1 --------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.floats(0.1, 7.0), st.sampled_from([102.0, 110.0, 120.0]))
@settings(deadline=None, max_examples=30)
def test_no_peak_is_above_that_of_a_sine_of_100_db(seed, gain, full_scale_db):
    sound = gain * np.random.default_rng(seed).normal(0, 1, 9600).clip(-1.1, 1.1)
    out = guarded(sound, _mixing.HearingGuard(full_scale_db, QUIET_TARGET))
    most = min(10 ** ((100 - full_scale_db + 3.0103) / 20), 10 ** (-1 / 20))
    assert np.max(np.abs(out)) <= most * (1 + 1e-6)  # float32


# ---- tier 2 --------------------------------------------------------------------------------------


def test_more_than_94_db_for_more_than_100_ms_becomes_94():
    native = _mixing.HearingGuard(104, QUIET_TARGET)
    out = guarded(tone(-5, 2), native)  # 99 dB, 1 kHz: A-weighted the same
    assert rms_db(out[: SECOND // 50]) + 104 == pytest.approx(99, abs=0.5)
    for at in range(4800, 90_000, 4800):
        assert rms_db(out[at : at + 4800]) + 104 <= 94.1
    assert native.readings()["sustained_db"] == pytest.approx(-5, abs=0.05)


def test_a_short_burst_below_the_ceiling_is_left_alone():
    sound = np.concatenate([np.zeros(9600), tone(-5, 0.03), np.zeros(9600)]).astype(np.float32)
    assert np.array_equal(guarded(sound, _mixing.HearingGuard(104, QUIET_TARGET))[64:], sound[:-64])


def test_low_frequencies_count_less_as_an_ear_hears_them():
    native = _mixing.HearingGuard(104, QUIET_TARGET)
    guarded(tone(-5, 2, 100.0), native)  # 99 dB at 100 Hz are 80 dB(A)
    assert native.readings()["sustained_db"] == 0.0


# ---- loudness ------------------------------------------------------------------------------------


@pytest.mark.parametrize("over_lu", [8, 12, 16])
@pytest.mark.parametrize("kind", ["voice", "noise"])
def test_a_shout_stays_within_6_lu_of_the_target_short_term(kind, over_lu):
    voice = voice_at(-20, 5)
    shout = voice_at(-20 + over_lu, 10, 2)
    if kind == "noise":
        rng = np.random.default_rng(3)
        shout = rng.normal(0, 1, 10 * SECOND)
        shout *= 10 ** ((-20 + over_lu - loudness.gated(loudness.hops(shout))) / 20)
    out = guarded(np.concatenate([voice, shout, voice]))
    hops = loudness.hops(out)
    worst = max(loudness.short_term(hops[:at]) for at in range(30, len(hops)))
    assert worst <= -20 + 6.0


def test_after_a_shout_the_gain_comes_back_within_seconds():
    native = _mixing.HearingGuard()
    guarded(voice_at(-8, 5), native)
    assert native.readings()["loudness_db"] < -3
    guarded(voice_at(-22, 3), native)
    voice = voice_at(-22, 3)
    assert np.array_equal(guarded(voice, native)[64:], voice[:-64])


def test_the_gain_falls_within_a_millisecond_a_step_and_never_jumps():
    sound = np.concatenate([tone(-30, 1), tone(-4, 1), tone(-30, 3)])
    out = guarded(sound)
    loud = np.abs(sound[:-64]) > 0.02
    gains = (out[64:] / np.where(sound[:-64] == 0, 1, sound[:-64]))[loud]
    assert np.max(np.abs(np.diff(gains))) < 0.03
    assert np.min(gains) < 0.5


# ---- dose ----------------------------------------------------------------------------------------


def test_the_native_gains_and_exposure_equal_the_reference():
    rng = np.random.default_rng(4)
    envelope = np.repeat(10 ** (rng.uniform(-40, -3, 40) / 20), 4800)
    sound = (envelope * rng.normal(0, 1, len(envelope))).clip(-8, 8).astype(np.float32)
    native = _mixing.HearingGuard(100, -20)
    sustained, loud = reference.gains(sound, 100, -20)
    for step in range(0, len(sound), 120):
        native.run(sound[step : step + 120].copy())
        read = native.readings()
        assert read["sustained_db"] == pytest.approx(
            20 * np.log10(sustained[step // 120]), abs=0.01
        )
        assert read["loudness_db"] == pytest.approx(20 * np.log10(loud[step // 120]), abs=0.01)
    assert native.readings()["l_ex_db"] == pytest.approx(
        reference.l_ex_db(sound, 100, -20), abs=0.01
    )


def dose_of(level_db, seconds, exposure=0.0):
    native = _mixing.HearingGuard(104, QUIET_TARGET, exposure)
    guarded(tone(level_db - 104, seconds), native)
    return native.readings()


def test_three_db_more_for_half_the_time_are_the_same_dose():
    assert dose_of(83, 10)["dose_85_percent"] == pytest.approx(
        dose_of(80, 20)["dose_85_percent"], rel=0.01
    )


def test_a_minute_at_80_db_is_a_480th_of_a_day():
    read = dose_of(80, 60)
    assert read["l_ex_db"] == pytest.approx(80 - 10 * np.log10(480), abs=0.05)
    assert read["dose_80_percent"] == pytest.approx(100 / 480, rel=0.01)
    assert read["dose_85_percent"] == pytest.approx(100 / 480 / 10**0.5, rel=0.01)
    assert read["minute_db"] == pytest.approx(80, abs=0.05)


def test_an_exposure_of_before_is_carried_on():
    first = dose_of(85, 10)
    both = dose_of(85, 10, first["exposure"])
    assert both["dose_80_percent"] == pytest.approx(2 * first["dose_80_percent"], rel=1e-3)


def test_what_the_guard_takes_off_is_not_in_the_dose():
    assert dose_of(99, 10)["l_ex_db"] == pytest.approx(94 - 10 * np.log10(8 * 360), abs=0.1)


# ---- tier 3 --------------------------------------------------------------------------------------


def test_a_loud_minute_is_told_once_and_again_after_half_an_hour():
    native = _mixing.HearingGuard(104, QUIET_TARGET)
    second = tone(81 - 104, 1)
    told = []
    for at in range(32 * 60):
        guarded(second, native)
        if native.readings()["warnings"] > len(told):
            told.append(at + 1)
    # 48 s of 81 dB and 12 of silence are 80.03 dB over a minute.
    assert told == [48, 48 + 30 * 60]


def test_a_minute_at_79_db_is_not_told():
    native = _mixing.HearingGuard(104, QUIET_TARGET)
    guarded(tone(79 - 104, 120), native)
    assert native.readings()["warnings"] == 0


@pytest.mark.parametrize("full_scale_db", [94, 104, 120])
def test_a_warning_is_two_beeps_of_100_ms_of_70_db_100_ms_apart(full_scale_db):
    native = _mixing.HearingGuard(full_scale_db, QUIET_TARGET)
    second = tone(84 - full_scale_db, 1)
    while not native.is_beeping:
        guarded(second, native)
    out = guarded(np.zeros(28_800, np.float32), native)[64:]
    levels = [rms_db(part) + full_scale_db for part in out[:24_000].reshape(-1, 4800)]
    for at, is_heard in enumerate([True, False, True, False, False]):
        if is_heard:
            assert 69 <= levels[at] <= 70
        else:
            assert not out[at * 4800 + 64 : (at + 1) * 4800].any()
    assert not native.is_beeping


def test_a_beep_has_no_edge():
    native = _mixing.HearingGuard(104, QUIET_TARGET)
    while not native.is_beeping:
        guarded(tone(84 - 104, 1), native)
    out = guarded(np.zeros(19_200, np.float32), native)[64:]
    spectrum = np.abs(np.fft.rfft(out[:9600]))
    hz = np.fft.rfftfreq(9600, 1 / SECOND)
    away = np.abs(hz - 1000) > 1000
    assert 20 * np.log10(np.max(spectrum[away]) / np.max(spectrum)) < -60


# ---- settings, sameness, junk --------------------------------------------------------------------


def test_another_calibration_is_taken_up_without_a_step():
    native = _mixing.HearingGuard(94, QUIET_TARGET)
    sound = tone(-6, 1)
    out = [guarded(sound, native)]
    native.configure(112, QUIET_TARGET)
    out.append(guarded(sound, native))
    joined = np.concatenate(out)
    # 106 dB before, 94 after, and no faster between two samples than the tone itself.
    assert np.max(np.abs(np.diff(joined))) <= np.max(np.abs(np.diff(sound))) * 1.02
    assert rms_db(joined[-4800:]) + 112 == pytest.approx(94, abs=0.1)


def test_two_guards_are_equal_where_both_leave_the_sound_alone():
    one, other = _mixing.HearingGuard(), _mixing.HearingGuard()
    voice = voice_at(-20, 2)
    guarded(voice_at(-6, 3), one)
    assert not one.equals(other)
    for native in (one, other):
        guarded(voice, native)
        guarded(voice, native)
    assert one.equals(other)
    assert not one.equals(_mixing.HearingGuard(100))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 9599),
            st.sampled_from([np.nan, np.inf, -np.inf, 3e38, 8.5, 1e-42]),
        ),
        max_size=20,
    ),
    st.sampled_from([120, 480, 960]),
)
@settings(deadline=None, max_examples=30)
def test_samples_that_are_no_numbers_become_silence(bad, block):
    sound = voice_at(-20, 1)[:9600]
    clean = sound.copy()
    for at, value in bad:
        sound[at], clean[at] = value, 0.0
    assert np.array_equal(guarded(sound, block=block), guarded(clean, block=block))


@pytest.mark.parametrize("length", [100, 961, 1080])
def test_other_block_lengths_are_refused(length):
    with pytest.raises(ValueError, match="120"):
        _mixing.HearingGuard().run(np.zeros(length, np.float32))
