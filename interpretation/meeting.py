"""The meeting: who speaks, who interprets, who hears what.

A core of the four verbs (docs/ARCHITECTURE.md): commands in by `receive`, past-tense events out by
`poll`, time by `advance` and `deadline`. It knows no clock, socket, task or randomness, and no
media: that follows from `plan()`, a value.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, assert_never

from kabina.interpretation.booth import Booth, Desk
from kabina.interpretation.commands import (
    AudioBack,
    AudioLost,
    Command,
    JoinBooth,
    JoinMeeting,
    LeaveBooth,
    LeaveMeeting,
    Listen,
    ReleaseChannel,
    ReleaseFloor,
    Show,
    TakeChannel,
    TakeFloor,
)
from kabina.interpretation.errors import (
    BoothFullError,
    BoothNotJoinedError,
    BoothUnknownError,
    ChannelHeldError,
    ChannelUnknownError,
    FloorFullError,
    FloorNotHeldError,
    MisuseError,
    NotAllowedError,
    OriginalLevelError,
)
from kabina.interpretation.events import (
    AudioDropped,
    AudioReturned,
    BoothJoined,
    BoothLeft,
    Cause,
    ChannelReleased,
    ChannelStateChanged,
    ChannelTaken,
    Event,
    FloorLanguageChanged,
    FloorReleased,
    FloorTaken,
    ListenerMoved,
    ParticipantJoined,
    ParticipantLeft,
    VisualHidden,
    VisualShown,
)
from kabina.interpretation.hearing import ORIGINAL_LEVELS_DB, Hearing
from kabina.interpretation.ids import FLOOR, BoothId, ChannelId, ParticipantId, Role
from kabina.interpretation.languages import require_tag, same_tag
from kabina.interpretation.media_plan import MediaPlan
from kabina.interpretation.spec import MeetingSpec
from kabina.interpretation.stage import Visual
from kabina.interpretation.state import MeetingState, Participant, heard_at
from kabina.interpretation.tables import DeskEvent, DeskState
from kabina.interpretation.view import MeetingView

MAX_SPEAKERS: Final = 32  # at once; more is a hall, and the mixer's rows have an end
MAY_SPEAK: Final = frozenset({Role.SPEAKER, Role.OPERATOR})


class Meeting:
    """One meeting's truth. A refused command raises and has changed nothing."""

    def __init__(self, spec: MeetingSpec) -> None:
        self.spec: Final = spec
        self._state = MeetingState.before_anybody_comes(spec)
        self._events: deque[Event] = deque()
        self._revision = 0
        self._seen = self.view(0.0)

    # The four verbs

    def receive(self, command: Command, *, now: float) -> None:
        """Does what `command` says, or raises an InterpretationError and changes nothing."""
        self._apply(command, now)
        self._note_consequences()

    def advance(self, *, now: float) -> None:
        """Time passed; nothing in a meeting lapses by itself yet."""

    def poll(self) -> Iterator[Event]:
        """What has happened since the last call, in order, until empty."""
        while self._events:
            yield self._events.popleft()

    def deadline(self) -> float | None:
        """When `advance` is next needed; None while nothing lapses."""
        return None

    # What can be read

    @property
    def revision(self) -> int:
        """Counts the changes of the view, seconds apart."""
        return self._revision

    @property
    def floor_language(self) -> str:
        """The tag of the language the floor speaks, as declared."""
        return self._state.floor.language

    @property
    def participants(self) -> Mapping[ParticipantId, Participant]:
        """Everybody in the meeting; to read only."""
        return MappingProxyType(self._state.people)

    def booth_of(self, participant: ParticipantId) -> BoothId | None:
        """Where the participant sits, if in a booth."""
        seat = self._state.seat(participant)
        return None if seat is None else seat[0].id

    def hearing(self, participant: ParticipantId) -> Hearing | None:
        """What the participant hears; None: nothing, or they are not there."""
        return self._state.hearing(participant)

    def would_hear(self, command: Listen) -> Hearing | None:
        """What `command` would give them; raises as `receive` does, and changes nothing."""
        person = self._listener(command)
        if command.channel is None:
            return None
        return self._state.hearing_of(person, command.channel, command.original_db)

    def plan(self) -> MediaPlan:
        """Who is heard where, now; cheap, and equal plans are equal values."""
        return self._state.plan()

    def view(self, now: float) -> MeetingView:
        """The meeting as people with a token see it; `anonymous()` of it is for the others."""
        return self._state.view(now=now, revision=self._revision)

    # Commands

    def _apply(self, command: Command, now: float) -> None:  # noqa: C901 - a flat list of commands
        match command:
            case JoinMeeting():
                self._join(command)
            case LeaveMeeting():
                self._leave(command, now)
            case TakeFloor():
                self._take_floor(command, now)
            case ReleaseFloor():
                self._release_floor(command)
            case JoinBooth():
                self._join_booth(command, now)
            case LeaveBooth():
                self._leave_booth(command, now)
            case TakeChannel():
                self._take_channel(command, now)
            case ReleaseChannel():
                self._release_channel(command, now)
            case AudioLost():
                self._audio_lost(command, now)
            case AudioBack():
                self._audio_back(command)
            case Listen():
                self._listen(command)
            case Show():
                self._show(command)
            case _:
                assert_never(command)

    def _join(self, command: JoinMeeting) -> None:
        if command.participant in self._state.people:
            raise MisuseError("Already in the meeting: leave first.")
        if not command.participant:
            raise MisuseError("A participant needs an id.")
        self._state.people[command.participant] = Participant(
            command.participant, command.name, command.role, command.languages
        )
        self._events.append(ParticipantJoined(command.participant, command.role))

    def _leave(self, command: LeaveMeeting, now: float) -> None:
        person = self._state.people.get(command.participant)
        if person is None:
            return
        self._end_turn(person, Cause.LEFT)
        self._stand_up(person, Cause.LEFT, now)
        self._hear(person, None, person.original_db)
        for visual in Visual:
            self._hide(person, visual, Cause.LEFT)
        del self._state.people[person.id]
        self._events.append(ParticipantLeft(person.id))

    def _take_floor(self, command: TakeFloor, now: float) -> None:
        person = self._person(command.participant)
        if person.role not in MAY_SPEAK:
            raise NotAllowedError("Only speakers and operators take the floor.")
        require_tag(command.language)
        speakers = self._state.floor.turns
        if person.id not in speakers and len(speakers) >= MAX_SPEAKERS:
            raise FloorFullError(MAX_SPEAKERS)
        if self._state.floor.take(person.id, command.language, now=now):
            self._events.append(FloorTaken(person.id, command.language))

    def _release_floor(self, command: ReleaseFloor) -> None:
        if not self._end_turn(self._person(command.participant), Cause.ASKED):
            raise FloorNotHeldError

    def _join_booth(self, command: JoinBooth, now: float) -> None:
        person = self._interpreter(command.participant)
        booth = self._state.booths.get(command.booth)
        if booth is None:
            raise BoothUnknownError(command.booth)
        if not any(same_tag(tag, booth.channel) for tag in person.languages):
            raise NotAllowedError(
                f"Your token does not cover {self._state.autonym(booth.channel)}."
            )
        if booth.desk_of(person.id) is not None:
            return
        desk = booth.free_desk()
        if desk is None:
            raise BoothFullError(
                booth_name=self._state.autonym(booth.channel), desks=len(booth.desks)
            )
        self._stand_up(person, Cause.MOVED, now)
        desk.happen(DeskEvent.JOIN, now=now)
        desk.occupant = person.id
        self._events.append(BoothJoined(person.id, booth.id, desk.number))

    def _leave_booth(self, command: LeaveBooth, now: float) -> None:
        self._stand_up(self._interpreter(command.participant), Cause.ASKED, now)

    def _take_channel(self, command: TakeChannel, now: float) -> None:
        person = self._interpreter(command.participant)
        booth, desk = self._require_seat(person)
        # The interlock: one desk of a booth at a time, and the second is told who has it.
        for other in booth.on_air():
            if other is not desk and other.occupant is not None:
                holder = self._state.name(other.occupant)
                raise ChannelHeldError(
                    holder=holder, channel_name=self._state.autonym(booth.channel)
                )
        if desk.happen(DeskEvent.TAKE, now=now):
            self._events.append(ChannelTaken(person.id, booth.channel))

    def _release_channel(self, command: ReleaseChannel, now: float) -> None:
        person = self._interpreter(command.participant)
        booth, desk = self._require_seat(person)
        if desk.happen(DeskEvent.RELEASE, now=now):
            self._events.append(ChannelReleased(person.id, booth.channel, Cause.ASKED))

    def _audio_lost(self, command: AudioLost, now: float) -> None:
        person = self._state.people.get(command.participant)
        if person is None:
            return
        if not person.audio_lost:
            person.audio_lost = True
            self._events.append(AudioDropped(person.id))
        self._end_turn(person, Cause.AUDIO_LOST)
        for visual in Visual:
            self._hide(person, visual, Cause.AUDIO_LOST)
        seat = self._state.seat(person.id)
        if seat is not None and seat[1].happen(DeskEvent.LOSE, now=now):
            self._events.append(ChannelReleased(person.id, seat[0].channel, Cause.AUDIO_LOST))

    def _audio_back(self, command: AudioBack) -> None:
        person = self._state.people.get(command.participant)
        if person is None or not person.audio_lost:
            return
        person.audio_lost = False
        self._events.append(AudioReturned(person.id))

    def _listen(self, command: Listen) -> None:
        person = self._listener(command)
        if command.channel is None:
            self._hear(person, None, person.original_db)
        else:
            self._hear(person, command.channel, command.original_db)

    def _show(self, command: Show) -> None:
        person = self._person(command.participant)
        if person.role not in MAY_SPEAK:
            raise NotAllowedError("Only speakers and operators show a camera or a screen.")
        if not command.on:
            self._hide(person, command.visual, Cause.ASKED)
        elif self._state.stage.show(person.id, command.visual):
            self._events.append(VisualShown(person.id, command.visual))

    # Steps that commands share

    def _end_turn(self, person: Participant, cause: Cause) -> bool:
        if not self._state.floor.release(person.id):
            return False
        self._events.append(FloorReleased(person.id, cause))
        return True

    def _hide(self, person: Participant, visual: Visual, cause: Cause) -> None:
        if self._state.stage.hide(person.id, visual):
            self._events.append(VisualHidden(person.id, visual, cause))

    def _stand_up(self, person: Participant, cause: Cause, now: float) -> None:
        seat = self._state.seat(person.id)
        if seat is None:
            return
        booth, desk = seat
        if desk.state is DeskState.ACTIVE:
            self._events.append(ChannelReleased(person.id, booth.channel, cause))
        desk.happen(DeskEvent.LEAVE, now=now)
        self._events.append(BoothLeft(person.id, booth.id, desk.number))

    def _hear(self, person: Participant, channel: ChannelId | None, original_db: float) -> None:
        if (person.listening, person.original_db) == (channel, original_db):
            return
        audience = self._state.audience
        if person.listening is not None:
            audience[heard_at(person.listening, person.original_db)] -= 1
        if channel is not None:
            audience[heard_at(channel, original_db)] += 1
        person.listening, person.original_db = channel, original_db
        self._events.append(ListenerMoved(person.id, channel, original_db))

    def _note_consequences(self) -> None:
        """What follows from a command by itself: languages, channel states, the revision."""
        # Seen from one fixed moment, so that passing seconds are no change but new turns are.
        seen = self.view(0.0)
        before = self._seen
        if seen == before:
            return
        if seen.floor.language != before.floor.language:
            self._events.append(FloorLanguageChanged(seen.floor.language.tag))
        self._events.extend(
            ChannelStateChanged(channel.id, channel.state)
            for channel, was in zip(seen.channels, before.channels, strict=True)
            if channel.state is not was.state
        )
        self._revision += 1
        self._seen = replace(seen, revision=self._revision)

    # Finding

    def _listener(self, command: Listen) -> Participant:
        person = self._person(command.participant)
        if command.channel is not None and command.channel not in (FLOOR, *self._state.languages):
            raise ChannelUnknownError(command.channel)
        if command.original_db not in ORIGINAL_LEVELS_DB:
            raise OriginalLevelError(command.original_db)
        return person

    def _person(self, participant: ParticipantId) -> Participant:
        person = self._state.people.get(participant)
        if person is None:
            raise MisuseError("Not in the meeting: join first.")
        return person

    def _interpreter(self, participant: ParticipantId) -> Participant:
        person = self._person(participant)
        if person.role is not Role.INTERPRETER:
            raise NotAllowedError("Only interpreters work in a booth.")
        return person

    def _require_seat(self, person: Participant) -> tuple[Booth, Desk]:
        seat = self._state.seat(person.id)
        if seat is None:
            raise BoothNotJoinedError
        return seat
