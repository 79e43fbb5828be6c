"""The values that pass between Python and the plane: errors, events, readings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar


class PlaneError(Exception):
    """The plane refuses a command; the caller asked for something that cannot be."""

    code: ClassVar[str] = "plane.error"


class PlaneFullError(PlaneError):
    """Every peer, track or slot is in use."""

    code = "plane.full"


class PlaneHandleError(PlaneError):
    """No such peer, track or slot: it was removed, or never was."""

    code = "plane.handle"


class PlaneKeysError(PlaneError):
    """The keys have the wrong size, or the peer has keys already."""

    code = "plane.keys"


class PlaneSetupError(PlaneError):
    """A value of a peer, track or slot is out of range."""

    code = "plane.setup"


class SrtpProfile(IntEnum):
    """The DTLS-SRTP profiles the plane speaks, by their registered numbers (RFC 5764, RFC 7714)."""

    AES_128_CM_SHA1_80 = 1
    AEAD_AES_128_GCM = 7

    @property
    def key_bytes(self) -> int:
        """Size of master key ‖ salt."""
        return 28 if self is SrtpProfile.AEAD_AES_128_GCM else 30


class Kind(IntEnum):
    """What a track or slot carries."""

    AUDIO = 0
    VIDEO = 1


class MediaCodec(IntEnum):
    """The codecs the plane tells apart (kb_codec.h)."""

    OPUS = 0
    VP8 = 1
    H264 = 2
    VP9 = 3
    AV1 = 4
    RED = 5


class Extension(IntEnum):
    """The header extensions the plane knows (kb_rtp.h); every other one is left out."""

    MID = 0
    RID = 1
    REPAIRED_RID = 2
    AUDIO_LEVEL = 3
    ABS_SEND_TIME = 4
    TRANSPORT_CC = 5
    ABS_CAPTURE_TIME = 6
    PLAYOUT_DELAY = 7
    VIDEO_ORIENTATION = 8
    DEPENDENCY_DESCRIPTOR = 9


class PeerPath(IntEnum):
    """How datagrams go to a peer (kb_path in kb_plane.h)."""

    NONE = 0
    UDP = 1
    TCP = 2


ANY_LAYER = 255


@dataclass(frozen=True, slots=True)
class PayloadType:
    """A payload type number of one peer, and the RTX payload type whose apt it is (0 = none)."""

    number: int
    codec: MediaCodec
    rtx: int = 0


@dataclass(frozen=True, slots=True)
class DtlsReceived:
    """A DTLS datagram came over a validated path of the peer."""

    peer: int
    datagram: bytes


@dataclass(frozen=True, slots=True)
class Nominated:
    """The peer chose the path that datagrams to it take from now on."""

    peer: int


@dataclass(frozen=True, slots=True)
class PeerStalled:
    """Nothing authenticated came from the peer for `Silence.peer_stalled_ms`."""

    peer: int


@dataclass(frozen=True, slots=True)
class PeerResumed:
    """A stalled or lost peer was heard again."""

    peer: int


@dataclass(frozen=True, slots=True)
class PeerLost:
    """Nothing authenticated came from the peer for `Silence.peer_lost_ms`; its slots stay."""

    peer: int


@dataclass(frozen=True, slots=True)
class TrackStarted:
    """The first packet of the track came."""

    track: int


@dataclass(frozen=True, slots=True)
class TrackStalled:
    """No packet of the track came for `Silence.track_stalled_ms`."""

    track: int


@dataclass(frozen=True, slots=True)
class TrackResumed:
    """A stalled track has packets again."""

    track: int


PlaneEvent = (
    DtlsReceived
    | Nominated
    | PeerStalled
    | PeerResumed
    | PeerLost
    | TrackStarted
    | TrackStalled
    | TrackResumed
)


@dataclass(frozen=True, slots=True)
class Silence:
    """How long nothing may come before an event says so."""

    peer_stalled_ms: int = 5000
    peer_lost_ms: int = 10000  # testing.md: libwebrtc checks about every 2.5 s, aioice every 5
    track_stalled_ms: int = 300  # testing.md: a cut-off interpreter is seen within it


@dataclass(frozen=True, slots=True)
class PeerReadings:
    """Totals of one peer since it was added; SRTP and DTLS, without STUN."""

    packets_received: int
    bytes_received: int
    packets_sent: int
    bytes_sent: int
    unauthenticated: int
    last_heard_ms: float | None  # ago; None = never
    paths: int
    nominations: int
    streams: int
    path: PeerPath = PeerPath.NONE
    rtt_ms: float | None = None  # as the peer reported last; None = it gets nothing to report about


@dataclass(frozen=True, slots=True)
class LayerReadings:
    """What came in for one simulcast layer of a video track."""

    packets: int
    bitrate_bps: int  # over the last half second
    lost: int  # after retransmission under the layer's own SSRC; RTX is in `recovered`
    nacks: int  # packets asked for again
    plis: int
    key_frames: int
    recovered: int  # packets that came by RTX
    last_packet_ms: float | None  # ago; None = never


@dataclass(frozen=True, slots=True)
class TrackReadings:
    """What came in for one track."""

    packets: int
    bytes: int
    last_packet_ms: float | None  # ago; None = never
    ssrc: int
    lost: int
    jitter_ms: float
    level_dbov: int  # 0 … −127; −127 = silent or not told (RFC 6464)
    voice: bool
    layers: tuple[LayerReadings, ...] = ()  # lowest first; empty for audio
    recovered: int = 0  # packets that came by RTX, or only as copies in others (RED)
    level_energy: int = 0  # sum of every packet's level as power, in 10⁻¹⁰ of full scale; may wrap


@dataclass(frozen=True, slots=True)
class SlotReadings:
    """What went out over one slot, and what its listener last reported about it."""

    packets: int
    bytes: int
    last_packet_ms: float | None  # ago; None = never
    source: int  # the track that is heard, 0 = none; a pending change is not seen here
    source_changes: int
    fraction_lost: float  # 0 … 1, of the last report's interval
    lost: int
    jitter_ms: float
    rtt_ms: float | None  # None = not known yet
    reported_ms: float | None  # ago; None = never
    layer: int | None = None  # that is sent now; None = none yet, or paused
    wanted_layer: int | None = None
    layer_switches: int = 0
    retransmitted: int = 0  # packets
    plis: int = 0  # asked for by the listener
    estimate_bps: int | None = None  # of the listener's downlink; None = not known
    pictures: int = 0
    freezes: int = 0  # gaps between pictures of 3 × their average, at least 150 ms more than it
    frozen_ms: float = 0.0
    pauses: int = 0  # gaps of 5 s and more; what nobody wanted to see is none
    paused_ms: float = 0.0
