"""A page's end of the WebSocket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import aiohttp


class SocketPage:
    """What a page does: sends with an id, waits for the reply, remembers the rest."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.pushed: list[dict[str, Any]] = []
        self._id = 0

    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        self._id += 1
        await self.socket.send_json({"type": kind, "id": self._id, **fields})
        async with asyncio.timeout(30):
            while True:
                message = await self.socket.receive_json()
                if message.get("re") == self._id:
                    return message
                self.pushed.append(message)

    async def wait_for(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(30):
            while True:
                for message in self.pushed:
                    if message["type"] == kind:
                        self.pushed.remove(message)
                        return message
                self.pushed.append(await self.socket.receive_json())
