"""A page that is loaded anew, or whose socket breaks, is back where it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Page

    from kabina_sim.browser import Stage

pytestmark = pytest.mark.browser

ME = "() => window.kabina.state.talker.session.me?.participant"
CONNECTED = "() => window.kabina?.pc?.connectionState === 'connected'"
# Every state of what the listener is told: the interpreter must not seem to have gone.
TOLD = """() => { window.told = [];
  new MutationObserver(() => told.push(document.querySelector('#lamp')?.dataset.state))
    .observe(document.body, { subtree: true, childList: true, attributeFilter: ['data-state'] }); }"""
# When the interpreter's tone was away from the listener's ear: first and last, on the page's clock.
WATCH = """(hz) => { const ear = kabinaTest.ear(2048); window.away = { from: null, to: null };
  setInterval(() => { if (kabinaTest.levelAt(ear, hz) > -60) return;
    window.away.from ??= performance.now(); window.away.to = performance.now(); }, 10); }"""
HEARD_FOR_1_S = "() => window.away.to !== null && performance.now() - window.away.to > 1000"


async def on_air(stage: Stage) -> Page:
    page = await stage.open(stage.link("booth", "interpreter", "fr"), tone_hz=1000.0)
    await page.click("#enter-booth")
    await page.wait_for_selector("#mic:not([disabled])")
    await page.click("#mic")
    await page.wait_for_selector("#mic[aria-pressed=true][data-hold=on]")
    return page


async def listener(stage: Stage) -> Page:
    page = await stage.open(stage.link("attend", "attendee"))
    await page.check("input[name=channel][value=fr]", force=True)
    await page.click("#listen")
    await page.wait_for_function(CONNECTED)
    await page.evaluate("kabinaTest.waitForTone(1000)")
    return page


async def test_an_interpreter_on_air_reloads_and_is_heard_again_before_anybody_is_told(
    stage: Stage,
):
    booth = await on_air(stage)
    ear = await listener(stage)
    before = await booth.evaluate(ME)
    await ear.evaluate(WATCH, 1000)
    await ear.evaluate(TOLD)
    await booth.reload()
    await booth.wait_for_selector("#mic[aria-pressed=true][data-hold=on]")
    await ear.wait_for_function(HEARD_FOR_1_S)
    away_ms = await ear.evaluate("window.away.to - window.away.from")
    print(f"the listener missed {away_ms:.0f} ms of a reload")
    assert await booth.evaluate(ME) == before
    view = await stage.view()
    assert [desk["state"] for desk in view["booths"][0]["desks"]] == ["active"]
    assert set(await ear.evaluate("window.told")) <= {"interpreted"}
    # And it can be ended by the same key.
    await booth.click("#mic")
    await booth.wait_for_selector("#mic[aria-pressed=false]")


async def test_a_speaker_on_the_floor_reloads_and_has_it_again(stage: Stage):
    page = await stage.open(stage.link("speak", "speaker"), tone_hz=1000.0)
    await page.click("#enter")
    await page.click("#take-floor")
    await page.wait_for_selector("[data-hold=on]")
    before = await page.evaluate(ME)
    await page.reload()
    await page.wait_for_selector("[data-hold=on]")
    assert await page.evaluate(ME) == before
    ear = await stage.open(stage.link("attend", "attendee"))
    await ear.click("#listen")
    await ear.wait_for_function(CONNECTED)
    await ear.evaluate("kabinaTest.waitForTone(1000)")


async def test_a_listener_reloads_and_hears_the_same_language_without_a_click(stage: Stage):
    await stage.publish("fr", 1000.0)
    ear = await listener(stage)
    await ear.reload()
    await ear.wait_for_function(CONNECTED)
    await ear.evaluate("kabinaTest.waitForTone(1000)")
    view = await stage.view()
    assert {one["id"]: one["listeners"] for one in view["channels"]} == {"en": 0, "fr": 1, "sq": 0}


async def test_a_second_tab_is_somebody_else_and_a_left_page_does_not_enter_by_itself(stage: Stage):
    booth = await on_air(stage)
    assert await booth.evaluate("sessionStorage.length") == 0
    twin = await booth.context.new_page()
    await twin.goto(booth.url)
    await twin.click("#enter-booth")
    await twin.wait_for_selector("#mic:not([disabled])")
    assert await twin.evaluate(ME) != await booth.evaluate(ME)
    await booth.click("#leave")
    await booth.reload()
    await booth.wait_for_selector("#enter-booth")
    view = await stage.view()
    assert [desk["state"] for desk in view["booths"][0]["desks"]] == ["standby"]
