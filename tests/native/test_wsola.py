"""Time edits of running sound: the kernel against numpy, and what they must never do to a voice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kabina.native import _mixing
from kabina.native.reference import wsola as reference

RATE = 48_000
LEAST, MOST, OVERLAP = 120, 600, 240
seeds = st.integers(0, 2**32 - 1)


def vowel(hz, samples, *, seed=0):
    """Harmonics of random strength and phase, falling."""
    rng = np.random.default_rng(seed)
    at = np.arange(samples) / RATE
    waves = [
        rng.uniform(0.3, 1) / k * np.sin(2 * np.pi * k * hz * at + rng.uniform(0, 6.28))
        for k in range(1, 1 + int(6000 / hz))
    ]
    return (0.1 * np.sum(waves, axis=0)).astype(np.float32)


@given(seeds, st.floats(1e-4, 1.0), st.integers(OVERLAP, 1500))
@settings(deadline=None, max_examples=60)
def test_the_search_finds_what_numpy_finds(seed, amplitude, length):
    rng = np.random.default_rng(seed)
    candidates = (amplitude * rng.standard_normal(length)).astype(np.float32)
    model = (amplitude * rng.standard_normal(OVERLAP)).astype(np.float32)
    at, likeness = _mixing.wsola_search(model, candidates)
    expected = reference.likenesses(model, candidates)
    assert likeness == pytest.approx(expected[at], abs=1e-4)
    assert expected[at] >= np.max(expected) - 1e-4


@given(seeds, st.integers(0, MOST), st.integers(0, 900))
@settings(deadline=None, max_examples=60)
def test_cut_and_insert_equal_numpy(seed, lag, more):
    rng = np.random.default_rng(seed)
    sound = rng.standard_normal(MOST + OVERLAP + more).astype(np.float32)
    cut = _mixing.wsola_cut(sound, lag)
    assert len(cut) == len(sound) - lag
    assert np.allclose(cut, reference.cut(sound, lag), atol=2e-6)
    inserted = _mixing.wsola_insert(sound, MOST, lag)
    assert len(inserted) == len(sound) + lag
    assert np.allclose(inserted, reference.insert(sound, MOST, lag), atol=2e-6)


@given(st.floats(85, 390), seeds)
@settings(deadline=None, max_examples=40)
def test_a_voice_of_any_pitch_has_a_place_that_fits(hz, seed):
    """Edits are one or more whole periods long: what follows the seam is what the ear expects."""
    sound = vowel(hz, 6000, seed=seed)
    first = 2000
    at, likeness = _mixing.wsola_search(sound[first:], sound[first + LEAST :][: MOST + OVERLAP])
    lag = LEAST + at
    assert likeness > 0.97
    periods = lag * hz / RATE
    assert abs(periods - round(periods)) < 0.05
    cut = _mixing.wsola_cut(sound[first:], lag)
    expected = vowel(hz, 12_000, seed=seed)[first : first + len(cut)]
    error = np.mean((cut[:1000] - expected[:1000]) ** 2) / np.mean(expected[:1000] ** 2)
    assert 10 * np.log10(error) < -12


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_no_edit_is_louder_than_the_sound_was(seed):
    rng = np.random.default_rng(seed)
    sound = rng.uniform(-1, 1, 3000).astype(np.float32)
    for lag in rng.integers(LEAST, MOST, 10):
        assert np.max(np.abs(_mixing.wsola_cut(sound, int(lag)))) <= 1.0
        assert np.max(np.abs(_mixing.wsola_insert(sound, 1000, int(lag)))) <= 1.0


def test_silence_resembles_nothing():
    silence, noise = np.zeros(900, np.float32), np.ones(900, np.float32)
    assert _mixing.wsola_search(silence, silence) == (0, 0.0)
    assert _mixing.wsola_search(noise, silence)[1] == 0.0
    assert _mixing.wsola_search(silence, noise)[1] == 0.0


def test_too_little_to_fade_into_is_refused():
    sound = np.zeros(400, np.float32)
    with pytest.raises(ValueError, match="fade"):
        _mixing.wsola_cut(sound, 161)
    with pytest.raises(ValueError, match="repeat"):
        _mixing.wsola_insert(sound, 100, 101)
    with pytest.raises(ValueError, match="240"):
        _mixing.wsola_search(sound[:239], sound)
