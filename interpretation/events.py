"""What has happened in a meeting, in order: for logs, the store and notices."""

from dataclasses import dataclass
from enum import Enum

from kabina.interpretation.hearing import NORMAL_DB
from kabina.interpretation.ids import BoothId, ChannelId, ParticipantId, Role
from kabina.interpretation.stage import Visual
from kabina.interpretation.tables import ChannelState


class Cause(Enum):
    """Why something was given back."""

    ASKED = "asked"
    MOVED = "moved"  # the interpreter sat down in another booth
    LEFT = "left"
    AUDIO_LOST = "audio_lost"


@dataclass(frozen=True, slots=True)
class ParticipantJoined:
    participant: ParticipantId
    role: Role


@dataclass(frozen=True, slots=True)
class ParticipantLeft:
    participant: ParticipantId


@dataclass(frozen=True, slots=True)
class FloorTaken:
    """Somebody began to speak, or goes on in another language."""

    participant: ParticipantId
    language: str


@dataclass(frozen=True, slots=True)
class FloorReleased:
    participant: ParticipantId
    cause: Cause


@dataclass(frozen=True, slots=True)
class FloorLanguageChanged:
    language: str


@dataclass(frozen=True, slots=True)
class BoothJoined:
    """Somebody sat down; `desk` counts from 1."""

    participant: ParticipantId
    booth: BoothId
    desk: int


@dataclass(frozen=True, slots=True)
class BoothLeft:
    participant: ParticipantId
    booth: BoothId
    desk: int


@dataclass(frozen=True, slots=True)
class ChannelTaken:
    participant: ParticipantId
    channel: ChannelId


@dataclass(frozen=True, slots=True)
class ChannelReleased:
    participant: ParticipantId
    channel: ChannelId
    cause: Cause


@dataclass(frozen=True, slots=True)
class ChannelStateChanged:
    channel: ChannelId
    state: ChannelState


@dataclass(frozen=True, slots=True)
class ListenerMoved:
    """A listener hears `channel` now, nothing if None, with the original at this level."""

    participant: ParticipantId
    channel: ChannelId | None
    original_db: float = NORMAL_DB


@dataclass(frozen=True, slots=True)
class VisualShown:
    participant: ParticipantId
    visual: Visual


@dataclass(frozen=True, slots=True)
class VisualHidden:
    participant: ParticipantId
    visual: Visual
    cause: Cause


@dataclass(frozen=True, slots=True)
class AudioDropped:
    participant: ParticipantId


@dataclass(frozen=True, slots=True)
class AudioReturned:
    participant: ParticipantId


Event = (
    ParticipantJoined
    | ParticipantLeft
    | FloorTaken
    | FloorReleased
    | FloorLanguageChanged
    | BoothJoined
    | BoothLeft
    | ChannelTaken
    | ChannelReleased
    | ChannelStateChanged
    | ListenerMoved
    | VisualShown
    | VisualHidden
    | AudioDropped
    | AudioReturned
)
