"""A WHEP listener that costs almost nothing: real STUN and DTLS; datagrams are counted, not decrypted.

Stock aiortc decodes what it receives; three hundred of them would measure the clients, not the
server.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from typing import TYPE_CHECKING

from aioice import stun
from aiortc.rtcdtlstransport import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
)

from kabina.benchmarks.load import through

if TYPE_CHECKING:
    import aiohttp

    from kabina.benchmarks.relay import Relay

CHECK_INTERVAL_S = 2.5  # libwebrtc's pace


class LightListener(asyncio.DatagramProtocol):
    """`arrivals_s` are the times of every SRTP datagram, `sequences` their RTP sequence numbers."""

    role = "controlling"
    shared_certificate: RTCCertificate | None = None

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str,
        token: str,
        *,
        setup: str = "actpass",
        certificate: RTCCertificate | None = None,
        relay: Relay | None = None,
    ) -> None:
        if LightListener.shared_certificate is None:
            LightListener.shared_certificate = RTCCertificate.generateCertificate()
        self._certificate = certificate or LightListener.shared_certificate
        self._setup = setup
        self._http, self._url, self._relay = http, url, relay
        self._headers = {"Authorization": f"Bearer {token}"}
        self._dtls_queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._checked = asyncio.Event()
        self.packets = 0
        self.arrivals_s: list[float] = []
        self.sequences: list[int] = []
        self.checks_s: list[float] = []  # when a check was sent
        self.record = False
        self.location = ""

    async def start(self) -> LightListener:
        self._ufrag, self._password = os.urandom(3).hex(), os.urandom(12).hex()
        self._dtls = RTCDtlsTransport(self, [self._certificate])
        async with self._http.post(
            self._url,
            data=self._offer(),
            headers={**self._headers, "Content-Type": "application/sdp"},
        ) as response:
            answer = await response.text()
            assert response.status == 201, answer
            if self._relay is not None:
                answer = through(answer, self._relay.address)
            self.location = response.headers["Location"]
        loop = asyncio.get_running_loop()
        self._server = self._read(answer)
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        self._checks = asyncio.create_task(self._check_forever())
        async with asyncio.timeout(20):
            await self._checked.wait()
            await self._dtls.start(self._remote)
        assert self._dtls.state == "connected"
        return self

    async def delete(self) -> None:
        base = self._url.split("/whep/")[0]
        async with self._http.delete(base + self.location, headers=self._headers) as response:
            assert response.status == 200

    def close(self) -> None:
        self._checks.cancel()
        if self._dtls._task is not None:
            self._dtls._task.cancel()
        self._transport.close()

    def _offer(self) -> str:
        fingerprint = next(
            f for f in self._certificate.getFingerprints() if f.algorithm == "sha-256"
        )
        lines = [
            "v=0",
            "o=- 1 1 IN IP4 0.0.0.0",
            "s=-",
            "t=0 0",
            "a=group:BUNDLE 0",
            "m=audio 9 UDP/TLS/RTP/SAVPF 111",
            "c=IN IP4 0.0.0.0",
            "a=sendonly" if "/whip/" in self._url else "a=recvonly",
            "a=mid:0",
            "a=rtcp-mux",
            f"a=ice-ufrag:{self._ufrag}",
            f"a=ice-pwd:{self._password}",
            f"a=fingerprint:sha-256 {fingerprint.value}",
            f"a=setup:{self._setup}",
            "a=rtpmap:111 opus/48000/2",
        ]
        return "\r\n".join(lines) + "\r\n"

    def _read(self, answer: str) -> tuple[str, int]:
        def field(pattern: str) -> str:
            match = re.search(pattern, answer)
            assert match, answer
            return match.group(1)

        self._remote_ufrag = field(r"a=ice-ufrag:(\S+)")
        self._remote_password = field(r"a=ice-pwd:(\S+)").encode()
        self._remote = RTCDtlsParameters(
            fingerprints=[RTCDtlsFingerprint("sha-256", field(r"a=fingerprint:sha-256 (\S+)"))]
        )
        self._dtls._set_role("server" if "a=setup:active" in answer else "client")
        candidate = re.search(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", answer)
        assert candidate, answer
        return candidate.group(1), int(candidate.group(2))

    async def _check_forever(self) -> None:
        while True:
            request = stun.Message(
                message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST
            )
            request.attributes["USERNAME"] = f"{self._remote_ufrag}:{self._ufrag}"
            request.attributes["PRIORITY"] = 1845501695
            request.attributes["ICE-CONTROLLING"] = 1
            request.attributes["USE-CANDIDATE"] = None
            request.add_message_integrity(self._remote_password)
            request.add_fingerprint()
            self.checks_s.append(time.monotonic())
            self._transport.sendto(bytes(request), self._server)
            await asyncio.sleep(CHECK_INTERVAL_S if self._checked.is_set() else 0.1)

    def datagram_received(self, data: bytes, addr: tuple) -> None:
        first = data[0]
        if first >= 128:
            if not 192 <= data[1] <= 223:
                self.packets += 1
                if self.record:
                    self.arrivals_s.append(time.monotonic())
                    self.sequences.append(int.from_bytes(data[2:4], "big"))
        elif first >= 20:
            self._dtls_queue.put_nowait(data)
        else:
            self._checked.set()

    # What RTCDtlsTransport needs of its ICE transport.
    async def _recv(self) -> bytes:
        return await self._dtls_queue.get()

    async def _send(self, data: bytes) -> None:
        self._transport.sendto(data, self._server)
