"""What benchmarks say of a sound, on sounds of which it is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from kabina.benchmarks import measures

RATE = 48_000


def tone(seconds=1.0, hz=997.0, amplitude=0.1, phase=0.3):
    at = np.arange(round(seconds * RATE)) / RATE
    return amplitude * np.sin(2 * np.pi * hz * at + phase)


def noise(seconds=1.0, rms=0.01, seed=1):
    return rms * np.random.default_rng(seed).normal(size=round(seconds * RATE))


def test_a_full_scale_sine_is_3_db_below_full_scale():
    assert measures.rms_dbfs(tone(amplitude=1.0)) == pytest.approx(-3.01, abs=0.01)
    assert measures.tone_dbfs(tone(amplitude=1.0), 997) == pytest.approx(-3.01, abs=0.01)


def test_nothing_is_minus_160_and_no_error():
    assert measures.rms_dbfs(np.zeros(0)) == -160
    assert measures.peak_dbfs(np.zeros(100)) == -160
    assert measures.loudness_lufs(np.zeros(RATE)) == -160


def test_a_tone_is_found_among_others():
    mixed = tone(hz=1000, amplitude=0.1) + tone(hz=3000, amplitude=0.5)
    assert measures.tone_dbfs(mixed, 1000) == pytest.approx(-23.01, abs=0.05)


@pytest.mark.parametrize("percent", [0.1, 1.0, 5.0])
def test_distortion_is_what_was_added(percent):
    dirty = tone() + tone(hz=3 * 997.0, amplitude=0.1 * percent / 100)
    assert measures.thd_n_percent(dirty, 997) == pytest.approx(percent, rel=0.02)
    assert measures.thd_percent(dirty, 997) == pytest.approx(percent, rel=0.02)


def test_noise_counts_for_thd_n_and_not_for_thd():
    dirty = tone(2.0) + noise(2.0, rms=0.1 / np.sqrt(2) * 0.02)
    # White to 24 kHz, of which 20 Hz to 20 kHz counts.
    assert measures.thd_n_percent(dirty, 997) == pytest.approx(2 * np.sqrt(20 / 24), rel=0.03)
    assert measures.thd_percent(dirty, 997) < 0.1


def test_a_pure_tone_has_no_distortion():
    assert measures.thd_n_percent(tone(), 997) < 0.001


def test_the_response_of_a_known_filter_is_found_tone_by_tone():
    above, below = signal.butter(2, 4000, fs=RATE)
    for hz in (125.0, 1000.0, 4000.0, 12_000.0):
        passed = signal.lfilter(above, below, tone(hz=hz))[RATE // 4 :]
        (expected,) = 20 * np.log10(np.abs(signal.freqz(above, below, [hz], fs=RATE)[1]))
        gain = measures.tone_dbfs(passed, hz) - measures.tone_dbfs(tone(hz=hz), hz)
        assert gain == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(("dbfs", "lufs"), [(-23.0, -23.0), (-33.0, -33.0)])
def test_ebu_3341s_tones_have_their_loudness(dbfs, lufs):
    """1 kHz in both of two channels at −23 dBFS (peak) is −23 LUFS; in one channel 3 less."""
    sound = tone(20.0, hz=1000, amplitude=10 ** (dbfs / 20))
    assert measures.loudness_lufs(sound) + 3.01 == pytest.approx(lufs, abs=0.1)


def test_pauses_do_not_lower_the_loudness():
    loud = tone(10.0, hz=1000)
    paused = np.concatenate([loud, np.zeros(20 * RATE)])
    assert measures.loudness_lufs(paused) == pytest.approx(measures.loudness_lufs(loud), abs=0.2)


@pytest.mark.parametrize("late", [0, 17, 4800, -333])
def test_the_lag_of_a_shifted_sound_is_found(late):
    sound = noise(2.0)
    shifted = sound[-late:] if late < 0 else np.concatenate([np.zeros(late), sound])
    assert measures.lag(0.5 * shifted + noise(len(shifted) / RATE, 0.002, 2), sound) == late


def test_a_true_peak_lies_between_the_samples():
    """A sine of a quarter of the rate, sampled at 45°: its samples are 3 dB below its crest."""
    sound = tone(hz=12_000, amplitude=1.0, phase=np.pi / 4)
    assert measures.peak_dbfs(sound) == pytest.approx(-3.01, abs=0.01)
    assert measures.true_peak_dbtp(sound) == pytest.approx(0.0, abs=0.05)


def test_a_step_stands_out_of_a_tone_and_a_ramp_does_not():
    stepped, ramped = tone(hz=400), tone(hz=400)
    middle = RATE // 2 + 30
    stepped[middle:] *= 0.5
    ramped *= np.interp(np.arange(RATE), [middle, middle + 960], [1.0, 0.5])
    at = middle // 120
    assert measures.steps_dbfs(stepped)[at - 2 : at + 3].max() > -45
    assert measures.steps_dbfs(ramped)[at - 2 : at + 12].max() < -80


def test_a_gap_is_as_long_as_it_is():
    sound = tone(hz=400)
    sound[20_000 : 20_000 + 4_800] = 0
    assert measures.gap_ms(sound) == pytest.approx(100, abs=20)
    assert measures.gap_ms(tone(hz=400)) == 0


def test_resampling_keeps_what_16_khz_can_hold():
    low = measures.resampled(tone(hz=1000) + tone(hz=11_000))
    at = np.arange(len(low)) / 16_000
    assert low == pytest.approx(0.1 * np.sin(2 * np.pi * 1000 * at + 0.3), abs=1e-6)
