"""Joins real WHEP listeners, in Python, and hands their sockets to the load thread, in C."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aioice import stun

from kabina.benchmarks import _load
from kabina.native.libraries import load_srtp
from kabina.sfu.offer import Fingerprint, Setup
from kabina.sfu.seam.dtls import Certificate, DtlsEnd, DtlsTransport, SrtpKeys

if TYPE_CHECKING:
    from collections.abc import Sequence

    import aiohttp

JOIN_TIMEOUT_S = 20.0
CHECK_INTERVAL_S = 0.1  # until the first answer
BUFFER_BYTES = 1 << 20  # what waits while the load thread has no core


@dataclass
class Joiner:
    """Joins over HTTP and hands each end to the load; `durations_s` are POST to keys."""

    http: aiohttp.ClientSession
    load: _load.Load
    durations_s: list[float] = field(default_factory=list)
    _certificate: Certificate = field(default_factory=lambda: Certificate.generateCertificate())

    async def listen(self, url: str, token: str, *, stamped: bool = False) -> int:
        """A WHEP listener; the number of its end in the load. RuntimeError if it cannot join."""
        began = time.monotonic()
        end = _Joining(self._certificate)
        async with self.http.post(
            url,
            data=end.offer("sendonly" if "/whip/" in url else "recvonly"),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"},
        ) as response:
            answer = await response.text()
            if response.status != 201:
                raise RuntimeError(f"{url}: {response.status} {answer}")
        fd, keys, check = await end.connect(answer)
        self.durations_s.append(time.monotonic() - began)
        return self.load.add(
            fd, int(keys.profile), keys.transmit, keys.receive, check, stamped=stamped
        )

    async def listen_all(
        self, url: str, token: str, count: int, *, at_once: int = 8
    ) -> Sequence[int]:
        """`count` listeners, at most `at_once` of them under way."""
        gate = asyncio.Semaphore(at_once)

        async def one() -> int:
            async with gate:
                return await self.listen(url, token)

        return await asyncio.gather(*(one() for _ in range(count)))

    def quantile_ms(self, share: float) -> float:
        return statistics.quantiles(self.durations_s, n=100)[round(share * 100) - 1] * 1000


def new_load(capacity: int) -> _load.Load:
    """A load with room for `capacity` ends. LibraryError without libsrtp."""
    return _load.Load(load_srtp().handle, capacity)


class _Joining(asyncio.DatagramProtocol):
    """One end until it has keys: signed checks, then the handshake."""

    def __init__(self, certificate: Certificate) -> None:
        self._certificate = certificate
        self._ufrag, self._password = os.urandom(3).hex(), os.urandom(12).hex()
        self._answered = asyncio.Event()
        self._dtls: DtlsTransport | None = None

    def offer(self, direction: str) -> str:
        lines = [
            "v=0",
            "o=- 1 1 IN IP4 0.0.0.0",
            "s=-",
            "t=0 0",
            "a=group:BUNDLE 0",
            "m=audio 9 UDP/TLS/RTP/SAVPF 111",
            "c=IN IP4 0.0.0.0",
            f"a={direction}",
            "a=mid:0",
            "a=rtcp-mux",
            f"a=ice-ufrag:{self._ufrag}",
            f"a=ice-pwd:{self._password}",
            f"a=fingerprint:sha-256 {self._certificate.sha256.value}",
            "a=setup:actpass",
            "a=rtpmap:111 opus/48000/2",
        ]
        return "\r\n".join(lines) + "\r\n"

    async def connect(self, answer: str) -> tuple[int, SrtpKeys, bytes]:
        """A socket connected to the server, its keys, and the check to repeat."""
        host, port = candidate_of(answer)
        check = self._check(_field(r"a=ice-ufrag:(\S+)", answer), answer)
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        own.setblocking(False)
        own.connect((host, port))
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=own)
        try:
            end = DtlsEnd(transport.sendto)
            # We are whatever the server is not.
            setup = Setup.PASSIVE if "a=setup:active" in answer else Setup.ACTIVE
            self._dtls = DtlsTransport(end, self._certificate, setup)
            async with asyncio.timeout(JOIN_TIMEOUT_S):
                while not self._answered.is_set():
                    transport.sendto(check)
                    try:
                        await asyncio.wait_for(self._answered.wait(), CHECK_INTERVAL_S)
                    except TimeoutError:
                        continue
                fingerprint = Fingerprint("sha-256", _field(r"a=fingerprint:sha-256 (\S+)", answer))
                keys = await self._dtls.connect((fingerprint,))
            if keys is None:
                raise RuntimeError("the DTLS handshake failed")
            # The original ends with asyncio's transport; the kernel's socket lives on.
            return os.dup(own.fileno()), keys, check
        finally:
            pump = self._dtls._task if self._dtls is not None else None
            if pump is not None:
                pump.cancel()  # not close(): that would say goodbye to the server
            transport.close()

    def _check(self, remote_ufrag: str, answer: str) -> bytes:
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{remote_ufrag}:{self._ufrag}"
        request.attributes["PRIORITY"] = 1845501695
        request.attributes["ICE-CONTROLLING"] = 1
        request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity(_field(r"a=ice-pwd:(\S+)", answer).encode())
        request.add_fingerprint()
        return bytes(request)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if data and 20 <= data[0] <= 63 and self._dtls is not None:
            self._dtls.receive(data)
        elif data and data[0] < 4:
            self._answered.set()


def _field(pattern: str, answer: str) -> str:
    found = re.search(pattern, answer)
    if found is None:
        raise RuntimeError(f"the answer has no {pattern}: {answer}")
    return found.group(1)


def candidate_of(answer: str) -> tuple[str, int]:
    """Host and port of the answer's one UDP candidate."""
    line = _field(r"a=candidate:\S+ 1 udp \d+ (\S+ \d+) typ host", answer)
    host, port = line.split()
    return host, int(port)


def through(answer: str, relay: tuple[str, int]) -> str:
    """The answer with its UDP candidates moved to a relay's address."""
    host, port = relay
    return re.sub(
        r"(a=candidate:\S+ \d+ (?:udp|UDP) \d+) \S+ \d+( typ host)",
        rf"\1 {host} {port}\2",
        answer,
    )
