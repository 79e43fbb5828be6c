from itertools import product

import pytest

from kabina.interpretation.booth import Desk
from kabina.interpretation.errors import BoothNotJoinedError
from kabina.interpretation.ids import ParticipantId
from kabina.interpretation.tables import (
    CHANNEL,
    DESK,
    ChannelState,
    DeskEvent,
    DeskState,
    Feed,
    FloorSpeech,
    Refusal,
    channel_diagram,
    desk_diagram,
)


def test_the_desk_table_answers_every_state_and_event():
    assert set(DESK) == set(product(DeskState, DeskEvent))


def test_the_channel_table_answers_every_pair_of_facts():
    assert set(CHANNEL) == set(product(Feed, FloorSpeech))
    assert set(CHANNEL.values()) == set(ChannelState)


@pytest.mark.parametrize(("state", "event"), list(product(DeskState, DeskEvent)))
def test_a_desk_does_what_the_table_says_and_nothing_else(state, event):
    occupant = None if state is DeskState.EMPTY else ParticipantId("i")
    desk = Desk(1, occupant, state, since_s=1.0)
    after = DESK[state, event]
    if isinstance(after, Refusal):
        with pytest.raises(BoothNotJoinedError):
            desk.happen(event, now=2.0)
        assert desk == Desk(1, occupant, state, since_s=1.0)
        return
    assert desk.happen(event, now=2.0) is (after is not state)
    assert desk.state is after
    if after is DeskState.ACTIVE:
        assert desk.since_s == (2.0 if state is not DeskState.ACTIVE else 1.0)
    if after is DeskState.EMPTY:
        assert desk.occupant is None


@pytest.mark.parametrize("state", list(DeskState))
def test_whoever_leaves_leaves_the_desk_empty(state):
    assert DESK[state, DeskEvent.LEAVE] is DeskState.EMPTY


@pytest.mark.parametrize("state", list(DeskState))
def test_a_desk_without_audio_is_never_on_air(state):
    assert DESK[state, DeskEvent.LOSE] is not DeskState.ACTIVE


@pytest.mark.parametrize("speech", list(FloorSpeech))
def test_an_open_microphone_wins_over_the_declared_language(speech):
    assert CHANNEL[Feed.ON_AIR, speech] is ChannelState.INTERPRETED


def test_the_diagrams_show_every_change_of_the_tables():
    desk, channel = desk_diagram(), channel_diagram()
    assert desk.startswith("stateDiagram-v2\n    [*] --> empty\n")
    assert "    standby --> active: take\n" in desk
    assert "    active --> standby: lose\n" in desk
    assert desk.count("-->") == 1 + sum(
        isinstance(after, DeskState) and after is not state for (state, _), after in DESK.items()
    )
    assert "    passthrough --> interpreted: on air\n" in channel
    assert "    spoken --> passthrough: other language\n" in channel
    assert channel.count("-->") == 6
