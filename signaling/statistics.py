"""What each participant sends and gets, read from the native counters when somebody asks.

Names and units are webrtc-stats' where it has one (W3C, "Identifiers for WebRTC's Statistics API"),
as seen by the server: `inbound` is what a participant publishes, `outbound` what they are sent.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from kabina.interpretation.ids import Role
from kabina.mixer.policy import RowKind
from kabina.native.plane import Kind, PeerPath, PlaneHandleError
from kabina.signaling import messages
from kabina.signaling.errors import CodedError
from kabina.signaling.sound_rows import kind_of

if TYPE_CHECKING:
    from kabina.native.plane import LayerReadings, Plane
    from kabina.sfu.offer import AnswerSection
    from kabina.sfu.peer import Peer
    from kabina.sfu.sections import PublishedTrack, Slot
    from kabina.signaling.node import Node
    from kabina.signaling.participation import Participation
    from kabina.signaling.room import Room
    from kabina.signaling.tokens import Grant

# Reading one takes some 20 µs: the loop's other work waits for no more than a millisecond.
PARTICIPANTS_PER_TURN: Final = 50
_ORDINARY: Final = (RowKind.LISTENER, RowKind.FLOOR)


class _Named(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    pass


class Connection(_Named, frozen=True, kw_only=True):
    """The media session as a whole. `protocol`: null before the first check."""

    state: str
    protocol: str | None
    paths: int
    current_round_trip_time: float | None  # s
    available_outgoing_bitrate: int | None  # bit/s
    packets_received: int
    bytes_received: int
    packets_sent: int
    bytes_sent: int
    last_packet_received: float | None  # s ago


class Layer(_Named, frozen=True, kw_only=True):
    """One simulcast layer of a picture; `rid` is "" where layers are told apart by SSRC."""

    rid: str
    bitrate: int  # bit/s, over the last half second
    packets_received: int
    packets_lost: int
    retransmitted_packets_received: int
    nack_count: int  # packets asked for again
    pli_count: int
    key_frames: int
    last_packet_received: float | None


class Inbound(_Named, frozen=True, kw_only=True):
    """One track that is published. Sound has no layers, pictures no level."""

    kind: str
    mid: str
    mime_type: str
    packets_received: int
    bytes_received: int
    packets_lost: int
    jitter: float  # s
    audio_level: float | None  # 0 … 1, of the last packet, as its sender says
    concealed_samples: int | None  # by the mixer, at 48 kHz
    layers: list[Layer]


class Source(_Named, frozen=True, kw_only=True, omit_defaults=True):
    """What fills a slot: a channel's mix, or somebody's picture or voice as it came."""

    channel: str | None = None
    original_db: messages.OriginalDb = messages.NORMAL
    feed: str | None = None
    participant: str | None = None
    what: str | None = None


class Outbound(_Named, frozen=True, kw_only=True):
    """One slot: what went out, and what its receiver reported. Sound has no pictures."""

    kind: str
    mid: str
    source: Source | None
    packets_sent: int
    bytes_sent: int
    retransmitted_packets_sent: int
    packets_lost: int
    fraction_lost: float
    jitter: float
    round_trip_time: float | None
    pli_count: int
    layer: int | None
    wanted_layer: int | None
    layer_changes: int
    source_changes: int
    frames_sent: int
    freeze_count: int
    total_freezes_duration: float
    pause_count: int
    total_pauses_duration: float


class ParticipantStatistics(_Named, frozen=True, kw_only=True):
    participant: str
    name: str
    role: str
    connection: Connection | None
    inbound: list[Inbound]
    outbound: list[Outbound]


class MeetingStatistics(_Named, frozen=True, kw_only=True):
    meeting: str
    participants: list[ParticipantStatistics]


def may_read(grant: Grant, meeting: str) -> None:
    """CodedError `token.forbidden` unless the grant is an operator's of this meeting."""
    if grant.meeting != meeting or grant.role is not Role.OPERATOR:
        raise CodedError("token.forbidden", "Statistics are for operators of this meeting.")


async def read_statistics(node: Node, meeting: str) -> MeetingStatistics:
    """Everybody who is there now; a meeting without a room has nobody. `meeting.unknown`."""
    await node.view(meeting)
    participants = []
    for number, guest in enumerate(node.guests(meeting), 1):
        participants.append(_participant(node, guest))
        if number % PARTICIPANTS_PER_TURN == 0:
            await asyncio.sleep(0)
    return MeetingStatistics(meeting=meeting, participants=participants)


def _participant(node: Node, guest: Participation) -> ParticipantStatistics:
    person = guest.room.meeting.participants.get(guest.participant)
    connection, inbound, outbound = None, [], []
    if guest.peer is not None:
        try:
            connection = _connection(node.unit.plane, guest.peer)
            inbound = _inbound(node, guest, guest.peer)
            outbound = _outbound(node.unit.plane, guest.room, guest.peer)
        except PlaneHandleError:
            connection, inbound, outbound = None, [], []  # it has just been removed
    return ParticipantStatistics(
        participant=guest.participant,
        name="" if person is None else person.name,
        role=guest.grant.role.value,
        connection=connection,
        inbound=inbound,
        outbound=outbound,
    )


def _connection(plane: Plane, peer: Peer) -> Connection:
    read = plane.peer_readings(peer.handle)
    estimates = [plane.slot_readings(slot.handle).estimate_bps for slot in peer.slots]
    return Connection(
        state=peer.state.value,
        protocol=None if read.path is PeerPath.NONE else read.path.name.lower(),
        paths=read.paths,
        current_round_trip_time=_seconds(read.rtt_ms),
        available_outgoing_bitrate=next((bps for bps in estimates if bps is not None), None),
        packets_received=read.packets_received,
        bytes_received=read.bytes_received,
        packets_sent=read.packets_sent,
        bytes_sent=read.bytes_sent,
        last_packet_received=_seconds(read.last_heard_ms),
    )


def _inbound(node: Node, guest: Participation, peer: Peer) -> list[Inbound]:
    answered = [section for section in peer.answer.sections if section.direction.receives]
    pairs = zip(peer.tracks, answered, strict=True)
    return [_track(node, guest, track, section) for track, section in pairs]


def _track(
    node: Node, guest: Participation, track: PublishedTrack, answered: AnswerSection
) -> Inbound:
    read = node.unit.plane.track_readings(track.handle)
    is_sound = track.kind is Kind.AUDIO
    voice = guest.room.sound.voices.get(guest.participant)
    mixed = voice is not None and voice.track == track.handle
    rids = answered.section.rids or ("",) * len(read.layers)
    return Inbound(
        kind=track.kind.name.lower(),
        mid=answered.section.mid,
        # The last: RED of it, where that is agreed on, comes before it.
        mime_type=f"{answered.section.kind}/{answered.codecs[-1].codec.name}",
        packets_received=read.packets,
        bytes_received=read.bytes,
        packets_lost=read.lost,
        jitter=_rounded(read.jitter_ms / 1000),
        audio_level=_rounded(10 ** (read.level_dbov / 20)) if is_sound else None,
        concealed_samples=(
            480 * node.mixer.source_readings(voice.source).concealed
            if voice is not None and mixed
            else None
        ),
        layers=[_layer(rid, layer) for rid, layer in zip(rids, read.layers, strict=False)],
    )


def _layer(rid: str, read: LayerReadings) -> Layer:
    return Layer(
        rid=rid,
        bitrate=read.bitrate_bps,
        packets_received=read.packets,
        packets_lost=read.lost,
        retransmitted_packets_received=read.recovered,
        nack_count=read.nacks,
        pli_count=read.plis,
        key_frames=read.key_frames,
        last_packet_received=_seconds(read.last_packet_ms),
    )


def _outbound(plane: Plane, room: Room, peer: Peer) -> list[Outbound]:
    answered = [section for section in peer.answer.sections if section.stream is not None]
    pairs = zip(peer.slots, answered, strict=True)
    return [_slot(plane, room, slot, section) for slot, section in pairs]


def _slot(plane: Plane, room: Room, slot: Slot, answered: AnswerSection) -> Outbound:
    read = plane.slot_readings(slot.handle)
    return Outbound(
        kind=slot.kind.name.lower(),
        mid=answered.section.mid,
        source=_source(room, read.source),
        packets_sent=read.packets,
        bytes_sent=read.bytes,
        retransmitted_packets_sent=read.retransmitted,
        packets_lost=read.lost,
        fraction_lost=_rounded(read.fraction_lost),
        jitter=_rounded(read.jitter_ms / 1000),
        round_trip_time=_seconds(read.rtt_ms),
        pli_count=read.plis,
        layer=read.layer if slot.kind is Kind.VIDEO else None,
        wanted_layer=read.wanted_layer if slot.kind is Kind.VIDEO else None,
        layer_changes=read.layer_switches,
        source_changes=read.source_changes,
        frames_sent=read.pictures,
        freeze_count=read.freezes,
        total_freezes_duration=_rounded(read.frozen_ms / 1000),
        pause_count=read.pauses,
        total_pauses_duration=_rounded(read.paused_ms / 1000),
    )


def _source(room: Room, track: int) -> Source | None:
    hearing = room.sound.hearing_of(track)
    if hearing is not None:
        level = messages.level_name(hearing.original_db)
        kind = kind_of(hearing)
        feed = None if kind in _ORDINARY else kind.value
        return Source(channel=hearing.channel, original_db=level, feed=feed)
    shown = room.picture_of_track(track)
    if shown is not None:
        return Source(participant=shown[0], what=shown[1].value)
    heard = room.sound.whose(track)
    return None if heard is None else Source(participant=heard[0], what=heard[1])


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else _rounded(milliseconds / 1000)


def _rounded(value: float) -> float:
    return round(value, 6)
