"""The meeting as people see it: docs/protocol.md, "The meeting view", field by field."""

from dataclasses import dataclass, replace
from typing import Final, TypeVar

from kabina.interpretation.ids import BoothId, ChannelId, MeetingId, ParticipantId
from kabina.interpretation.languages import Language
from kabina.interpretation.tables import ChannelState, DeskState

NOBODY: Final = ParticipantId("")


@dataclass(frozen=True, slots=True)
class SpeakerView:
    participant: ParticipantId
    name: str
    language: str
    speaking_s: float


@dataclass(frozen=True, slots=True)
class FloorView:
    language: Language
    speakers: tuple[SpeakerView, ...]
    listeners: int


@dataclass(frozen=True, slots=True)
class OnAirView:
    participant: ParticipantId
    name: str
    on_air_s: float


@dataclass(frozen=True, slots=True)
class ChannelView:
    id: ChannelId
    language: Language
    state: ChannelState
    on_air: tuple[OnAirView, ...]
    listeners: int


@dataclass(frozen=True, slots=True)
class DeskView:
    """A desk somebody sits at; empty ones are not shown."""

    number: int
    participant: ParticipantId
    name: str
    state: DeskState


@dataclass(frozen=True, slots=True)
class BoothView:
    id: BoothId
    channel: ChannelId
    desks: tuple[DeskView, ...]


@dataclass(frozen=True, slots=True)
class ShownView:
    participant: ParticipantId
    name: str


@dataclass(frozen=True, slots=True)
class StageView:
    """Who is seen in each place of the stage; None: nobody."""

    camera: ShownView | None
    screen: ShownView | None


Named = TypeVar("Named", SpeakerView, OnAirView, DeskView, ShownView)


@dataclass(frozen=True, slots=True)
class MeetingView:
    """A value at one moment. Of two views of a meeting the one with the higher `revision` is
    newer; equal revisions differ in their seconds alone.
    """

    id: MeetingId
    title: str
    revision: int
    floor: FloorView
    channels: tuple[ChannelView, ...]
    booths: tuple[BoothView, ...]
    stage: StageView

    def anonymous(self) -> "MeetingView":
        """The same view with every name and participant blank, for those without a token."""
        return replace(
            self,
            floor=replace(self.floor, speakers=_blank(self.floor.speakers)),
            channels=tuple(replace(one, on_air=_blank(one.on_air)) for one in self.channels),
            booths=tuple(replace(one, desks=_blank(one.desks)) for one in self.booths),
            stage=StageView(*(_blanked(one) for one in (self.stage.camera, self.stage.screen))),
        )


def _blanked(shown: ShownView | None) -> ShownView | None:
    return None if shown is None else replace(shown, participant=NOBODY, name="")


def _blank(people: tuple[Named, ...]) -> tuple[Named, ...]:
    return tuple(replace(one, participant=NOBODY, name="") for one in people)
