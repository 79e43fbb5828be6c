"""Janus's AudioBridge: rooms whose participants speak plain RTP, the kindest to it there is.

Without WebRTC it pays for no ICE, DTLS or SRTP, and participants who only listen are muted, so it
decodes nothing of them.
"""

from __future__ import annotations

import secrets
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from kabina.benchmarks.light_client import BUFFER_BYTES
from kabina.benchmarks.peers import janus as januses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

    from kabina.benchmarks._load import Load
    from kabina.benchmarks.conditions import ProcessCost

PLUGIN: Final = "audiobridge"
# A participant is sent the mix once something came from it: one silent Opus frame of 20 ms.
_FIRST: Final = bytes.fromhex("806f0000 00000000 0b000000 f8fffe")

PREBUFFER: Final = 6
"""Its own, in packets of 20 ms."""


class AudioBridge:
    """A running Janus; `url` is that of its one handle, which makes the rooms."""

    def __init__(self, http: aiohttp.ClientSession, host: str, url: str, cost: ProcessCost) -> None:
        self.host, self.cost = host, cost
        self._http, self._url = http, url
        self._rooms = ""

    async def add_room(self, *, rate_hz: int = 48_000, prebuffer: int = PREBUFFER) -> int:
        """Its number. At 48 kHz it mixes what Kabina does; its own default is 16 kHz."""
        if not self._rooms:
            self._rooms = await januses.new_handle(self._http, self._url, PLUGIN)
        made = await self._ask(
            self._rooms,
            request="create",
            room=secrets.randbits(31),
            sampling_rate=rate_hz,
            default_prebuffering=prebuffer,
            audiolevel_ext=False,
            allow_rtp_participants=True,
            is_private=True,
        )
        return int(made["room"])

    async def end_room(self, room: int) -> None:
        """Everybody in it leaves."""
        await self._ask(self._rooms, request="destroy", room=room)

    async def join(self, load: Load, room: int, *, speaks: bool) -> int:
        """A participant with a handle of its own, as it must be; its end's number in the load."""
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        own.bind((self.host, 0))
        handle = await januses.new_handle(self._http, self._url, PLUGIN)
        host, port = own.getsockname()
        joined = await januses.ask(
            self._http,
            handle,
            request="join",
            room=room,
            muted=not speaks,
            rtp={"ip": host, "port": port, "payload_type": 111},
        )
        theirs = joined["plugindata"]["data"]["rtp"]
        own.connect((theirs["ip"], theirs["port"]))
        own.send(_FIRST)
        return load.add_plain(own.detach())

    async def _ask(self, handle: str, **body: object) -> dict[str, Any]:
        """A request that Janus answers at once. RuntimeError with its error."""
        answer = await januses.post(self._http, handle, janus="message", body=body)
        data = dict(answer.get("plugindata", {}).get("data", {}))
        if "error" in data:
            raise RuntimeError(f"Janus: {data['error']}")
        return data


@asynccontextmanager
async def audiobridge(http: aiohttp.ClientSession, host: str) -> AsyncIterator[AudioBridge]:
    """A fresh Janus with nothing but the AudioBridge. MissingError."""
    async with januses.running(http, host, PLUGIN, tuned=False) as (url, cost, _):
        yield AudioBridge(http, host, url, cost)
