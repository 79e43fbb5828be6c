import pytest

from kabina.interpretation.commands import (
    JoinBooth,
    LeaveBooth,
    LeaveMeeting,
    ReleaseChannel,
    TakeChannel,
    TakeFloor,
)
from kabina.interpretation.errors import (
    BoothFullError,
    BoothNotJoinedError,
    BoothUnknownError,
    ChannelHeldError,
    NotAllowedError,
)
from kabina.interpretation.events import (
    BoothJoined,
    BoothLeft,
    Cause,
    ChannelReleased,
    ChannelStateChanged,
    ChannelTaken,
)
from kabina.interpretation.ids import MeetingId, Role
from kabina.interpretation.meeting import Meeting
from kabina.interpretation.spec import MeetingSpec
from kabina.interpretation.tables import ChannelState, DeskState


def test_an_interpreter_sits_down_at_the_first_free_desk(room):
    a = room.enter("a", Role.INTERPRETER, "fr")
    assert room.tell(JoinBooth(a, "fr")) == [BoothJoined(a, "fr", 1)]
    b = room.enter("b", Role.INTERPRETER, "fr")
    assert room.tell(JoinBooth(b, "fr")) == [BoothJoined(b, "fr", 2)]
    room.tell(LeaveBooth(a))
    c = room.enter("c", Role.INTERPRETER, "fr")
    assert room.tell(JoinBooth(c, "fr")) == [BoothJoined(c, "fr", 1)]


def test_sitting_down_puts_nobody_on_air(room):
    room.interpreter("a", "fr")
    assert room.plan("fr").interpreters == ()
    assert room.meeting.view(room.now).booths[0].desks[0].state is DeskState.STANDBY


def test_a_desk_on_air_feeds_its_channel_and_no_other(room):
    speaker = room.speaker("s", "en")
    a = room.interpreter("a", "fr")
    assert room.tell(TakeChannel(a)) == [
        ChannelTaken(a, "fr"),
        ChannelStateChanged("fr", ChannelState.INTERPRETED),
    ]
    assert room.plan("fr").interpreters == (a,)
    assert room.plan("fr").floor == (speaker,)
    assert room.plan("sq").interpreters == ()
    assert room.plan("floor").interpreters == ()


def test_the_second_desk_is_refused_and_told_who_is_on_air(room):
    room.on_air("a", "fr")
    b = room.interpreter("b", "fr")
    with pytest.raises(ChannelHeldError) as refusal:
        room.tell(TakeChannel(b))
    assert refusal.value.code == "channel.held"
    assert refusal.value.details == {"holder": "Name of a"}
    assert refusal.value.message == "Name of a is on air in Français."
    assert room.plan("fr").interpreters == ("a",)


def test_once_the_channel_is_given_back_the_partner_may_take_it(room):
    a = room.on_air("a", "fr")
    b = room.interpreter("b", "fr")
    assert room.tell(ReleaseChannel(a))[0] == ChannelReleased(a, "fr", Cause.ASKED)
    room.tell(TakeChannel(b))
    assert room.plan("fr").interpreters == (b,)


def test_booths_are_locked_each_for_itself(room):
    a, b = room.on_air("a", "fr"), room.on_air("b", "sq")
    assert (room.plan("fr").interpreters, room.plan("sq").interpreters) == ((a,), (b,))


def test_taking_or_giving_back_twice_changes_nothing(room):
    a = room.on_air("a", "fr")
    room.now += 2
    assert room.tell(TakeChannel(a)) == []
    assert room.channel("fr").on_air[0].on_air_s == 2.0
    room.tell(ReleaseChannel(a))
    assert room.tell(ReleaseChannel(a)) == []


def test_a_released_channel_passes_the_floor_through(room):
    a = room.on_air("a", "fr")
    room.tell(ReleaseChannel(a))
    assert room.channel("fr").state is ChannelState.PASSTHROUGH
    assert room.plan("fr").mix == room.plan("sq").mix == room.plan("floor").mix


def test_an_interpreter_stays_heard_when_the_floor_turns_to_the_language_of_the_booth(room):
    a = room.on_air("a", "fr")
    room.speaker("s", "fr")
    assert room.channel("fr").state is ChannelState.INTERPRETED
    assert room.tell(ReleaseChannel(a))[-1] == ChannelStateChanged("fr", ChannelState.SPOKEN)


def test_a_full_booth_is_refused(room):
    room.interpreter("a", "fr")
    room.interpreter("b", "fr")
    c = room.enter("c", Role.INTERPRETER, "fr")
    with pytest.raises(BoothFullError, match="2 desks"):
        room.tell(JoinBooth(c, "fr"))


def test_a_meeting_may_seat_three_in_a_booth(room):
    room.meeting = Meeting(MeetingSpec(MeetingId("m"), "", "en", ("fr",), desks_per_booth=3))
    for who in "abc":
        room.interpreter(who, "fr")
    assert [desk.number for desk in room.meeting.view(0.0).booths[0].desks] == [1, 2, 3]


def test_moving_to_another_booth_is_one_step(room):
    a = room.enter("a", Role.INTERPRETER, "fr", "sq")
    room.tell(JoinBooth(a, "fr"), TakeChannel(a))
    assert room.tell(JoinBooth(a, "sq"))[:3] == [
        ChannelReleased(a, "fr", Cause.MOVED),
        BoothLeft(a, "fr", 1),
        BoothJoined(a, "sq", 1),
    ]
    assert room.meeting.booth_of(a) == "sq"
    assert room.plan("fr").interpreters == room.plan("sq").interpreters == ()


def test_moving_to_a_full_booth_leaves_the_interpreter_where_they_are(room):
    room.interpreter("b", "sq")
    room.interpreter("c", "sq")
    a = room.enter("a", Role.INTERPRETER, "fr", "sq")
    room.tell(JoinBooth(a, "fr"), TakeChannel(a))
    with pytest.raises(BoothFullError):
        room.tell(JoinBooth(a, "sq"))
    assert room.plan("fr").interpreters == (a,)


def test_joining_the_own_booth_again_stays_on_air(room):
    a = room.on_air("a", "fr")
    assert room.tell(JoinBooth(a, "fr")) == []
    assert room.plan("fr").interpreters == (a,)


def test_a_booth_outside_the_languages_of_the_token_is_refused(room):
    a = room.enter("a", Role.INTERPRETER, "fr")
    with pytest.raises(NotAllowedError, match="Shqip"):
        room.tell(JoinBooth(a, "sq"))


def test_the_case_of_a_tag_in_the_token_does_not_matter(room):
    a = room.enter("a", Role.INTERPRETER, "FR")
    assert room.tell(JoinBooth(a, "fr")) == [BoothJoined(a, "fr", 1)]


@pytest.mark.parametrize("booth", ["en", "floor", "de", ""])
def test_there_is_no_booth_for_the_floor_language_or_the_unknown(room, booth):
    a = room.enter("a", Role.INTERPRETER, "en", "de")
    with pytest.raises(BoothUnknownError):
        room.tell(JoinBooth(a, booth))


@pytest.mark.parametrize("command", [TakeChannel, ReleaseChannel])
def test_without_a_booth_there_is_no_channel_to_take(room, command):
    a = room.enter("a", Role.INTERPRETER, "fr")
    with pytest.raises(BoothNotJoinedError):
        room.tell(command(a))


def test_leaving_a_booth_one_does_not_sit_in_is_no_error(room):
    a = room.enter("a", Role.INTERPRETER, "fr")
    assert room.tell(LeaveBooth(a)) == []


@pytest.mark.parametrize("role", [Role.ATTENDEE, Role.SPEAKER, Role.OPERATOR])
@pytest.mark.parametrize(
    "command", [lambda who: JoinBooth(who, "fr"), LeaveBooth, TakeChannel, ReleaseChannel]
)
def test_only_interpreters_work_in_booths(room, role, command):
    person = room.enter("x", role, "fr")
    with pytest.raises(NotAllowedError):
        room.tell(command(person))


def test_an_interpreter_who_leaves_empties_the_desk_and_the_channel(room):
    a = room.on_air("a", "fr")
    assert room.tell(LeaveMeeting(a))[:2] == [
        ChannelReleased(a, "fr", Cause.LEFT),
        BoothLeft(a, "fr", 1),
    ]
    assert room.meeting.view(room.now).booths[0].desks == ()


def test_an_interpreter_is_never_on_the_floor(room):
    a = room.on_air("a", "fr")
    with pytest.raises(NotAllowedError):
        room.tell(TakeFloor(a, "fr"))
