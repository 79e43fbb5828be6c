"""Who speaks, in virtual time: coughs do not count, voices do, pauses and duets change nothing."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabina.sfu.active_speaker import (
    HOLD_S,
    SILENCE_DB,
    ActiveSpeaker,
    Speaking,
    mean_level_db,
)

STEP_S = 0.1
ROOM_DB = -70.0
VOICE_DB = -25.0


class Stage:
    """An ActiveSpeaker and its time."""

    def __init__(self, *names: str) -> None:
        self.active = ActiveSpeaker()
        self.now_s = 100.0
        self.names = names
        self.dominants: list[tuple[float, str | None]] = []

    def hear(self, duration_s: float, **levels_db: float) -> Speaking:
        """So long these levels, a quiet room from everybody else."""
        for _ in range(round(duration_s / STEP_S)):
            self.now_s += STEP_S
            self.active.receive(
                {name: levels_db.get(name, ROOM_DB) for name in self.names}, now=self.now_s
            )
            self.dominants.append((self.now_s, self.active.state.dominant))
        return self.active.state

    def changes(self) -> list[float]:
        """When the dominant speaker became another one."""
        return [at for (_, one), (at, other) in itertools.pairwise(self.dominants) if one != other]


@pytest.fixture
def stage() -> Stage:
    """Ana has spoken for long and is in mid-sentence."""
    stage = Stage("ana", "ben")
    stage.hear(5.0, ana=VOICE_DB)
    assert stage.active.state == Speaking("ana", ("ana",))
    return stage


def test_nobody_has_spoken_at_first():
    stage = Stage("ana", "ben")
    assert stage.hear(10.0) == Speaking(None, ())


@pytest.mark.parametrize("level_db", [-38.0, -25.0, -10.0, 0.0])
def test_a_sustained_voice_takes_over_within_half_a_second_and_not_before_a_third(level_db: float):
    stage = Stage("ana", "ben")
    stage.hear(5.0, ana=VOICE_DB)
    stage.hear(1.0)
    began_s = stage.now_s
    stage.hear(1.0, ben=level_db)
    (changed_s,) = stage.changes()[1:]
    assert 0.3 <= changed_s - began_s <= 0.5
    assert stage.active.state.dominant == "ben"


def test_it_takes_over_as_soon_when_the_one_before_stops_as_it_begins(stage: Stage):
    began_s = stage.now_s
    stage.hear(1.0, ben=VOICE_DB)
    assert stage.changes()[-1] - began_s <= 0.5
    assert stage.active.state.dominant == "ben"


@pytest.mark.parametrize("cough_db", [-25.0, -6.0, 0.0])
def test_a_cough_changes_nothing(stage: Stage, cough_db: float):
    for _ in range(5):
        stage.hear(0.2, ben=cough_db)
        assert stage.active.state.dominant == "ana"
        assert "ben" not in stage.active.state.talkers
        stage.hear(1.0)
    assert len(stage.changes()) == 1


def test_a_mhm_in_a_pause_changes_nothing(stage: Stage):
    stage.hear(0.3, ben=VOICE_DB)
    stage.hear(1.0, ana=VOICE_DB)
    assert len(stage.changes()) == 1


def test_silence_keeps_who_spoke_last_and_shows_that_nobody_talks(stage: Stage):
    assert stage.hear(0.5).talkers == ("ana",)  # a pause between words
    assert stage.hear(600.0) == Speaking("ana", ())


def test_two_equal_talkers_do_not_alternate(stage: Stage):
    state = stage.hear(60.0, ana=VOICE_DB, ben=VOICE_DB)
    assert state == Speaking("ana", ("ana", "ben"))
    assert len(stage.changes()) == 1


def test_two_who_begin_at_once_are_decided_by_order_and_stay_so():
    stage = Stage("ana", "ben")
    stage.hear(60.0, ana=VOICE_DB, ben=VOICE_DB)
    assert stage.active.state.dominant == "ana"
    assert len(stage.changes()) == 1


def test_a_voice_takes_over_from_a_noisy_room(stage: Stage):
    """A café as loud as a quiet voice, without a pause: it may count as a talker, for a while."""
    stage.hear(2.0, ana=-38.0)
    stage.hear(3.0, ana=-38.0, ben=-18.0)
    assert stage.active.state.dominant == "ben"


def test_a_steady_background_is_no_voice():
    stage = Stage("ana", "ben")
    stage.hear(1.0, ana=-49.0)  # a fan, from the first moment on
    stage.hear(60.0, ana=-45.0)
    assert stage.active.state == Speaking(None, ())


def test_who_goes_away_is_forgotten_at_once(stage: Stage):
    stage.names = ("ben",)
    assert stage.hear(STEP_S) == Speaking(None, ())
    stage.names = ("ana", "ben")
    assert stage.hear(STEP_S, ana=VOICE_DB) == Speaking(None, ())
    stage.names = ("ben",)
    stage.hear(0.5, ben=VOICE_DB)
    assert stage.active.state.dominant == "ben", "the hold is the one's who was there"


levels = st.floats(SILENCE_DB, 0.0)
any_levels = st.floats(allow_nan=True, allow_infinity=True)
people = st.sampled_from(["ana", "ben", "eve"])
intervals = st.floats(0.0, 0.4)
# Runs, for single readings rarely make a voice.
runs = st.lists(
    st.tuples(st.integers(1, 12), st.dictionaries(people, levels, min_size=1), intervals),
    max_size=25,
)


@given(runs)
def test_the_dominant_speaker_never_changes_faster_than_the_hold_while_present(runs):
    active, now_s, since_s = ActiveSpeaker(), 0.0, -math.inf
    for length, levels_db, interval_s in runs:
        for _ in range(length):
            now_s += interval_s
            before = active.state.dominant
            active.receive(levels_db, now=now_s)
            after = active.state.dominant
            if before is not None and before not in levels_db:
                assert after != before
            elif before is not None and after != before:
                assert now_s - since_s >= HOLD_S
            if after != before:
                since_s = now_s
            assert after is None or after in levels_db
            assert set(active.state.talkers) <= set(levels_db)


@given(
    runs,
    st.floats(-39.0, 0.0),
    st.floats(0.1, 0.2),
)
def test_whatever_was_before_a_lone_voice_is_dominant_after_the_hold(runs, level_db, interval_s):
    active, now_s = ActiveSpeaker(), 0.0
    for length, levels_db, step_s in runs:
        for _ in range(length):
            now_s += step_s
            active.receive(levels_db, now=now_s)
    end_s = now_s + HOLD_S + 1.0
    while now_s < end_s:
        now_s += interval_s
        active.receive({"ana": SILENCE_DB, "ben": level_db}, now=now_s)
    assert active.state.dominant == "ben"
    assert "ben" in active.state.talkers


@given(st.lists(st.tuples(st.dictionaries(people, any_levels), st.floats(-10.0, 1e6)), max_size=60))
def test_any_numbers_give_a_state(readings):
    active = ActiveSpeaker()
    for levels_db, now_s in readings:
        before = active.state
        assert active.receive(levels_db, now=now_s) is (active.state != before)
        assert active.state.dominant is None or active.state.dominant in levels_db


# Below −60 dBov the integers get coarse: less than a hundredth of a decibel needs 10⁴ of them.
@given(st.lists(st.integers(0, 60), min_size=1, max_size=50))
def test_a_mean_level_lies_between_the_levels_it_is_of(levels_dbov):
    energy = sum(int(10 ** (10 - level / 10)) for level in levels_dbov)
    mean_db = mean_level_db(energy, len(levels_dbov))
    assert -max(levels_dbov) - 0.01 <= mean_db <= -min(levels_dbov) + 0.01


def test_no_packets_are_silence():
    assert mean_level_db(0, 0) == mean_level_db(0, 5) == SILENCE_DB
    assert mean_level_db(10**10, 1) == 0.0
