"""What an SDP offer says and what our answer says, as values: no aiortc, no text."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
AUDIO_LEVEL_URI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"

# Extensions the plane reads or writes; every other offered one is left out of the answer.
KNOWN_EXTENSIONS = frozenset({MID_URI, AUDIO_LEVEL_URI})


class Direction(enum.Enum):
    """Seen from whoever wrote the description (RFC 3264 §6)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @staticmethod
    def of(*, sends: bool, receives: bool) -> Direction:
        if sends:
            return Direction.SENDRECV if receives else Direction.SENDONLY
        return Direction.RECVONLY if receives else Direction.INACTIVE


class Setup(enum.Enum):
    """DTLS roles in SDP (RFC 8842 §5)."""

    ACTPASS = "actpass"
    ACTIVE = "active"
    PASSIVE = "passive"


@dataclass(frozen=True, slots=True)
class Codec:
    name: str  # as offered: "opus"
    payload_type: int
    clock_rate: int
    channels: int | None


@dataclass(frozen=True, slots=True)
class Fingerprint:
    algorithm: str
    value: str


@dataclass(frozen=True, slots=True)
class Section:
    """One usable m-section of an offer."""

    kind: str
    mid: str
    direction: Direction
    codecs: tuple[Codec, ...]
    extensions: Mapping[str, int]  # URI → id, known ones only
    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    sections: tuple[Section, ...]
    ufrag: str
    fingerprints: tuple[Fingerprint, ...]
    setup: Setup


@dataclass(frozen=True, slots=True)
class OutgoingStream:
    """What we announce to send in a section: one slot."""

    ssrc: int
    cname: str
    stream_id: str
    track_id: str


@dataclass(frozen=True, slots=True)
class AnswerSection:
    """Our side of one usable section, in the offer's order."""

    section: Section
    codec: Codec
    direction: Direction
    stream: OutgoingStream | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    sections: tuple[AnswerSection, ...]
    ufrag: str
    password: str
    fingerprints: tuple[Fingerprint, ...]
    setup: Setup
    candidate_ip: str
    candidate_port: int
    session_id: int
    parameters: Mapping[str, int | str] = field(default_factory=dict)  # fmtp of Opus
