"""A server process with one meeting, and clients that end with the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
import pytest

from kabina_sim.light_client import LightListener
from kabina_sim.stock_clients import HttpPeer, Listener, Publisher, ToneTrack

if TYPE_CHECKING:
    from kabina_sim.server_process import ServerProcess


@dataclass
class Meeting:
    """The meeting `m` (floor en, booths fr and sq) and ways to take part in it."""

    server: ServerProcess
    http: aiohttp.ClientSession
    peers: list[HttpPeer | LightListener]

    def url(self, path: str) -> str:
        return f"{self.server.url}{path}"

    async def publish(self, channel: str, frequency_hz: float, token: str = "") -> Publisher:
        token = token or (
            self.server.token("m", "speaker")
            if channel == "floor"
            else self.server.token("m", "interpreter", channel)
        )
        publisher = Publisher(self.http, self.url(f"/whip/m/{channel}"), token)
        self.peers.append(publisher)
        return await publisher.start(ToneTrack(frequency_hz))

    async def listen(self, channel: str, token: str = "") -> Listener:
        token = token or self.server.token("m", "attendee")
        listener = Listener(self.http, self.url(f"/whep/m/{channel}"), token)
        self.peers.append(listener)
        return await listener.start()

    async def listen_lightly(self, channel: str, token: str) -> LightListener:
        listener = LightListener(self.http, self.url(f"/whep/m/{channel}"), token)
        await listener.start()
        self.peers.append(listener)
        return listener

    async def view(self) -> dict:
        async with self.http.get(self.url("/api/meetings/m")) as response:
            assert response.status == 200
            return await response.json()


@pytest.fixture
async def meeting(start_server: Callable[..., ServerProcess]) -> AsyncIterator[Meeting]:
    server = start_server()
    server.kabina("meeting", "create", "m", "--floor", "en", "--languages", "fr,sq")
    async with aiohttp.ClientSession() as http:
        meeting = Meeting(server, http, [])
        yield meeting
        for peer in meeting.peers:
            closing = peer.close()
            if closing is not None:
                await closing
    log = server.log.read_text()
    assert "Traceback" not in log, log
