"""Kabina as a product: a meeting whose floor is mixed, encoded once and sent to every listener."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from kabina.benchmarks.load import post_offer
from kabina.benchmarks.peers.forwarder import Forwarder
from kabina.benchmarks.server import Server, demo_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

    from kabina.benchmarks.light_client import LightClient


class Meeting(Forwarder):
    """`kabina serve` with one speaker: WHIP in, WHEP out."""

    sends_always = True

    def __init__(self, http: aiohttp.ClientSession, server: Server) -> None:
        super().__init__("127.0.0.1", server.cost)
        self._http, self._server = http, server

    async def published(self, client: LightClient) -> str:
        url = f"{self._server.url}/whip/{self._server.meeting}/floor"
        return await post_offer(self._http, url, client, self._server.speaker_token)

    async def listened(self, client: LightClient) -> str:
        url = f"{self._server.url}/whep/{self._server.meeting}/floor"
        return await post_offer(self._http, url, client, self._server.token)


@asynccontextmanager
async def meeting(http: aiohttp.ClientSession) -> AsyncIterator[Meeting]:
    async with demo_server(silent=True) as server:
        yield Meeting(http, server)
