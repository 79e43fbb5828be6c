"""WHIP (RFC 9725) and WHEP: publish and listen with one HTTP request."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from contextlib import suppress
from math import ceil
from typing import TYPE_CHECKING, Final

from aiohttp import web
from multidict import CIMultiDict

from kabina.interpretation.commands import JoinBooth, Show, TakeChannel, TakeFloor
from kabina.interpretation.ids import FLOOR, BoothId, Role
from kabina.interpretation.stage import Visual
from kabina.sfu.negotiation import Permissions
from kabina.sfu.peer_states import PeerState
from kabina.sfu.sdp_limits import MAX_BYTES
from kabina.signaling.errors import CodedError
from kabina.signaling.rate_limit import RateCaps

if TYPE_CHECKING:
    from kabina.signaling.node import Node
    from kabina.signaling.participation import Participation
    from kabina.signaling.tokens import Grant

_log = logging.getLogger(__name__)

BODY_TIMEOUT_S: Final = 10.0
SDP_TYPE: Final = "application/sdp"
_SPEAK: Final = Permissions(publish_audio=1, publish_video=1)
_INTERPRET: Final = Permissions(publish_audio=1)
_RECEIVE: Final = Permissions(receive_audio=1, receive_video=2)


class HttpSessions:
    """The WHIP and WHEP resources of a node, ended by DELETE or by silence."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._sessions: dict[str, _HttpSession] = {}
        publishing, receiving = node.config.whip_posts_per_s, node.config.whep_posts_per_s
        self._publish_caps = RateCaps(rate_per_s=publishing, burst=10 * publishing)
        self._receive_caps = RateCaps(rate_per_s=receiving, burst=10 * receiving)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/whip/{meeting}/{channel}", self._publish),
            web.post("/whep/{meeting}/{channel}", self._receive),
            web.delete("/{kind:whip|whep}/{meeting}/{channel}/{session}", self._delete),
            web.patch("/{kind:whip|whep}/{meeting}/{channel}/{session}", self._patch),
        ]

    async def _publish(self, request: web.Request) -> web.Response:
        channel = request.match_info["channel"]
        permissions = _SPEAK if channel == FLOOR else _INTERPRET
        return await self._create(request, permissions, on_air=channel)

    async def _receive(self, request: web.Request) -> web.Response:
        channel = request.match_info["channel"]
        return await self._create(request, _RECEIVE, listen=channel)

    async def _create(
        self,
        request: web.Request,
        permissions: Permissions,
        *,
        on_air: str | None = None,
        listen: str | None = None,
    ) -> web.Response:
        grant = self._grant(request)
        self._take_turn(self._receive_caps if on_air is None else self._publish_caps, grant)
        session = _HttpSession(self)
        sdp = await _read_sdp(request)
        participation = await self._node.join(grant, request.match_info["meeting"], session)
        try:
            # The right to the channel comes first: who may not publish learns that, not how their
            # SDP is.
            if on_air is not None:
                _go_on_air(participation, on_air)
                session.on_air = on_air
            answer = await participation.offer(sdp, permissions, listen)
            if participation.sends_pictures:
                participation.room.execute(Show(participation.participant, Visual.CAMERA, on=True))
        except BaseException:
            await self._node.leave(participation)
            raise
        session.participation = participation
        session.grant = grant
        self._sessions[session.id] = session
        headers = CIMultiDict(
            {
                "Location": f"{request.path}/{session.id}",
                "ETag": f'"{hashlib.sha256(answer.encode()).hexdigest()[:16]}"',
                "Access-Control-Expose-Headers": "Location, ETag, Link",
            }
        )
        for server in self._node.ice_servers(participation.participant):
            for link in server.links:
                headers.add("Link", link)
        return web.Response(status=201, text=answer, content_type=SDP_TYPE, headers=headers)

    @staticmethod
    def _take_turn(caps: RateCaps, grant: Grant) -> None:
        """Counted by token: who shares an address with others does not pay for them."""
        wait_s = caps.wait_s(grant.subject, asyncio.get_running_loop().time())
        if wait_s:
            raise CodedError(
                "message.rate",
                "Too many sessions in too short a time.",
                retry_after_s=str(ceil(wait_s)),
            )

    async def _delete(self, request: web.Request) -> web.Response:
        session = self._session(request)
        await self.end(session)
        return web.Response(status=200)

    async def _patch(self, request: web.Request) -> web.Response:
        self._session(request)
        # ICE-lite answers are complete and the client's candidates are not used: nothing to
        # trickle.
        raise CodedError(
            "method.not_allowed", "There is nothing to trickle: the answer holds every candidate."
        )

    def _session(self, request: web.Request) -> _HttpSession:
        grant = self._grant(request)
        session = self._sessions.get(request.match_info["session"])
        if session is None or session.grant != grant:
            raise CodedError("session.unknown", "There is no such session.")
        return session

    async def end(self, session: _HttpSession) -> None:
        self._sessions.pop(session.id, None)
        if session.participation is not None:
            await self._node.leave(session.participation)

    def _grant(self, request: web.Request) -> Grant:
        return self._node.issuer.check(bearer_token(request))


class _HttpSession:
    """One resource; follows its peer's end."""

    def __init__(self, sessions: HttpSessions) -> None:
        self.id = secrets.token_urlsafe(12)
        self.participation: Participation | None = None
        self.grant: Grant | None = None
        self.on_air = ""  # the channel it publishes to
        self._sessions = sessions
        self._ending: asyncio.Task[None] | None = None

    def media_changed(self, state: PeerState) -> None:
        if state is PeerState.CLOSED and self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._sessions.end(self))
        elif state is PeerState.CONNECTED and self.on_air and self.participation is not None:
            # Taken off the air while nothing came, it goes on where it was if nobody took over.
            with suppress(CodedError):
                _go_on_air(self.participation, self.on_air)

    def replaced(self) -> None:
        """A resource is one session: nobody comes back to it."""


def bearer_token(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise CodedError("token.missing", "Send the token as 'Authorization: Bearer …'.")
    return token.strip()


async def _read_sdp(request: web.Request) -> str:
    if request.content_type != SDP_TYPE:
        raise CodedError("media_type.unsupported", f"Send the offer as {SDP_TYPE}.")
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            body = await request.content.read(MAX_BYTES + 1)
            while len(body) <= MAX_BYTES and not request.content.at_eof():
                body += await request.content.read(MAX_BYTES + 1 - len(body))
    except TimeoutError:
        raise CodedError("message.malformed", "The offer did not arrive in time.") from None
    if len(body) > MAX_BYTES:
        raise CodedError("sdp.too_large", f"The offer is over {MAX_BYTES} bytes.")
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise CodedError("sdp.malformed", "The offer is not UTF-8.") from None


def _go_on_air(participation: Participation, channel: str) -> None:
    """Floor for speakers, the booth's channel for interpreters; CodedError if refused."""
    room, who = participation.room, participation.participant
    if channel == FLOOR:
        room.execute(TakeFloor(who, room.meeting.floor_language))
    elif participation.grant.role is not Role.INTERPRETER:
        raise CodedError("token.forbidden", "Only interpreters publish to a language channel.")
    else:
        room.execute(JoinBooth(who, BoothId(channel)))
        room.execute(TakeChannel(who))
