"""A viewer whose path narrows to 300 kb/s and widens again, in a real browser."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from kabina.benchmarks.relay import CLEAR, Impairment

if TYPE_CHECKING:
    from playwright.async_api import Page

    from kabina_sim.browser import Stage

pytestmark = [pytest.mark.browser, pytest.mark.alone]
NARROW = Impairment(rate_bps=300_000, queue_ms=300)
SETTLES_MS, FREEZE_MS, BACK_MS = 3000, 500, 10_000
# A browser that encodes and decodes on the cores the server has shows stalls of its own: what one
# round in three does, the server can.
ROUNDS = 3


async def join(stage: Stage, role: str, *, speaks: bool = False, through: Any = None) -> Page:
    page = await stage.open(f"{stage.server.url}/", relay=through)
    token = stage.server.token("m", role)
    await page.evaluate(f"kabinaTest.joinPlainly({token!r}, {str(speaks).lower()})")
    return page


async def narrowed(viewer: Page, relay: Any) -> dict[str, float]:
    """One round: to the lowest layer and back, what it looked like, in ms."""
    begin = await viewer.evaluate("performance.now()")
    relay.down = NARROW
    await asyncio.sleep(8)
    end = await viewer.evaluate("performance.now()")
    relay.down = CLEAR
    back = await viewer.evaluate("kabinaTest.waitForPicture(700, 720, 20000)")
    shown = [
        (at - begin, height)
        for at, height in await viewer.evaluate("plain.shown")
        if begin - 100 <= at < end
    ]
    settled = next((at for at, height in shown if height == 180), float("inf"))
    assert all(height == 180 for at, height in shown if at > settled)
    gaps = [after[0] - before[0] for before, after in pairwise(shown)]
    return {"settles": settled, "freeze": max(gaps), "back": back["tookMs"]}


async def test_a_narrow_path_costs_a_layer_and_no_more(stage: Stage):
    speaker = await join(stage, "speaker", speaks=True)
    with stage.server.relay(seed=3) as relay:
        viewer = await join(stage, "attendee", through=relay)
        await viewer.evaluate("kabinaTest.watchFrames()")
        await viewer.evaluate("kabinaTest.waitForPicture(700, 720, 20000)")
        for _ in range(ROUNDS):
            await asyncio.sleep(3)  # the path is known to be wide
            figures = await narrowed(viewer, relay)
            print({name: round(value) for name, value in figures.items()})
            if (
                figures["settles"] <= SETTLES_MS
                and figures["freeze"] <= FREEZE_MS
                and figures["back"] <= BACK_MS
            ):
                break
        else:
            pytest.fail(f"in none of {ROUNDS} rounds")
        assert relay.is_punctual
    await speaker.context.close()
