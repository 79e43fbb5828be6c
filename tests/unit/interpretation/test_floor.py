import pytest

from kabina.interpretation.commands import LeaveMeeting, ReleaseFloor, TakeFloor
from kabina.interpretation.errors import (
    FloorFullError,
    FloorNotHeldError,
    LanguageTagError,
    NotAllowedError,
)
from kabina.interpretation.events import (
    Cause,
    ChannelStateChanged,
    FloorLanguageChanged,
    FloorReleased,
    FloorTaken,
)
from kabina.interpretation.ids import Role
from kabina.interpretation.tables import ChannelState


def test_several_speakers_hold_the_floor_together(room):
    room.speaker("b", "en")
    room.speaker("a", "fr")
    assert room.meeting.plan().floor == ("a", "b")


def test_the_floor_language_follows_the_latest_taker(room):
    room.speaker("a", "en")
    b = room.enter("b", Role.OPERATOR)
    assert room.tell(TakeFloor(b, "fr")) == [
        FloorTaken(b, "fr"),
        FloorLanguageChanged("fr"),
        ChannelStateChanged("en", ChannelState.PASSTHROUGH),
        ChannelStateChanged("fr", ChannelState.SPOKEN),
    ]


def test_when_the_latest_stops_the_language_of_the_one_before_is_back(room):
    room.speaker("a", "en")
    b = room.speaker("b", "fr")
    room.tell(ReleaseFloor(b))
    assert room.meeting.floor_language == "en"


def test_when_an_earlier_speaker_stops_the_language_stays(room):
    a = room.speaker("a", "en")
    room.speaker("b", "fr")
    room.tell(ReleaseFloor(a))
    assert room.meeting.floor_language == "fr"


def test_an_empty_floor_keeps_the_language_last_spoken(room):
    a = room.speaker("a", "sq")
    room.tell(ReleaseFloor(a))
    assert room.meeting.floor_language == "sq"
    assert room.meeting.plan().floor == ()


def test_declaring_another_language_goes_on_with_the_same_turn(room):
    a = room.speaker("a", "en")
    room.now += 5
    assert FloorTaken(a, "fr") in room.tell(TakeFloor(a, "fr"))
    (speaker,) = room.meeting.view(room.now).floor.speakers
    assert (speaker.language, speaker.speaking_s) == ("fr", 5.0)


def test_taking_the_floor_twice_changes_nothing(room):
    a = room.speaker("a", "en")
    revision = room.meeting.revision
    assert room.tell(TakeFloor(a, "en")) == []
    assert room.meeting.revision == revision


def test_the_floor_may_speak_a_language_that_no_channel_has(room):
    room.speaker("a", "tg")
    view = room.meeting.view(room.now)
    assert view.floor.language.autonym == "Тоҷикӣ"
    assert {channel.state for channel in view.channels} == {ChannelState.PASSTHROUGH}


def test_a_regional_variant_counts_as_the_language_of_the_channel(room):
    room.speaker("a", "fr-CH")
    assert room.channel("fr").state is ChannelState.SPOKEN


@pytest.mark.parametrize("role", [Role.ATTENDEE, Role.INTERPRETER])
def test_only_speakers_and_operators_take_the_floor(room, role):
    person = room.enter("x", role, "fr")
    with pytest.raises(NotAllowedError):
        room.tell(TakeFloor(person, "en"))
    assert room.meeting.plan().floor == ()


@pytest.mark.parametrize("tag", ["floor", "", "not a tag"])
def test_a_language_that_is_none_is_refused(room, tag):
    person = room.enter("x", Role.SPEAKER)
    with pytest.raises(LanguageTagError):
        room.tell(TakeFloor(person, tag))
    assert room.meeting.plan().floor == ()


def test_giving_back_a_floor_one_does_not_have_is_refused(room):
    person = room.enter("x", Role.SPEAKER)
    with pytest.raises(FloorNotHeldError):
        room.tell(ReleaseFloor(person))


def test_a_speaker_who_leaves_gives_the_floor_back(room):
    a = room.speaker("a", "en")
    assert FloorReleased(a, Cause.LEFT) in room.tell(LeaveMeeting(a))
    assert room.meeting.plan().floor == ()


def test_the_floor_has_room_for_32_speakers_and_a_place_is_free_when_one_leaves(room):
    speakers = [room.speaker(f"p-{number}", "en") for number in range(32)]
    late = room.enter("late", Role.SPEAKER)
    with pytest.raises(FloorFullError):
        room.tell(TakeFloor(late, "en"))
    room.tell(TakeFloor(speakers[0], "fr"), ReleaseFloor(speakers[1]), TakeFloor(late, "en"))
    assert "late" in room.meeting.plan().floor
