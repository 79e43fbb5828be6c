"""What a meeting can be told: orders of participants, and facts about them."""

from dataclasses import dataclass, field

from kabina.interpretation.hearing import NORMAL_DB
from kabina.interpretation.ids import BoothId, ChannelId, ParticipantId, Role
from kabina.interpretation.stage import Visual


@dataclass(frozen=True, slots=True)
class JoinMeeting:
    """Somebody comes in; `languages` are the channels an interpreter may feed."""

    participant: ParticipantId
    name: str
    role: Role
    languages: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class LeaveMeeting:
    """Somebody is gone, whatever the reason; of somebody unknown it is ignored."""

    participant: ParticipantId


@dataclass(frozen=True, slots=True)
class TakeFloor:
    """Speak to everybody, in `language`; taken again, it declares another language."""

    participant: ParticipantId
    language: str


@dataclass(frozen=True, slots=True)
class ReleaseFloor:
    participant: ParticipantId


@dataclass(frozen=True, slots=True)
class JoinBooth:
    """Sit down at a free desk; from another booth it is one step, or refused."""

    participant: ParticipantId
    booth: BoothId


@dataclass(frozen=True, slots=True)
class LeaveBooth:
    participant: ParticipantId


@dataclass(frozen=True, slots=True)
class TakeChannel:
    """Microphone on: feed the booth's channel."""

    participant: ParticipantId


@dataclass(frozen=True, slots=True)
class ReleaseChannel:
    """Microphone off: give the channel back."""

    participant: ParticipantId


@dataclass(frozen=True, slots=True)
class AudioLost:
    """The participant's media session is lost (docs/protocol.md, `media`: `lost`), not merely
    stalled: floor and channel are given back, the seat is kept. Of somebody unknown it is ignored.
    """

    participant: ParticipantId


@dataclass(frozen=True, slots=True)
class AudioBack:
    """The media session lives again. Nothing goes on air by itself."""

    participant: ParticipantId


@dataclass(frozen=True, slots=True)
class Listen:
    """Hear a channel, or nothing (None); `original_db` is one of `ORIGINAL_LEVELS_DB`, the level of
    the original under an interpreter.
    """

    participant: ParticipantId
    channel: ChannelId | None
    original_db: float = NORMAL_DB


@dataclass(frozen=True, slots=True)
class Show:
    """Show one's camera or screen to everybody, or stop; showing it already is no error."""

    participant: ParticipantId
    visual: Visual
    on: bool


Command = (
    JoinMeeting
    | LeaveMeeting
    | TakeFloor
    | ReleaseFloor
    | JoinBooth
    | LeaveBooth
    | TakeChannel
    | ReleaseChannel
    | AudioLost
    | AudioBack
    | Listen
    | Show
)
