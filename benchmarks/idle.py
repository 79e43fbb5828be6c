"""What one more listener costs when there is nothing to send.

The first row is the idle listener of the goal: a slot without a source at the forwarding unit,
checks and all. The second joins a meeting where nobody speaks: a channel without a voice still
carries 50 packets of mixed silence a second, and `packets_each_s` shows them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp

from kabina.benchmarks.library import library
from kabina.benchmarks.load import Joiner, new_load
from kabina.benchmarks.server import demo_server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kabina.benchmarks._load import Load
    from kabina.benchmarks.conditions import ProcessCost

LISTENERS, FIRST, MEASURE_S = 1000, 50, 10.0
SETTLE_S = 12.0  # garbage of the joins is collected, handshakes are over


def rows(listeners: int = LISTENERS) -> list[dict[str, object]]:
    """One row per server."""
    return [asyncio.run(_without_source(listeners)), asyncio.run(_silent_meeting(listeners))]


async def _without_source(count: int) -> dict[str, object]:
    timeout = aiohttp.ClientTimeout(total=60)
    async with (
        aiohttp.ClientSession(timeout=timeout) as http,
        library(http, count + FIRST, source=False) as unit,
    ):
        row = await _grown(count, unit.load, unit.forwarder.cost, unit.add_listeners)
    return {"what": "slot without a source", **row}


async def _silent_meeting(count: int) -> dict[str, object]:
    async with demo_server(silent=True) as server, aiohttp.ClientSession() as http:
        load = new_load(count + FIRST)
        joiner = Joiner(http, load)
        url = f"{server.url}/whep/{server.meeting}/floor"

        async def add(number: int) -> None:
            await joiner.listen_all(url, server.token, number)

        try:
            row = await _grown(count, load, server.cost, add)
        finally:
            load.close()
    return {"what": "meeting without a voice", **row}


async def _grown(
    count: int, load: Load, cost: ProcessCost, add: Callable[[int], Awaitable[None]]
) -> dict[str, object]:
    """What `count` more listeners add to a server that has the first few."""
    load.start()
    await add(FIRST)  # pools and caches are made
    await asyncio.sleep(1.0)
    memory, cpu = cost.memory_bytes(), cost.cpu_s()
    await asyncio.sleep(MEASURE_S)
    base_cpu = cost.cpu_s() - cpu
    await add(count)
    await asyncio.sleep(SETTLE_S)
    grown = cost.memory_bytes() - memory
    load.reset()
    cpu = cost.cpu_s()
    await asyncio.sleep(MEASURE_S)
    cpu = cost.cpu_s() - cpu - base_cpu
    return {
        "listeners": count,
        "cpu_us_per_s_each": cpu * 1e6 / MEASURE_S / count,
        "memory_kB_each": grown / count / 1000,
        "packets_each_s": load.figures()["received"] / count / MEASURE_S,
    }
