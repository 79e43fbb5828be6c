"""Weightings and loudness against their definitions and the tones of EBU Tech 3341."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from kabina.native import _mixing
from kabina.native.reference import loudness as reference
from kabina.native.reference import weighting
from kabina_sim.voices import speech_like

ROOT = Path(__file__).parents[2]
# EBU's tones are in both channels of a stereo signal; a single channel reads half the power.
ONE_OF_TWO_LU = 10 * np.log10(2)


def tone(level_dbfs, seconds, hz=1000.0):
    at = np.arange(round(seconds * 48_000)) / 48_000
    return 10 ** (level_dbfs / 20) * np.sin(2 * np.pi * hz * at)


def readings(sound, block=960):
    """(momentary, short-term, gated) after every 100 ms."""
    native, found = _mixing.Loudness(), []
    sound = np.asarray(sound, np.float32)
    for at in range(0, len(sound) // block * block, block):
        native.run(sound[at : at + block])
        if (at + block) % reference.HOP == 0:
            found.append((native.momentary_lufs, native.short_term_lufs, native.gated_lufs))
    return np.array(found)


# ---- weightings ----------------------------------------------------------------------------------


def test_the_tables_in_c_are_those_of_the_formulas():
    """To 6 digits: linear algebra differs in the last bits from one library to the next."""
    text = (ROOT / "native/c/mixing/kb_weighting_tables.h").read_text()
    numbers = [float(number) for number in re.findall(r"(-?\d\.\d+(?:e[+-]\d+)?)f", text)]
    impulse = np.zeros(64, np.float32)
    impulse[0] = 1
    assert len(numbers) == 2 * 4 * 64
    for is_a, sections in ((False, weighting.K_SECTIONS), (True, weighting.A_SECTIONS)):
        expected = weighting.weigh(impulse, sections)
        assert np.allclose(_mixing.Weighting(is_a).run(impulse), expected, atol=1e-6)


@pytest.mark.parametrize("is_a", [False, True])
def test_the_native_weighting_equals_scipy_over_many_blocks(is_a):
    sections = weighting.A_SECTIONS if is_a else weighting.K_SECTIONS
    sound = np.random.default_rng(1).uniform(-1, 1, 48_000).astype(np.float32)
    native = _mixing.Weighting(is_a)
    got, at = [], 0
    for block in [8, 120, 480, 960] * 31:
        got.append(native.run(sound[at : at + block]))
        at += block
    sos = [(*b, *a) for b, a in sections]
    expected = signal.sosfilt(sos, sound[: sum(map(len, got))].astype(np.float64))
    assert np.allclose(np.concatenate(got), expected, atol=1e-5)
    assert np.allclose(weighting.weigh(sound[:9600], sections), expected[:9600], atol=1e-9)


def test_the_a_weighting_is_of_class_1():
    """IEC 61672-1, table 3: nominal weights with the limits of class 1, 31.5 Hz to 16 kHz."""
    table = {
        31.5: (-39.4, 1.5, 1.5),
        63: (-26.2, 1.0, 1.0),
        125: (-16.1, 1.0, 1.0),
        250: (-8.6, 1.0, 1.0),
        500: (-3.2, 1.0, 1.0),
        1000: (0.0, 0.7, 0.7),
        2000: (1.2, 1.0, 1.0),
        4000: (1.0, 1.0, 1.0),
        8000: (-1.1, 1.5, 2.5),
        16_000: (-6.6, 2.5, 16.0),
    }
    hz = np.array(list(table))
    at = np.arange(48_000) / 48_000
    for frequency, db in zip(hz, weighting.response_db(weighting.A_SECTIONS, hz), strict=True):
        nominal, above, below = table[frequency]
        assert nominal - below <= db <= nominal + above
        wave = np.sin(2 * np.pi * frequency * at).astype(np.float32)
        out = _mixing.Weighting(True).run(wave)[24_000:]
        assert 10 * np.log10(2 * np.mean(out**2)) == pytest.approx(db, abs=0.05)


def test_a_weighting_falls_silent_without_denormals():
    native = _mixing.Weighting()
    native.run(np.ones(960, np.float32))
    for _ in range(100):
        out = native.run(np.zeros(960, np.float32))
    assert not out.any()


# ---- loudness ------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [120, 240, 480, 960])
def test_the_native_loudness_equals_the_reference(block):
    rng = np.random.default_rng(2)
    envelope = np.repeat(10 ** (rng.uniform(-70, -6, 60) / 20), 4800)
    sound = (envelope * rng.normal(0, 1, len(envelope))).clip(-8, 8).astype(np.float32)
    hops = reference.hops(sound)
    found = readings(sound, block)
    for at, (momentary, short_term, gated) in enumerate(found, 1):
        assert short_term == pytest.approx(reference.short_term(hops[:at]), abs=0.01)
        if at >= 4:
            assert momentary == pytest.approx(reference.momentary(hops[:at]), abs=0.01)
        assert gated == pytest.approx(reference.gated(hops[max(at - 30, 0) : at]), abs=0.01)


@given(st.lists(st.sampled_from([120, 240, 360, 480, 960]), min_size=400, max_size=500))
@settings(deadline=None, max_examples=10)
def test_the_block_lengths_do_not_matter(lengths):
    sound = np.random.default_rng(3).normal(0, 0.1, sum(lengths)).astype(np.float32)
    one, other = _mixing.Loudness(), _mixing.Loudness()
    at = 0
    for n in lengths:
        one.run(sound[at : at + n])
        at += n
    for at in range(0, len(sound), 120):
        other.run(sound[at : at + 120])
    for reading in ("momentary_lufs", "short_term_lufs", "gated_lufs"):
        assert getattr(one, reading) == pytest.approx(getattr(other, reading), abs=0.01)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(-23, 20)], -23),
        ([(-33, 20)], -33),
        ([(-36, 10), (-23, 60), (-36, 10)], -23),
        ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23),
        ([(-26, 20), (-20, 20.1), (-26, 20)], -23),
    ],
    ids=[f"case {i}" for i in range(1, 6)],
)
def test_programme_loudness_of_ebu_tech_3341(parts, expected):
    """What the gates are defined by; the native reading equals this one over its 3 s (above)."""
    sound = np.concatenate([tone(level, seconds) for level, seconds in parts])
    found = reference.gated(reference.hops(sound)) + ONE_OF_TWO_LU
    assert found == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("level", [-23, -33])
def test_a_steady_tone_reads_its_level_in_every_scale(level):
    """EBU Tech 3341, cases 1 and 2."""
    found = readings(tone(level, 20))[30:] + ONE_OF_TWO_LU
    assert np.allclose(found, level, atol=0.1)


def test_short_term_loudness_of_alternating_tones():
    """EBU Tech 3341, case 9."""
    sound = np.concatenate([tone(-20, 1.34), tone(-30, 1.66)] * 5)
    assert np.allclose(readings(sound)[30:, 1] + ONE_OF_TWO_LU, -23, atol=0.1)


@pytest.mark.parametrize("late", range(1, 21))
def test_short_term_loudness_of_a_single_burst(late):
    """EBU Tech 3341, cases 10 and 11: three seconds of tone behind a growing silence."""
    sound = np.concatenate([np.zeros(round(late * 0.15 * 48_000)), tone(-23, 3), np.zeros(48_000)])
    assert np.max(readings(sound)[:, 1]) + ONE_OF_TWO_LU == pytest.approx(-23, abs=0.1)


def test_momentary_loudness_of_alternating_tones():
    """EBU Tech 3341, case 12. Cases 13 and 14 need readings every 10 ms; ours come every 100."""
    sound = np.concatenate([tone(-20, 0.18), tone(-30, 0.22)] * 25)
    assert np.allclose(readings(sound)[10:, 0] + ONE_OF_TWO_LU, -23, atol=0.1)


def test_a_full_scale_sine_reads_3_01_below_zero():
    assert readings(tone(0, 5, 997.0))[-1, 1] == pytest.approx(-3.01, abs=0.02)


def test_silence_reads_silence():
    assert np.all(readings(np.zeros(48_000 * 4)) == -127)


# ---- voice ---------------------------------------------------------------------------------------


def voiced(native, sound):
    """The share of blocks in which there was a voice."""
    found = []
    for at in range(0, len(sound), 960):
        native.run(np.asarray(sound[at : at + 960], np.float32))
        found.append(native.is_voiced)
    return np.mean(found)


@pytest.mark.parametrize("background_db", [-100, -60, -45])
def test_a_voice_is_told_from_steady_noise(background_db):
    rng = np.random.default_rng(5)
    noise = 10 ** (background_db / 20) * rng.normal(0, 1, 48_000 * 20)
    native = _mixing.Loudness()
    voiced(native, noise[: 48_000 * 4])
    assert voiced(native, noise[: 48_000 * 6]) == 0.0
    assert voiced(native, noise[: 48_000 * 10] + speech_like(10, 0.03)) > 0.9
    assert voiced(native, noise[: 48_000 * 1]) < 0.4
    assert voiced(native, noise[: 48_000 * 6]) == 0.0


def test_the_first_block_of_a_voice_is_heard_at_once_and_its_end_after_300_ms():
    native = _mixing.Loudness()
    voiced(native, np.zeros(48_000 * 4))
    assert voiced(native, 0.1 * np.ones(960) * np.random.default_rng(6).normal(0, 1, 960)) == 1.0
    assert voiced(native, np.zeros(13_440)) == 1.0
    voiced(native, np.zeros(1920))  # the filter's own end
    assert voiced(native, np.zeros(9600)) == 0.0


# ---- what is no number ---------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38, 8.5])
@pytest.mark.parametrize("at", [0, 500, 959])
def test_a_block_with_a_sample_that_is_no_number_counts_as_silence(bad, at):
    sound = tone(-23, 0.02).astype(np.float32)
    one, other = _mixing.Loudness(), _mixing.Loudness()
    for _ in range(200):
        one.run(sound)
        other.run(sound)
    broken = sound.copy()
    broken[at] = bad
    one.run(broken)
    for _ in range(200):
        one.run(sound)
        other.run(sound)
    assert one.gated_lufs == pytest.approx(other.gated_lufs, abs=0.05)


@pytest.mark.parametrize("length", [100, 961, 1080])
def test_other_block_lengths_are_refused(length):
    with pytest.raises(ValueError, match="120"):
        _mixing.Loudness().run(np.zeros(length, np.float32))
