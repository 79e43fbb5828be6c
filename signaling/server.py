"""Runs a node behind HTTP until told to stop."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import uvloop
from aiohttp import web

from kabina.signaling import application
from kabina.signaling.demo.meeting import DemoLink, DemoMeeting
from kabina.signaling.errors import StartError
from kabina.signaling.node import Node
from kabina.signaling.rate_limit import WaitingRoom

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kabina.signaling.config import Config

_log = logging.getLogger(__name__)

# A socket that sends no complete request header within this time is closed: aiohttp alone would
# hold it for ever (testing.md §4).
FIRST_HEADER_TIMEOUT_S: Final = 5.0
KEEPALIVE_TIMEOUT_S: Final = 15.0
SHUTDOWN_TIMEOUT_S: Final = 0.5


def run(config: Config, ready: Callable[[str, tuple[DemoLink, ...]], None]) -> None:
    """Serves until SIGTERM or SIGINT; `ready` is told the base URL. StartError if it cannot."""
    _allow_many_sockets()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, ready))


def _allow_many_sockets() -> None:
    """A page is a socket, and Debian's soft limit is 1,024: raised as far as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(config: Config, ready: Callable[[str, tuple[DemoLink, ...]], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with await Node.open(config) as node:
        demo = await DemoMeeting.open(node) if config.demo else None
        try:
            async with HttpServer(node, demo) as server:
                ready(server.url, demo.links() if demo is not None else ())
                _log.info("serving", extra={"media_port": node.unit.plane.port})
                await stop.wait()
                _log.info("stopping")
        finally:
            if demo is not None:
                await demo.close()


class HttpServer:
    """The listening sockets; also what tests start, on port 0."""

    def __init__(self, node: Node, demo: DemoMeeting | None = None) -> None:
        self._node = node
        self._app = application.build(node, demo)
        self._app.middlewares.insert(0, self._header_arrived)
        self._runner = web.AppRunner(
            self._app,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=KEEPALIVE_TIMEOUT_S,
            shutdown_timeout=SHUTDOWN_TIMEOUT_S,
        )
        self._servers: list[asyncio.Server] = []
        # Accepted, without a complete request header yet: each with its address once it has one.
        self._silent: dict[web.RequestHandler, str] = {}
        self._waiting = WaitingRoom[web.RequestHandler](
            node.config.max_waiting_per_ip, self._drop_if_silent
        )
        self.url = ""

    async def __aenter__(self) -> HttpServer:
        config = self._node.config
        await self._runner.setup()
        port = config.port
        for host in config.host:
            try:
                server = await asyncio.get_running_loop().create_server(
                    self._accept, host, port, backlog=1024
                )
            except OSError as error:
                await self._close()
                raise StartError(
                    f"the port {port}/tcp on {host} cannot be used ({error.strerror}): "
                    f"choose another with --port"
                ) from error
            self._servers.append(server)
            port = server.sockets[0].getsockname()[1]
        host = config.host[0]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        await self._runner.cleanup()

    def _accept(self) -> asyncio.BaseProtocol:
        server = self._runner.server
        assert server is not None  # noqa: S101 - set up before the socket listens
        protocol = server()
        self._silent[protocol] = ""
        loop = asyncio.get_running_loop()
        loop.call_later(FIRST_HEADER_TIMEOUT_S, self._drop_if_silent, protocol)
        # The second turn from now: in the next one it gets its transport.
        loop.call_soon(loop.call_soon, self._seat, protocol)
        return protocol

    def _seat(self, protocol: web.RequestHandler) -> None:
        if protocol in self._silent and protocol.transport is not None:
            peer = protocol.transport.get_extra_info("peername")
            self._silent[protocol] = str(peer[0]) if peer else ""
            self._waiting.enter(self._silent[protocol], protocol)

    def _header_came(self, protocol: web.RequestHandler) -> bool:
        """Whether it was still waited for."""
        address = self._silent.pop(protocol, None)
        if address is not None:
            self._waiting.leave(address, protocol)
        return address is not None

    def _drop_if_silent(self, protocol: web.RequestHandler) -> None:
        if self._header_came(protocol) and protocol.transport is not None:
            protocol.transport.abort()

    @web.middleware
    async def _header_arrived(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        self._header_came(request.protocol)
        return await handler(request)
