"""A WebRTC end made of a real socket, aioice's STUN and pylibsrtp, for tests of the native plane alone.

Loopback delivers while the sender is still in its system call. A test that turns the plane by hand
(`Plane.turn`) therefore sees everything it sent, in order, without waiting for anything.
"""

from __future__ import annotations

import random
import socket
import struct
from dataclasses import dataclass, field

from aioice import stun
from pylibsrtp import Policy, Session

from kabina.native import _plane
from kabina.native.plane import Plane, SrtpProfile

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
) -> bytes:
    elements = b""
    if mid is not None:
        elements += bytes([1 << 4 | len(mid) - 1]) + mid
    if level is not None:
        elements += bytes([2 << 4, level])
    first = 0x80
    extension = b""
    if elements:
        first |= 0x10
        elements += bytes(-len(elements) % 4)
        extension = struct.pack("!HH", 0xBEDE, len(elements) // 4) + elements
    header = struct.pack(
        "!BBHII",
        first,
        marker << 7 | payload_type,
        sequence & 0xFFFF,
        timestamp & 0xFFFFFFFF,
        ssrc,
    )
    return header + extension + payload


class Client:
    """One peer of the plane, with its socket and keys."""

    def __init__(
        self,
        plane: Plane,
        name: str,
        *,
        profile: SrtpProfile = SrtpProfile.AEAD_AES_128_GCM,
        seed: int = 1,
    ) -> None:
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
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.bind(("127.0.0.1", 0))
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
        self.socket.sendto(datagram, ("127.0.0.1", self.plane.port))

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
        while True:
            try:
                datagram = self.socket.recv(2048)
            except BlockingIOError:
                return received
            if datagram[0] < 4:
                message = stun.parse_message(datagram)
                assert message.check_message_integrity(PASSWORD.encode())
                received.stun.append(message)
            elif datagram[0] < 64:
                received.dtls.append(datagram)
            elif 192 <= datagram[1] <= 223:
                received.rtcp.append(self.receive.unprotect_rtcp(datagram))
            else:
                parsed = _plane.parse_rtp(self.receive.unprotect(datagram), 1, 2)
                assert parsed is not None
                received.rtp.append(Rtp(*parsed))

    def add_track(
        self,
        *,
        mid: str = "0",
        ssrcs: tuple[int, ...] = (),
        payload_types: tuple[int, ...] = (111,),
    ) -> int:
        return self.plane.add_track(
            self.peer,
            clock_rate=48000,
            mid=mid,
            mid_extension_id=1,
            level_extension_id=2,
            ssrcs=ssrcs,
            payload_types=payload_types,
        )

    def add_slot(self, *, ssrc: int = 0x5107, mid: str = "s0", payload_type: int = 109) -> int:
        return self.plane.add_slot(
            self.peer,
            ssrc=ssrc,
            payload_type=payload_type,
            clock_rate=48000,
            mid=mid,
            mid_extension_id=1,
            level_extension_id=2,
            cname="the-server",
        )


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

    def speak(self, *, payload_type: int = 111) -> bytes:
        """One packet; its payload names the speaker and counts."""
        payload = struct.pack("!II", self.ssrc, self.count)
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
