"""One publisher to N reading DTLS-SRTP listeners at 50 packets a second each.

The forwarded rows are of the forwarding unit alone, whose packets reach listeners with the payload
they were sent with: the publisher's stamp in it tells the added delay, from the publisher's send to
the kernel's arrival at the listener. The mixed rows are of a whole server: HTTP, mixing, encoding,
fan-out; a mixed payload carries no stamp.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import aiohttp

from kabina.benchmarks.library import library
from kabina.benchmarks.load import Joiner, new_load
from kabina.benchmarks.server import demo_server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

LISTENERS = (40, 300, 1000)
FORWARDED = 200  # of one shard, as the goal has it
PPS = 50
SETTLE_S, MEASURE_S = 2.0, 10.0
BLOCK_MS, FREE_S = 200, 0.05
LOST_IN_THE_SERVER = ("sends_refused", "sends_failed", "egress_overrun")


def rows(listeners: tuple[int, ...] = LISTENERS) -> Iterator[dict[str, object]]:
    """One row per case, each on a fresh server."""
    plain = asyncio.run(forwarded(FORWARDED, MEASURE_S))
    yield plain
    yield asyncio.run(forwarded(FORWARDED, MEASURE_S, blocked=True))
    if plain["scheduling"] == "fifo" and os.geteuid() == 0:  # only then can it be taken away
        yield asyncio.run(forwarded(FORWARDED, MEASURE_S, realtime=False))
    for count in listeners:
        yield asyncio.run(_mixed(count))


async def forwarded(
    count: int, seconds: float, *, blocked: bool = False, realtime: bool = True
) -> dict[str, object]:
    """A row of the forwarding unit; `blocked`: its Python loop held 200 ms at a time."""
    timeout = aiohttp.ClientTimeout(total=60)
    async with (
        aiohttp.ClientSession(timeout=timeout) as http,
        library(http, count, realtime=realtime) as unit,
    ):
        load, cost = unit.load, unit.forwarder.cost
        assert unit.source is not None
        await unit.add_listeners(count)
        unit.publish(PPS)
        await asyncio.sleep(SETTLE_S)
        before = await unit.counters()
        load.reset()
        cpu = cost.cpu_s()
        if blocked:
            await _block_for(unit.block, seconds)
        else:
            await asyncio.sleep(seconds)
        cpu = cost.cpu_s() - cpu
        figures, sent = load.figures(), load.figures(unit.source)["sent"]
        after = await unit.counters()
        p50, p99 = load.delays_us([0.5, 0.99])
    refused = sum(after[name] - before[name] for name in LOST_IN_THE_SERVER)
    plane, egress = (
        (after[name] - before[name]) / seconds * 100 for name in ("plane_cpu_s", "egress_cpu_s")
    )
    return {
        "what": "forwarded, loop blocked" if blocked else "forwarded",
        "listeners": count,
        "seconds": seconds,
        "packets": figures["received"],
        "per_listener_s": figures["received"] / count / seconds,
        # A hole in a listener's sequence numbers, less what its own socket had no room for.
        "lost_by_server": max(figures["lost"] - figures["overflowed"], 0),
        "lost_by_reader": figures["overflowed"],
        "sends_refused": refused,
        "duplicates": figures["duplicates"],
        "publisher_sent": sent,
        "cpu_percent": cpu / seconds * 100,
        "busiest_thread": f"plane {plane:.1f} %",
        "egress_percent": egress,  # of all egress threads together
        "us_per_packet": cpu * 1e6 / max(figures["received"], 1),
        "delay_p50_ms": p50 and p50 / 1000,
        "delay_p99_ms": p99 and p99 / 1000,
        "scheduling": after["scheduling"],
    }


async def _block_for(block: Callable[[int], Awaitable[None]], seconds: float) -> None:
    """Blocks again and again, with a breath between for what the loop has to do."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        await block(BLOCK_MS)
        await asyncio.sleep(FREE_S)


async def _mixed(count: int) -> dict[str, object]:
    async with demo_server() as server, aiohttp.ClientSession() as http:
        load = new_load(count)
        try:
            joiner = Joiner(http, load)
            load.start()
            await joiner.listen_all(f"{server.url}/whep/demo/floor", server.token, count)
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
        "what": "mixed",
        "listeners": count,
        "seconds": MEASURE_S,
        "packets": figures["received"],
        "per_listener_s": figures["received"] / count / MEASURE_S,
        "lost_by_server": max(figures["lost"] - figures["overflowed"], 0),
        "lost_by_reader": figures["overflowed"],
        "duplicates": figures["duplicates"],
        "cpu_percent": cpu / MEASURE_S * 100,
        "busiest_thread": f"{busiest} {by_thread[busiest] / MEASURE_S * 100:.1f} %",
        "us_per_packet": cpu * 1e6 / max(figures["received"], 1),
    }
