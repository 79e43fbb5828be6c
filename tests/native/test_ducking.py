"""The duck gain: where it goes, how fast, and that it never steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kabina.native import _mixing
from kabina.native.reference import ducking as reference

NOBODY, STAFFED, VOICED, SILENT = range(4)
OPEN, ATTACK, DUCKED, HOLD, RELEASE, PAUSE, RISE, RAISED = range(8)


def chosen(
    depth_db=-18.0,
    attack_ms=60,
    hold_ms=2500,
    release_ms=800,
    silent_db=-12.0,
    silent_rise_ms=1500,
):
    return depth_db, attack_ms, hold_ms, release_ms, silent_db, silent_rise_ms


def curve(**settings):
    return _mixing.DuckingCurve(chosen(**settings))


def told(duck, fact, ms):
    """The gains of `ms` milliseconds in 20 ms ticks under one fact, each tick told."""
    gains = []
    for _ in range(ms // 20):
        duck.receive(fact)
        gains.append(duck.advance(20)[1:])
    return np.concatenate(gains)


def in_state(state):
    duck = curve()
    if state == OPEN:
        return duck
    told(duck, VOICED, 40)
    if state == ATTACK:
        return duck
    told(duck, VOICED, 100)
    if state == DUCKED:
        return duck
    if state in (PAUSE, RISE, RAISED):
        told(duck, SILENT, {PAUSE: 20, RISE: 2600, RAISED: 4100}[state])
        return duck
    told(duck, NOBODY, 20)
    if state == HOLD:
        return duck
    told(duck, NOBODY, 2600)
    return duck


NEXT = {
    OPEN: (OPEN, OPEN, ATTACK, OPEN),
    ATTACK: (HOLD, ATTACK, ATTACK, ATTACK),
    DUCKED: (HOLD, PAUSE, DUCKED, PAUSE),
    HOLD: (HOLD, PAUSE, ATTACK, PAUSE),
    RELEASE: (RELEASE, RELEASE, ATTACK, RELEASE),
    PAUSE: (HOLD, PAUSE, ATTACK, PAUSE),
    RISE: (HOLD, RISE, ATTACK, RISE),
    RAISED: (HOLD, RAISED, ATTACK, RAISED),
}


@pytest.mark.parametrize("state", list(NEXT))
@pytest.mark.parametrize("fact", [NOBODY, STAFFED, VOICED, SILENT])
def test_every_fact_in_every_state_leads_where_the_table_says(state, fact):
    duck = in_state(state)
    assert duck.state == state
    duck.receive(fact)
    assert duck.state == NEXT[state][fact]


def test_the_attack_is_half_a_cosine_in_db_over_60_ms():
    gains = told(curve(), VOICED, 100)
    expected = reference.gain(reference.move_db(0.0, -18.0, 60))[1:]
    assert np.allclose(gains[:60], expected, atol=1e-6)
    assert np.allclose(gains[60:], 10 ** (-18 / 20))


def test_hold_and_release_last_as_long_as_they_say():
    duck = curve()
    told(duck, VOICED, 200)
    gains = 20 * np.log10(told(duck, NOBODY, 3500))
    assert np.allclose(gains[:2500], -18.0, atol=1e-4)
    assert np.allclose(gains[2500:3300], reference.move_db(-18.0, 0.0, 800)[1:], atol=1e-3)
    assert np.all(gains[3300:] == 0.0)
    assert duck.state == OPEN


def test_an_open_microphone_nobody_heard_lowers_nothing():
    duck = curve()
    assert np.all(told(duck, STAFFED, 1000) == 1.0)


@pytest.mark.parametrize("fact", [STAFFED, SILENT])
def test_under_a_silent_interpreter_the_original_rises_a_little_and_no_further(fact):
    """A successor who has said nothing yet is as silent as one who makes a pause."""
    duck = curve()
    told(duck, VOICED, 100)
    levels = 20 * np.log10(told(duck, fact, 60_000))
    assert np.allclose(levels[:2500], -18.0, atol=1e-4)
    assert np.allclose(levels[2500:4000], reference.move_db(-18.0, -12.0, 1500)[1:], atol=1e-3)
    assert np.allclose(levels[4000:], -12.0, atol=1e-4)


@pytest.mark.parametrize("silent_ms", [2000, 3000, 20_000])
def test_the_first_word_after_a_silence_brings_the_original_down_within_the_attack(silent_ms):
    duck = curve()
    told(duck, VOICED, 100)
    told(duck, SILENT, silent_ms)
    before = duck.level_db
    levels = 20 * np.log10(told(duck, VOICED, 100))
    assert np.allclose(levels[:60], reference.move_db(before, -18.0, 60)[1:], atol=1e-3)
    assert np.allclose(levels[60:], -18.0, atol=1e-4)


def test_a_microphone_off_after_a_silence_brings_the_original_back_from_where_it_was():
    duck = curve()
    told(duck, VOICED, 100)
    told(duck, SILENT, 10_000)
    levels = 20 * np.log10(told(duck, NOBODY, 3400))
    assert np.allclose(levels[:2500], -12.0, atol=1e-4)
    assert np.allclose(levels[2500:3300], reference.move_db(-12.0, 0.0, 800)[1:], atol=1e-3)
    assert duck.state == OPEN


@pytest.mark.parametrize("silent_db", [-18.0, -24.0])
def test_a_silent_level_not_above_the_depth_changes_nothing(silent_db):
    duck = curve(silent_db=silent_db)
    told(duck, VOICED, 100)
    assert np.allclose(20 * np.log10(told(duck, SILENT, 10_000)), -18.0, atol=1e-4)


def test_another_silent_level_is_taken_up_by_a_rise():
    duck = curve()
    told(duck, VOICED, 100)
    told(duck, SILENT, 5000)
    duck.configure(chosen(silent_db=-15.0))
    levels = 20 * np.log10(told(duck, SILENT, 1600))
    assert np.allclose(levels[:1500], reference.move_db(-12.0, -15.0, 1500)[1:], atol=1e-3)
    assert duck.state == RAISED


@pytest.mark.parametrize("gap_ms", [0, 200, 1000, 2400])
@pytest.mark.parametrize("first_silence_ms", [0, 300, 4000])
def test_a_handover_never_brings_the_original_above_the_silent_level(gap_ms, first_silence_ms):
    """One desk leaves, the next is in the plan after a gap and says its first word seconds later."""
    duck = curve()
    told(duck, VOICED, 1000)
    gains = [told(duck, SILENT, first_silence_ms)] if first_silence_ms else []
    if gap_ms:
        gains.append(told(duck, NOBODY, gap_ms))
    gains += [told(duck, STAFFED, 6000), told(duck, VOICED, 200)]
    assert np.max(20 * np.log10(np.concatenate(gains))) <= -12.0 + 1e-4
    assert duck.level_db == -18.0


def test_a_successor_within_the_hold_keeps_the_original_down():
    duck = curve()
    told(duck, VOICED, 100)
    told(duck, NOBODY, 1000)
    assert np.allclose(20 * np.log10(told(duck, STAFFED, 2500)), -18.0, atol=1e-4)


def test_care_is_needed_from_the_release_until_a_second_after_it():
    duck = curve()
    assert not duck.needs_care
    told(duck, VOICED, 100)
    told(duck, SILENT, 5000)
    told(duck, NOBODY, 2500)
    assert duck.needs_care
    told(duck, NOBODY, 1780)
    assert duck.needs_care
    told(duck, NOBODY, 20)
    assert not duck.needs_care
    told(duck, NOBODY, 60_000)
    assert not duck.needs_care


def test_a_voice_during_the_release_ramps_down_from_where_it_is():
    duck = curve()
    told(duck, VOICED, 100)
    told(duck, NOBODY, 2900)
    middle = duck.level_db
    assert -15 < middle < -3
    levels = 20 * np.log10(told(duck, VOICED, 80))
    assert np.allclose(levels[:60], reference.move_db(middle, -18.0, 60)[1:], atol=1e-3)


def test_another_depth_is_taken_up_by_a_move():
    duck = curve()
    told(duck, VOICED, 100)
    duck.configure(chosen(depth_db=-30.0))
    levels = 20 * np.log10(told(duck, VOICED, 80))
    assert np.allclose(levels[:60], reference.move_db(-18.0, -30.0, 60)[1:], atol=1e-3)


facts = st.lists(
    st.tuples(st.sampled_from([NOBODY, STAFFED, VOICED, SILENT]), st.integers(1, 200)), max_size=30
)


@given(facts)
@settings(deadline=None, max_examples=60)
def test_the_gain_never_steps_whatever_happens(history):
    duck = curve()
    levels = [0.0]
    for fact, ticks in history:
        duck.receive(fact)
        gains = duck.advance(20 * ticks)
        assert 20 * np.log10(gains[0]) == pytest.approx(levels[-1], abs=1e-3)
        levels.extend(20 * np.log10(gains[1:]))
    # The steepest millisecond of a half cosine over 60 ms from 0 to −18 dB.
    assert np.max(np.abs(np.diff(levels)), initial=0.0) <= 18 * np.pi / 2 / 60 * 1.01
    assert min(levels) >= -18.001
    assert max(levels) <= 0.0


def test_lengths_of_zero_are_immediate():
    duck = curve(attack_ms=0, hold_ms=0, release_ms=0)
    assert 20 * np.log10(told(duck, VOICED, 20)[0]) == pytest.approx(-18.0, abs=1e-4)
    assert told(duck, NOBODY, 20)[-1] == 1.0
