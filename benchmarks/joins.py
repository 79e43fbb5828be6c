"""WHEP joins: how fast, and what one costs the server.

Clients run in this process on the other core, so the rate is that of both together; the cost per
join is the server's alone, its share of a core that joining took: 1 / cost is joins per core. The
paced row is what an audience does: one after another, whoever is still joining.
"""

from __future__ import annotations

import asyncio
import time

import aiohttp

from kabina.benchmarks.load import Joiner, new_load
from kabina.benchmarks.server import demo_server

JOINS, PACED_JOINS, PACE_PER_S = 300, 500, 50.0


def rows(joins: int = JOINS) -> list[dict[str, object]]:
    """One row per number of joins under way at once, and one at a pace."""
    found = [asyncio.run(_row(joins, at_once=at_once)) for at_once in (1, 8)]
    return [*found, asyncio.run(_row(PACED_JOINS, per_s=PACE_PER_S))]


async def _row(joins: int, *, at_once: int = 0, per_s: float = 0.0) -> dict[str, object]:
    async with demo_server() as server, aiohttp.ClientSession() as http:
        load = new_load(joins + 10)
        try:
            joiner = Joiner(http, load)
            url = f"{server.url}/whep/demo/floor"
            await joiner.listen_all(url, server.token, 10)  # caches warm
            joiner.durations_s.clear()
            # What it costs without us comes off below.
            idle, began = server.cost.cpu_s(), time.monotonic()
            await asyncio.sleep(2.0)
            idle_share = (server.cost.cpu_s() - idle) / (time.monotonic() - began)
            cpu, began = server.cost.cpu_s(), time.monotonic()
            if per_s:
                await joiner.listen_paced(url, server.token, joins, per_s)
            else:
                await joiner.listen_all(url, server.token, joins, at_once=at_once)
            took = time.monotonic() - began
            cpu = server.cost.cpu_s() - cpu - idle_share * took
        finally:
            load.close()
    return {
        "joins": joins,
        "arriving": f"{per_s:.0f} a second" if per_s else f"{at_once} at once",
        "joins_per_s": joins / took,
        "p50_ms": joiner.quantile_ms(0.5),
        "p95_ms": joiner.quantile_ms(0.95),
        "server_ms_per_join": cpu / joins * 1000,
        "joins_per_core_s": joins / cpu,
    }
