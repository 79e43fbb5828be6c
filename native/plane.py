"""The media plane as Python sees it: commands down, events up, readings. Packets never come here.

A plane is one UDP port, one native thread and, if asked for, egress threads. Everything here runs
per join, per click, per state change; handles are numbers that are never 0 and not used again for a
long time.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kabina.native import _plane
from kabina.native.libraries import load_crypto, load_srtp
from kabina.native.plane_sockets import bind
from kabina.native.plane_types import (
    ANY_LAYER,
    DtlsReceived,
    Extension,
    Kind,
    LayerReadings,
    MediaCodec,
    Nominated,
    PayloadType,
    PeerLost,
    PeerPath,
    PeerReadings,
    PeerResumed,
    PeerStalled,
    PlaneError,
    PlaneEvent,
    PlaneFullError,
    PlaneHandleError,
    PlaneKeysError,
    PlaneSetupError,
    Silence,
    SlotReadings,
    SrtpProfile,
    TrackReadings,
    TrackResumed,
    TrackStalled,
    TrackStarted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "ANY_LAYER",
    "DtlsReceived",
    "Extension",
    "Kind",
    "LayerReadings",
    "MediaCodec",
    "Nominated",
    "PayloadType",
    "PeerLost",
    "PeerPath",
    "PeerReadings",
    "PeerResumed",
    "PeerStalled",
    "Plane",
    "PlaneError",
    "PlaneEvent",
    "PlaneFullError",
    "PlaneHandleError",
    "PlaneKeysError",
    "PlaneSetupError",
    "Silence",
    "SlotReadings",
    "SrtpProfile",
    "TrackReadings",
    "TrackResumed",
    "TrackStalled",
    "TrackStarted",
]

# kb_event_kind in kb_plane.h, DTLS apart.
_PEER_EVENTS: Final[dict[int, Callable[[int], PlaneEvent]]] = {
    2: Nominated,
    3: PeerStalled,
    4: PeerResumed,
    5: PeerLost,
}
_TRACK_EVENTS: Final[dict[int, Callable[[int], PlaneEvent]]] = {
    6: TrackStarted,
    7: TrackStalled,
    8: TrackResumed,
}


@dataclass(slots=True)
class _Peer:
    keyed: bool = False
    tracks: set[int] = field(default_factory=set)
    slots: set[int] = field(default_factory=set)
    used_ssrcs: set[int] = field(default_factory=set)
    ufrags: list[str] = field(default_factory=list)
    extensions: dict[int, Extension] = field(default_factory=dict)  # of its tracks, by id


@dataclass(slots=True)
class _Stream:
    peer: int  # 0 = injected
    clock_rate: int
    kind: Kind
    layers: int = 1


class _Handles:
    """Gives out generation << 16 | index; an index returns when no thread uses it any more."""

    def __init__(self, capacity: int) -> None:
        self._free = deque(range(capacity))
        self._generations = [0] * capacity
        self._retired: deque[tuple[int, int]] = deque()

    def claim(self, released: int) -> int:
        while self._retired and self._retired[0][0] <= released:
            self._free.append(self._retired.popleft()[1])
        if not self._free:
            raise PlaneFullError("no room for another one")
        index = self._free.popleft()
        generation = self._generations[index] % 0xFFFF + 1
        self._generations[index] = generation
        return generation << 16 | index

    def retire(self, handle: int, number: int) -> None:
        self._retired.append((number, handle & 0xFFFF))


def _checked(value: int, least: int, most: int, what: str) -> int:
    if not least <= value <= most:
        raise PlaneSetupError(f"{what} is {value}, not {least} … {most}")
    return value


def _encoded(value: str, limit: str, what: str, *, least: int = 0) -> bytes:
    encoded = value.encode()
    if not least <= len(encoded) <= _plane.LIMITS[limit]:
        most = _plane.LIMITS[limit]
        raise PlaneSetupError(f"{what} has {len(encoded)} bytes, not {least} … {most}")
    return encoded


def _types(payload_types: Sequence[PayloadType]) -> list[tuple[int, int, int]]:
    for payload_type in payload_types:
        _checked(payload_type.number, 0, 127, "payload_type")
        _checked(payload_type.rtx, 0, 127, "the rtx payload_type")
    return [(each.number, int(each.codec), each.rtx) for each in payload_types]


def _ids(extensions: Mapping[Extension, int]) -> bytes:
    """One byte per kind; id 15 ends a list in the one-byte form (RFC 8285 §4.2)."""
    ids = bytearray(_plane.LIMITS["extensions"])
    for kind, number in extensions.items():
        _checked(number, 0, 255, "the extension id")
        if number == 15:
            raise PlaneSetupError("extension id 15 is reserved")
        ids[kind] = number
    return bytes(ids)


class Plane:
    """One UDP port for all peers. Any thread may call; calls do not wait for packets."""

    def __init__(
        self,
        *,
        host: str = "",
        host_v6: str = "",
        port: int,
        max_peers: int = 4096,
        max_connections: int = 0,
        silence: Silence | None = None,
        portable: bool | None = None,
        egress_threads: int = 0,
        egress_packets: int = _plane.LIMITS["egress_packets"],
    ) -> None:
        """Binds an IPv4 address, an IPv6 address or both, to one port number; 0 is any free one.

        With `max_connections` it takes as many TCP connections on that port, for ICE over TCP (RFC
        6544); the memory for each, 70 kB, is touched only as it is used.
        `portable` does without what only Linux has (epoll, recvmmsg, sendmmsg): None asks the
        environment for KABINA_PORTABLE=1.
        `egress_threads` more threads protect and send, 0: the plane's own does. Each may be
        `egress_packets` behind, a power of two (of 1,664 bytes); what is more is dropped and
        counted.

        OSError if the port is taken, LibraryError without libsrtp or libcrypto.
        """
        _checked(max_peers, 1, 0xFFFF, "max_peers")
        _checked(max_connections, 0, 0xFFFE, "max_connections")
        _checked(egress_threads, 0, _plane.LIMITS["egress_threads"], "egress_threads")
        _checked(egress_packets, 2, 1 << 16, "egress_packets")
        if egress_packets & (egress_packets - 1):
            raise PlaneSetupError(f"egress_packets is {egress_packets}, not a power of two")
        silence = silence or Silence()
        max_slots = min(2 * max_peers, 0xFFFF)
        srtp, crypto = load_srtp(), load_crypto()
        bound = bind(host, host_v6, port, tcp=max_connections > 0)
        self.port: Final[int] = bound.port
        self.egress_threads: Final[int] = egress_threads
        self.bus: Final[object] = _plane.new_bus()
        try:
            self._core = _plane.PlaneCore(
                bound.descriptors,
                self.bus,
                srtp.handle,
                crypto.handle,
                max_peers=max_peers,
                max_tracks=max_peers,
                max_slots=max_slots,
                max_connections=max_connections,
                peer_stalled_ns=silence.peer_stalled_ms * 1_000_000,
                peer_lost_ns=silence.peer_lost_ms * 1_000_000,
                track_stalled_ns=silence.track_stalled_ms * 1_000_000,
                seed=secrets.randbits(64),
                portable=os.environ.get("KABINA_PORTABLE") == "1" if portable is None else portable,
                egress_threads=egress_threads,
                egress_packets=egress_packets,
            )
        except BaseException:
            bound.close()
            raise
        bound.detach()  # the core closes it
        self.event_fd: Final[int] = self._core.event_fd()
        self._lock = threading.Lock()
        self._running = False
        self._submitted = 0
        self._peers: dict[int, _Peer] = {}
        self._ufrags: set[str] = set()
        self._tracks: dict[int, _Stream] = {}
        self._slots: dict[int, _Stream] = {}
        self._peer_handles = _Handles(max_peers)
        self._track_handles = _Handles(max_peers)
        self._slot_handles = _Handles(max_slots)

    # --- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the thread. A stopped plane does not start again (OSError)."""
        with self._lock:
            self._core.start()
            self._running = True

    def stop(self) -> None:
        """Ends the thread, within 50 ms, and gives the port back; readings stay. Idempotent."""
        with self._lock:
            self._core.stop()
            self._running = False

    def turn(self, now_ns: int) -> None:
        """One turn of the loop at a given CLOCK_MONOTONIC time, for tests without a thread."""
        with self._lock:
            if self._running:
                raise PlaneError("the plane's own thread turns it")
            self._core.turn(now_ns)

    def poll(self) -> list[PlaneEvent]:
        """What happened since the last call, states before datagrams; clears `event_fd`."""
        events: list[PlaneEvent] = []
        with self._lock:
            self._core.reap()
            for kind, handle, datagram in self._core.poll():
                # What happened before a removal is news about nobody.
                if kind in _TRACK_EVENTS:
                    if handle in self._tracks:
                        events.append(_TRACK_EVENTS[kind](handle))
                elif handle in self._peers:
                    peer_event = _PEER_EVENTS.get(kind)
                    events.append(
                        peer_event(handle) if peer_event else DtlsReceived(handle, datagram)
                    )
        return events

    def flush(self, timeout_s: float = 1.0) -> None:
        """Waits until every command given so far is applied. TimeoutError if it takes longer."""
        if not self._core.wait_applied(self._submitted, timeout_s):
            raise TimeoutError("the plane did not apply its commands")

    # --- peers --------------------------------------------------------------------------------

    def add_peer(self, *, local_ufrag: str, local_password: str) -> int:
        """Answers ICE checks for these credentials from now on. PlaneFullError, PlaneSetupError."""
        ufrag = _encoded(local_ufrag, "ufrag_bytes", "the user fragment", least=4)
        password = _encoded(local_password, "password_bytes", "the password", least=22)
        with self._lock:
            if local_ufrag in self._ufrags:
                raise PlaneSetupError("the user fragment is in use")
            handle = self._peer_handles.claim(self._core.released())
            self._core.add_peer(handle, ufrag, password, secrets.randbits(32))
            self._submitted += 1
            self._peers[handle] = _Peer(ufrags=[local_ufrag])
            self._ufrags.add(local_ufrag)
        return handle

    def restart_ice(self, peer: int, *, local_ufrag: str, local_password: str) -> None:
        """Takes a second pair of credentials; a check that nominates with it ends the first.

        Keys, tracks and slots stay. A restart before the last one was used replaces that one.
        PlaneHandleError, PlaneSetupError.
        """
        ufrag = _encoded(local_ufrag, "ufrag_bytes", "the user fragment", least=4)
        password = _encoded(local_password, "password_bytes", "the password", least=22)
        with self._lock:
            state = self._peer(peer)
            if local_ufrag in self._ufrags:
                raise PlaneSetupError("the user fragment is in use")
            self._core.restart_ice(peer, ufrag, password)
            self._submitted += 1
            # Which of them are valid is the plane thread's to know: none returns in this life.
            state.ufrags.append(local_ufrag)
            self._ufrags.add(local_ufrag)

    def set_keys(self, peer: int, *, profile: SrtpProfile, transmit: bytes, receive: bytes) -> None:
        """Gives the peer its SRTP keys (key ‖ salt), once: a key used anew repeats nonces."""
        for key in (transmit, receive):
            if len(key) != profile.key_bytes:
                raise PlaneKeysError(f"{len(key)} bytes of key, not {profile.key_bytes}")
        with self._lock:
            state = self._peer(peer)
            if state.keyed:
                raise PlaneKeysError("the peer has keys already")
            if not self._core.set_keys(peer, int(profile), transmit, receive):
                raise PlaneKeysError("libsrtp refuses the keys")
            self._submitted += 1
            state.keyed = True

    def send(self, peer: int, datagram: bytes) -> None:
        """Sends DTLS to the peer's path; dropped when there is no path, no peer or no room."""
        _checked(len(datagram), 1, _plane.LIMITS["datagram_bytes"], "the datagram's size")
        with self._lock:
            if peer in self._peers and self._core.send(peer, datagram):
                self._submitted += 1

    def remove_peer(self, peer: int) -> None:
        """Forgets the peer, its tracks and its slots; nothing to do if it is gone."""
        with self._lock:
            state = self._peers.pop(peer, None)
            if state is None:
                return
            number = self._core.remove_peer(peer)
            self._submitted += 1
            self._ufrags.difference_update(state.ufrags)
            for track in state.tracks:
                del self._tracks[track]
                self._core.release("track", track, number)
                self._track_handles.retire(track, number)
            for slot in state.slots:
                del self._slots[slot]
                self._core.release("slot", slot, number)
                self._slot_handles.retire(slot, number)
            self._peer_handles.retire(peer, number)
            self._core.reap()

    # --- tracks -------------------------------------------------------------------------------

    def add_track(
        self,
        peer: int,
        *,
        kind: Kind,
        clock_rate: int,
        mid: str,
        payload_types: Sequence[PayloadType],
        extensions: Mapping[Extension, int],
        ssrcs: Sequence[int] = (),
        rtx_ssrcs: Mapping[int, int] | None = None,
        rids: Sequence[str] = (),
        nack: bool = False,
        pli: bool = False,
        transport_cc: bool = False,
        remb: bool = False,
    ) -> int:
        """A stream the peer may send: found by mid, then SSRC, then a payload type of its own.

        `rids`, or without them several SSRCs of a video track, are its simulcast layers, lowest
        first, at most three; `rtx_ssrcs` maps a media SSRC to that of its retransmissions. No
        payload types means any. A video track takes 0.9 MB of memory per layer (512 packets and the
        losses), touched only as packets come.
        """
        _checked(clock_rate, 1000, 192000, "clock_rate")
        _checked(len(ssrcs), 0, _plane.LIMITS["track_ssrcs"], "the number of SSRCs")
        _checked(len(payload_types), 0, _plane.LIMITS["track_payload_types"], "the number of types")
        _checked(len(rids), 0, _plane.LIMITS["layers"], "the number of rids")
        repairs = [(rtx_ssrcs or {}).get(ssrc, 0) for ssrc in ssrcs]
        for ssrc in (*ssrcs, *repairs):
            _checked(ssrc, 0, 0xFFFFFFFF, "ssrc")
        types = _types(payload_types)
        ids = _ids(extensions)
        encoded_mid = _encoded(mid, "mid_bytes", "mid")
        encoded_rids = [_encoded(rid, "mid_bytes", "rid", least=1) for rid in rids]
        with self._lock:
            state = self._peer(peer)
            self._agree(state, extensions)
            handle = self._track_handles.claim(self._core.released())
            self._core.add_track(
                handle,
                peer,
                kind=int(kind),
                clock_rate=clock_rate,
                mid=encoded_mid,
                payload_types=types,
                ids=ids,
                ssrcs=list(ssrcs),
                rtx_ssrcs=repairs,
                rids=encoded_rids,
                nack=nack,
                pli=pli,
                transport_cc=transport_cc,
                remb=remb,
            )
            self._submitted += 1
            layers = len(rids) or min(max(len(ssrcs), 1), _plane.LIMITS["layers"])
            self._tracks[handle] = _Stream(peer, clock_rate, kind, layers)
            state.tracks.add(handle)
        return handle

    def add_injected_track(self, *, kind: Kind = Kind.AUDIO, clock_rate: int) -> int:
        """A track that the mixer fills through the bus, under the returned number."""
        _checked(clock_rate, 1000, 192000, "clock_rate")
        if kind is not Kind.AUDIO:
            raise PlaneSetupError("only sound is injected")
        with self._lock:
            handle = self._track_handles.claim(self._core.released())
            self._core.add_track(
                handle,
                0,
                kind=int(kind),
                clock_rate=clock_rate,
                mid=b"",
                payload_types=[],
                ids=_ids({}),
                ssrcs=[],
                rtx_ssrcs=[],
                rids=[],
                nack=False,
                pli=False,
                transport_cc=False,
                remb=False,
            )
            self._submitted += 1
            self._tracks[handle] = _Stream(0, clock_rate, kind)
        return handle

    def remove_track(self, track: int) -> None:
        """Forgets the track; slots that heard it fall silent. Nothing to do if it is gone."""
        with self._lock:
            known = self._tracks.pop(track, None)
            if known is None:
                return
            if known.peer:
                self._peers[known.peer].tracks.discard(track)
            number = self._core.remove_track(track)
            self._core.release("track", track, number)
            self._track_handles.retire(track, number)
            self._submitted += 1

    def feed_mix(self, track: int, source: int) -> None:
        """Pushes the track's packets to the mixer under `source`; 0 ends that."""
        _checked(source, 0, 0xFFFFFFFF, "source")
        with self._lock:
            self._known(self._tracks, track)
            self._core.feed_mix(track, source)
            self._submitted += 1

    # --- slots --------------------------------------------------------------------------------

    def add_slot(
        self,
        peer: int,
        *,
        kind: Kind,
        ssrc: int,
        rtx_ssrc: int = 0,
        payload_types: Sequence[PayloadType],
        clock_rate: int,
        mid: str,
        extensions: Mapping[Extension, int],
        cname: str,
        nack: bool = False,
    ) -> int:
        """A stream to the peer: one SSRC for life, silent until it has a source.

        `payload_types` is what the peer can receive, one per codec; a source of another codec is
        not sent. An SSRC is used once per peer: a second stream under it would repeat nonces. A
        video slot takes 20 kB for what it sent last.
        """
        _checked(ssrc, 0, 0xFFFFFFFF, "ssrc")
        _checked(rtx_ssrc, 0, 0xFFFFFFFF, "rtx_ssrc")
        _checked(clock_rate, 1000, 192000, "clock_rate")
        _checked(len(payload_types), 1, _plane.LIMITS["codecs"], "the number of types")
        if len({payload_type.codec for payload_type in payload_types}) != len(payload_types):
            raise PlaneSetupError("two payload types of one codec")
        types = _types(payload_types)
        ids = _ids(extensions)
        encoded_mid = _encoded(mid, "mid_bytes", "mid")
        encoded_cname = _encoded(cname, "cname_bytes", "cname", least=1)
        with self._lock:
            state = self._peer(peer)
            fresh = {ssrc, rtx_ssrc} if rtx_ssrc else {ssrc}
            if ssrc == rtx_ssrc or fresh & state.used_ssrcs:
                raise PlaneSetupError("the SSRC was used for this peer before")
            handle = self._slot_handles.claim(self._core.released())
            self._core.add_slot(
                handle,
                peer,
                kind=int(kind),
                ssrc=ssrc,
                rtx_ssrc=rtx_ssrc,
                clock_rate=clock_rate,
                payload_types=types,
                mid=encoded_mid,
                ids=ids,
                cname=encoded_cname,
                nack=nack,
                # below 32768: RFC 3711 §3.3.1, the first roll-over
                first_sequence=secrets.randbits(15),
                first_rtx_sequence=secrets.randbits(15),
                first_timestamp=secrets.randbits(32),
            )
            self._submitted += 1
            self._slots[handle] = _Stream(peer, clock_rate, kind)
            state.slots.add(handle)
            state.used_ssrcs |= fresh
        return handle

    def limit_slot(self, slot: int, *, layer: int = ANY_LAYER, paused: bool = False) -> None:
        """The highest layer the slot may get (0 lowest), and whether it gets anything at all.

        A paused video slot begins again with a key frame. PlaneHandleError if it is gone.
        """
        _checked(layer, 0, ANY_LAYER, "layer")
        with self._lock:
            self._known(self._slots, slot)
            self._core.limit_slot(slot, layer, paused)
            self._submitted += 1

    def set_slot_source(self, slot: int, track: int) -> None:
        """Lets the slot be filled by `track` from its next packet on; 0 silences the slot at once.

        Video changes with the track's next key frame, which is asked for. The old source is heard
        until then. PlaneHandleError if either is gone, PlaneSetupError for sound in a slot of
        pictures or the reverse.
        """
        with self._lock:
            kind = self._known(self._slots, slot).kind
            if track and self._known(self._tracks, track).kind is not kind:
                raise PlaneSetupError("the track is of another kind than the slot")
            self._core.set_slot_source(slot, track)
            self._submitted += 1

    def remove_slot(self, slot: int) -> None:
        """Ends the stream; nothing to do if it is gone."""
        with self._lock:
            known = self._slots.pop(slot, None)
            if known is None:
                return
            self._peers[known.peer].slots.discard(slot)
            number = self._core.remove_slot(slot)
            self._core.release("slot", slot, number)
            self._slot_handles.retire(slot, number)
            self._submitted += 1

    # --- readings -----------------------------------------------------------------------------

    def counters(self) -> dict[str, int]:
        """Every counter by name, and the gauges.

        These are connections (TCP), peers, tracks, slots, egress_threads, and whether the media
        thread and all egress threads are real-time ones.
        """
        with self._lock:
            counted = self._core.counters()
            return counted | {
                "connections": counted["tcp_accepted"] - counted["tcp_closed"],
                "peers": len(self._peers),
                "tracks": len(self._tracks),
                "slots": len(self._slots),
                "egress_threads": self.egress_threads,
                "is_fifo": int(self._core.scheduling() == "fifo"),
                "egress_is_fifo": int(self._core.egress_scheduling() == "fifo"),
            }

    @property
    def scheduling(self) -> str:
        """`fifo`, `normal` (no permission for a real-time thread) or `stopped`."""
        return self._core.scheduling()

    @property
    def egress_scheduling(self) -> str:
        """The same of the egress threads, `normal` if one of them is; `none` without any."""
        return self._core.egress_scheduling()

    @property
    def cpu_s(self) -> float:
        """CPU time the plane's thread has used; 0 while there is none."""
        with self._lock:  # the thread must not end meanwhile
            return self._core.cpu_ns() / 1e9

    @property
    def egress_cpu_s(self) -> tuple[float, ...]:
        """The same of each egress thread."""
        with self._lock:
            return tuple(each / 1e9 for each in self._core.egress_cpu_ns())

    def peer_readings(self, peer: int) -> PeerReadings:
        """Totals of the peer. PlaneHandleError if it is gone."""
        with self._lock:
            self._peer(peer)
            read = self._core.peer_readings(peer)
            return PeerReadings(
                packets_received=read[1],
                bytes_received=read[2],
                packets_sent=read[3],
                bytes_sent=read[4],
                unauthenticated=read[5],
                last_heard_ms=self._age_ms(read[6]),
                paths=read[7],
                nominations=read[8],
                streams=read[9],
                path=PeerPath(read[10]),
                rtt_ms=read[11] / 1e6 if read[11] else None,
            )

    def track_readings(self, track: int) -> TrackReadings:
        """What came in for the track. PlaneHandleError if it is gone."""
        with self._lock:
            known = self._known(self._tracks, track)
            read = self._core.track_readings(track)
            _, packets, size, last, ssrc, lost, jitter, level, energy = read[:9]
            count = _plane.LIMITS["layer_readings"]
            first = _plane.LIMITS["track_layers"]
            ends = first + count * known.layers if known.kind is Kind.VIDEO else first
            return TrackReadings(
                packets=packets,
                bytes=size,
                last_packet_ms=self._age_ms(last),
                ssrc=ssrc,
                lost=_signed(lost),
                jitter_ms=jitter * 1000 / known.clock_rate,
                level_dbov=-(level & 0x7F) if packets else -127,
                voice=bool(level & 0x80),
                layers=tuple(
                    self._layer_readings(read[at : at + count]) for at in range(first, ends, count)
                ),
                recovered=sum(read[first + 6 : first + count * known.layers : count]),
                level_energy=energy,
            )

    def _layer_readings(self, read: list[int]) -> LayerReadings:
        packets, bitrate, lost, nacks, plis, key_frames, recovered, last = read
        return LayerReadings(
            packets=packets,
            bitrate_bps=bitrate,
            lost=_signed(lost),
            nacks=nacks,
            plis=plis,
            key_frames=key_frames,
            recovered=recovered,
            last_packet_ms=self._age_ms(last),
        )

    def slot_readings(self, slot: int) -> SlotReadings:
        """What went out over the slot. PlaneHandleError if it is gone."""
        with self._lock:
            clock_rate = self._known(self._slots, slot).clock_rate
            read = self._core.slot_readings(slot)
            _, packets, size, last, source, changes, fraction, lost, jitter, rtt, reported = read[
                :11
            ]
            layer, wanted, retransmitted, plis, estimate, switches = read[11:17]
            pictures, freezes, frozen, pauses, paused = read[17:]
            return SlotReadings(
                packets=packets,
                bytes=size,
                last_packet_ms=self._age_ms(last),
                source=source,
                source_changes=changes,
                fraction_lost=fraction / 256,
                lost=_signed(lost),
                jitter_ms=jitter * 1000 / clock_rate,
                rtt_ms=rtt / 1e6 if rtt else None,
                reported_ms=self._age_ms(reported),
                layer=layer - 1 if layer else None,
                wanted_layer=wanted - 1 if wanted else None,
                layer_switches=switches,
                retransmitted=retransmitted,
                plis=plis,
                estimate_bps=estimate or None,
                pictures=pictures,
                freezes=freezes,
                frozen_ms=frozen / 1e6,
                pauses=pauses,
                paused_ms=paused / 1e6,
            )

    def _age_ms(self, at_ns: int) -> float | None:
        return (self._core.now_ns() - at_ns) / 1e6 if at_ns else None

    def _peer(self, peer: int) -> _Peer:
        try:
            return self._peers[peer]
        except KeyError:
            raise PlaneHandleError("no such peer") from None

    @staticmethod
    def _agree(state: _Peer, extensions: Mapping[Extension, int]) -> None:
        """Within a BUNDLE an id means one extension (RFC 8843 §9): one table per peer."""
        for kind, number in extensions.items():
            if number and state.extensions.setdefault(number, kind) is not kind:
                raise PlaneSetupError(f"extension id {number} has two meanings")

    @staticmethod
    def _known(table: dict[int, _Stream], handle: int) -> _Stream:
        try:
            return table[handle]
        except KeyError:
            raise PlaneHandleError("no such track or slot") from None


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
