"""The forwarding unit as a process of its own, without meetings or mixing."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from kabina.benchmarks.load import new_load
from kabina.benchmarks.peers.forwarder import HttpForwarder, python, started
from kabina.benchmarks.peers.measure import more_descriptors, publish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

    from kabina.benchmarks._load import Load

HOST: Final = "127.0.0.1"
AT_ONCE: Final = 8
WITHOUT_REALTIME: Final = ("setpriv", "--inh-caps", "-sys_nice", "--bounding-set", "-sys_nice")


@dataclass(frozen=True, slots=True)
class Library:
    """A running forwarder, the running load of its clients, the number of the publisher in it."""

    forwarder: HttpForwarder
    load: Load
    source: int | None

    async def add_listeners(self, count: int) -> None:
        """RuntimeError or TimeoutError if one cannot join."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one() -> None:
            async with gate:
                await self.forwarder.add_listener(self.load)

        await asyncio.gather(*(one() for _ in range(count)))

    def publish(self, pps: int) -> None:
        """Starts the publisher; its packets are stamped."""
        assert self.source is not None
        self.load.stop()
        publish(self.load, self.source, pps)
        self.load.start()

    async def counters(self) -> dict[str, Any]:
        """The plane's, with `scheduling` and `plane_cpu_s`."""
        async with self.forwarder.http.get(f"{self.forwarder.url}/counters") as response:
            return cast("dict[str, Any]", await response.json())

    async def block(self, ms: int) -> None:
        """Holds the server's Python loop."""
        async with self.forwarder.http.post(f"{self.forwarder.url}/block", params={"ms": ms}):
            pass


@asynccontextmanager
async def library(
    http: aiohttp.ClientSession, capacity: int, *, source: bool = True, realtime: bool = True
) -> AsyncIterator[Library]:
    """A fresh process with room for listeners, and a publisher that has joined and is silent.

    Without `realtime` it may not have the real-time priority that its media thread asks for.
    """
    more_descriptors()
    load = new_load(capacity + 1)
    command = [*([] if realtime else WITHOUT_REALTIME), *python("kabina_forwarder", HOST)]
    try:
        async with started(http, HOST, command) as forwarder:
            load.start()  # from now on those who joined go on checking
            yield Library(forwarder, load, await forwarder.add_source(load) if source else None)
    finally:
        load.close()
