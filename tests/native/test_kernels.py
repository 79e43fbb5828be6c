"""Kernels against their numpy definitions."""

from __future__ import annotations

import platform
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kabina.native import _mixing
from kabina.native.reference import kernels, limiter

if TYPE_CHECKING:
    from numpy.typing import NDArray

samples = st.floats(-2, 2, width=32)
gains = st.floats(0, 1, width=32)


def blocks(count: int) -> st.SearchStrategy[NDArray[np.float32]]:
    return st.integers(0, 1000).flatmap(lambda n: arrays(np.float32, (count, n), elements=samples))


def noise(n: int, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-1, 1, n).astype(np.float32)


@given(blocks(2), gains, gains)
@settings(deadline=None, max_examples=60)
def test_the_native_ramp_equals_the_reference_bit_for_bit(pair, g0, g1):
    out, expected = pair[0].copy(), pair[0].copy()
    _mixing.mix_ramp(out, pair[1], g0, g1)
    kernels.mix_ramp(expected, pair[1], g0, g1)
    assert np.array_equal(out, expected)


@given(blocks(1), gains, gains)
@settings(deadline=None, max_examples=60)
def test_the_native_gain_equals_the_reference_bit_for_bit(block, g0, g1):
    out, expected = block[0].copy(), block[0].copy()
    _mixing.apply_ramp(out, g0, g1)
    kernels.apply_ramp(expected, g0, g1)
    assert np.array_equal(out, expected)


@pytest.mark.parametrize("seed", range(20))
def test_full_frames_of_noise_mix_exactly(seed):
    rng = np.random.default_rng(seed)
    out, src = noise(960, seed), noise(960, seed + 1000)
    g0, g1 = rng.uniform(0, 1, 2)
    expected = out.copy()
    _mixing.mix_ramp(out, src, g0, g1)
    kernels.mix_ramp(expected, src, g0, g1)
    assert np.array_equal(out, expected)


@given(blocks(2))
@settings(deadline=None, max_examples=40)
def test_a_crossfade_equals_the_reference_bit_for_bit(pair):
    assert np.array_equal(_mixing.crossfade(pair[0], pair[1]), kernels.crossfade(pair[0], pair[1]))


@given(blocks(1))
@settings(deadline=None, max_examples=60)
def test_reductions_equal_the_reference(block):
    assert _mixing.energy(block[0]) == pytest.approx(kernels.energy(block[0]), rel=1e-5, abs=1e-30)
    assert _mixing.peak(block[0]) == kernels.peak(block[0])


@given(blocks(3), gains)
@settings(deadline=None, max_examples=40)
def test_mixing_is_linear_in_its_sources(three, gain):
    one_by_one, together = np.zeros_like(three[0]), np.zeros_like(three[0])
    _mixing.mix_ramp(one_by_one, three[0], gain, gain)
    _mixing.mix_ramp(one_by_one, three[1], gain, gain)
    _mixing.mix_ramp(together, three[0] + three[1], gain, gain)
    assert np.allclose(one_by_one, together, atol=1e-6)


def test_a_ramp_ends_where_the_next_block_begins():
    first, second = np.ones(960, np.float32), np.ones(960, np.float32)
    _mixing.apply_ramp(first, 0.0, 1.0)
    _mixing.apply_ramp(second, 1.0, 0.5)
    assert first[0] == 0.0
    assert second[0] == 1.0
    assert np.max(np.abs(np.diff(np.concatenate([first, second])))) < 1.1 / 960


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 8.5, -8.5])
@pytest.mark.parametrize("at", [0, 1, 479, 959])
def test_one_bad_sample_anywhere_is_found(bad, at):
    block = noise(960)
    assert _mixing.all_within(block, 8.0)
    block[at] = bad
    assert not _mixing.all_within(block, 8.0)


any_floats = st.floats(width=32) | st.sampled_from([8.0, -8.0, 8.000001, 1e-40, -1e-40, 0.5])


@given(st.integers(0, 1000).flatmap(lambda n: arrays(np.float32, n, elements=any_floats)))
@settings(deadline=None, max_examples=100)
def test_nothing_but_normal_numbers_within_the_limit_is_left(block):
    out, expected = block.copy(), block.copy()
    assert _mixing.sanitize(out, 8.0) == kernels.sanitize(expected, 8.0)
    assert np.array_equal(out, expected)
    assert np.all(np.abs(out) <= 8.0)
    assert not np.any((out != 0) & (np.abs(out) < np.finfo(np.float32).tiny))


def test_true_peak_equals_the_reference():
    block = noise(976)
    assert np.allclose(_mixing.true_peak(block), limiter.true_peak(block), rtol=1e-5, atol=1e-6)


def test_a_peak_between_samples_is_seen():
    """A quarter-rate sine sampled at ±45° has its peaks 3 dB above every sample."""
    at = np.arange(480)
    wave = (0.7 * np.sin(np.pi / 2 * at + np.pi / 4)).astype(np.float32)
    assert np.max(np.abs(wave)) == pytest.approx(0.495, abs=0.001)
    assert np.max(_mixing.true_peak(wave)[32:-32]) == pytest.approx(0.7, rel=0.01)


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="length"):
        _mixing.mix_ramp(np.zeros(3, np.float32), np.zeros(4, np.float32), 1, 1)


@pytest.mark.skipif(
    platform.machine() != "x86_64" or sys.platform != "linux", reason="clones are for x86-64 glibc"
)
def test_the_kernels_have_clones_for_every_instruction_set():
    """Without a libc header in front the clones vanish silently."""
    symbols = subprocess.run(
        ["nm", "--defined-only", _mixing.__file__], capture_output=True, text=True, check=True
    ).stdout
    if not symbols.strip():
        pytest.skip("the extension is stripped")
    for kernel in (
        "kb_mix_ramp",
        "kb_apply_ramp",
        "kb_energy",
        "kb_peak",
        "kb_true_peak",
        "kb_wsola_search",
        "kb_weigh_k",
    ):
        assert f"{kernel}.resolver" in symbols
        assert f"{kernel}.arch_x86_64_v4" in symbols
