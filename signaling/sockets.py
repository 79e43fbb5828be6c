"""The pages' WebSocket: a session per connection, a reply per message, snapshots on change."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import WSMsgType, web

from kabina.interpretation.commands import (
    Command,
    JoinBooth,
    LeaveBooth,
    ReleaseChannel,
    ReleaseFloor,
    Show,
    TakeChannel,
    TakeFloor,
)
from kabina.interpretation.ids import BoothId, ParticipantId, Role
from kabina.interpretation.stage import Visual
from kabina.sfu.negotiation import Permissions
from kabina.sfu.peer_states import PeerState
from kabina.signaling import messages
from kabina.signaling.errors import CodedError
from kabina.signaling.rate_limit import TokenBucket

if TYPE_CHECKING:
    from kabina.signaling.node import Node
    from kabina.signaling.participation import Participation
    from kabina.signaling.room import Room

_log = logging.getLogger(__name__)

HELLO_TIMEOUT_S: Final = 5.0
HEARTBEAT_S: Final = 15.0  # also keeps background pages and proxies awake
MESSAGES_PER_S: Final = 20.0
MESSAGE_BURST: Final = 60
BROADCAST_INTERVAL_S: Final = 0.1
BROADCASTS_PER_BEAT: Final = 40
# A reader this far behind is closed and comes back to a fresh snapshot: aiohttp alone would buffer
# 4.2 MB.
MAX_QUEUED_BYTES: Final = 256 * 1024
CLOSE_UNAUTHORISED: Final = 4401  # another try with this token is useless
_FINAL: Final = ("token.", "meeting.unknown", "protocol.version")
CLOSE_TRY_LATER: Final = 1013

_LISTENS: Final = Permissions(receive_audio=1, receive_video=2)
_SPEAKS: Final = replace(_LISTENS, publish_audio=1, publish_video=2)
PAGE_PERMISSIONS: Final = {
    Role.ATTENDEE: _LISTENS,
    Role.INTERPRETER: replace(_LISTENS, publish_audio=1),
    Role.SPEAKER: _SPEAKS,
    Role.OPERATOR: _SPEAKS,
}

_MEDIA_WORDS: Final = {
    PeerState.NEW: "connecting",
    PeerState.CONNECTING: "connecting",
    PeerState.CONNECTED: "connected",
    PeerState.STALLED: "stalled",
    PeerState.CLOSED: "lost",
}


class Outbox:
    """Messages to one reader: queued here, written by one task, never awaited by whoever sends."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self._queue: deque[str] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self.overflowed = False

    def put(self, message: messages.ServerMessage) -> None:
        self.put_text(messages.encode(message))

    def put_text(self, text: str) -> None:
        """A message that was encoded once for many readers."""
        if self.overflowed:
            return
        self._bytes += len(text)
        if self._bytes > MAX_QUEUED_BYTES:
            self.overflowed = True
            self._queue.clear()
        else:
            self._queue.append(text)
        self._filled.set()

    async def write(self) -> None:
        """Runs until the reader is gone or too slow."""
        while not self._socket.closed:
            await self._filled.wait()
            self._filled.clear()
            while self._queue:
                text = self._queue.popleft()
                self._bytes -= len(text)
                await self._socket.send_str(text)
            if self.overflowed:
                await self._socket.close(code=CLOSE_TRY_LATER, message=b"too slow")


class PageSession:
    """A page's session from `hello` to the close of its socket."""

    def __init__(self, node: Node, socket: web.WebSocketResponse) -> None:
        self._node = node
        self._socket = socket
        self.outbox = Outbox(socket)
        self.participation: Participation | None = None
        self.media_flows = False
        self._rate = TokenBucket(rate_per_s=MESSAGES_PER_S, burst=MESSAGE_BURST)

    async def run(self) -> None:
        """Serves the socket to its end; nothing of the session is left behind."""
        writer: asyncio.Task[None] | None = None
        try:
            if not await self._greet():
                return
            writer = asyncio.create_task(self.outbox.write())
            await self._receive()
        finally:
            if writer is not None:
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)
            if self.participation is not None:
                await self._node.leave(self.participation)

    def media_changed(self, state: PeerState) -> None:
        self.media_flows = state is PeerState.CONNECTED
        self.outbox.put(messages.Media(state=_MEDIA_WORDS[state]))

    async def say_goodbye(self, code: str, text: str) -> None:
        if not self._socket.closed:
            goodbye = messages.encode(messages.Goodbye(code=code, message=text))
            try:
                async with asyncio.timeout(0.5):
                    await self._socket.send_str(goodbye)
                    await self._socket.close(code=1001)
            except (TimeoutError, ConnectionError):
                pass

    # The first message

    async def _greet(self) -> bool:
        try:
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                frame = await self._socket.receive()
        except TimeoutError:
            await self._refuse(CodedError("protocol.order", "No hello within 5 s."), None)
            return False
        if frame.type is not WSMsgType.TEXT:
            return False
        reply = messages.reply_id(frame.data)
        try:
            hello = _decoded(frame.data)
            if not isinstance(hello, messages.Hello):
                raise CodedError("protocol.order", "The first message must be hello.")
            if hello.version != messages.PROTOCOL_VERSION:
                raise CodedError(
                    "protocol.version", f"This server speaks version {messages.PROTOCOL_VERSION}."
                )
            grant = self._node.issuer.check(hello.token)
            self.participation = await self._node.join(grant, grant.meeting, self)
        except CodedError as error:
            await self._refuse(error, reply)
            return False
        room, who = self.participation.room, self.participation.participant
        self.outbox.put(
            messages.Welcome(
                re=reply,
                version=messages.PROTOCOL_VERSION,
                participant=who,
                name=room.meeting.participants[who].name,
                role=grant.role.value,
                languages=sorted(grant.languages),
                meeting=msgspec.to_builtins(room.view()),
                ice_servers=[
                    messages.IceServerEntry(
                        urls=list(server.urls),
                        username=server.username,
                        credential=server.credential,
                    )
                    for server in self._node.ice_servers(who)
                ],
            )
        )
        return True

    async def _refuse(self, error: CodedError, reply: int | None) -> None:
        await self._socket.send_str(messages.encode(_error(error, reply)))
        is_final = error.code.startswith(_FINAL)
        code = CLOSE_UNAUTHORISED if is_final else CLOSE_TRY_LATER
        await self._socket.close(code=code, message=error.code.encode())

    # What comes after

    async def _receive(self) -> None:
        async for frame in self._socket:
            if frame.type is not WSMsgType.TEXT:
                if frame.type is WSMsgType.BINARY:
                    self.outbox.put(
                        messages.ErrorMessage(code="message.malformed", message="Text frames only.")
                    )
                continue
            reply = messages.reply_id(frame.data)
            try:
                if not self._rate.take(asyncio.get_running_loop().time()):
                    raise CodedError("message.rate", "Too many messages.")
                message = _decoded(frame.data)
                if isinstance(message, messages.Bye):
                    await self._socket.close(code=1000)
                    return
                self.outbox.put(await self._answer(message))
            except CodedError as error:
                self.outbox.put(_error(error, reply))
            except Exception:  # noqa: BLE001 - logged; the connection lives
                _log.exception("a message could not be served")
                self.outbox.put(
                    messages.ErrorMessage(
                        re=reply, code="server.internal", message="The server failed at this."
                    )
                )

    async def _answer(self, message: messages.ClientMessage) -> messages.ServerMessage:
        participation = self.participation
        assert participation is not None  # noqa: S101 - set by _greet
        command = _command_of(message, participation.participant)
        if command is not None:
            participation.room.execute(command)
            if isinstance(command, TakeFloor | TakeChannel):
                participation.expect_voice()
            return messages.Done(re=message.id)
        match message:
            case messages.OfferMessage(sdp=sdp, listen=listen):
                permissions = PAGE_PERMISSIONS[participation.grant.role]
                answer = await participation.offer(sdp, permissions, listen)
                return messages.AnswerMessage(re=message.id, sdp=answer, listen=listen)
            case messages.ListenMessage(channel=channel):
                participation.listen(channel)
                return messages.Listening(re=message.id, channel=channel)
            case messages.ViewMessage(slots=tiles):
                participation.see(tiles)
                return messages.Done(re=message.id)
            case _:
                raise CodedError("protocol.order", "Hello was already said.")


def _command_of(message: messages.ClientMessage, who: ParticipantId) -> Command | None:
    """The messages that are orders to the meeting and nothing else."""
    match message:
        case messages.TakeFloorMessage(language=tag):
            return TakeFloor(who, tag)
        case messages.ReleaseFloorMessage():
            return ReleaseFloor(who)
        case messages.JoinBoothMessage(booth=booth):
            return JoinBooth(who, BoothId(booth))
        case messages.LeaveBoothMessage():
            return LeaveBooth(who)
        case messages.TakeChannelMessage():
            return TakeChannel(who)
        case messages.ReleaseChannelMessage():
            return ReleaseChannel(who)
        case messages.ShowMessage(what=what, on=on):
            return Show(who, Visual(what), on)
        case _:
            return None


class PageSockets:
    """The `/ws` endpoint and the sessions it serves."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._sessions: set[PageSession] = set()
        self._shown: dict[str, int] = {}  # meeting → the revision its pages were sent last
        self._occupied = asyncio.Event()
        self._turns = 0

    @property
    def count(self) -> int:
        return len(self._sessions)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        _check_origin(request, self._node.config.allowed_origins)
        # permessage-deflate stays off: 51 kB of it can inflate to 50 MiB (testing.md §4).
        socket = web.WebSocketResponse(
            max_msg_size=messages.MAX_MESSAGE_BYTES, compress=False, heartbeat=HEARTBEAT_S
        )
        await socket.prepare(request)
        session = PageSession(self._node, socket)
        self._sessions.add(session)
        self._occupied.set()
        try:
            await session.run()
        finally:
            self._sessions.discard(session)
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
        # Browsers hide the heartbeat from pages: every few seconds everybody gets a frame, and a
        # page that gets none knows that its path is dead.
        beat = self._turns % BROADCASTS_PER_BEAT == 0
        listening = [session for session in sessions if session.media_flows or beat]
        if listening:
            levels = messages.encode(room.levels())
            for session in listening:
                session.outbox.put_text(levels)

    async def close(self) -> None:
        await asyncio.gather(
            *(
                session.say_goodbye("server.closing", "The server is restarting.")
                for session in tuple(self._sessions)
            )
        )


def _check_origin(request: web.Request, allowed: tuple[str, ...]) -> None:
    """Browsers always say where a page came from; other clients need no origin."""
    origin = request.headers.get("Origin")
    if origin is None or origin in allowed:
        return
    if origin.partition("://")[2] != request.headers.get("Host", ""):
        raise CodedError("token.forbidden", "This page does not belong to this server.")


def _decoded(text: str) -> messages.ClientMessage:
    try:
        return messages.decode(text)
    except msgspec.DecodeError as error:
        raise CodedError("message.malformed", f"Not a message of this protocol: {error}.") from None


def _error(error: CodedError, reply: int | None) -> messages.ErrorMessage:
    return messages.ErrorMessage(
        re=reply, code=error.code, message=str(error), holder=error.details.get("holder")
    )
