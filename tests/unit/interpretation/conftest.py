"""A meeting in virtual time: English on the floor, booths for French and Albanian."""

import pytest

from kabina.interpretation.commands import Command, JoinBooth, JoinMeeting, TakeChannel, TakeFloor
from kabina.interpretation.events import Event
from kabina.interpretation.ids import BoothId, ChannelId, MeetingId, ParticipantId, Role
from kabina.interpretation.media_plan import ChannelPlan
from kabina.interpretation.meeting import Meeting
from kabina.interpretation.spec import MeetingSpec
from kabina.interpretation.view import ChannelView


class Room:
    """A meeting, its clock, and short words for what tests do again and again."""

    def __init__(self, spec: MeetingSpec) -> None:
        self.meeting = Meeting(spec)
        self.now = 100.0

    def tell(self, *commands: Command) -> list[Event]:
        """Commands in order; everything that happened."""
        for command in commands:
            self.meeting.receive(command, now=self.now)
        return list(self.meeting.poll())

    def enter(self, who: str, role: Role = Role.ATTENDEE, *languages: str) -> ParticipantId:
        person = ParticipantId(who)
        self.tell(JoinMeeting(person, f"Name of {who}", role, frozenset(languages)))
        return person

    def speaker(self, who: str, language: str) -> ParticipantId:
        person = self.enter(who, Role.SPEAKER)
        self.tell(TakeFloor(person, language))
        return person

    def interpreter(self, who: str, booth: str) -> ParticipantId:
        person = self.enter(who, Role.INTERPRETER, booth)
        self.tell(JoinBooth(person, BoothId(booth)))
        return person

    def on_air(self, who: str, booth: str) -> ParticipantId:
        person = self.interpreter(who, booth)
        self.tell(TakeChannel(person))
        return person

    def plan(self, channel: str) -> ChannelPlan:
        return next(one for one in self.meeting.plan().channels if one.channel == channel)

    def channel(self, channel: str) -> ChannelView:
        view = self.meeting.view(self.now)
        return next(one for one in view.channels if one.id == ChannelId(channel))


@pytest.fixture
def room() -> Room:
    return Room(MeetingSpec(MeetingId("demo"), "Round table", "en", ("fr", "sq")))
