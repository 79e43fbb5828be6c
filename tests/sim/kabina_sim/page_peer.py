"""What a meeting page is to the server: a socket, and media of a stock client, heard and recorded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiortc import RTCSessionDescription

from kabina_sim.socket_page import SocketPage
from kabina_sim.stock_clients import Listener, ToneTrack

if TYPE_CHECKING:
    from kabina_sim.meeting import Meeting


class PagePeer(Listener):
    """Listens to `channel` and, with a tone, has a microphone. Ends with the test."""

    def __init__(self, meeting: Meeting, token: str, channel: str, tone_hz: float | None) -> None:
        super().__init__(meeting.http, meeting.url("/ws"), token)
        self._token = token
        self._channel = channel
        self._tone_hz = tone_hz

    async def _negotiate(self) -> None:
        self._socket = await self._http.ws_connect(self._url)
        self.page = SocketPage(self._socket)
        await self.ask("hello", version=1, token=self._token)
        if self._tone_hz is not None:
            self.pc.addTransceiver(ToneTrack(self._tone_hz), direction="sendonly")
        await self.pc.setLocalDescription(await self.pc.createOffer())
        reply = await self.ask("offer", sdp=self.pc.localDescription.sdp, listen=self._channel)
        await self.pc.setRemoteDescription(RTCSessionDescription(reply["sdp"], "answer"))
        async with asyncio.timeout(15):
            await self.connected.wait()

    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The reply, which is not a refusal."""
        reply = await self.page.ask(kind, **fields)
        assert reply["type"] != "error", reply
        return reply

    async def close(self) -> None:
        await super().close()
        # At once: aiohttp warns of what is dropped open, in whichever test runs meanwhile.
        self._socket._response.close()
