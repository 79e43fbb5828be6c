"""The benchmarks' light client as a WHEP listener: datagrams are counted, not decrypted."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

from kabina.benchmarks.light_client import CHECK_INTERVAL_S, LightClient, through
from kabina.sfu.offer import Setup

if TYPE_CHECKING:
    import aiohttp
    from aiortc.rtcdtlstransport import RTCCertificate

    from kabina.benchmarks.relay import Relay


class LightListener(LightClient):
    """`arrivals_s` are the times of every SRTP datagram, `sequences` their RTP sequence numbers."""

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
        super().__init__(sends="/whip/" in url, setup=Setup(setup), certificate=certificate)
        self._http, self._url, self._relay = http, url, relay
        self._headers = {"Authorization": f"Bearer {token}"}
        self._checks: asyncio.Task[None] | None = None
        self.packets = 0
        self.arrivals_s: list[float] = []
        self.sequences: list[int] = []
        self.checks_s: list[float] = []  # when a check was sent
        self.record = False
        self.location = ""

    async def start(self) -> LightListener:
        async with self._http.post(
            self._url,
            data=self.offer(),
            headers={**self._headers, "Content-Type": "application/sdp"},
        ) as response:
            answer = await response.text()
            assert response.status == 201, answer
            if self._relay is not None:
                answer = through(answer, self._relay.address)
            self.location = response.headers["Location"]
        await self.connect(answer)
        self._checks = asyncio.create_task(self._check_forever())
        return self

    async def delete(self) -> None:
        base = self._url.split("/whep/")[0]
        async with self._http.delete(base + self.location, headers=self._headers) as response:
            assert response.status == 200

    def close(self) -> None:
        if self._checks is not None:
            self._checks.cancel()
        super().close()

    async def _check_forever(self) -> None:
        while True:
            await asyncio.sleep(CHECK_INTERVAL_S)
            self.checks_s.append(time.monotonic())
            self.check_again()

    def media_received(self, datagram: bytes) -> None:
        if not 192 <= datagram[1] <= 223:
            self.packets += 1
            if self.record:
                self.arrivals_s.append(time.monotonic())
                self.sequences.append(int.from_bytes(datagram[2:4], "big"))


class TcpLightListener(LightListener):
    """The same over TCP, framed as in RFC 4571."""

    async def _open(self, remote: str) -> None:
        candidate = re.search(r"a=candidate:\S+ 1 tcp \d+ (\S+) (\d+) typ host", remote)
        assert candidate, remote
        self.server = candidate.group(1), int(candidate.group(2))
        loop = asyncio.get_running_loop()
        stream, _ = await loop.create_connection(lambda: _Frames(self), *self.server)
        self._transport = FramedTransport(stream)


class FramedTransport:
    def __init__(self, stream: asyncio.WriteTransport) -> None:
        self.stream = stream

    def sendto(self, datagram: bytes) -> None:
        self.stream.write(len(datagram).to_bytes(2, "big") + datagram)

    def close(self) -> None:
        self.stream.close()


class _Frames(asyncio.Protocol):
    def __init__(self, listener: LightListener) -> None:
        self._listener = listener
        self._unread = b""

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while len(self._unread) >= 2:
            end = 2 + int.from_bytes(self._unread[:2], "big")
            if len(self._unread) < end:
                return
            datagram, self._unread = self._unread[2:end], self._unread[end:]
            self._listener.datagram_received(datagram, self._listener.server)
