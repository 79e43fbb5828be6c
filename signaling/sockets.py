"""The pages' WebSocket: a session per connection, a reply per message, snapshots on change."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import web

from kabina.signaling import messages
from kabina.signaling.cors import Origins
from kabina.signaling.outbox import CLOSE_TIMEOUT_S, Outbox, limit_kernel_buffer
from kabina.signaling.page_session import PageSession
from kabina.signaling.rate_limit import WaitingRoom

if TYPE_CHECKING:
    from kabina.signaling.node import Node
    from kabina.signaling.room import Room

_log = logging.getLogger(__name__)

HEARTBEAT_S: Final = 15.0  # also keeps background pages and proxies awake
BROADCAST_INTERVAL_S: Final = 0.1
BROADCASTS_PER_BEAT: Final = 40


class PageSockets:
    """The `/ws` endpoint and the sessions it serves."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._origins = Origins(node.config.allowed_origins)
        self._sessions: set[PageSession] = set()
        self._shown: dict[str, int] = {}  # meeting → the revision its pages were sent last
        self._occupied = asyncio.Event()
        self._turns = 0
        # Sockets that have not said hello.
        self._waiting = WaitingRoom[asyncio.Transport](
            node.config.max_waiting_per_ip, lambda transport: transport.abort()
        )

    @property
    def count(self) -> int:
        return len(self._sessions)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        self._origins.check(request)
        # permessage-deflate stays off: 51 kB of it can inflate to 50 MiB (testing.md §4).
        socket = web.WebSocketResponse(
            max_msg_size=messages.MAX_MESSAGE_BYTES, compress=False, heartbeat=HEARTBEAT_S
        )
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("gone before it was answered")
        limit_kernel_buffer(transport)
        await socket.prepare(request)
        session = PageSession(self._node, socket, Outbox(socket, transport))
        address = client_address(request)
        self._waiting.enter(address, transport)
        session.on_greeted = lambda: self._waiting.leave(address, transport)
        self._sessions.add(session)
        self._occupied.set()
        try:
            await session.run()
        finally:
            self._sessions.discard(session)
            self._waiting.leave(address, transport)
            # A reader that does not read would keep the descriptor until the kernel gives up.
            asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, transport.abort)
        return socket

    async def broadcast(self) -> None:
        """Snapshots and levels to all pages, encoded once per meeting; runs until cancelled."""
        while True:
            await self._occupied.wait()
            await asyncio.sleep(BROADCAST_INTERVAL_S)
            self._turns += 1
            by_room: dict[Room, list[PageSession]] = {}
            for session in self._sessions:
                if session.participation is not None:
                    by_room.setdefault(session.participation.room, []).append(session)
            for room, sessions in by_room.items():
                try:
                    self._show(room, sessions)
                except Exception:  # noqa: BLE001 - logged; one meeting's fault is not all pages'
                    _log.exception("a meeting could not be shown", extra={"meeting": room.id})
            if not self._sessions:
                self._shown.clear()
                self._occupied.clear()

    def _show(self, room: Room, sessions: list[PageSession]) -> None:
        if self._shown.get(room.id) != room.meeting.revision:
            self._shown[room.id] = room.meeting.revision
            snapshot = messages.encode(
                messages.MeetingMessage(meeting=msgspec.to_builtins(room.view()))
            )
            for session in sessions:
                session.outbox.put_text(snapshot)
        speaking = room.speaking()
        spoken = messages.encode(
            messages.SpeakingMessage(
                participants=list(speaking.talkers), dominant=speaking.dominant
            )
        )
        for session in sessions:
            session.show_speaking(spoken)
        # Browsers hide the heartbeat from pages: every few seconds everybody gets a frame, and a
        # page that gets none knows that its path is dead.
        beat = self._turns % BROADCASTS_PER_BEAT == 0
        listening = [session for session in sessions if session.media_flows or beat]
        if listening:
            levels = messages.encode(room.sound.levels())
            for session in listening:
                session.outbox.put_text(levels)

    async def close(self) -> None:
        await asyncio.gather(
            *(
                session.say_goodbye("server.closing", "The server is restarting.")
                for session in tuple(self._sessions)
            )
        )


def client_address(request: web.Request) -> str:
    """Where a request comes from, also through a proxy on this machine."""
    remote = request.remote or ""
    if is_loopback(remote):
        # The last is the proxy's word; what stands before it is the client's.
        return request.headers.get("X-Forwarded-For", remote).rpartition(",")[2].strip()
    return remote


def is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
