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
from kabina.interpretation.hearing import NORMAL_DB
from kabina.interpretation.ids import FLOOR, BoothId, Role
from kabina.interpretation.stage import Visual
from kabina.sfu.errors import SfuError
from kabina.sfu.ice_fragment import read_fragment
from kabina.sfu.negotiation import Permissions
from kabina.sfu.peer_states import PeerState
from kabina.sfu.sdp_limits import MAX_BYTES
from kabina.signaling import messages
from kabina.signaling.errors import CodedError
from kabina.signaling.rate_limit import RateCaps

if TYPE_CHECKING:
    from kabina.signaling.cors import Origins
    from kabina.signaling.node import Node
    from kabina.signaling.participation import Participation
    from kabina.signaling.tokens import Grant

_log = logging.getLogger(__name__)

BODY_TIMEOUT_S: Final = 10.0
SDP_TYPE: Final = "application/sdp"
FRAGMENT_TYPE: Final = "application/trickle-ice-sdpfrag"  # RFC 8840
_SPEAK: Final = Permissions(publish_audio=1, publish_video=1)
_INTERPRET: Final = Permissions(publish_audio=1)
_RECEIVE: Final = Permissions(receive_audio=1, receive_video=2)


class HttpSessions:
    """The WHIP and WHEP resources of a node, ended by DELETE or by silence."""

    def __init__(self, node: Node, origins: Origins) -> None:
        self._node = node
        self._origins = origins
        self._sessions: dict[str, _HttpSession] = {}
        publishing, receiving = node.config.whip_posts_per_s, node.config.whep_posts_per_s
        self._publish_caps = RateCaps(rate_per_s=publishing, burst=10 * publishing)
        self._receive_caps = RateCaps(rate_per_s=receiving, burst=10 * receiving)

    def routes(self) -> list[web.RouteDef]:
        endpoint = "/{kind:whip|whep}/{meeting}/{channel}"
        return [
            web.post("/whip/{meeting}/{channel}", self._publish),
            web.post("/whep/{meeting}/{channel}", self._receive),
            web.options(endpoint, self._ask_endpoint),
            web.delete(endpoint + "/{session}", self._delete),
            web.patch(endpoint + "/{session}", self._patch),
            web.options(endpoint + "/{session}", self._ask_session),
        ]

    async def _ask_endpoint(self, request: web.Request) -> web.Response:
        return self._origins.preflight(request, "OPTIONS, POST", {"Accept-Post": SDP_TYPE})

    async def _ask_session(self, request: web.Request) -> web.Response:
        accepts = {"Accept-Patch": FRAGMENT_TYPE}
        return self._origins.preflight(request, "DELETE, OPTIONS, PATCH", accepts)

    async def _publish(self, request: web.Request) -> web.Response:
        channel = request.match_info["channel"]
        permissions = _SPEAK if channel == FLOOR else _INTERPRET
        return await self._create(request, permissions, on_air=channel)

    async def _receive(self, request: web.Request) -> web.Response:
        channel = request.match_info["channel"]
        level = messages.read_level(request.query.get("original_db", str(messages.NORMAL)))
        return await self._create(request, _RECEIVE, listen=channel, original_db=level)

    async def _create(
        self,
        request: web.Request,
        permissions: Permissions,
        *,
        on_air: str | None = None,
        listen: str | None = None,
        original_db: float = NORMAL_DB,
    ) -> web.Response:
        self._origins.check(request)
        grant = self._grant(request)
        self._take_turn(self._receive_caps if on_air is None else self._publish_caps, grant)
        session = _HttpSession(self)
        sdp = await _read_text(request, SDP_TYPE)
        if on_air is not None:
            await self._end_silent(grant, on_air)
        participation = await self._node.join(grant, request.match_info["meeting"], session)
        try:
            # The right to the channel comes first: who may not publish learns that, not how their
            # SDP is.
            if on_air is not None:
                _go_on_air(participation, on_air)
                session.on_air = on_air
            answer = await participation.offer(sdp, permissions, listen, original_db)
            if participation.sends_pictures:
                participation.room.execute(Show(participation.participant, Visual.CAMERA, on=True))
        except BaseException:
            await self._node.leave(participation)
            raise
        session.participation = participation
        session.grant = grant
        session.etag = _etag_of(answer)
        self._sessions[session.id] = session
        headers = CIMultiDict(
            {
                "Location": f"{request.path}/{session.id}",
                "ETag": session.etag,
                "Accept-Patch": FRAGMENT_TYPE,
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

    async def _end_silent(self, grant: Grant, on_air: str) -> None:
        """Who publishes again with the same token takes over from what is left of them."""
        for one in tuple(self._sessions.values()):
            left = one.participation
            is_theirs = one.grant == grant and one.on_air == on_air
            if is_theirs and left is not None and left.is_silent:
                await self.end(one)

    async def _delete(self, request: web.Request) -> web.Response:
        # Also when the token's time is over, or nobody could hang up after a long meeting.
        session = self._session(request, is_expired_good=True)
        await self.end(session)
        return web.Response(status=200)

    async def _patch(self, request: web.Request) -> web.Response:
        """Trickles, which an ICE-lite end has no use for, or restarts ICE (RFC 9725 §4.3)."""
        session = self._session(request)
        text = await _read_text(request, FRAGMENT_TYPE)
        condition = request.headers.get("If-Match")
        if condition is None:
            raise CodedError("precondition.missing", "Send the session's ETag as If-Match.")
        if condition not in ("*", session.etag):
            raise CodedError("precondition.failed", "The session has another ETag.")
        try:
            ufrag = read_fragment(text).ufrag
        except SfuError as error:
            raise CodedError(error.code, str(error)) from error
        participation = session.participation
        assert participation is not None  # noqa: S101 - before it is listed
        if condition == "*" and ufrag is not None:
            self._take_turn(self._publish_caps, participation.grant)
            answer = participation.restart_ice(ufrag)
            if answer is not None:
                session.etag = _etag_of(answer)
                return web.Response(
                    text=answer, content_type=FRAGMENT_TYPE, headers={"ETag": session.etag}
                )
        return web.Response(status=204)

    def _session(self, request: web.Request, *, is_expired_good: bool = False) -> _HttpSession:
        self._origins.check(request)
        token = bearer_token(request)
        grant = self._node.issuer.check(token, is_expired_good=is_expired_good)
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
        self.etag = ""  # of the answer with the ICE credentials that count
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


def _etag_of(answer: str) -> str:
    return f'"{hashlib.sha256(answer.encode()).hexdigest()[:16]}"'


async def _read_text(request: web.Request, media_type: str) -> str:
    if request.content_type != media_type:
        accepts = {"accept_post" if request.method == "POST" else "accept_patch": media_type}
        raise CodedError("media_type.unsupported", f"Send {media_type}.", **accepts)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            body = await request.content.read(MAX_BYTES + 1)
            while len(body) <= MAX_BYTES and not request.content.at_eof():
                body += await request.content.read(MAX_BYTES + 1 - len(body))
    except TimeoutError:
        raise CodedError("message.malformed", "The body did not arrive in time.") from None
    if len(body) > MAX_BYTES:
        raise CodedError("sdp.too_large", f"The body is over {MAX_BYTES} bytes.")
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise CodedError("sdp.malformed", "The body is not UTF-8.") from None


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
