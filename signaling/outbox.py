"""What is sent to a page: queued, written by one task, and an end that waits for nobody."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import TYPE_CHECKING, Final

from kabina.signaling import messages

if TYPE_CHECKING:
    from aiohttp import web

# A reader this far behind is closed and comes back to a fresh snapshot: aiohttp alone would buffer
# 4.2 MB (testing.md §4).
MAX_QUEUED_BYTES: Final = 256 * 1024
KERNEL_BUFFER_BYTES: Final = 64 * 1024
# A phone in a tunnel reads again within seconds; its page has given the socket up by 12 s.
SEND_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 1.0
CLOSE_TRY_LATER: Final = 1013


class Outbox:
    """Messages to one reader: put here, written by one task, never awaited by whoever sends."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self._socket = socket
        self._transport = transport
        self._queue: deque[str] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._is_too_slow = False
        self._hanging_up: asyncio.Task[None] | None = None

    def put(self, message: messages.ServerMessage) -> None:
        self.put_text(messages.encode(message))

    def put_text(self, text: str) -> None:
        """A message that was encoded once for many readers."""
        if self._is_too_slow:
            return
        self._bytes += len(text)
        if self._bytes > MAX_QUEUED_BYTES:
            self._give_up()
        else:
            self._queue.append(text)
            self._filled.set()

    async def write(self) -> None:
        """Runs until the reader is gone or too slow."""
        while not self._socket.closed and not self._is_too_slow:
            await self._filled.wait()
            self._filled.clear()
            try:
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    while self._queue:
                        text = self._queue.popleft()
                        self._bytes -= len(text)
                        await self._socket.send_str(text)
            except TimeoutError:
                self._give_up()

    def _give_up(self) -> None:
        self._is_too_slow = True
        self._queue.clear()
        self._filled.set()
        # A task of its own: the writer may be waiting for this very reader.
        self._hanging_up = asyncio.get_running_loop().create_task(self.hang_up(CLOSE_TRY_LATER))

    async def hang_up(self, code: int, last: messages.ServerMessage | None = None) -> None:
        """Says why if the reader still reads, and ends the connection in any case."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                if last is not None:
                    await self._socket.send_str(messages.encode(last))
                await self._socket.close(code=code)
        except (TimeoutError, ConnectionError):
            pass
        finally:
            self._transport.abort()


def limit_kernel_buffer(transport: asyncio.Transport) -> None:
    """What waits in the kernel is out of date when it is read: better seen here, as a queue."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER_BYTES)
