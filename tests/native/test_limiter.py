"""The true-peak limiter: never above −1 dBTP, no corner, no memory beyond its window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from kabina.native import _mixing
from kabina.native.reference import limiter as reference

CEILING = 10 ** (-1 / 20)


def limited(sound, block=960):
    out = np.ascontiguousarray(sound, dtype=np.float32).copy()
    native = _mixing.Limiter()
    for at in range(0, len(out), block):
        part = out[at : at + block].copy()
        native.run(part)
        out[at : at + block] = part
    return out


def true_peak_db(sound):
    """An independent 4× measurement with scipy's own long filter."""
    oversampled = signal.resample_poly(sound.astype(np.float64), 4, 1, window=("kaiser", 8.0))
    return 20 * np.log10(max(np.max(np.abs(oversampled)), 1e-9))


def band_limited(sound):
    """Below 20 kHz, as everything that left an Opus decoder is."""
    low = signal.firwin(129, 20_000, fs=48_000)
    return signal.lfilter(low, 1, sound)


def test_the_native_limiter_equals_the_reference():
    rng = np.random.default_rng(3)
    sound = (rng.normal(0, 0.5, 9600) * np.repeat([0.2, 1, 3, 0.1, 2], 1920)).astype(np.float32)
    assert np.allclose(limited(sound), reference.limit(sound), atol=2e-6)


@pytest.mark.parametrize("block", [1, 7, 64, 480, 959])
def test_the_block_length_does_not_matter(block):
    sound = np.random.default_rng(4).normal(0, 0.8, 2880).astype(np.float32)
    assert np.allclose(limited(sound, block), limited(sound), atol=1e-6)


def test_quiet_sound_passes_bit_for_bit_64_samples_later():
    sound = np.random.default_rng(5).uniform(-0.3, 0.3, 4800).astype(np.float32)
    out = limited(sound)
    assert np.array_equal(out[64:], sound[:-64])
    assert not out[:64].any()


@given(st.integers(0, 10_000), st.floats(0.5, 8.0), st.sampled_from(["noise", "tones", "steps"]))
@settings(deadline=None, max_examples=40)
def test_no_output_is_above_minus_one_db_true_peak(seed, gain, kind):
    rng = np.random.default_rng(seed)
    if kind == "noise":
        sound = rng.normal(0, 0.5, 4800)
    elif kind == "tones":
        at = np.arange(4800) / 48_000
        sound = sum(
            np.sin(2 * np.pi * hz * at + rng.uniform(0, 6)) for hz in rng.uniform(50, 18_000, 3)
        )
    else:
        sound = np.sign(rng.normal(0, 1, 4800))
    # Silence behind it: the measurement must not see the end of the array as a step.
    out = limited(np.concatenate([gain * band_limited(sound), np.zeros(480)]))
    assert true_peak_db(out) <= -1.0 + 0.05


def test_two_limiters_fed_the_same_frame_hold_the_same_state():
    """What lets two rows share one encoder two ticks after their mixes became equal."""
    rng = np.random.default_rng(6)
    one, other = _mixing.Limiter(), _mixing.Limiter()
    one.run(rng.normal(0, 1, 960).astype(np.float32))
    for _ in range(2):
        frame = rng.normal(0, 1, 960).astype(np.float32)
        one.run(frame.copy())
        other.run(frame.copy())
    assert one.state() == other.state()


def test_a_limited_tone_stays_a_tone():
    at = np.arange(9600) / 48_000
    out = limited((2.0 * np.sin(2 * np.pi * 440 * at)).astype(np.float32))[2000:8720]
    spectrum = np.abs(np.fft.rfft(out * np.hanning(len(out)))) ** 2
    spread = np.fft.rfftfreq(len(out), 1 / 48_000)
    carrier = spectrum[np.abs(spread - 440) < 40].sum()
    assert 10 * np.log10(spectrum[np.abs(spread - 440) >= 40].sum() / carrier) < -35
    assert np.max(np.abs(out)) == pytest.approx(CEILING, rel=0.02)


def test_a_block_beyond_the_limit_is_refused():
    with pytest.raises(ValueError, match="960"):
        _mixing.Limiter().run(np.zeros(961, np.float32))
