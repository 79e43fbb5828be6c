"""The true-peak limiter: never above −1 dBTP, no corner, a tone stays a tone, at rest no memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from kabina.native import _mixing
from kabina.native.reference import limiter as reference

CEILING = 10 ** (-1 / 20)


def limited(sound, block=960, native=None):
    out = np.ascontiguousarray(sound, dtype=np.float32).copy()
    native = native or _mixing.Limiter()
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


def distortion_percent(sound, hz):
    """THD+N: everything but the tone, 20 Hz to 20 kHz, as a share of the tone."""
    at = np.arange(len(sound)) / 48_000
    waves = np.stack([np.sin(2 * np.pi * hz * at), np.cos(2 * np.pi * hz * at), np.ones(len(at))])
    shares, *_ = np.linalg.lstsq(waves.T, sound.astype(np.float64), rcond=None)
    rest = sound - shares @ waves
    return 100 * np.sqrt(np.mean(rest**2) / (np.sum(shares[:2] ** 2) / 2))


@pytest.mark.parametrize("over_db", [0.5, 3.0, 6.0, 12.0])
@pytest.mark.parametrize("hz", [60, 100, 440, 1000])
def test_a_tone_far_too_loud_for_long_keeps_its_shape(hz, over_db):
    at = np.arange(2 * 48_000) / 48_000
    tone = 10 ** ((over_db - 1) / 20) * np.sin(2 * np.pi * hz * at)
    out = limited(tone)[48_000:]
    assert distortion_percent(out, hz) < 1.0
    assert 20 * np.log10(np.max(np.abs(out))) == pytest.approx(-1.05, abs=0.05)


def at_rest(native, sound):
    """Runs `sound`, then quiet noise until the gain is 1; the seconds that took."""
    limited(sound, native=native)
    rng = np.random.default_rng(7)
    for frame in range(200):
        if native.is_open:
            return frame * 0.02
        native.run(rng.uniform(-0.3, 0.3, 960).astype(np.float32))
    raise AssertionError("never open again")


@pytest.mark.parametrize(
    ("gain", "least_s", "most_s"), [(1.26, 0.3, 0.5), (4, 0.9, 1.2), (500, 1.3, 1.5)]
)
def test_it_rests_again_soon_after_the_last_overload(gain, least_s, most_s):
    native = _mixing.Limiter()
    tone = gain * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)
    assert least_s <= at_rest(native, tone) <= most_s
    sound = np.random.default_rng(5).uniform(-0.3, 0.3, 4800).astype(np.float32)
    out = limited(sound, native=native)
    assert np.array_equal(out[64:], sound[:-64])


def test_two_that_rest_are_equal_after_72_equal_samples():
    """What lets two rows share one encoder as soon as their mixes became equal."""
    one, other = _mixing.Limiter(), _mixing.Limiter()
    rng = np.random.default_rng(6)
    at_rest(one, 2 * rng.normal(0, 1, 9600))
    at_rest(other, 3 * rng.normal(0, 1, 4800))
    assert not one.equals(other)
    frame = rng.uniform(-0.3, 0.3, 71).astype(np.float32)
    one.run(frame.copy())
    other.run(frame.copy())
    assert not one.equals(other)
    one.run(frame[:1].copy())
    other.run(frame[:1].copy())
    assert one.equals(other)


def test_two_whose_gains_still_differ_are_not_equal():
    one, other = _mixing.Limiter(), _mixing.Limiter()
    rng = np.random.default_rng(8)
    limited(2 * rng.normal(0, 1, 960), native=one)
    quiet = rng.uniform(-0.3, 0.3, 9600)
    assert not np.array_equal(limited(quiet, native=one), limited(quiet, native=other))
    assert not one.equals(other)


@given(st.integers(0, 10_000), st.floats(0.2, 4.0), st.sampled_from([64, 480, 960]))
@settings(deadline=None, max_examples=30)
def test_two_that_are_equal_stay_so_on_the_same_sound(seed, gain, block):
    rng = np.random.default_rng(seed)
    one, other = _mixing.Limiter(), _mixing.Limiter()
    limited(rng.normal(0, 1, 4800), native=one)
    for native in (one, other):  # a common overload deeper than what either remembers
        limited(np.full(960, 900.0), native=native)
    assert one.equals(other)
    sound = gain * rng.normal(0, 0.5, 4800)
    assert np.array_equal(limited(sound, block, one), limited(sound, block, other))
    assert one.equals(other)


# ---- the ceiling ---------------------------------------------------------------------------------


def test_a_moving_ceiling_equals_the_reference():
    rng = np.random.default_rng(9)
    sound = rng.normal(0, 0.6, 9600).astype(np.float32)
    native = _mixing.Limiter()
    out = [limited(sound[:1920], native=native)]
    native.lower(3.0, 2000)
    out.append(limited(sound[1920:5760], native=native))
    native.lower(0.0, 480)
    out.append(limited(sound[5760:], native=native))
    low = reference.CEILING * 10 ** (-3 / 20)
    ceiling = np.full(9600 + reference.REACH, reference.CEILING)
    ceiling[1920:3920] += (low - reference.CEILING) * np.arange(2000) / 2000
    ceiling[3920:5760] = low
    ceiling[5760:6240] = low + (reference.CEILING - low) * np.arange(480) / 480
    expected = reference.limit(sound, ceiling[reference.REACH :])
    assert np.allclose(np.concatenate(out), expected, atol=3e-6)


@pytest.mark.parametrize("by_db", [3.0, 6.0])
def test_nothing_is_above_a_lowered_ceiling(by_db):
    native = _mixing.Limiter()
    native.lower(by_db)
    sound = band_limited(np.random.default_rng(10).normal(0, 1.5, 9600))
    out = limited(np.concatenate([sound, np.zeros(480)]), native=native)
    assert true_peak_db(out) <= -1.0 - by_db + 0.05


@pytest.mark.parametrize("samples", [480, 960])
def test_a_ceiling_that_moves_makes_no_click(samples):
    """Nothing of a 1 kHz tone leaks above 4 kHz while the ceiling goes 3 dB down and comes back."""
    tone = 1.2 * np.sin(2 * np.pi * 1000 * np.arange(48_000) / 48_000)
    native = _mixing.Limiter()
    out = [limited(tone, native=native)]
    native.lower(3.0, samples)
    out.append(limited(tone, native=native))
    native.lower(0.0, samples)
    out.append(limited(tone, native=native))
    above = signal.sosfilt(
        signal.butter(8, 4000, "high", fs=48_000, output="sos"), np.concatenate(out)[9600:]
    )
    assert 20 * np.log10(np.max(np.abs(above[4800:]))) < -60


def test_a_ceiling_back_in_its_place_leaves_no_trace():
    one, other = _mixing.Limiter(), _mixing.Limiter()
    one.lower(3.0, 960)
    quiet = np.random.default_rng(11).uniform(-0.2, 0.2, 4800)
    for native in (one, other):
        limited(quiet, native=native)
    assert not one.equals(other)
    one.lower(0.0, 960)
    for native in (one, other):
        limited(quiet, native=native)
    assert one.equals(other)


def test_a_ceiling_above_its_own_is_refused():
    with pytest.raises(ValueError, match="above"):
        _mixing.Limiter().lower(-1.0)


# ---- what is no number ---------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(st.integers(0, 4799), st.sampled_from([np.nan, np.inf, -np.inf, 3e38, 1e-42]))
    ),
    st.sampled_from([7, 480, 960]),
)
@settings(deadline=None, max_examples=40)
def test_a_sample_that_is_no_number_ends_as_silence(bad, block):
    rng = np.random.default_rng(12)
    sound, clean = (rng.normal(0, 0.4, 4800).astype(np.float32) for _ in range(2))
    clean = sound.copy()
    for at, value in bad:
        sound[at] = value
        clean[at] = 0.0 if not abs(value) <= 1024 else value
    out = limited(sound, block)
    assert np.array_equal(out, limited(clean, block))
    assert np.max(np.abs(out)) <= 1.0


def test_a_block_beyond_the_limit_is_refused():
    with pytest.raises(ValueError, match="960"):
        _mixing.Limiter().run(np.zeros(961, np.float32))
