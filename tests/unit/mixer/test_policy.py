"""The numbers of each kind of row."""

import math

import pytest

from kabina.mixer.policy import NORMAL_DB, POLICIES, RowKind, ducking


def test_every_kind_has_a_policy_that_opus_and_webrtc_can_do():
    assert set(POLICIES) == set(RowKind)
    for policy in POLICIES.values():
        # At 32 kbit/s and more Opus keeps the full band (audio-engine.md §2).
        assert 32_000 <= policy.voice.bitrate_bps <= 510_000


def test_those_who_work_with_it_hear_in_more_bits_and_are_protected():
    for kind, policy in POLICIES.items():
        works = kind in (RowKind.BOOTH, RowKind.RELAY)
        assert policy.voice.guarded is works


def test_only_those_who_hear_an_interpreter_over_the_floor_hear_it_lowered():
    ducks = {kind for kind, policy in POLICIES.items() if policy.ducks}
    assert ducks == {RowKind.LISTENER, RowKind.MIX_MINUS}
    assert ducking(POLICIES[RowKind.BOOTH], NORMAL_DB).depth_db == 0.0


@pytest.mark.parametrize(("level", "depth"), [(-math.inf, -90.0), (-24.0, -24.0), (0.0, 0.0)])
def test_a_level_is_a_depth_and_the_interpreter_alone_is_below_what_can_be_heard(level, depth):
    assert ducking(POLICIES[RowKind.LISTENER], level).depth_db == depth


def test_levels_hold_and_rise_alike_so_that_they_are_one_mix_again_together():
    depths = [ducking(POLICIES[RowKind.LISTENER], level) for level in (-math.inf, -24.0, 0.0)]
    assert len({(one.attack_ms, one.hold_ms, one.release_ms) for one in depths}) == 1


def test_a_row_that_nobody_has_heard_yet_begins_where_it_belongs():
    assert ducking(POLICIES[RowKind.LISTENER], NORMAL_DB, is_new=True).attack_ms == 0


@pytest.mark.parametrize(
    ("level", "silent"),
    [(-math.inf, -84.0), (-24.0, -18.0), (-18.0, -12.0), (-12.0, -12.0), (0.0, 0.0)],
)
def test_an_original_rises_by_6_db_under_a_silent_interpreter_and_never_above_minus_12(
    level, silent
):
    assert ducking(POLICIES[RowKind.LISTENER], level).silent_db == silent
