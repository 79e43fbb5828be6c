"""Whose camera and whose screen everybody sees."""

import pytest

from kabina.interpretation.commands import AudioLost, LeaveMeeting, Show, TakeFloor
from kabina.interpretation.errors import NotAllowedError
from kabina.interpretation.events import VisualHidden, VisualShown
from kabina.interpretation.ids import Role
from kabina.interpretation.media_plan import StagePlan
from kabina.interpretation.stage import Visual


def stage(room) -> StagePlan:
    return room.meeting.plan().stage


def test_a_speakers_camera_is_seen_while_it_is_shown(room):
    speaker = room.speaker("p-1", "en")
    assert room.tell(Show(speaker, Visual.CAMERA, on=True)) == [VisualShown(speaker, Visual.CAMERA)]
    assert stage(room) == StagePlan(camera=speaker)
    assert room.meeting.view(room.now).stage.camera.name == "Name of p-1"
    room.tell(Show(speaker, Visual.CAMERA, on=False))
    assert stage(room) == StagePlan()


def test_the_camera_follows_the_floor(room):
    first, second = room.speaker("p-1", "en"), room.enter("p-2", Role.SPEAKER)
    room.tell(Show(first, Visual.CAMERA, on=True), Show(second, Visual.CAMERA, on=True))
    assert stage(room).camera == first
    room.tell(TakeFloor(second, "fr"))
    assert stage(room).camera == second


def test_a_camera_without_the_floor_is_seen_when_nobody_who_speaks_has_one(room):
    room.speaker("p-1", "en")
    waiting = room.enter("p-2", Role.SPEAKER)
    room.tell(Show(waiting, Visual.CAMERA, on=True))
    assert stage(room).camera == waiting


def test_the_latest_screen_is_seen_and_the_one_before_comes_back(room):
    first, second = room.speaker("p-1", "en"), room.enter("p-2", Role.OPERATOR)
    room.tell(Show(first, Visual.SCREEN, on=True), Show(second, Visual.SCREEN, on=True))
    assert stage(room).screen == second
    room.tell(Show(second, Visual.SCREEN, on=False))
    assert stage(room).screen == first


@pytest.mark.parametrize("end", [LeaveMeeting, AudioLost])
def test_who_is_gone_is_not_seen(room, end):
    speaker = room.speaker("p-1", "en")
    room.tell(Show(speaker, Visual.CAMERA, on=True), Show(speaker, Visual.SCREEN, on=True))
    hidden = [event for event in room.tell(end(speaker)) if isinstance(event, VisualHidden)]
    assert {event.visual for event in hidden} == set(Visual)
    assert stage(room) == StagePlan()


@pytest.mark.parametrize("role", [Role.ATTENDEE, Role.INTERPRETER])
def test_only_speakers_and_operators_show_themselves(room, role):
    person = room.enter("p-1", role)
    with pytest.raises(NotAllowedError):
        room.tell(Show(person, Visual.CAMERA, on=True))


def test_showing_twice_is_no_change(room):
    speaker = room.speaker("p-1", "en")
    room.tell(Show(speaker, Visual.CAMERA, on=True))
    assert room.tell(Show(speaker, Visual.CAMERA, on=True)) == []
