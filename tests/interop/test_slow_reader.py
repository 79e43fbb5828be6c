"""A page that opens a socket and does not read."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from kabina_sim.socket_page import SocketPage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kabina_sim.meeting import Meeting

pytestmark = pytest.mark.alone


def text_frame(message: dict) -> bytes:
    """RFC 6455 §5.2, masked with zeros."""
    body = json.dumps(message).encode()
    return b"\x81" + struct.pack("!BH", 0x80 | 126, len(body)) + bytes(4) + body


class DeafPage:
    """A socket with the smallest receive buffer, which has said hello and reads nothing."""

    def __init__(self, port: int, token: str) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(5)
        self.socket.connect(("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        self.socket.sendall(text_frame({"type": "hello", "id": 1, "version": 1, "token": token}))

    def talk(self) -> None:
        """A pong that nobody asked for: whoever sends is no sleeper, the heartbeat says."""
        with suppress(OSError):
            self.socket.sendall(b"\x8a\x80" + bytes(4))


@pytest.fixture
def dial(meeting: Meeting) -> Iterator[Callable[[str], DeafPage]]:
    pages: list[DeafPage] = []

    def open_one(token: str) -> DeafPage:
        pages.append(DeafPage(meeting.server.port, token))
        return pages[-1]

    yield open_one
    for page in pages:
        page.socket.close()


def descriptors(meeting: Meeting) -> int:
    return len(list(Path(f"/proc/{meeting.server.process.pid}/fd").iterdir()))


async def test_pages_that_do_not_read_lose_their_descriptors_and_delay_nobody(
    meeting: Meeting, dial: Callable[[str], DeafPage]
):
    # A view of 30 channels is 6 kB: ten a second fill what the kernel takes within seconds.
    tags = ",".join(f"x-{a}{b}" for a in "abcdef" for b in "abcde")
    meeting.server.kabina("meeting", "create", "big", "--floor", "en", "--languages", tags)
    token = meeting.server.token("big", "attendee")
    loop = asyncio.get_running_loop()
    asked_s = []
    async with meeting.http.ws_connect(meeting.url("/ws")) as opened:
        other = SocketPage(opened)
        await other.ask("hello", version=1, token=token)
        before = descriptors(meeting)
        deaf = [dial(token) for _ in range(20)]
        async with asyncio.timeout(30):
            while meeting.server.metric("kabina_page_connections") < 21:
                await asyncio.sleep(0.05)
        started_s = loop.time()
        async with asyncio.timeout(120):
            for channel in itertools.cycle(("en", "floor")):
                asked = loop.time()
                assert (await other.ask("listen", channel=channel))["type"] == "listening"
                asked_s.append(loop.time() - asked)
                other.pushed.clear()
                for page in deaf:
                    page.talk()
                if descriptors(meeting) <= before:
                    break
                await asyncio.sleep(0.1)
        took_s = loop.time() - started_s
    p50_ms, p99_ms = 1000 * np.percentile(asked_s, (50, 99))
    print(f"20 descriptors free after {took_s:.1f} s, p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms")
    # A server that waited for one of them would answer nobody; a busy machine has its moments.
    assert p50_ms <= 100


async def test_a_page_that_sleeps_is_missed_by_the_heartbeat_and_its_descriptor_is_free(
    meeting: Meeting, dial: Callable[[str], DeafPage]
):
    before = descriptors(meeting)
    dial(meeting.server.token("m", "attendee"))
    async with asyncio.timeout(30):
        while not meeting.server.metric("kabina_page_connections"):
            await asyncio.sleep(0.05)
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    # 15 s to the ping, 7.5 s for the answer that does not come, 1 s to close.
    async with asyncio.timeout(100):
        while descriptors(meeting) > before:
            await asyncio.sleep(0.1)
    print(f"the descriptor was free after {loop.time() - started_s:.1f} s")
