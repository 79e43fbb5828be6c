"""The aiohttp application: routes, one place where errors become answers, security headers."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import web

from kabina.signaling.cors import Origins
from kabina.signaling.errors import STATUS, CodedError
from kabina.signaling.metrics import render_metrics
from kabina.signaling.node import version
from kabina.signaling.pages import Pages
from kabina.signaling.sockets import PageSockets, is_loopback
from kabina.signaling.statistics import may_read, read_statistics
from kabina.signaling.whip import HttpSessions, bearer_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from kabina.signaling.demo.meeting import DemoMeeting
    from kabina.signaling.node import Node

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)

_SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'self'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


# Details of a refusal that HTTP has a header for.
_TOLD_IN_HEADERS: Final = {
    "retry_after_s": "Retry-After",
    "accept_post": "Accept-Post",
    "accept_patch": "Accept-Patch",
}


def build(node: Node, demo: DemoMeeting | None = None) -> web.Application:
    """The application of an open node; the front page lists the links of `demo`."""
    app = web.Application(middlewares=[_answer_errors], client_max_size=128 * 1024)
    sockets = PageSockets(node)
    origins = Origins(node.config.allowed_origins)
    api = _Api(node, sockets, demo)
    app.add_routes(
        [
            web.get("/api/health", api.health),
            web.get("/api/meetings/{meeting}", api.meeting),
            web.get("/api/meetings/{meeting}/statistics", api.statistics),
            web.get("/api/demo", api.demo),
            web.get("/metrics", api.metrics),
            web.get("/ws", sockets.serve),
            *HttpSessions(node, origins).routes(),
            *Pages().routes(),
        ]
    )

    async def broadcasting(_app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(sockets.broadcast())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def say_goodbye(_app: web.Application) -> None:
        await sockets.close()

    async def let_pages_read(request: web.Request, response: web.StreamResponse) -> None:
        if request.path.startswith(("/whip/", "/whep/")):
            origins.mark(request, response)

    app.cleanup_ctx.append(broadcasting)
    app.on_shutdown.append(say_goodbye)
    app.on_response_prepare.append(_add_headers)
    app.on_response_prepare.append(let_pages_read)
    return app


class _Api:
    def __init__(self, node: Node, sockets: PageSockets, demo: DemoMeeting | None) -> None:
        self._node = node
        self._sockets = sockets
        self._demo = demo
        self._started_s = time.monotonic()

    async def health(self, _request: web.Request) -> web.Response:
        libraries = {
            name: {"version": library.version, "source": library.source}
            for name, library in self._node.libraries.items()
        }
        return web.json_response(
            {
                "status": "ok",
                "version": version(),
                "uptime_s": round(time.monotonic() - self._started_s, 1),
                "libraries": libraries,
            }
        )

    async def meeting(self, request: web.Request) -> web.Response:
        meeting = request.match_info["meeting"]
        view = await self._node.view(meeting)
        if "Authorization" not in request.headers:
            view = view.anonymous()
        elif self._node.issuer.check(bearer_token(request)).meeting != meeting:
            raise CodedError("token.forbidden", "This token is for another meeting.")
        return web.json_response(msgspec.to_builtins(view))

    async def statistics(self, request: web.Request) -> web.Response:
        meeting = request.match_info["meeting"]
        may_read(self._node.issuer.check(bearer_token(request)), meeting)
        read = await read_statistics(self._node, meeting)
        return web.Response(body=msgspec.json.encode(read), content_type="application/json")

    async def demo(self, _request: web.Request) -> web.Response:
        if self._demo is None:
            raise CodedError("meeting.unknown", "This server does not run the demo.")
        links = self._demo.links()
        listed = [{"page": link.page, "label": link.label, "url": link.path} for link in links]
        return web.json_response({"meeting": links[0].meeting, "links": listed})

    async def metrics(self, request: web.Request) -> web.Response:
        if not _is_local(request):
            raise CodedError("token.forbidden", "Metrics are only for this machine.")
        body, content_type = render_metrics(self._node, pages=self._sockets.count)
        return web.Response(body=body, headers={"Content-Type": content_type})


def _is_local(request: web.Request) -> bool:
    """From this machine, and not on behalf of somebody behind a proxy."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    return is_loopback(request.remote or "")


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except CodedError as error:
        return _error(error.code, str(error), error.details)
    except web.HTTPNotFound:
        return _error("page.unknown", "There is nothing here.", {})
    except web.HTTPMethodNotAllowed as error:
        response = _error("method.not_allowed", "Not this way: see docs/protocol.md.", {})
        response.headers["Allow"] = error.headers["Allow"]
        return response
    except web.HTTPException:
        raise
    except Exception:  # noqa: BLE001 - the one place where a fault becomes an answer
        _log.exception("a request could not be served")
        return _error("server.internal", "The server failed at this.", {})


def _error(code: str, message: str, details: dict[str, str]) -> web.Response:
    response = web.json_response({"code": code, "message": message, **details}, status=STATUS[code])
    if STATUS[code] == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    for detail, header in _TOLD_IN_HEADERS.items():
        if detail in details:
            response.headers[header] = details[detail]
    return response


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
