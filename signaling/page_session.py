"""A page's session: hello, orders and replies, until its socket ends."""

from __future__ import annotations

import asyncio
import logging
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
from kabina.signaling.outbox import CLOSE_TRY_LATER, Outbox
from kabina.signaling.rate_limit import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable

    from kabina.signaling.node import Node
    from kabina.signaling.participation import Participation

_log = logging.getLogger(__name__)

HELLO_TIMEOUT_S: Final = 5.0
MESSAGES_PER_S: Final = 20.0
MESSAGE_BURST: Final = 60
CLOSE_UNAUTHORISED: Final = 4401  # another try with this token is useless
CLOSE_REPLACED: Final = 4409  # the same page opened another socket
_FINAL: Final = ("token.", "meeting.unknown", "protocol.version")

_NOBODY_SPEAKS: Final = messages.encode(messages.SpeakingMessage(participants=[], dominant=None))

_LISTENS: Final = Permissions(receive_audio=1, receive_video=2)
_SPEAKS: Final = replace(_LISTENS, publish_audio=2, publish_video=2)
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


class PageSession:
    """A page's session from `hello` to the close of its socket."""

    def __init__(self, node: Node, socket: web.WebSocketResponse, outbox: Outbox) -> None:
        self._node = node
        self._socket = socket
        self.outbox = outbox
        self.participation: Participation | None = None
        self.media_flows = False
        self._speaking = _NOBODY_SPEAKS
        self.on_greeted: Callable[[], None] = lambda: None
        self._is_replaced = False
        self._hanging_up: asyncio.Task[None] | None = None
        self._rate = TokenBucket(rate_per_s=MESSAGES_PER_S, burst=MESSAGE_BURST)

    async def run(self) -> None:
        """Serves the socket to its end. Who said bye is gone then; others may come back."""
        writer: asyncio.Task[None] | None = None
        try:
            if not await self._greet():
                return
            self.on_greeted()
            writer = asyncio.create_task(self.outbox.write())
            await self._receive()
        finally:
            if writer is not None:
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)
            if self.participation is not None and not self._is_replaced:
                await self._node.miss(self.participation)

    def media_changed(self, state: PeerState) -> None:
        self.media_flows = state is PeerState.CONNECTED
        self.outbox.put(messages.Media(state=_MEDIA_WORDS[state]))

    def show_speaking(self, text: str) -> None:
        """An encoded `speaking`; put when it is another than what this page was told last."""
        if text != self._speaking:
            self._speaking = text
            self.outbox.put_text(text)

    def replaced(self) -> None:
        """The same page has opened another socket: nothing that still comes on this one counts."""
        self._is_replaced = True
        last = messages.Goodbye(
            code="session.replaced", message="This page has been opened a second time."
        )
        self._hanging_up = asyncio.get_running_loop().create_task(
            self.outbox.hang_up(CLOSE_REPLACED, last)
        )

    async def say_goodbye(self, code: str, text: str) -> None:
        if not self._socket.closed:
            await self.outbox.hang_up(1001, messages.Goodbye(code=code, message=text))

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
            self.participation = await self._node.join(grant, grant.meeting, self, hello.instance)
            self.media_flows = self.participation.media is PeerState.CONNECTED
        except CodedError as error:
            await self._refuse(error, reply)
            return False
        participation = self.participation
        room, who, media = participation.room, participation.participant, participation.media
        self.outbox.put(
            messages.Welcome(
                re=reply,
                version=messages.PROTOCOL_VERSION,
                participant=who,
                name=room.meeting.participants[who].name,
                role=grant.role.value,
                languages=sorted(grant.languages),
                meeting=msgspec.to_builtins(room.view()),
                resumed=participation.has_returned,
                media=None if media is None else _MEDIA_WORDS[media],
                listen=participation.listening,
                original_db=messages.level_name(participation.original_db),
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
        await self._socket.close(
            code=CLOSE_UNAUTHORISED if is_final else CLOSE_TRY_LATER, message=error.code.encode()
        )

    # What comes after

    async def _receive(self) -> None:
        async for frame in self._socket:
            if self._is_replaced:
                return
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
                    if self.participation is not None:
                        await self._node.leave(self.participation)
                    await self.outbox.hang_up(1000)
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
            case messages.OfferMessage(sdp=sdp, listen=listen, original_db=level):
                permissions = PAGE_PERMISSIONS[participation.grant.role]
                original_db = messages.level_db(level)
                answer = await participation.offer(sdp, permissions, listen, original_db)
                return messages.AnswerMessage(
                    re=message.id, sdp=answer, listen=listen, original_db=level
                )
            case messages.ListenMessage(channel=channel, original_db=level):
                participation.listen(channel, messages.level_db(level))
                return messages.Listening(re=message.id, channel=channel, original_db=level)
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


def _decoded(text: str) -> messages.ClientMessage:
    try:
        return messages.decode(text)
    except msgspec.DecodeError as error:
        raise CodedError("message.malformed", f"Not a message of this protocol: {error}.") from None


def _error(error: CodedError, reply: int | None) -> messages.ErrorMessage:
    return messages.ErrorMessage(
        re=reply, code=error.code, message=str(error), holder=error.details.get("holder")
    )
