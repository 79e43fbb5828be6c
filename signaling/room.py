"""A meeting going on: the domain's truth and its media, kept equal by one `reconcile` step."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Protocol, TypeVar

from kabina.interpretation.commands import Command, JoinMeeting, LeaveMeeting, Listen
from kabina.interpretation.errors import InterpretationError
from kabina.interpretation.hearing import NORMAL_DB
from kabina.interpretation.ids import FLOOR, ParticipantId, Role
from kabina.interpretation.media_plan import StagePlan
from kabina.interpretation.meeting import Meeting
from kabina.interpretation.stage import Visual
from kabina.sfu.active_speaker import Speaking
from kabina.signaling.errors import CodedError
from kabina.signaling.sound import RoomSound
from kabina.signaling.speaking import SpeakerWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kabina.interpretation.events import Event
    from kabina.interpretation.ids import ChannelId
    from kabina.interpretation.media_plan import MediaPlan
    from kabina.interpretation.spec import MeetingSpec
    from kabina.interpretation.view import MeetingView
    from kabina.mixer.language_mixer import LanguageMixer
    from kabina.sfu.forwarding_unit import ForwardingUnit
    from kabina.signaling.tokens import Grant

_log = logging.getLogger(__name__)

_ROLE_NAMES = {
    Role.ATTENDEE: "Listener",
    Role.SPEAKER: "Speaker",
    Role.INTERPRETER: "Interpreter",
    Role.OPERATOR: "Operator",
}


class Viewer(Protocol):
    """Somebody with video slots."""

    def stage_changed(self, stage: StagePlan) -> None: ...


class Hearer(Protocol):
    """Somebody with a listening slot."""

    def sound_changed(self) -> None:
        """What they hear may be carried by another track than before: `heard_by` says which."""


Listener = TypeVar("Listener", Viewer, Hearer)


class Room:
    """One live meeting. Commands go through `execute`; media follows from the plan."""

    def __init__(self, spec: MeetingSpec, *, unit: ForwardingUnit, mixer: LanguageMixer) -> None:
        """CodedError `server.full` when the node can mix no more channels."""
        self.meeting = Meeting(spec)
        self._watch = SpeakerWatch(unit.plane, mixer)
        self._pictures: dict[tuple[ParticipantId, Visual], int] = {}
        self._viewers: set[Viewer] = set()
        self._hearers: set[Hearer] = set()
        self._stage = StagePlan()
        self.on_event: Callable[[Event], None] = lambda _event: None  # the demo's robots listen
        self._shown = (0, 0)
        self._numbers = count(1)
        self._names: dict[Role, count[int]] = {role: count(1) for role in Role}
        self.sound = RoomSound(
            self.id,
            (FLOOR, *spec.channels),
            plane=unit.plane,
            mixer=mixer,
            changed=lambda: self._tell(self._hearers, lambda hearer: hearer.sound_changed()),
        )
        self._plan: MediaPlan | None = None
        self._reconcile()

    @property
    def id(self) -> str:
        return self.meeting.spec.meeting_id

    def close(self) -> None:
        """Ends the rows; participants must have left."""
        self.sound.close()

    # Who is there

    def admit(self, grant: Grant) -> ParticipantId:
        """A participant for whoever holds this grant; `remove` undoes it."""
        participant = ParticipantId(f"p-{next(self._numbers)}")
        name = grant.name or f"{_ROLE_NAMES[grant.role]} {next(self._names[grant.role])}"
        self.execute(JoinMeeting(participant, name, grant.role, grant.languages))
        return participant

    def remove(self, participant: ParticipantId) -> None:
        self.execute(LeaveMeeting(participant))
        self._forget_media(participant)

    def execute(self, command: Command) -> None:
        """Runs a domain command and lets media follow. CodedError if the domain refuses."""
        with _coded():
            self.meeting.receive(command, now=_now_s())
        for event in self.meeting.poll():
            _log.debug("%s", type(event).__name__, extra={"meeting": self.id})
            self.on_event(event)
        self._reconcile()

    def listen(
        self,
        participant: ParticipantId,
        channel: ChannelId | None,
        original_db: float = NORMAL_DB,
    ) -> None:
        """Moves them to a channel, with the original at a level. CodedError if they may not, or
        `server.full` if there is no row for that."""
        order = Listen(participant, channel, original_db)
        with _coded():
            hearing = self.meeting.would_hear(order)
        if hearing is not None:
            self.sound.reserve(hearing)
        self.execute(order)

    # Whose media is whose

    def media_gone(self, participant: ParticipantId) -> None:
        """Their media session is over; what they have on the air is another question."""
        self.execute(Listen(participant, None))
        self._forget_media(participant)

    def _forget_media(self, participant: ParticipantId) -> None:
        self.sound.unbind_voice(participant)
        self.sound.unbind_screen(participant)
        self.unbind_pictures(participant)

    def bind_picture(self, participant: ParticipantId, visual: Visual, track: int) -> None:
        """From now on `track` of the plane is this participant's camera or screen."""
        self._pictures[participant, visual] = track
        self._direct_stage()

    def unbind_pictures(self, participant: ParticipantId) -> None:
        for visual in Visual:
            self._pictures.pop((participant, visual), None)
        self._direct_stage()

    def add_viewer(self, viewer: Viewer) -> None:
        """Somebody with video slots: told what flows in them, now and at every change."""
        self._viewers.add(viewer)
        viewer.stage_changed(self._stage)

    def remove_viewer(self, viewer: Viewer) -> None:
        self._viewers.discard(viewer)

    def add_hearer(self, hearer: Hearer) -> None:
        """Somebody with a listening slot: told when what a channel is carried by changes."""
        self._hearers.add(hearer)

    def remove_hearer(self, hearer: Hearer) -> None:
        self._hearers.discard(hearer)

    def picture_of(self, participant: ParticipantId | None, visual: Visual) -> int:
        """The plane's track of somebody's camera or screen; 0 if there is none."""
        return 0 if participant is None else self._pictures.get((participant, visual), 0)

    def picture_of_track(self, track: int) -> tuple[ParticipantId, Visual] | None:
        """Whose camera or screen a track of the plane is; None if it is none of this room's."""
        return next((whose for whose, mine in self._pictures.items() if mine == track), None)

    def is_on_air(self, participant: ParticipantId) -> bool:
        """Whether anybody would hear them: they have the floor or a channel."""
        plan = self.meeting.plan()
        return participant in plan.floor or any(
            participant in channel.interpreters for channel in plan.channels
        )

    def heard_by(self, participant: ParticipantId) -> int:
        """The track that carries what this participant hears; 0: nothing."""
        return self.sound.track_of(self.meeting.hearing(participant))

    # What can be seen

    def view(self) -> MeetingView:
        return self.meeting.view(_now_s())

    def speaking(self) -> Speaking:
        """Who of those on the floor speaks; asked about every 100 ms while pages are there."""
        assert self._plan is not None  # noqa: S101 - set by the constructor
        floor = self._plan.floor
        if not floor and self._watch.state == Speaking():
            return self._watch.state
        voices = self.sound.voices
        return self._watch.look(
            {str(who): voices[who] for who in floor if who in voices}, now=_now_s()
        )

    # Plan → media

    def _reconcile(self) -> None:
        plan = self.meeting.plan()
        if plan != self._plan:
            self._plan = plan
            self.sound.follow(plan)
            self._direct_stage()

    def _direct_stage(self) -> None:
        """Tells the viewers, if what they are sent is another track than before."""
        assert self._plan is not None  # noqa: S101 - set by the constructor
        stage = self._plan.stage
        shown = (
            self.picture_of(stage.camera, Visual.CAMERA),
            self.picture_of(stage.screen, Visual.SCREEN),
        )
        if (stage, shown) != (self._stage, self._shown):
            self._stage, self._shown = stage, shown
            self._tell(self._viewers, lambda viewer: viewer.stage_changed(stage))

    @staticmethod
    def _tell(listeners: set[Listener], say: Callable[[Listener], None]) -> None:
        for listener in tuple(listeners):
            try:
                say(listener)
            except Exception:  # noqa: BLE001 - logged; one page's fault is not the others'
                _log.exception("a change could not be told")


@contextmanager
def _coded() -> Iterator[None]:
    try:
        yield
    except InterpretationError as error:
        raise CodedError(error.code, error.message, **error.details) from error


def _now_s() -> float:
    return asyncio.get_running_loop().time()
