"""A viewer whose path narrows to 300 kb/s and widens again: what is seen, in a real browser.

Publisher, server, relay and viewer share this machine: the publisher's encoder makes the key frame
that ends the freeze, so a slow machine's figures are its own. Hence rounds, and their spread.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Final

from kabina.benchmarks.browser import chromium, equip, missing
from kabina.benchmarks.relay import CLEAR, Impairment, Relay
from kabina.benchmarks.server import demo_server

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

NARROW: Final = Impairment(rate_bps=300_000, queue_ms=300)
ROUNDS: Final = 9
NARROW_S: Final = 8.0
KNOWN_WIDE_S: Final = 3.0  # the top layer again, then this long, before the next round
LOWEST_LINES: Final = 180  # of page_tools.js' camera
GOALS_MS: Final = {"settles": 3000, "longest_gap": 500, "back_on_top": 10_000}


@dataclass(frozen=True, slots=True)
class Round:
    """Milliseconds from the narrowing to the first frame of the lowest layer that stays, the
    longest between two frames while it is narrow, from the widening to the top layer; `below` is
    the share of frames of the lowest layer after it settled."""

    settles: float
    longest_gap: float
    back_on_top: float
    below: float


def rows() -> list[dict[str, object]]:
    """One row per figure: its goal, median and worst over the rounds."""
    if reason := missing():
        return [{"figure": "narrow path", "not_run": reason}]
    rounds, lateness_ms = asyncio.run(_rounds())
    found: list[dict[str, object]] = []
    for name, goal in GOALS_MS.items():
        values = sorted(getattr(one, name) for one in rounds)
        found.append(
            {
                "figure": f"{name}_ms",
                "goal": goal,
                "median": round(median(values)),
                "least": round(values[0]),
                "most": round(values[-1]),
                "rounds_in_goal": f"{sum(value <= goal for value in values)} of {len(values)}",
                "relay_late_p99_ms": lateness_ms,
            }
        )
    return found


async def _rounds() -> tuple[list[Round], float]:
    async with demo_server(silent=True, log_level="info") as server, chromium() as browser:
        with Relay(("127.0.0.1", server.media_port), seed=3) as relay:
            await join(browser, server.url, server.speaker_token, speaks=True)
            viewer = await join(browser, server.url, server.token, relay=relay)
            await viewer.evaluate("kabinaTest.watchFrames()")
            await viewer.evaluate("kabinaTest.waitForPicture(700, 720, 20000)")
            rounds = []
            for _ in range(ROUNDS):
                await asyncio.sleep(KNOWN_WIDE_S)
                rounds.append(await narrowed(viewer, relay))
            return rounds, relay.lateness_p99_ms


async def join(
    browser: Browser, url: str, token: str, *, speaks: bool = False, relay: Relay | None = None
) -> Page:
    """A page of `joinPlainly`, without the pages' own code."""
    page = await (await browser.new_context()).new_page()
    await equip(page, relay=relay)
    await page.goto(f"{url}/")
    await page.evaluate(f"kabinaTest.joinPlainly({token!r}, {str(speaks).lower()})")
    return page


async def narrowed(viewer: Page, relay: Relay) -> Round:
    """One round: to the lowest layer and back to the top. The page has `watchFrames` running;
    playwright's Error where the top layer is not back within 20 s."""
    begin = await viewer.evaluate("performance.now()")
    relay.down = NARROW
    await asyncio.sleep(NARROW_S)
    end = await viewer.evaluate("performance.now()")
    relay.down = CLEAR
    back = await viewer.evaluate("kabinaTest.waitForPicture(700, 720, 20000)")
    shown = [
        (at - begin, lines)
        for at, lines in await viewer.evaluate("plain.shown")
        if begin - 100 <= at < end
    ]
    settles = next((at for at, lines in shown if lines == LOWEST_LINES), float("inf"))
    after = [lines for at, lines in shown if at >= settles]
    # The last frame ends a gap too: the picture may stand still at the end.
    times = [at for at, _ in shown] + [end - begin]
    return Round(
        settles=settles,
        longest_gap=max(later - earlier for earlier, later in pairwise(times)),
        back_on_top=back["tookMs"],
        below=sum(lines == LOWEST_LINES for lines in after) / max(len(after), 1),
    )
