"""A meeting going on: the domain's truth and its media, kept equal by one `reconcile` step."""

from __future__ import annotations

import asyncio
import logging
import math
from itertools import count
from typing import TYPE_CHECKING, Protocol, TypeVar

from kabina.interpretation.commands import Command, JoinMeeting, LeaveMeeting, Listen
from kabina.interpretation.errors import InterpretationError
from kabina.interpretation.ids import FLOOR, ChannelId, ParticipantId, Role
from kabina.interpretation.media_plan import StagePlan
from kabina.interpretation.meeting import Meeting
from kabina.interpretation.stage import Visual
from kabina.mixer.errors import MixerFullError
from kabina.mixer.rows import MixRow
from kabina.native.plane import PlaneFullError
from kabina.sfu.active_speaker import Speaking
from kabina.signaling.errors import CodedError
from kabina.signaling.messages import ChannelLevels, Levels
from kabina.signaling.speaking import SpeakerWatch, Voice

if TYPE_CHECKING:
    from collections.abc import Callable

    from kabina.interpretation.events import Event
    from kabina.interpretation.media_plan import ChannelPlan, MediaPlan
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
OPUS_CLOCK_RATE = 48_000
SILENCE_DB = -100.0
# A mix of several voices goes on for so long when one is left: the floor has 0.8 s to rise, and its
# limiter another second (audio-engine.md §7). Then it is what the original is, and gives way to it.
SETTLES_S = 3.0


class Viewer(Protocol):
    """Somebody with video slots."""

    def stage_changed(self, stage: StagePlan) -> None: ...


class Hearer(Protocol):
    """Somebody with a listening slot."""

    def sound_changed(self) -> None:
        """A channel may be carried by another track than before: `track_of` says which."""


Listener = TypeVar("Listener", Viewer, Hearer)


class Room:
    """One live meeting. Commands go through `execute`; media follows from the plan."""

    def __init__(self, spec: MeetingSpec, *, unit: ForwardingUnit, mixer: LanguageMixer) -> None:
        """CodedError `server.full` when the node can mix no more channels."""
        self.meeting = Meeting(spec)
        self._mixer = mixer
        self._unit = unit
        self._voices: dict[ParticipantId, Voice] = {}
        self._sounds: dict[ParticipantId, Voice] = {}  # of shared screens
        self._sounding: set[ParticipantId] = set()  # whose screen's sound flows
        self._watch = SpeakerWatch(unit.plane, mixer)
        self._pictures: dict[tuple[ParticipantId, Visual], int] = {}
        self._viewers: set[Viewer] = set()
        self._hearers: set[Hearer] = set()
        self._stage = StagePlan()
        self.on_event: Callable[[Event], None] = lambda _event: None  # the demo's robots listen
        self._shown = (0, 0)
        self._tracks: dict[ChannelId, int] = {}  # the mixes'
        self._heard: dict[ChannelId, int] = {}  # the one track a mix would consist of, instead
        # From when a channel's mix may give way to the one original; inf: it has several voices.
        self._settled_at_s: dict[ChannelId, float] = {}
        self._settling: asyncio.TimerHandle | None = None
        self._rows: dict[ChannelId, int] = {}
        self._numbers = count(1)
        self._names: dict[Role, count[int]] = {role: count(1) for role in Role}
        try:
            for channel in (FLOOR, *spec.channels):
                self._tracks[channel] = unit.plane.add_injected_track(clock_rate=OPUS_CLOCK_RATE)
                self._rows[channel] = mixer.open_row(self._tracks[channel])
        except (PlaneFullError, MixerFullError) as error:
            self.close()
            raise CodedError("server.full", "This server can mix no further channels.") from error
        self._plan: MediaPlan | None = None
        self._reconcile()

    @property
    def id(self) -> str:
        return self.meeting.spec.meeting_id

    def close(self) -> None:
        """Ends the rows; participants must have left."""
        if self._settling is not None:
            self._settling.cancel()
        self._mixer.set_rows(self.id, ())
        for row in self._rows.values():
            self._mixer.close_row(row)
        for track in self._tracks.values():
            self._unit.plane.remove_track(track)

    # Who is there

    def admit(self, grant: Grant) -> ParticipantId:
        """A participant for whoever holds this grant; `remove` undoes it."""
        participant = ParticipantId(f"p-{next(self._numbers)}")
        name = grant.name or f"{_ROLE_NAMES[grant.role]} {next(self._names[grant.role])}"
        self.execute(JoinMeeting(participant, name, grant.role, grant.languages))
        return participant

    def remove(self, participant: ParticipantId) -> None:
        self.execute(LeaveMeeting(participant))
        self.unbind_audio(participant)
        self.unbind_sound(participant)
        self.unbind_pictures(participant)

    def execute(self, command: Command) -> None:
        """Runs a domain command and lets media follow. CodedError if the domain refuses."""
        try:
            self.meeting.receive(command, now=_now_s())
        except InterpretationError as error:
            raise CodedError(error.code, error.message, **error.details) from error
        for event in self.meeting.poll():
            _log.debug("%s", type(event).__name__, extra={"meeting": self.id})
            self.on_event(event)
        self._reconcile()

    # Whose audio is whose

    def open_voice(self, participant: ParticipantId, track: int) -> int:
        """A source of the mix engine for what this participant's microphone sends as `track`.

        CodedError `server.full` when the node has none left.
        """
        source = self._open_source()
        self._bind(participant, Voice(source, track))
        return source

    def open_sound(self, participant: ParticipantId, track: int) -> int:
        """The same for the sound of their screen: heard while that is on the stage and flows."""
        source = self._open_source()
        self.unbind_sound(participant)
        self._sounds[participant] = Voice(source, track)
        return source

    def unbind_sound(self, participant: ParticipantId) -> None:
        sound = self._sounds.pop(participant, None)
        self._sounding.discard(participant)
        if sound is not None:
            self._reconcile(force=True)
            self._mixer.close_source(sound.source)

    def sound_flowed(self, participant: ParticipantId, *, flows: bool) -> None:
        """A screen without sound, or in silence, must not make a mix of what is heard alone."""
        (self._sounding.add if flows else self._sounding.discard)(participant)
        self._reconcile(force=True)

    def _open_source(self) -> int:
        try:
            return self._mixer.open_source()
        except MixerFullError as error:
            raise CodedError("server.full", str(error)) from error

    def bind_audio(self, participant: ParticipantId, source: int) -> None:
        """From now on `source` is this participant's voice; the room closes it with them."""
        self._bind(participant, Voice(source))

    def _bind(self, participant: ParticipantId, voice: Voice) -> None:
        self.unbind_audio(participant)
        self._voices[participant] = voice
        self._reconcile(force=True)

    def unbind_audio(self, participant: ParticipantId) -> None:
        voice = self._voices.pop(participant, None)
        if voice is not None:
            self._reconcile(force=True)
            self._mixer.close_source(voice.source)

    def media_gone(self, participant: ParticipantId) -> None:
        """Their media session is over; what they have on the air is another question."""
        self.execute(Listen(participant, None))
        self.unbind_audio(participant)
        self.unbind_sound(participant)
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

    def voice_of(self, participant: ParticipantId) -> Voice | None:
        """Where their voice comes from; None if nothing does."""
        return self._voices.get(participant)

    def channel_of_track(self, track: int) -> str | None:
        """The channel that an injected track carries; None if it is none of this room's."""
        return next((channel for channel, mine in self._tracks.items() if mine == track), None)

    def picture_of_track(self, track: int) -> tuple[ParticipantId, Visual] | None:
        """Whose camera or screen a track of the plane is; None if it is none of this room's."""
        return next((whose for whose, mine in self._pictures.items() if mine == track), None)

    def sound_of_track(self, track: int) -> tuple[ParticipantId, str] | None:
        """Whose voice or screen's sound a track is; None if it is none of this room's."""
        for what, voices in (("voice", self._voices), (Visual.SCREEN.value, self._sounds)):
            for who, voice in voices.items():
                if voice.track == track != 0:
                    return who, what
        return None

    def is_on_air(self, participant: ParticipantId) -> bool:
        """Whether anybody would hear them: they have the floor or a channel."""
        plan = self.meeting.plan()
        return participant in plan.floor or any(
            participant in channel.interpreters for channel in plan.channels
        )

    def track_of(self, channel: str) -> int:
        """The track that carries `channel`, which must exist: its mix, or the one original."""
        return self._heard.get(ChannelId(channel)) or self._tracks[ChannelId(channel)]

    # What can be seen

    def view(self) -> MeetingView:
        return self.meeting.view(_now_s())

    def levels(self) -> Levels:
        """RMS of what each channel consists of, for the meters."""
        assert self._plan is not None  # noqa: S101 - set by the constructor
        floor = self._mixer.row_readings(self._rows[FLOOR])
        is_heard = bool(self._plan.floor or self._sounds_of(self._plan.stage))
        channels = {}
        for plan in self._plan.channels:
            if plan.channel == FLOOR:
                continue
            reading = self._mixer.row_readings(self._rows[plan.channel])
            channels[str(plan.channel)] = ChannelLevels(
                interpreter_db=_rounded(reading.interpreter_db) if plan.interpreters else None,
                original_db=_rounded(reading.original_db) if is_heard else None,
            )
        return Levels(floor_db=_rounded(floor.original_db) if is_heard else None, channels=channels)

    def speaking(self) -> Speaking:
        """Who of those on the floor speaks; asked about every 100 ms while pages are there."""
        assert self._plan is not None  # noqa: S101 - set by the constructor
        floor = self._plan.floor
        if not floor and self._watch.state == Speaking():
            return self._watch.state
        voices = {str(who): self._voices[who] for who in floor if who in self._voices}
        return self._watch.look(voices, now=_now_s())

    # Plan → media

    def _reconcile(self, *, force: bool = False) -> None:
        plan = self.meeting.plan()
        if plan != self._plan or force:
            self._plan = plan
            self._mixer.set_rows(self.id, [self._row(channel) for channel in plan.channels])
            self._direct_sound(plan)
            self._direct_stage()

    def _direct_sound(self, plan: MediaPlan) -> None:
        """Who hears nothing but one source gets that, untouched: no later, with its own repairs
        (FEC, RED), and in stereo where it is."""
        now_s = _now_s()
        heard: dict[ChannelId, int] = {}
        for channel in plan.channels:
            voices = self._original(channel)
            settled_at_s = self._settled_at_s.get(channel.channel, -math.inf)
            if len(voices) > 1 or channel.interpreters:
                self._settled_at_s[channel.channel] = math.inf
            elif settled_at_s == math.inf:
                self._settled_at_s[channel.channel] = now_s + SETTLES_S
            elif voices and voices[0].track and now_s >= settled_at_s:
                heard[channel.channel] = voices[0].track
        self._settle_later(now_s)
        if heard != self._heard:
            self._heard = heard
            self._tell(self._hearers, lambda hearer: hearer.sound_changed())

    def _settle_later(self, now_s: float) -> None:
        """Looks again when the next channel's mix has come to rest."""
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        waiting = [at_s for at_s in self._settled_at_s.values() if now_s < at_s < math.inf]
        if waiting:
            delay_s = min(waiting) - now_s
            loop = asyncio.get_running_loop()
            self._settling = loop.call_later(delay_s, lambda: self._reconcile(force=True))

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

    def _row(self, plan: ChannelPlan) -> MixRow:
        return MixRow(
            row=self._rows[plan.channel],
            floor=tuple(voice.source for voice in self._original(plan)),
            interpreters=tuple(voice.source for voice in self._voices_of(plan.interpreters)),
            heard=plan.listeners > 0,
        )

    def _original(self, plan: ChannelPlan) -> list[Voice]:
        """What a channel's original consists of: the floor, and the sound of the stage."""
        assert self._plan is not None  # noqa: S101 - set before
        return [*self._voices_of(plan.floor), *self._sounds_of(self._plan.stage)]

    def _voices_of(self, participants: tuple[ParticipantId, ...]) -> list[Voice]:
        # Somebody may hold the floor before their microphone arrives.
        return [self._voices[who] for who in participants if who in self._voices]

    def _sounds_of(self, stage: StagePlan) -> list[Voice]:
        who = stage.screen
        return [self._sounds[who]] if who in self._sounds and who in self._sounding else []


def _rounded(level_db: float) -> float:
    return round(max(level_db, SILENCE_DB), 1)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
