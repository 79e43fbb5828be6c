"""1 Mb/s of video to N viewers: what the server spends on a packet and on a megabit."""

from __future__ import annotations

import asyncio
import re

import aiohttp

from kabina.benchmarks.load import new_load
from kabina.benchmarks.server import demo_server
from kabina.benchmarks.video_load import camera, view

VIEWERS = (10, 40, 100)
SETTLE_S, MEASURE_S = 3.0, 10.0


def rows(viewers: tuple[int, ...] = VIEWERS) -> list[dict[str, object]]:
    """One row per number of viewers, each on a fresh server."""
    return [asyncio.run(_row(count)) for count in viewers]


async def _row(count: int) -> dict[str, object]:
    load = new_load(count)
    try:
        async with (
            demo_server(silent=True) as server,
            aiohttp.ClientSession() as http,
            camera(http, f"{server.url}/whip/quiet/floor", server.speaker_token) as publisher,
        ):
            await asyncio.sleep(SETTLE_S)
            alone = server.cost.cpu_s()
            await asyncio.sleep(SETTLE_S)
            alone = (server.cost.cpu_s() - alone) / SETTLE_S
            for _ in range(count):
                await view(http, load, f"{server.url}/whep/quiet/floor", server.token)
            load.start()
            await asyncio.sleep(SETTLE_S)
            load.reset()
            cpu, sent = server.cost.cpu_s(), publisher.figures()
            totals = await _totals(http, server.url)
            await asyncio.sleep(MEASURE_S)
            figures = load.figures()
            cpu = server.cost.cpu_s() - cpu
            after = publisher.figures()
            went, grouped = (
                now - then
                for then, now in zip(totals, await _totals(http, server.url), strict=True)
            )
            delays = load.delays_us([0.5, 0.99])
    finally:
        load.close()
    megabits = figures["bytes"] * 8 / 1e6
    return {
        "viewers": count,
        "packets": figures["received"],
        "of_sent": figures["received"] / max(count * (after["packets"] - sent["packets"]), 1),
        "lost": figures["lost"],
        "overflowed": figures["overflowed"],
        "key_frames": after["key_frames"] - sent["key_frames"],
        "mbit_s": megabits / MEASURE_S,
        "cpu_percent": cpu / MEASURE_S * 100,
        "cpu_percent_without_viewers": alone * 100,
        "grouped_share": grouped / max(went, 1),
        "us_per_packet": cpu * 1e6 / max(figures["received"], 1),
        "us_per_mbit": cpu * 1e6 / max(megabits, 1e-9),
        "delay_p50_us": delays[0],
        "delay_p99_us": delays[1],
    }


async def _totals(http: aiohttp.ClientSession, url: str) -> tuple[float, float]:
    """Datagrams the server sent, and those of them that went in groups (UDP GSO)."""
    async with http.get(f"{url}/metrics") as response:
        text = await response.text()
    names = ("datagrams_sent", "datagrams_grouped")
    sent, grouped = (
        float(re.search(rf"^kabina_plane_{name}_total (\S+)$", text, re.MULTILINE)[1])  # type: ignore[index]
        for name in names
    )
    return sent, grouped
