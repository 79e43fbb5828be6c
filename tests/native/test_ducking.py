"""The duck gain: where it goes, how fast, and that it never steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kabina.native import _mixing
from kabina.native.reference import ducking as reference

NOBODY, STAFFED, VOICED = range(3)
OPEN, ATTACK, DUCKED, HOLD, RELEASE = range(5)


def curve(depth_db=-18.0, attack_ms=60, hold_ms=2500, release_ms=800):
    return _mixing.DuckingCurve(depth_db, attack_ms, hold_ms, release_ms)


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
    told(duck, NOBODY, 20)
    if state == HOLD:
        return duck
    told(duck, NOBODY, 2600)
    return duck


NEXT = {
    OPEN: (OPEN, OPEN, ATTACK),
    ATTACK: (HOLD, ATTACK, ATTACK),
    DUCKED: (HOLD, DUCKED, DUCKED),
    HOLD: (HOLD, DUCKED, ATTACK),
    RELEASE: (RELEASE, RELEASE, ATTACK),
}


@pytest.mark.parametrize("state", list(NEXT))
@pytest.mark.parametrize("fact", [NOBODY, STAFFED, VOICED])
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


def test_a_silent_interpreter_never_lets_the_original_back():
    duck = curve()
    told(duck, VOICED, 100)
    assert np.allclose(20 * np.log10(told(duck, STAFFED, 60_000)), -18.0, atol=1e-4)


def test_a_successor_within_the_hold_keeps_the_original_down():
    duck = curve()
    told(duck, VOICED, 100)
    told(duck, NOBODY, 1000)
    assert np.allclose(20 * np.log10(told(duck, STAFFED, 5000)), -18.0, atol=1e-4)


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
    duck.configure(-30.0, 60, 2500, 800)
    levels = 20 * np.log10(told(duck, VOICED, 80))
    assert np.allclose(levels[:60], reference.move_db(-18.0, -30.0, 60)[1:], atol=1e-3)


facts = st.lists(
    st.tuples(st.sampled_from([NOBODY, STAFFED, VOICED]), st.integers(1, 40)), max_size=30
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
