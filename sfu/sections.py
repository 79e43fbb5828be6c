"""Answered sections as the plane knows them: tracks for what a peer sends, slots for the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kabina.native.plane import Kind, MediaCodec, PayloadType
from kabina.sfu.offer import EXTENSIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kabina.native.plane import Extension, Plane
    from kabina.sfu.offer import AnswerSection, OutgoingStream, Section

_KINDS: Final = {"audio": Kind.AUDIO, "video": Kind.VIDEO}
_CODECS: Final = {
    "OPUS": MediaCodec.OPUS,
    "RED": MediaCodec.RED,
    "VP8": MediaCodec.VP8,
    "H264": MediaCodec.H264,
    "VP9": MediaCodec.VP9,
    "AV1": MediaCodec.AV1,
}
TOP_LAYER: Final = 255


@dataclass(frozen=True, slots=True)
class Slot:
    """One outgoing stream for life: its source changes in the plane, the client sees one stream."""

    handle: int
    kind: Kind
    plane: Plane

    def listen_to(self, track: int) -> None:
        """Switches at the first packet (video: key frame) of `track`; 0: nothing more is sent."""
        self.plane.set_slot_source(self.handle, track)

    def limit(self, *, layer: int = TOP_LAYER, paused: bool = False) -> None:
        """The highest simulcast layer worth sending, from 0; paused sends none."""
        self.plane.limit_slot(self.handle, layer=layer, paused=paused)


@dataclass(frozen=True, slots=True)
class PublishedTrack:
    """What the peer sends in one section."""

    handle: int
    kind: Kind
    layers: int
    plane: Plane

    def feed_mix(self, source: int) -> None:
        """Copies the track's payloads to this source of the mix engine; 0 ends that."""
        self.plane.feed_mix(self.handle, source)


def open_track(plane: Plane, peer: int, answered: AnswerSection) -> PublishedTrack:
    """Tells the plane what will come in a section. PlaneError if it cannot be."""
    section = answered.section
    kind, feedback = _KINDS[section.kind], answered.feedback
    handle = plane.add_track(
        peer,
        kind=kind,
        clock_rate=answered.codecs[0].codec.clock_rate,
        mid=section.mid,
        payload_types=_payload_types(answered),
        extensions=_extensions(section),
        ssrcs=section.ssrcs,
        rtx_ssrcs=section.rtx_ssrcs,
        rids=section.rids,
        nack="nack" in feedback,
        pli="nack pli" in feedback,
        transport_cc="transport-cc" in feedback,
        remb="goog-remb" in feedback,
    )
    return PublishedTrack(handle, kind, max(1, len(section.rids)), plane)


def open_slot(plane: Plane, peer: int, answered: AnswerSection, stream: OutgoingStream) -> Slot:
    """Makes the stream that was announced for a section. PlaneError if it cannot be."""
    section = answered.section
    kind = _KINDS[section.kind]
    handle = plane.add_slot(
        peer,
        kind=kind,
        ssrc=stream.ssrc,
        rtx_ssrc=stream.rtx_ssrc,
        payload_types=_payload_types(answered),
        clock_rate=answered.codecs[0].codec.clock_rate,
        mid=section.mid,
        extensions=_extensions(section),
        cname=stream.cname,
        nack="nack" in answered.feedback,
    )
    return Slot(handle, kind, plane)


def _payload_types(answered: AnswerSection) -> tuple[PayloadType, ...]:
    return tuple(
        PayloadType(one.codec.payload_type, _CODECS[one.codec.name.upper()], rtx=one.rtx)
        for one in answered.codecs
    )


def _extensions(section: Section) -> Mapping[Extension, int]:
    return {EXTENSIONS[uri]: number for uri, number in section.extensions.items()}
