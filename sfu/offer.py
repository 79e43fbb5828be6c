"""What an SDP offer says and what our answer says, as values: no aiortc, no text."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kabina.native.plane_types import Extension

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kabina.sfu.candidates import Candidate

TRANSPORT_CC: Final = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
# Extensions the plane reads, writes or copies; every other offered one is left out of the answer.
EXTENSIONS: Final[dict[str, Extension]] = {
    "urn:ietf:params:rtp-hdrext:sdes:mid": Extension.MID,
    "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id": Extension.RID,
    "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id": Extension.REPAIRED_RID,
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level": Extension.AUDIO_LEVEL,
    TRANSPORT_CC: Extension.TRANSPORT_CC,
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time": Extension.ABS_SEND_TIME,
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time": Extension.ABS_CAPTURE_TIME,
    "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay": Extension.PLAYOUT_DELAY,
    "urn:3gpp:video-orientation": Extension.VIDEO_ORIENTATION,
    (
        "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
    ): Extension.DEPENDENCY_DESCRIPTOR,
}


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
    name: str  # as offered: "opus", "VP8", "rtx"
    payload_type: int
    clock_rate: int
    channels: int | None = None
    parameters: Mapping[str, int | str | None] = field(default_factory=dict)
    feedback: frozenset[str] = frozenset()  # "nack", "nack pli", "transport-cc", …


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
    ssrcs: tuple[int, ...] = ()
    rtx_ssrcs: Mapping[int, int] = field(default_factory=dict)  # media → retransmission
    rids: tuple[str, ...] = ()  # simulcast layers the offerer sends, in its order
    reduced_size: bool = False  # RTCP, RFC 5506


@dataclass(frozen=True, slots=True)
class Offer:
    sections: tuple[Section, ...]
    ufrag: str
    fingerprints: tuple[Fingerprint, ...]
    setup: Setup


@dataclass(frozen=True, slots=True)
class OutgoingStream:
    """What we announce to send in a section: one slot. `rtx_ssrc` is 0 without retransmission."""

    ssrc: int
    rtx_ssrc: int
    cname: str
    stream_id: str
    track_id: str


@dataclass(frozen=True, slots=True)
class AnsweredCodec:
    """A codec we take or send, and the payload type of its retransmissions (0: none)."""

    codec: Codec
    rtx: int = 0


@dataclass(frozen=True, slots=True)
class AnswerSection:
    """Our side of one usable section, in the offer's order; without codecs it is rejected."""

    section: Section
    codecs: tuple[AnsweredCodec, ...]
    direction: Direction
    stream: OutgoingStream | None = None

    @property
    def is_rejected(self) -> bool:
        return not self.codecs

    @property
    def feedback(self) -> frozenset[str]:
        """What was agreed on for the section; the codecs of a section agree on the same."""
        return frozenset().union(*(answered.codec.feedback for answered in self.codecs))


@dataclass(frozen=True, slots=True)
class Answer:
    sections: tuple[AnswerSection, ...]
    ufrag: str
    password: str
    fingerprints: tuple[Fingerprint, ...]
    setup: Setup
    candidates: tuple[Candidate, ...]  # best first
    session_id: int
