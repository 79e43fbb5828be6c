"""What one more listener costs in a meeting where nobody speaks.

Not the idle listener of the goal: a channel without a voice still carries 50 packets of mixed
silence a second, and `packets_each_s` shows them. Only a slot without a source would be idle.
"""

from __future__ import annotations

import asyncio

import aiohttp

from kabina.benchmarks.load import Joiner, new_load
from kabina.benchmarks.server import demo_server

LISTENERS, MEASURE_S = 500, 10.0


def rows(listeners: int = LISTENERS) -> list[dict[str, object]]:
    """One row."""
    return [asyncio.run(_row(listeners))]


async def _row(count: int) -> dict[str, object]:
    async with demo_server(silent=True) as server, aiohttp.ClientSession() as http:
        load = new_load(count + 50)
        try:
            joiner = Joiner(http, load)
            url = f"{server.url}/whep/{server.meeting}/floor"
            await joiner.listen_all(url, server.token, 50)  # pools and caches are made
            await asyncio.sleep(1.0)
            memory, cpu = server.cost.memory_bytes(), server.cost.cpu_s()
            await asyncio.sleep(MEASURE_S)
            base_cpu = server.cost.cpu_s() - cpu
            await joiner.listen_all(url, server.token, count)
            load.start()
            await asyncio.sleep(2.0)
            grown = server.cost.memory_bytes() - memory
            load.reset()
            cpu = server.cost.cpu_s()
            await asyncio.sleep(MEASURE_S)
            cpu = server.cost.cpu_s() - cpu - base_cpu
            packets = load.figures()["received"]
        finally:
            load.close()
    return {
        "listeners": count,
        "cpu_us_per_s_each": cpu * 1e6 / MEASURE_S / count,
        "memory_kB_each": grown / count / 1000,
        "packets_each_s": packets / count / MEASURE_S,
    }
