"""Stock aiortc: the published track through MediaRelay to a sender per listener.

aiortc decodes the track once and encodes it again for each listener: what forwarding costs with
the library as it comes, on asyncio as it comes.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from aiohttp import web
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack


class Relay:
    """The publisher comes first, as in every run of the comparison."""

    def __init__(self) -> None:
        self._relay = MediaRelay()
        self._connections: list[RTCPeerConnection] = []
        self._source: MediaStreamTrack | None = None

    async def publish(self, request: web.Request) -> web.Response:
        connection = RTCPeerConnection()
        connection.on("track", self._came)
        return await self._answer(connection, await request.text())

    async def listen(self, request: web.Request) -> web.Response:
        connection = RTCPeerConnection()
        assert self._source is not None
        # Unbuffered: who is late drops frames instead of queueing them for ever.
        connection.addTrack(self._relay.subscribe(self._source, buffered=False))
        return await self._answer(connection, await request.text())

    def _came(self, track: MediaStreamTrack) -> None:
        self._source = track

    async def _answer(self, connection: RTCPeerConnection, offer: str) -> web.Response:
        self._connections.append(connection)
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        return web.Response(
            status=201, text=connection.localDescription.sdp, content_type="application/sdp"
        )


async def main(host: str) -> None:
    relay = Relay()
    app = web.Application()
    app.add_routes([web.post("/publish", relay.publish), web.post("/listen", relay.listen)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, 0).start()
    print(f"ready: http://{host}:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
