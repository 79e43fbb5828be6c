"""Joins real WHEP listeners, in Python, and hands their sockets to the load thread, in C."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from yarl import URL

from kabina.benchmarks import _load
from kabina.benchmarks.light_client import LightClient, candidate_of, through
from kabina.native.libraries import load_srtp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import aiohttp

__all__ = ["Joiner", "candidate_of", "join", "new_load", "through"]


@dataclass
class Joiner:
    """Joins over HTTP and hands each end to the load; `durations_s` are POST to keys."""

    http: aiohttp.ClientSession
    load: _load.Load
    durations_s: list[float] = field(default_factory=list)

    async def listen(self, url: str, token: str, *, stamped: bool = False) -> int:
        """A WHIP or WHEP client; its number in the load. RuntimeError if it cannot join."""
        began = time.monotonic()

        async def exchange(client: LightClient) -> str:
            return await post_offer(self.http, url, client, token)

        client = LightClient(sends="/whip/" in url)
        number = await join(self.load, client, exchange, stamped=stamped)
        self.durations_s.append(time.monotonic() - began)
        return number

    async def listen_all(
        self, url: str, token: str, count: int, *, at_once: int = 8, stamped: bool = False
    ) -> Sequence[int]:
        """`count` listeners, at most `at_once` of them under way."""
        gate = asyncio.Semaphore(at_once)

        async def one() -> int:
            async with gate:
                return await self.listen(url, token, stamped=stamped)

        return await asyncio.gather(*(one() for _ in range(count)))

    async def listen_paced(self, url: str, token: str, count: int, per_s: float) -> float:
        """`count` listeners that come at an even pace, whoever is still joining; seconds taken."""
        began = time.monotonic()
        tasks = []
        async with asyncio.TaskGroup() as group:
            for i in range(count):
                await asyncio.sleep(began + i / per_s - time.monotonic())
                tasks.append(group.create_task(self.listen(url, token)))
        return time.monotonic() - began

    def quantile_ms(self, share: float) -> float:
        return statistics.quantiles(self.durations_s, n=100)[round(share * 100) - 1] * 1000


async def post_offer(
    http: aiohttp.ClientSession, url: str, client: LightClient, token: str = ""
) -> str:
    """The answer to the client's offer. RuntimeError with what was said instead."""
    answer, _ = await post_offer_at(http, url, client, token)
    return answer


async def post_offer_at(
    http: aiohttp.ClientSession, url: str, client: LightClient, token: str = ""
) -> tuple[str, str]:
    """The answer and the URL of what was made. RuntimeError with what was said instead."""
    headers = {"Content-Type": "application/sdp"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    async with http.post(url, data=client.offer(), headers=headers) as response:
        answer = await response.text()
        if response.status != 201:
            raise RuntimeError(f"{url}: {response.status} {answer}")
        location = response.headers.get("Location", "")
    return answer, str(URL(url).join(URL(location)))


async def join(
    load: _load.Load,
    client: LightClient,
    exchange: Callable[[LightClient], Awaitable[str]],
    *,
    stamped: bool = False,
) -> int:
    """Connects to whoever `exchange` has a description of; the number of the end in the load."""
    try:
        keys = await client.connect(await exchange(client))
    except BaseException:
        client.close()
        raise
    return load.add(
        client.release(),
        int(keys.profile),
        keys.transmit,
        keys.receive,
        client.check,
        stamped=stamped,
    )


def new_load(capacity: int, *, read_every_ms: int = 0) -> _load.Load:
    """A load with room for `capacity` ends. LibraryError without libsrtp.

    With `read_every_ms` sockets are read at that pace instead of being waited for, so that a sender
    on this machine does not pay for waking us.
    """
    return _load.Load(load_srtp().handle, capacity, read_every_ms * 1_000_000)
