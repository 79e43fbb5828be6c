"""A WebRTC end made of a real socket, aioice's STUN and pylibsrtp, for tests of the native plane alone.

Loopback delivers while the sender is still in its system call. A test that turns the plane by hand
(`Plane.turn`) therefore sees everything it sent, in order, without waiting for anything.
"""

from __future__ import annotations

import itertools
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from aioice import stun
from pylibsrtp import Policy, Session

from kabina.native import _plane
from kabina.native.plane import Extension, Kind, MediaCodec, PayloadType, Plane, SrtpProfile

MS = 1_000_000
START_NS = 1_000_000_000_000
PASSWORD = "an-ice-password-of-the-plane"
PYLIBSRTP_PROFILES = {
    SrtpProfile.AES_128_CM_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    SrtpProfile.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
}


@dataclass(frozen=True)
class Rtp:
    """A received and decrypted RTP packet; mid is extension 1, level extension 2."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    mid: bytes | None
    level: int | None
    extensions: dict[int, bytes] = field(default_factory=dict)


@dataclass
class Received:
    stun: list[stun.Message] = field(default_factory=list)
    dtls: list[bytes] = field(default_factory=list)
    rtp: list[Rtp] = field(default_factory=list)
    rtcp: list[bytes] = field(default_factory=list)


class Clock:
    """The time that the plane is turned at."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.now_ns = START_NS
        self.turn()

    def turn(self, *, after_ms: float = 0) -> None:
        self.now_ns += int(after_ms * MS)
        self.plane.turn(self.now_ns)

    def turn_until(self, condition: Callable[[], object], timeout_s: float = 5.0) -> None:
        """Turns at this time until it holds: TCP, unlike UDP, may deliver a moment later."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, "it never held"
            self.turn()

    def run(self, duration_ms: int, *, step_ms: int = 20) -> None:
        for _ in range(duration_ms // step_ms):
            self.turn(after_ms=step_ms)


def make_rtp(
    payload: bytes,
    *,
    sequence: int,
    timestamp: int,
    ssrc: int,
    payload_type: int = 111,
    marker: bool = False,
    mid: bytes | None = None,
    level: int | None = None,
    extensions: dict[int, bytes] | None = None,
) -> bytes:
    """An RTP packet; mid is extension 1, level extension 2, `extensions` are further ones by id."""
    elements = b""
    if mid is not None:
        elements += bytes([1 << 4 | len(mid) - 1]) + mid
    if level is not None:
        elements += bytes([2 << 4, level])
    further = extensions or {}
    profile = 0xBEDE
    if any(number > 14 or len(value) > 16 for number, value in further.items()):
        profile = 0x1000
        elements = b"\1" + bytes([len(mid)]) + mid if mid is not None else b""
        elements += bytes([2, 1, level]) if level is not None else b""
    for number, value in further.items():
        head = [number << 4 | len(value) - 1] if profile == 0xBEDE else [number, len(value)]
        elements += bytes(head) + value
    first = 0x80
    extension = b""
    if elements:
        first |= 0x10
        elements += bytes(-len(elements) % 4)
        extension = struct.pack("!HH", profile, len(elements) // 4) + elements
    header = struct.pack(
        "!BBHII",
        first,
        marker << 7 | payload_type,
        sequence & 0xFFFF,
        timestamp & 0xFFFFFFFF,
        ssrc,
    )
    return header + extension + payload


def header_extensions(packet: bytes) -> dict[int, bytes]:
    """Header extensions by id, in the one-byte or the two-byte form (RFC 8285)."""
    if not packet[0] & 0x10:
        return {}
    at = 12 + 4 * (packet[0] & 15)
    profile, words = struct.unpack_from("!HH", packet, at)
    at += 4
    end = at + 4 * words
    found = {}
    while at < end:
        if packet[at] == 0:
            at += 1
            continue
        if profile == 0xBEDE:
            number, size = packet[at] >> 4, (packet[at] & 15) + 1
            at += 1
        else:
            number, size = packet[at], packet[at + 1]
            at += 2
        found[number] = packet[at : at + size]
        at += size
    return found


class Client:
    """One peer of the plane, with its socket and keys."""

    def __init__(
        self,
        plane: Plane,
        name: str,
        *,
        profile: SrtpProfile = SrtpProfile.AEAD_AES_128_GCM,
        seed: int = 1,
        host: str = "127.0.0.1",
    ) -> None:
        """`host` is the plane's address, of either family."""
        self.host = host
        rng = random.Random(f"{name}{seed}")
        self.plane, self.profile, self.ufrag = plane, profile, f"{name}-ufrag"
        self.sent_key = rng.randbytes(profile.key_bytes)
        self.received_key = rng.randbytes(profile.key_bytes)
        self.peer = plane.add_peer(local_ufrag=self.ufrag, local_password=PASSWORD)
        self.sessions()
        self.socket = self.new_socket()
        self.undecryptable = 0

    def sessions(self) -> None:
        """Fresh SRTP contexts, as after a restart of the client."""

        def session(key: bytes, ssrc_type: int) -> Session:
            policy = Policy(
                key=key, ssrc_type=ssrc_type, srtp_profile=PYLIBSRTP_PROFILES[self.profile]
            )
            policy.window_size = 1024
            policy.allow_repeat_tx = True  # tests send the same packet twice
            return Session(policy)

        self.transmit = session(self.sent_key, Policy.SSRC_ANY_OUTBOUND)
        self.receive = session(self.received_key, Policy.SSRC_ANY_INBOUND)

    def new_socket(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_DGRAM)
        opened.bind((self.host, 0))
        opened.setblocking(False)
        return opened

    def move(self) -> socket.socket:
        """Another source address from now on; returns the old socket."""
        old, self.socket = self.socket, self.new_socket()
        return old

    def close(self) -> None:
        self.socket.close()

    def set_keys(self) -> None:
        self.plane.set_keys(
            self.peer,
            profile=self.profile,
            transmit=self.received_key,
            receive=self.sent_key,
        )

    def send(self, datagram: bytes) -> None:
        self.socket.sendto(datagram, (self.host, self.plane.port))

    def check(
        self,
        *,
        nominate: bool = True,
        password: str = PASSWORD,
        ufrag: str | None = None,
        controlling: bool = True,
        transaction: bytes | None = None,
    ) -> stun.Message:
        """An ICE connectivity check, as a message yet to be sent."""
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction)
        message.attributes["USERNAME"] = f"{self.ufrag if ufrag is None else ufrag}:remote"
        message.attributes["PRIORITY"] = 1
        role = "ICE-CONTROLLING" if controlling else "ICE-CONTROLLED"
        message.attributes[role] = 7
        if nominate:
            message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity(password.encode())
        return message

    def join(self, clock: Clock | None = None) -> None:
        """Keys, and one nominated path."""
        self.set_keys()
        self.send(bytes(self.check()))
        if clock is not None:
            clock.turn()
            assert len(self.read().stun) == 1

    def send_rtp(self, payload: bytes, **header: object) -> bytes:
        packet = self.transmit.protect(make_rtp(payload, **header))  # type: ignore[arg-type]
        self.send(packet)
        return packet

    def send_rtcp(self, packet: bytes) -> None:
        self.send(self.transmit.protect_rtcp(packet))

    def read(self) -> Received:
        """Everything that has arrived, decrypted; what does not decrypt raises."""
        received = Received()
        for datagram in self.datagrams():
            if datagram[0] < 4:
                message = stun.parse_message(datagram)
                assert message.check_message_integrity(PASSWORD.encode())
                received.stun.append(message)
            elif datagram[0] < 64:
                received.dtls.append(datagram)
            elif 192 <= datagram[1] <= 223:
                received.rtcp.append(self.receive.unprotect_rtcp(datagram))
            else:
                packet = self.receive.unprotect(datagram)
                parsed = _plane.parse_rtp(packet, 1, 2)
                assert parsed is not None
                received.rtp.append(Rtp(*parsed, header_extensions(packet)))
        return received

    def datagrams(self) -> Iterator[bytes]:
        """What has arrived, as it is on the wire."""
        while True:
            try:
                yield self.socket.recv(2048)
            except BlockingIOError:
                return

    def add_track(
        self,
        *,
        mid: str = "0",
        ssrcs: tuple[int, ...] = (),
        payload_types: tuple[int, ...] = (111,),
    ) -> int:
        return self.plane.add_track(
            self.peer,
            kind=Kind.AUDIO,
            clock_rate=48000,
            mid=mid,
            extensions={Extension.MID: 1, Extension.AUDIO_LEVEL: 2},
            ssrcs=ssrcs,
            payload_types=[PayloadType(number, MediaCodec.OPUS) for number in payload_types],
        )

    def add_slot(self, *, ssrc: int = 0x5107, mid: str = "s0", payload_type: int = 109) -> int:
        return self.plane.add_slot(
            self.peer,
            kind=Kind.AUDIO,
            ssrc=ssrc,
            payload_types=(PayloadType(payload_type, MediaCodec.OPUS),),
            clock_rate=48000,
            mid=mid,
            extensions={Extension.MID: 1, Extension.AUDIO_LEVEL: 2},
            cname="the-server",
        )

    def add_video_track(
        self,
        *,
        mid: str = "v",
        rids: tuple[str, ...] = (),
        ssrcs: tuple[int, ...] = (),
        rtx_ssrcs: dict[int, int] | None = None,
        codec: MediaCodec = MediaCodec.VP8,
        extensions: dict[Extension, int] | None = None,
    ) -> int:
        """A video track: payload type 96, RTX 97; mid is extension 1, rid 3, repaired-rid 4."""
        ids = {Extension.MID: 1, Extension.RID: 3, Extension.REPAIRED_RID: 4}
        return self.plane.add_track(
            self.peer,
            kind=Kind.VIDEO,
            clock_rate=90000,
            mid=mid,
            extensions=ids | (extensions or {}),
            ssrcs=ssrcs,
            rtx_ssrcs=rtx_ssrcs,
            rids=rids,
            payload_types=[PayloadType(96, codec, 97)],
            nack=True,
            pli=True,
            transport_cc=bool(extensions and Extension.TRANSPORT_CC in extensions),
        )

    def add_video_slot(
        self,
        *,
        ssrc: int = 0x71DE0,
        rtx_ssrc: int = 0x7E57,
        mid: str = "s1",
        codecs: tuple[MediaCodec, ...] = (MediaCodec.VP8,),
        extensions: dict[Extension, int] | None = None,
    ) -> int:
        """A video slot: payload types 100, 102 …, their RTX 101, 103 …; mid is extension 1."""
        return self.plane.add_slot(
            self.peer,
            kind=Kind.VIDEO,
            ssrc=ssrc,
            rtx_ssrc=rtx_ssrc,
            payload_types=[
                PayloadType(100 + 2 * i, codec, 101 + 2 * i if rtx_ssrc else 0)
                for i, codec in enumerate(codecs)
            ],
            clock_rate=90000,
            mid=mid,
            extensions={Extension.MID: 1} | (extensions or {}),
            cname="the-server",
            nack=True,
        )


class TcpClient(Client):
    """The same peer over TCP, framed as in RFC 4571."""

    unread = b""
    ended = False  # the plane closed the connection

    def join(self, clock: Clock | None = None) -> None:
        self.set_keys()
        self.send(bytes(self.check()))
        if clock is not None:
            clock.turn_until(lambda: self.read().stun)

    def new_socket(self) -> socket.socket:
        opened = socket.create_connection((self.host, self.plane.port))
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setblocking(False)
        return opened

    def move(self) -> socket.socket:
        self.unread = b""
        return super().move()

    def send(self, datagram: bytes) -> None:
        self.socket.sendall(struct.pack("!H", len(datagram)) + datagram)

    def datagrams(self) -> Iterator[bytes]:
        while not self.ended:
            try:
                more = self.socket.recv(1 << 16)
            except BlockingIOError:
                break
            except ConnectionResetError:
                more = b""
            self.ended = not more
            self.unread += more
        yield from self.frames()

    def frames(self) -> Iterator[bytes]:
        while len(self.unread) >= 2:
            end = 2 + int.from_bytes(self.unread[:2], "big")
            if len(self.unread) < end:
                return
            datagram, self.unread = self.unread[2:end], self.unread[end:]
            yield datagram


@dataclass
class Camera:
    """Sends VP8 frames of one layer: numbered payloads behind true descriptors."""

    client: Client
    ssrc: int
    rid: bytes | None = None
    mid: bytes | None = b"v"
    rtx_ssrc: int = 0
    sequence: int = 100
    timestamp: int = 5000
    picture: int = 0x7FF0
    tl0: int = 250
    count: int = 0
    rtx_sequence: int = 9
    lost: dict[int, bytes] = field(default_factory=dict)  # by sequence: packets for `repair`

    def frame(
        self,
        *,
        key: bool = False,
        optional: bool = False,
        packets: int = 2,
        lose: tuple[int, ...] = (),
        size: int = 40,
        elapsed_ms: int = 33,
        extensions: dict[int, bytes] | None = None,
    ) -> list[bytes]:
        """One frame; packets whose number within it is in `lose` are kept back."""
        further = dict(extensions or {})
        if self.rid is not None:
            further[3] = self.rid
        payloads = []
        for i in range(packets):
            # X, N, S on the first packet, I, L; the frame's first byte has P = 0 for a key frame.
            descriptor = bytes([0x80 | optional << 5 | (0x10 if i == 0 else 0), 0xC0])
            descriptor += struct.pack("!HB", 0x8000 | self.picture, self.tl0)
            body = struct.pack("!BII", 0 if key and i == 0 else 1, self.ssrc, self.count)
            payload = descriptor + body + bytes(max(0, size - 14))
            if i in lose:
                self.lost[self.sequence] = payload
            else:
                self.client.send_rtp(
                    payload,
                    sequence=self.sequence,
                    timestamp=self.timestamp,
                    ssrc=self.ssrc,
                    payload_type=96,
                    marker=i == packets - 1,
                    mid=self.mid,
                    extensions=further,
                )
            payloads.append(payload)
            self.sequence = (self.sequence + 1) & 0xFFFF
            self.count += 1
        self.timestamp = (self.timestamp + 90 * elapsed_ms) & 0xFFFFFFFF
        self.picture = (self.picture + 1) & 0x7FFF
        self.tl0 = (self.tl0 + 1) & 0xFF
        return payloads

    def repair(self, sequence: int, *, timestamp: int) -> None:
        """Sends a lost packet by RTX."""
        self.client.send_rtp(
            struct.pack("!H", sequence) + self.lost.pop(sequence),
            sequence=self.rtx_sequence,
            timestamp=timestamp,
            ssrc=self.rtx_ssrc,
            payload_type=97,
            mid=self.mid,
            extensions={4: self.rid} if self.rid is not None else None,
        )
        self.rtx_sequence += 1


def picture_of(payload: bytes) -> tuple[int, int, int, int]:
    """(picture id, TL0PICIDX, the camera's SSRC, its packet number) of a `Camera` packet."""
    picture, tl0, _, ssrc, count = struct.unpack_from("!HBBII", payload, 2)
    return picture & 0x7FFF, tl0, ssrc, count


def assert_whole(packets: list[Rtp]) -> None:
    """Every number once and in order, and pictures with the camera's packets in its order."""
    for before, after in itertools.pairwise(packets):
        assert (after.sequence - before.sequence) & 0xFFFF == 1
        one, other = picture_of(before.payload), picture_of(after.payload)
        if one[2] == other[2]:
            assert other[3] == one[3] + 1
            assert (other[0] - one[0]) & 0x7FFF == (before.timestamp != after.timestamp)


@dataclass
class Feedback:
    """The feedback that came to a publisher or was sent by a listener, decoded."""

    plis: list[int] = field(default_factory=list)  # media SSRCs
    nacks: list[tuple[int, int]] = field(default_factory=list)  # (media SSRC, sequence)
    datagrams_with_pli: int = 0


def read_feedback(datagrams: list[bytes]) -> Feedback:
    found = Feedback()
    for datagram in datagrams:
        at = 0
        asked = False
        while at < len(datagram):
            first, kind, words = struct.unpack_from("!BBH", datagram, at)
            body = datagram[at + 4 : at + 4 + 4 * words]
            if kind == 206 and first & 31 == 1:
                found.plis.append(struct.unpack_from("!I", body, 4)[0])
                asked = True
            if kind == 205 and first & 31 == 1:
                ssrc = struct.unpack_from("!I", body, 4)[0]
                for sequence, mask in struct.iter_unpack("!HH", body[8:]):
                    found.nacks.append((ssrc, sequence))
                    found.nacks += [
                        (ssrc, (sequence + i + 1) & 0xFFFF) for i in range(16) if mask >> i & 1
                    ]
            at += 4 + 4 * words
        found.datagrams_with_pli += asked
    return found


def nack(media_ssrc: int, sequences: list[int]) -> bytes:
    """A generic NACK, one block per sequence number, behind an empty receiver report."""
    blocks = b"".join(struct.pack("!HH", sequence, 0) for sequence in sequences)
    head = struct.pack("!BBHI", 0x80, 201, 1, 1)
    return head + struct.pack("!BBHII", 0x81, 205, 2 + len(sequences), 1, media_ssrc) + blocks


def transport_feedback(first: int, arrivals_ms: list[float | None], *, number: int) -> bytes:
    """When the packets from `first` on arrived, None = lost; the last one did arrive.

    draft-holmer-rmcat-transport-wide-cc §3.1: vectors of two bits, steps of 250 µs.
    """
    ticks = [round(at * 4) for at in arrivals_ms if at is not None]
    base = ticks[0] // 256
    deltas = [now - before for before, now in zip([base * 256, *ticks], ticks, strict=False)]
    statuses = [0 if at is None else 2 for at in arrivals_ms]
    chunks = b""
    for at in range(0, len(statuses), 7):
        seven = [*statuses[at : at + 7], *[0] * 6][:7]
        word = sum(status << 12 - 2 * i for i, status in enumerate(seven))
        chunks += struct.pack("!H", 3 << 14 | word)
    body = struct.pack("!HHI", first & 0xFFFF, len(statuses), base << 8 | number & 0xFF) + chunks
    body += b"".join(struct.pack("!h", delta) for delta in deltas)
    body += bytes(-len(body) % 4)
    return struct.pack("!BBHII", 0x8F, 205, 2 + len(body) // 4, 1, 0) + body


def remb(bps: int, ssrc: int) -> bytes:
    """A receiver's own estimate (draft-alvestrand-rmcat-remb)."""
    exponent = max(0, bps.bit_length() - 18)
    word = 1 << 24 | exponent << 18 | bps >> exponent
    return struct.pack("!BBHII4sII", 0x8F, 206, 5, 1, 0, b"REMB", word, ssrc)


def pli(media_ssrc: int) -> bytes:
    """A picture loss indication, reduced size."""
    return struct.pack("!BBHII", 0x81, 206, 2, 1, media_ssrc)


@dataclass
class Speaker:
    """Sends numbered 20 ms packets of one SSRC."""

    client: Client
    ssrc: int
    sequence: int = 100
    timestamp: int = 5000
    mid: bytes | None = None
    level: int | None = None
    count: int = 0

    def speak(self, *, payload_type: int = 111, bytes_more: int = 0) -> bytes:
        """One packet; its payload names the speaker and counts."""
        payload = struct.pack("!II", self.ssrc, self.count) + bytes(bytes_more)
        self.client.send_rtp(
            payload,
            sequence=self.sequence,
            timestamp=self.timestamp,
            ssrc=self.ssrc,
            payload_type=payload_type,
            mid=self.mid,
            level=self.level,
        )
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + 960) & 0xFFFFFFFF
        self.count += 1
        return payload
