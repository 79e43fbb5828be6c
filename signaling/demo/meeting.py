"""The demo meeting: robots that speak and interpret, until a person takes their place."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from kabina.interpretation.commands import (
    JoinBooth,
    LeaveBooth,
    ReleaseChannel,
    ReleaseFloor,
    TakeChannel,
    TakeFloor,
)
from kabina.interpretation.events import BoothJoined, Event, FloorTaken
from kabina.interpretation.ids import BoothId, MeetingId, ParticipantId, Role
from kabina.interpretation.spec import MeetingSpec
from kabina.interpretation.tables import DeskState
from kabina.signaling.demo import script
from kabina.signaling.demo.courtesy import Place
from kabina.signaling.demo.speech import load_speech
from kabina.signaling.tokens import Grant
from kabina.signaling.voices import Voice

if TYPE_CHECKING:
    from kabina.signaling.node import Node
    from kabina.signaling.room import Room

_log = logging.getLogger(__name__)

MEETING: Final = MeetingId("demo")
TITLE: Final = "Cross-border contact points"
LINK_VALID_FOR: Final = timedelta(days=1)
# Cues are seconds apart; people who come are noticed at once, by the room's events.
LOOK_INTERVAL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class DemoLink:
    """A page of the demo with a token in its fragment."""

    meeting: str
    page: str
    label: str
    path: str


@dataclass(slots=True)
class Robot:
    """A participant whose voice is a clip; `booth` is None for the speaker, who has the floor."""

    participant: ParticipantId
    clip: int
    booth: BoothId | None = None
    cues: tuple[script.Cue, ...] = field(default=())
    place: Place = field(default_factory=Place)


class DemoMeeting:
    """Keeps the room `demo` alive and plays the script in it, over and over."""

    def __init__(self, node: Node, room: Room) -> None:
        self._node = node
        self._room = room
        self._started_s: float | None = None
        self._speaker = self._admit(Role.SPEAKER, script.FLOOR, "Demo speaker")
        self._interpreters = [
            self._admit(Role.INTERPRETER, part, f"Demo interpreter ({part.language})")
            for part in script.BOOTHS
        ]
        self._robots = {r.participant for r in (self._speaker, *self._interpreters)}
        room.on_event = self._notice
        self._task = asyncio.get_running_loop().create_task(self._play())

    @classmethod
    async def open(cls, node: Node) -> DemoMeeting:
        booths = tuple(part.language for part in script.BOOTHS)
        spec = MeetingSpec(MEETING, TITLE, script.FLOOR.language, booths)
        await node.store.put_meeting(spec)
        node.pinned.add(MEETING)
        return cls(node, await node.room(MEETING))

    async def close(self) -> None:
        self._room.on_event = lambda _event: None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def _admit(self, role: Role, part: script.Part, name: str) -> Robot:
        tag = part.language
        booth = BoothId(tag) if role is Role.INTERPRETER else None
        grant = Grant(
            subject=f"demo-{tag}",
            name=name,
            meeting=MEETING,
            role=role,
            languages=frozenset({tag}) if booth is not None else frozenset(),
        )
        participant = self._room.admit(grant)
        # Not looped by the engine: all are rewound together, so that they never drift apart.
        clip = self._node.mixer.open_clip(load_speech(part), loop=False)
        self._room.sound.bind_voice(participant, Voice(clip))
        return Robot(participant, clip, booth, tuple(c for c in script.CUES if c.booth == tag))

    def links(self) -> tuple[DemoLink, ...]:
        """Fresh ones: tokens expire, a server may run for months."""

        def link(page: str, label: str, role: Role, *languages: str) -> DemoLink:
            token = self._node.issuer.issue(
                meeting=MEETING,
                role=role,
                languages=frozenset(languages),
                valid_for=LINK_VALID_FOR,
            )
            return DemoLink(MEETING, page, label, f"/{page}/{MEETING}#{token}")

        return (
            link("attend", "attendee", Role.ATTENDEE),
            *(
                link("booth", f"interpreter ({part.language})", Role.INTERPRETER, part.language)
                for part in script.BOOTHS
            ),
            link("speak", "speaker", Role.SPEAKER),
        )

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                self._look(loop.time())
            except Exception:  # noqa: BLE001 - logged; a demo that stops for ever is worse
                _log.exception("the demo stumbled")
            await asyncio.sleep(LOOK_INTERVAL_S)

    def _notice(self, event: Event) -> None:
        """Within the order that seats a person: the one that follows finds the channel free."""
        if isinstance(event, BoothJoined | FloorTaken) and event.participant not in self._robots:
            try:
                self._make_way(asyncio.get_running_loop().time())
            except Exception:  # noqa: BLE001 - logged; the person's order is done all the same
                _log.exception("the demo stumbled")

    def _make_way(self, now_s: float) -> bool:
        """Leaves floor and booths to the people in them; whether the script goes on."""
        for robot in self._interpreters:
            if not robot.place.is_free(taken=self._a_person_sits_in(robot), now_s=now_s):
                self._leave_booth(robot)
        goes_on = self._speaker.place.is_free(taken=self._a_person_speaks(), now_s=now_s)
        if not goes_on:
            self._stop()
        return goes_on

    def _look(self, now_s: float) -> None:
        """Starts, stops or rewinds what the script and the people there ask for."""
        if not self._make_way(now_s):
            return
        if self._started_s is None or now_s - self._started_s >= script.LOOP_S:
            self._start(now_s)
        position_s = now_s - (self._started_s or now_s)
        for robot in self._interpreters:
            if robot.place.is_free(taken=self._a_person_sits_in(robot), now_s=now_s):
                self._look_after(robot, position_s)

    def _start(self, now_s: float) -> None:
        self._started_s = now_s
        self._room.execute(TakeFloor(self._speaker.participant, script.FLOOR.language))
        for robot in (self._speaker, *self._interpreters):
            self._node.mixer.play_clip(robot.clip, playing=True, rewind=True)

    def _stop(self) -> None:
        if self._started_s is None:
            return
        self._started_s = None
        self._room.execute(ReleaseFloor(self._speaker.participant))
        for robot in (self._speaker, *self._interpreters):
            self._node.mixer.play_clip(robot.clip, playing=False)
        for robot in self._interpreters:
            self._set_on_air(robot, False)

    def _look_after(self, robot: Robot, position_s: float) -> None:
        if self._room.meeting.booth_of(robot.participant) is None and robot.booth is not None:
            self._room.execute(JoinBooth(robot.participant, robot.booth))
        said = [cue for cue in robot.cues if cue.at_s <= position_s]
        self._set_on_air(robot, bool(said) and said[-1].on_air)

    def _set_on_air(self, robot: Robot, on_air: bool) -> None:
        if on_air != self._is_on_air(robot):
            command = TakeChannel if on_air else ReleaseChannel
            self._room.execute(command(robot.participant))

    def _leave_booth(self, robot: Robot) -> None:
        if self._room.meeting.booth_of(robot.participant) is not None:
            self._room.execute(LeaveBooth(robot.participant))

    def _is_on_air(self, robot: Robot) -> bool:
        return any(
            desk.participant == robot.participant and desk.state is DeskState.ACTIVE
            for booth in self._room.view().booths
            for desk in booth.desks
        )

    def _a_person_speaks(self) -> bool:
        return any(who != self._speaker.participant for who in self._room.meeting.plan().floor)

    def _a_person_sits_in(self, robot: Robot) -> bool:
        return any(
            desk.participant != robot.participant
            for booth in self._room.view().booths
            if booth.id == robot.booth
            for desk in booth.desks
        )
