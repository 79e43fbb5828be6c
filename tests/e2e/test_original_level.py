"""The level of the original on the attendee's page: heard, by keyboard, and remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Page

    from kabina_sim.browser import Stage

pytestmark = pytest.mark.browser

LOWERED_BY = """(wanted_db) => Math.abs(
  kabinaTest.levelAt(ear, 1000) - kabinaTest.levelAt(ear, 400) - wanted_db) < 3"""


async def listen_in_french(page: Page) -> None:
    await page.check("input[name=channel][value=fr]", force=True)
    await page.click("#listen")
    await page.wait_for_function("() => window.kabina?.pc?.connectionState === 'connected'")
    await page.evaluate("kabinaTest.waitForTone(1000)")
    await page.evaluate("window.ear = kabinaTest.ear(8192)")


async def test_the_original_is_as_loud_as_chosen_and_the_choice_is_remembered(stage: Stage):
    for channel, tone_hz in (("floor", 400.0), ("fr", 1000.0)):
        await stage.publish(channel, tone_hz)
    page = await stage.open(stage.link("attend", "attendee"))
    await listen_in_french(page)
    await page.wait_for_function(LOWERED_BY, arg=18)
    group = page.get_by_role("radiogroup", name="Original (English) underneath")
    names = [await one.get_attribute("value") for one in await group.get_by_role("radio").all()]
    assert names == ["off", "-24", "-18", "-12", "0"]

    # Arrows move and switch at once.
    await group.get_by_role("radio", name="Normal").focus()
    await page.keyboard.press("ArrowRight")
    await page.wait_for_function(LOWERED_BY, arg=12)
    await group.get_by_role("radio", name="Off").check(force=True)
    await page.wait_for_function(
        "() => kabinaTest.levelAt(ear, 1000) - kabinaTest.levelAt(ear, 400) > 40"
    )

    # Another visit of the same person, from the door on.
    await page.click("#leave")
    again = await page.context.new_page()
    await again.goto(page.url)
    assert await again.evaluate("kabina.state.session.original_db") == "off"
