"""One mixed channel to N reading DTLS-SRTP listeners at 50 packets a second each.

The CPU is the server process's while all of it runs: HTTP idle, mixing, encoding, fan-out.
Delay is not measured here: slots have time bases of their own, so packets of one instant cannot be
told by their timestamps, and a mixed payload carries no stamp.
"""

from __future__ import annotations

import asyncio

import aiohttp

from kabina.benchmarks.load import Joiner, new_load
from kabina.benchmarks.server import demo_server

LISTENERS = (40, 300, 1000)
SETTLE_S, MEASURE_S = 2.0, 10.0


def rows(listeners: tuple[int, ...] = LISTENERS) -> list[dict[str, object]]:
    """One row per number of listeners, each on a fresh server."""
    return [asyncio.run(_row(count)) for count in listeners]


async def _row(count: int) -> dict[str, object]:
    async with demo_server() as server, aiohttp.ClientSession() as http:
        load = new_load(count)
        try:
            joiner = Joiner(http, load)
            await joiner.listen_all(f"{server.url}/whep/demo/floor", server.token, count)
            load.start()
            await asyncio.sleep(SETTLE_S)
            load.reset()
            cpu, threads = server.cost.cpu_s(), server.cost.threads_s()
            await asyncio.sleep(MEASURE_S)
            figures = load.figures()
            cpu = server.cost.cpu_s() - cpu
            after = server.cost.threads_s()
        finally:
            load.close()
    by_thread = {name: after[name] - threads.get(name, 0.0) for name in after}
    busiest = max(by_thread, key=lambda name: by_thread[name])
    return {
        "listeners": count,
        "packets": figures["received"],
        "per_listener_s": figures["received"] / count / MEASURE_S,
        "lost": figures["lost"],
        "duplicates": figures["duplicates"],
        "refused": figures["failures"],
        "cpu_percent": cpu / MEASURE_S * 100,
        "busiest_thread": f"{busiest} {by_thread[busiest] / MEASURE_S * 100:.1f} %",
        "us_per_packet": cpu * 1e6 / max(figures["received"], 1),
    }
