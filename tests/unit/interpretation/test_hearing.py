"""What each person hears, and how it is planned."""

import math

import pytest

from kabina.interpretation.commands import (
    JoinBooth,
    LeaveBooth,
    LeaveMeeting,
    Listen,
    ReleaseChannel,
    ReleaseFloor,
    TakeChannel,
)
from kabina.interpretation.errors import ChannelUnknownError, OriginalLevelError
from kabina.interpretation.events import ListenerMoved
from kabina.interpretation.hearing import NORMAL_DB, ORIGINAL_LEVELS_DB, Hearing
from kabina.interpretation.ids import Role
from kabina.interpretation.media_plan import Outlet


def heard(room):
    return [outlet.hearing for outlet in room.meeting.plan().outlets]


def test_nothing_is_planned_for_nobody(room):
    assert heard(room) == []


def test_who_hears_the_same_shares_it(room):
    for who, level in (("a", -24.0), ("b", -24.0), ("c", NORMAL_DB)):
        room.tell(Listen(room.enter(who), "fr", level))
    assert heard(room) == [Hearing("fr", -24.0), Hearing("fr")]
    assert room.plan("fr").listeners == 3
    assert room.channel("fr").listeners == 3


def test_another_level_is_a_move_and_the_same_one_is_none(room):
    a = room.enter("a")
    room.tell(Listen(a, "fr"))
    assert room.tell(Listen(a, "fr", 0.0)) == [ListenerMoved(a, "fr", 0.0)]
    assert room.tell(Listen(a, "fr", 0.0)) == []
    assert heard(room) == [Hearing("fr", 0.0)]


def test_the_original_alone_is_one_sound_at_every_level(room):
    for number, level in enumerate(ORIGINAL_LEVELS_DB):
        room.tell(Listen(room.enter(f"a-{number}"), "floor", level))
    assert heard(room) == [Hearing("floor")]


@pytest.mark.parametrize("level", [-17.0, 1.0, math.inf, math.nan])
def test_a_level_that_is_not_offered_is_refused_and_nothing_moves(room, level):
    a = room.enter("a")
    room.tell(Listen(a, "fr", -24.0))
    with pytest.raises(OriginalLevelError):
        room.tell(Listen(a, "sq", level))
    assert heard(room) == [Hearing("fr", -24.0)]


def test_asking_what_one_would_hear_changes_nothing(room):
    a = room.enter("a")
    assert room.meeting.would_hear(Listen(a, "fr", -math.inf)) == Hearing("fr", -math.inf)
    assert room.meeting.would_hear(Listen(a, None)) is None
    with pytest.raises(ChannelUnknownError):
        room.meeting.would_hear(Listen(a, "de"))
    assert room.meeting.hearing(a) is None
    assert heard(room) == []


def test_whoever_has_the_floor_hears_the_others_in_every_channel(room):
    a, b = room.speaker("a", "en"), room.speaker("b", "en")
    listener = room.enter("c")
    for who in (a, listener):
        room.tell(Listen(who, "fr", -24.0))
    assert room.meeting.hearing(listener) == Hearing("fr", -24.0)
    assert room.meeting.hearing(a) == Hearing("fr", -24.0, without=a)
    assert outlet(room, a).floor == (b,)
    assert outlet(room, listener).floor == (a, b)
    room.tell(ReleaseFloor(a))
    assert heard(room) == [Hearing("fr", -24.0)]


def test_an_interpreter_on_air_hears_their_own_channel_without_themselves(room):
    speaker, a = room.speaker("s", "en"), room.on_air("a", "fr")
    partner = room.interpreter("b", "fr")
    for who in (a, partner):
        room.tell(Listen(who, "fr"))
    assert outlet(room, a) == Outlet(Hearing("fr", without=a), (speaker,), ())
    assert outlet(room, partner) == Outlet(Hearing("fr"), (speaker,), (a,))
    room.tell(ReleaseChannel(a))
    assert heard(room) == [Hearing("fr")]


def test_a_desk_hears_the_original_by_a_feed_of_its_own(room):
    speaker = room.speaker("s", "en")
    a = room.enter("a", Role.INTERPRETER, "fr")
    room.tell(Listen(a, "floor", -24.0))
    assert room.meeting.hearing(a) == Hearing("floor")
    room.tell(JoinBooth(a, "fr"))
    assert outlet(room, a) == Outlet(Hearing("floor", at_desk=True), (speaker,), ())
    room.tell(LeaveBooth(a))
    assert heard(room) == [Hearing("floor")]


def test_a_relay_is_the_pivots_interpreter_alone_or_the_original_while_it_is_idle(room):
    speaker = room.speaker("s", "en")
    a, pivot = room.interpreter("a", "fr"), room.interpreter("b", "sq")
    room.tell(Listen(a, "sq", 0.0))
    relay = Hearing("sq", at_desk=True)
    assert outlet(room, a) == Outlet(relay, (speaker,), ())
    room.tell(TakeChannel(pivot))
    assert outlet(room, a) == Outlet(relay, (), (pivot,), has_original=False)
    assert room.plan("sq").listeners == 1


def outlet(room, who):
    hearing = room.meeting.hearing(who)
    return next(one for one in room.meeting.plan().outlets if one.hearing == hearing)


def test_who_leaves_is_heard_of_no_more(room):
    a = room.enter("a")
    room.tell(Listen(a, "fr", -24.0), LeaveMeeting(a))
    assert heard(room) == []
    assert room.meeting.hearing(a) is None
