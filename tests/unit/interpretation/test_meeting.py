import typing

import pytest

from kabina.interpretation.commands import (
    AudioBack,
    AudioLost,
    Command,
    JoinMeeting,
    LeaveMeeting,
    Listen,
    ReleaseFloor,
    TakeChannel,
    TakeFloor,
)
from kabina.interpretation.errors import ChannelUnknownError, MisuseError
from kabina.interpretation.events import (
    AudioDropped,
    AudioReturned,
    Cause,
    ChannelReleased,
    FloorReleased,
    ListenerMoved,
    ParticipantJoined,
    ParticipantLeft,
)
from kabina.interpretation.ids import Role

STRANGER = "nobody"


def test_somebody_comes_and_goes(room):
    join = JoinMeeting("a", "A", Role.ATTENDEE)
    assert room.tell(join) == [ParticipantJoined("a", Role.ATTENDEE)]
    assert room.tell(LeaveMeeting("a")) == [ParticipantLeft("a")]
    assert room.tell(join) == [ParticipantJoined("a", Role.ATTENDEE)]


def test_joining_twice_is_our_own_mistake(room):
    room.enter("a")
    with pytest.raises(MisuseError):
        room.tell(JoinMeeting("a", "Other", Role.OPERATOR))
    assert room.meeting.participants["a"].role is Role.ATTENDEE


def test_a_participant_needs_an_id(room):
    with pytest.raises(MisuseError):
        room.tell(JoinMeeting("", "A", Role.ATTENDEE))


@pytest.mark.parametrize("fact", [LeaveMeeting, AudioLost, AudioBack])
def test_facts_about_somebody_already_gone_are_ignored(room, fact):
    assert room.tell(fact(STRANGER)) == []


@pytest.mark.parametrize(
    "order",
    [lambda who: TakeFloor(who, "en"), ReleaseFloor, TakeChannel, lambda w: Listen(w, None)],
)
def test_orders_of_somebody_who_is_not_there_are_our_own_mistake(room, order):
    with pytest.raises(MisuseError):
        room.tell(order(STRANGER))


def test_a_listener_is_counted_where_they_listen(room):
    a = room.enter("a")
    assert room.tell(Listen(a, "fr")) == [ListenerMoved(a, "fr")]
    assert room.tell(Listen(a, "floor")) == [ListenerMoved(a, "floor")]
    assert (room.plan("fr").listeners, room.plan("floor").listeners) == (0, 1)
    assert room.meeting.view(room.now).floor.listeners == 1
    assert room.tell(Listen(a, "floor")) == []
    assert room.tell(Listen(a, None)) == [ListenerMoved(a, None)]
    assert room.plan("floor").listeners == 0


def test_a_listener_who_leaves_is_counted_no_more(room):
    a = room.enter("a")
    room.tell(Listen(a, "sq"), LeaveMeeting(a))
    assert room.plan("sq").listeners == 0


def test_an_unknown_channel_is_refused_and_the_listener_stays(room):
    a = room.enter("a")
    room.tell(Listen(a, "fr"))
    with pytest.raises(ChannelUnknownError):
        room.tell(Listen(a, "de"))
    assert room.meeting.participants[a].listening == "fr"
    assert room.plan("fr").listeners == 1


@pytest.mark.parametrize("role", list(Role))
def test_every_role_may_listen(room, role):
    person = room.enter("x", role)
    assert room.tell(Listen(person, "en")) == [ListenerMoved(person, "en")]


def test_lost_audio_gives_the_floor_back(room):
    a = room.speaker("a", "en")
    assert room.tell(AudioLost(a)) == [AudioDropped(a), FloorReleased(a, Cause.AUDIO_LOST)]
    assert room.meeting.plan().floor == ()


def test_lost_audio_gives_the_channel_back_and_keeps_the_seat(room):
    a = room.on_air("a", "fr")
    assert room.tell(AudioLost(a))[:2] == [
        AudioDropped(a),
        ChannelReleased(a, "fr", Cause.AUDIO_LOST),
    ]
    assert room.meeting.booth_of(a) == "fr"
    assert room.plan("fr").interpreters == ()


def test_returned_audio_puts_nobody_on_air_by_itself(room):
    a = room.on_air("a", "fr")
    room.tell(AudioLost(a))
    assert room.tell(AudioBack(a)) == [AudioReturned(a)]
    assert room.plan("fr").interpreters == ()
    room.tell(TakeChannel(a))
    assert room.plan("fr").interpreters == (a,)


def test_audio_lost_twice_is_told_once(room):
    a = room.enter("a")
    assert room.tell(AudioLost(a), AudioLost(a)) == [AudioDropped(a)]
    assert room.tell(AudioBack(a), AudioBack(a)) == [AudioReturned(a)]


def test_every_channel_is_planned_with_the_original_first(room):
    assert [one.channel for one in room.meeting.plan().channels] == ["floor", "en", "fr", "sq"]


def test_equal_situations_are_equal_plans_whatever_the_way_there(room):
    a, b = room.speaker("a", "en"), room.speaker("b", "en")
    there = room.meeting.plan()
    room.tell(ReleaseFloor(a), TakeFloor(a, "en"))
    assert room.meeting.plan() == there
    room.tell(ReleaseFloor(b))
    assert room.meeting.plan() != there


def test_nothing_lapses_by_itself_yet(room):
    before = room.meeting.view(0.0)
    room.meeting.advance(now=1e9)
    assert room.meeting.deadline() is None
    assert room.meeting.view(0.0) == before


def test_events_are_handed_out_once_and_while_they_come(room):
    room.meeting.receive(JoinMeeting("a", "A", Role.ATTENDEE), now=0.0)
    seen = []
    for event in room.meeting.poll():
        seen.append(event)
        if isinstance(event, ParticipantJoined):  # a shell that answers an event with a command
            room.meeting.receive(Listen("a", "fr"), now=0.0)
    assert seen == [ParticipantJoined("a", Role.ATTENDEE), ListenerMoved("a", "fr")]
    assert list(room.meeting.poll()) == []


def test_every_command_is_a_frozen_value():
    for command in typing.get_args(Command):
        assert command.__dataclass_params__.frozen
        assert hasattr(command, "__slots__")
