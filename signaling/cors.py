"""Pages of other origins: which may come, and what their browsers ask before they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web
from multidict import CIMultiDict

from kabina.signaling.errors import CodedError

if TYPE_CHECKING:
    from collections.abc import Mapping

ANY_ORIGIN: Final = "*"
PREFLIGHT_MAX_AGE_S: Final = 3600  # a browser asks again after that
EXPOSED: Final = "Accept-Patch, ETag, Link, Location, Retry-After"
ASKED: Final = "Authorization, Content-Type, If-Match"


class Origins:
    """One rule for the pages' WebSocket, WHIP and WHEP: the server's own origin and those named."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        self._allowed = frozenset(allowed)

    def allows(self, request: web.Request) -> bool:
        """Browsers always say where a page came from; other clients need no origin."""
        origin = request.headers.get("Origin")
        if origin is None or origin in self._allowed or ANY_ORIGIN in self._allowed:
            return True
        return origin.partition("://")[2] == request.headers.get("Host", "")

    def check(self, request: web.Request) -> None:
        """CodedError `token.forbidden` for a page of another origin."""
        if not self.allows(request):
            raise CodedError("token.forbidden", "This page does not belong to this server.")

    def preflight(
        self, request: web.Request, allow: str, accepts: Mapping[str, str]
    ) -> web.Response:
        """Answers OPTIONS; a page that may not come learns only what the resource is."""
        headers = CIMultiDict(accepts)
        headers["Allow"] = allow
        if "Origin" in request.headers and self.allows(request):
            headers["Access-Control-Allow-Methods"] = allow
            headers["Access-Control-Allow-Headers"] = ASKED
            headers["Access-Control-Max-Age"] = str(PREFLIGHT_MAX_AGE_S)
        return web.Response(status=204, headers=headers)

    def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """Lets a page that may come read the answer, refusals included."""
        origin = request.headers.get("Origin")
        response.headers.add("Vary", "Origin")
        if origin is not None and self.allows(request):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = EXPOSED
