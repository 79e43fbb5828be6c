"""A client that costs almost nothing: real ICE checks and DTLS, and no decoder behind them.

Stock aiortc decodes what it receives; three hundred of those would measure the clients, not the
server. What comes after the keys is a subclass's, or the load generator's in C.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from typing import TYPE_CHECKING, Any, Final

from aioice import stun

from kabina.sfu.offer import Fingerprint, Setup
from kabina.sfu.seam.dtls import Certificate, DtlsEnd, DtlsTransport, SrtpKeys

if TYPE_CHECKING:
    from aiortc.rtcdtlstransport import RTCCertificate

    from kabina.native.plane import SrtpProfile

JOIN_TIMEOUT_S: Final = 20.0
FIRST_CHECKS_S: Final = 0.1  # until the first answer
CHECK_INTERVAL_S: Final = 2.5  # libwebrtc's pace
BUFFER_BYTES: Final = 1 << 20  # what waits while whoever reads has no core
OPUS: Final = 111

_shared: list[Certificate] = []


def shared_certificate() -> Certificate:
    """One for all clients of this process: making it takes longer than the rest of a join."""
    if not _shared:
        _shared.append(Certificate.generateCertificate())
    return _shared[0]


class LightClient(asyncio.DatagramProtocol):
    """One audio section in one direction. Offers or answers, then `connect`s; single use."""

    def __init__(
        self,
        *,
        sends: bool = False,
        setup: Setup = Setup.ACTPASS,
        ssrc: int | None = None,
        certificate: RTCCertificate | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        """Binds a socket of its own at `host`; OSError without descriptors."""
        self._certificate = certificate or shared_certificate()
        self._sends, self._setup, self._ssrc = sends, setup, ssrc
        self._ufrag, self._password = os.urandom(3).hex(), os.urandom(12).hex()
        self._answered = asyncio.Event()
        self._dtls: DtlsTransport | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self._socket.setblocking(False)
        self._socket.bind((host, 0))
        self.server = ("", 0)
        self._remote = ""
        self.profile: SrtpProfile | None = None
        self.check = b""
        """The signed check, to repeat for consent."""

    # --- Descriptions --------------------------------------------------------------------------

    def offer(self) -> str:
        return self._description("0", OPUS, self._setup.value)

    def answer(self, offer: str) -> str:
        """To an offer of one audio section. RuntimeError if that has no Opus."""
        (payload_type,) = _field(r"(?im)^a=rtpmap:(\d+) opus/48000", offer)
        (mid,) = _field(r"(?m)^a=mid:(\S+)", offer)
        return self._description(mid, int(payload_type), "active")

    def _description(self, mid: str, payload_type: int, setup: str) -> str:
        fingerprint = next(
            f for f in self._certificate.getFingerprints() if f.algorithm == "sha-256"
        )
        lines = [
            "v=0",
            "o=- 1 1 IN IP4 0.0.0.0",
            "s=-",
            "t=0 0",
            f"a=group:BUNDLE {mid}",
            f"m=audio 9 UDP/TLS/RTP/SAVPF {payload_type}",
            "c=IN IP4 0.0.0.0",
            "a=sendonly" if self._sends else "a=recvonly",
            f"a=mid:{mid}",
            "a=rtcp-mux",
            f"a=ice-ufrag:{self._ufrag}",
            f"a=ice-pwd:{self._password}",
            f"a=fingerprint:sha-256 {fingerprint.value}",
            f"a=setup:{setup}",
            # Only full agents look at it; a lite one waits for our check.
            "a=candidate:1 1 udp 2130706431 {} {} typ host".format(*self._socket.getsockname()),
            "a=end-of-candidates",
            f"a=rtpmap:{payload_type} opus/48000/2",
        ]
        if self._ssrc is not None:
            lines.append(f"a=ssrc:{self._ssrc} cname:light")
        return "\r\n".join(lines) + "\r\n"

    # --- The connection ------------------------------------------------------------------------

    async def connect(self, remote: str) -> SrtpKeys:
        """Checks and handshake with whoever wrote `remote`. RuntimeError, TimeoutError."""
        self._remote = remote
        self.check = self._signed_check(remote)
        await self._open(remote)
        assert self._transport is not None
        # We are whatever the other end is not.
        setup = Setup.PASSIVE if "a=setup:active" in remote else Setup.ACTIVE
        certificate: Any = self._certificate  # the seam takes its own kind; tests bring RSA
        self._dtls = DtlsTransport(DtlsEnd(self._transport.sendto), certificate, setup)
        algorithm, value = _field(r"a=fingerprint:(?i:(sha-\d+)) (\S+)", remote)
        async with asyncio.timeout(JOIN_TIMEOUT_S):
            while not self._answered.is_set():
                self._transport.sendto(self.check)
                try:
                    await asyncio.wait_for(self._answered.wait(), FIRST_CHECKS_S)
                except TimeoutError:
                    continue
            keys = await self._dtls.connect((Fingerprint(algorithm.lower(), value),))
        if keys is None:
            raise RuntimeError("the DTLS handshake failed")
        self.profile = keys.profile
        return keys

    async def _open(self, remote: str) -> None:
        self.server = candidate_of(remote)
        self._socket.connect(self.server)
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, sock=self._socket
        )

    def check_again(self) -> None:
        """Consent (RFC 7675): due every CHECK_INTERVAL_S while connected. A transaction of its own,
        as RFC 8445 has it: one that was seen from another address is taken for a replay."""
        if self._transport is not None:
            self._transport.sendto(self._signed_check(self._remote))

    def fileno(self) -> int:
        """The connected socket, for a sender beside this object, which goes on answering checks."""
        return self._socket.fileno()

    def release(self) -> int:
        """The connected socket, for somebody else to read; this object is done."""
        # The original ends with asyncio's transport; the kernel's socket lives on.
        fd = os.dup(self._socket.fileno())
        self.close()
        return fd

    def close(self) -> None:
        """Ends without a goodbye: the other end sees silence."""
        pump = self._dtls._task if self._dtls is not None else None
        if pump is not None:
            pump.cancel()
        if self._transport is not None:
            self._transport.close()
        self._socket.close()

    def _signed_check(self, remote: str) -> bytes:
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        (ufrag,) = _field(r"a=ice-ufrag:(\S+)", remote)
        (password,) = _field(r"a=ice-pwd:(\S+)", remote)
        request.attributes["USERNAME"] = f"{ufrag}:{self._ufrag}"
        request.attributes["PRIORITY"] = 1845501695
        request.attributes["ICE-CONTROLLING"] = 1
        request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity(password.encode())
        request.add_fingerprint()
        return bytes(request)

    # --- Datagrams -----------------------------------------------------------------------------

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        first = data[0] if data else 255
        if 128 <= first <= 191:
            self.media_received(data)
        elif 20 <= first <= 63:
            if self._dtls is not None:
                self._dtls.receive(data)
        elif first < 4 and len(data) >= 20:
            if data[:2] == b"\x00\x01":
                self._answer_check(data, addr)
            else:
                self._answered.set()

    def media_received(self, datagram: bytes) -> None:
        """An SRTP or SRTCP datagram, as it came."""

    def _answer_check(self, data: bytes, addr: tuple[str, int]) -> None:
        """A full agent checks us, too; a lite one never does."""
        try:
            request = stun.parse_message(data)
        except ValueError:
            return
        if not request.check_message_integrity(self._password.encode()):
            return
        response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id)
        response.attributes["XOR-MAPPED-ADDRESS"] = addr
        response.add_message_integrity(self._password.encode())
        response.add_fingerprint()
        if self._transport is not None:
            self._transport.sendto(bytes(response))


def _field(pattern: str, description: str) -> tuple[str, ...]:
    """The groups of the first match."""
    found = re.search(pattern, description)
    if found is None:
        raise RuntimeError(f"the description has no {pattern}: {description}")
    return found.groups()


def candidate_of(description: str) -> tuple[str, int]:
    """Host and port of the first UDP host candidate."""
    host, port = _field(
        r"a=candidate:\S+ 1 (?i:udp) \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host", description
    )
    return host, int(port)


def through(answer: str, relay: tuple[str, int]) -> str:
    """The answer with its UDP candidates moved to a relay's address."""
    host, port = relay
    return re.sub(
        r"(a=candidate:\S+ \d+ (?:udp|UDP) \d+) \S+ \d+( typ host)",
        rf"\1 {host} {port}\2",
        answer,
    )
