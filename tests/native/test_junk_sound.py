"""Any 32 bits may stand where a sample should: no stage gives them on, and none keeps a trace of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kabina.native import _mixing
from kabina_sim.voices import speech_like

STAGES = {
    "limiter": _mixing.Limiter,
    "rider": _mixing.Rider,
    "guard": _mixing.HearingGuard,
}
LOUDEST = {"limiter": 1.0, "rider": 8 * 10 ** (12 / 20), "guard": 1.0}


def run(stage, sound, block=960):
    out = np.array(sound, np.float32)
    for at in range(0, len(out), block):
        stage.run(out[at : at + block])
    return out


def junk(seed, n):
    """Random bits: every exponent is as likely, so a third of them is beyond 1e12 or a NaN."""
    return np.random.default_rng(seed).integers(0, 2**32, n, np.uint32).view(np.float32)


@pytest.mark.parametrize("name", STAGES)
@given(seed=st.integers(0, 10_000), block=st.sampled_from([120, 480, 960]))
@settings(deadline=None, max_examples=25)
def test_random_bits_come_out_as_numbers_of_a_size_that_a_mix_may_have(name, seed, block):
    out = run(STAGES[name](), junk(seed, 9600), block)
    assert np.all(np.abs(out) <= LOUDEST[name])


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("seed", range(3))
def test_seconds_after_random_bits_a_stage_does_what_a_fresh_one_does(name, seed):
    # What of the junk was a loud number the rider has followed for 3 s, and comes back by 1 dB/s.
    voice = (0.5 * speech_like(25, 0.03)).astype(np.float32)
    used, fresh = STAGES[name](), STAGES[name]()
    run(used, junk(seed, 4800))
    out, expected = run(used, voice), run(fresh, voice)
    end = slice(-96_000, None)
    assert np.allclose(out[end], expected[end], rtol=0.02, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_a_meter_reads_numbers_whatever_it_is_fed(seed):
    meter = _mixing.Loudness()
    for block in junk(seed, 48_000 * 2).reshape(-1, 960):
        meter.run(block)
        readings = (meter.momentary_lufs, meter.short_term_lufs, meter.gated_lufs)
        assert np.all(np.isfinite(readings))
    silence = np.zeros(960, np.float32)
    for _ in range(150):
        meter.run(silence)
    assert meter.gated_lufs == meter.short_term_lufs == -127


@pytest.mark.parametrize("seed", range(3))
def test_a_dose_stays_a_number_whatever_it_is_fed(seed):
    guard = _mixing.HearingGuard()
    run(guard, junk(seed, 48_000))
    assert np.all(np.isfinite(list(guard.readings().values())))
    before = guard.readings()["exposure"]
    run(guard, np.zeros(9600, np.float32))
    assert guard.readings()["exposure"] == pytest.approx(before, rel=1e-3)


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=25)
def test_nothing_that_is_slow_to_compute_with_is_left(seed):
    """Denormals: a filter that is fed them runs at a hundredth of its speed."""
    block = junk(seed, 960)
    _mixing.sanitize(block, 8.0)
    assert not np.any((block != 0) & (np.abs(block) < np.finfo(np.float32).tiny))
    rider = _mixing.Rider()
    out = np.full(960, 1e-42, np.float32)
    rider.run(out)
    assert not out.any()


@pytest.mark.parametrize("is_a", [False, True])
def test_a_filter_comes_to_rest_before_its_state_becomes_denormal(is_a):
    weighting = _mixing.Weighting(is_a)
    weighting.run(np.ones(960, np.float32))
    quietest = 1.0
    for _ in range(400):
        out = weighting.run(np.zeros(960, np.float32))
        heard = np.abs(out[out != 0])
        quietest = min(quietest, heard.min(initial=1.0))
    assert not out.any()
    assert quietest > np.finfo(np.float32).tiny
