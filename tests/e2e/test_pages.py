"""The pages, driven as people drive them, judged by what is heard."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kabina.benchmarks.browser import COMMON
from kabina_sim.browser import Stage

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import aiohttp
    from playwright.async_api import Page

    from kabina_sim.server_process import ServerProcess

pytestmark = pytest.mark.browser


async def open_booth(stage: Stage, language: str, tone_hz: float) -> Page:
    page = await stage.open(stage.link("booth", "interpreter", language), tone_hz=tone_hz)
    await page.click("#enter-booth")
    await page.wait_for_selector("#mic:not([disabled])")
    return page


async def go_on_air(page: Page) -> None:
    await page.click("#mic")
    await page.wait_for_selector("#mic[aria-pressed=true]")


async def open_attendee(stage: Stage, channel: str) -> Page:
    page = await stage.open(stage.link("attend", "attendee"))
    await page.check(f"input[name=channel][value={channel}]", force=True)
    await page.click("#listen")
    await page.wait_for_function("() => window.kabina?.pc?.connectionState === 'connected'")
    return page


async def speak(stage: Stage, tone_hz: float) -> Page:
    page = await stage.open(stage.link("speak", "speaker"), tone_hz=tone_hz)
    await page.click("#enter")
    await page.click("#take-floor")
    await page.wait_for_selector("#release-floor")
    return page


async def test_an_interpreter_is_heard_on_their_language_and_nowhere_else(stage: Stage):
    await speak(stage, 400.0)
    booth = await open_booth(stage, "fr", 1000.0)
    french = await open_attendee(stage, "fr")
    albanian = await open_attendee(stage, "sq")
    await french.evaluate("kabinaTest.waitForTone(400)")
    await go_on_air(booth)
    await french.evaluate("kabinaTest.waitForTone(1000)")
    # The floor is lowered by 18 dB, once the fade has ended.
    await french.evaluate("window.french = kabinaTest.ear(8192)")
    await french.wait_for_function(
        "() => Math.abs(kabinaTest.levelAt(french, 1000) - kabinaTest.levelAt(french, 400) - 18) < 2"
    )
    await albanian.evaluate("kabinaTest.waitForTone(400)")
    elsewhere = await albanian.evaluate(
        """() => { const ear = kabinaTest.ear(8192); return new Promise((resolve) => setTimeout(
        () => resolve([kabinaTest.levelAt(ear, 1000), kabinaTest.levelAt(ear, 400)]), 800)); }"""
    )
    assert elsewhere[0] < elsewhere[1] - 40
    await booth.click("#mic")
    await french.evaluate("kabinaTest.waitForTone(400)")


async def test_a_second_interpreter_is_refused_and_told_who_is_on_air(stage: Stage):
    first = await open_booth(stage, "fr", 1000.0)
    second = await open_booth(stage, "fr", 1200.0)
    await go_on_air(first)
    await second.click("#mic")
    await second.wait_for_selector("#refusal")
    assert "Interpreter 1" in await second.inner_text("#refusal")
    assert await second.get_attribute("#mic", "aria-pressed") == "false"
    await first.click("#mic")
    await first.wait_for_selector("#mic[aria-pressed=false]")
    await go_on_air(second)


@pytest.mark.alone
async def test_a_language_change_is_gapless_and_negotiates_nothing(stage: Stage):
    for channel, tone_hz in (("floor", 400.0), ("fr", 1000.0), ("sq", 1500.0)):
        await stage.publish(channel, tone_hz)
    page = await open_attendee(stage, "fr")
    await page.evaluate("kabinaTest.waitForTone(1000)")
    await asyncio.sleep(3.0)  # the client's buffer settles
    negotiated = "[kabina.pc.localDescription.sdp, kabina.pc.remoteDescription.sdp]"
    before = await page.evaluate(f"window.before = kabina.pc, {negotiated}")
    results = []
    for channel, tone_hz in (("sq", 1500), ("fr", 1000)) * 3:
        results.append(await page.evaluate(f"kabinaTest.changeLanguage('{channel}', {tone_hz})"))
    for result in results:
        print(result)
    # 80 ms here, of which half is the analyser's; a new offer or a buffer that fills anew costs more
    # than a second.
    assert sorted(result["heardMs"] for result in results)[len(results) // 2] <= 1000
    assert await page.evaluate("window.before === kabina.pc")
    assert await page.evaluate(negotiated) == before
    # A seam would be concealed or discarded at every change; a browser that lost the processor for
    # a moment on a busy machine, at some.
    assert sum(result["concealed"] == 0 for result in results) >= 2
    assert sum(result["discarded"] == 0 for result in results) >= 4


async def test_an_attendee_needs_no_microphone_permission(
    start_server: Callable[..., ServerProcess],
    launch: Callable[..., Any],
    http: aiohttp.ClientSession,
):
    server = start_server()
    server.kabina("meeting", "create", "m", "--floor", "en", "--languages", "fr,sq")
    # No fake permission, no loopback flag: candidates are .local names from the default route's address.
    stage = Stage(server, await launch(*COMMON, "--autoplay-policy=no-user-gesture-required"), http)
    page = await stage.open(stage.link("attend", "attendee"))
    asked = await page.evaluate(
        """() => { const original = navigator.mediaDevices.getUserMedia; window.asked = 0;
        navigator.mediaDevices.getUserMedia = (...args) => { window.asked += 1; return original.apply(
        navigator.mediaDevices, args); }; return window.asked; }"""
    )
    assert asked == 0
    await page.click("#listen")
    await page.wait_for_function("() => window.kabina?.pc?.connectionState === 'connected'")
    assert await page.evaluate("window.asked") == 0
    assert stage.errors == []


async def test_one_real_click_starts_the_sound_under_the_default_autoplay_policy(
    start_server: Callable[..., ServerProcess],
    launch: Callable[..., Any],
    http: aiohttp.ClientSession,
):
    server = start_server("--demo")
    stage = Stage(
        server,
        await launch(
            *COMMON, "--allow-loopback-in-peer-connection", ignore_default_args=["--mute-audio"]
        ),
        http,
    )
    page = await stage.open(f"{server.url}/")
    href = await page.get_attribute("a[href^='/attend/']", "href")
    await page.close()
    page = await stage.open(f"{server.url}{href}")
    # page.evaluate counts as a gesture: until the click, only a timer inside the page may look.
    await page.wait_for_selector("#listen")
    await page.click("#listen")
    await page.wait_for_function(
        "() => [...document.querySelectorAll('audio')].some((one) => !one.paused && one.currentTime > 0.5)"
    )
    assert stage.errors == []


@pytest.mark.alone
async def test_a_page_comes_back_in_its_language_by_itself_after_the_server_was_killed(
    stage: Stage, start_server: Callable[..., ServerProcess]
):
    await stage.publish("floor", 400.0)
    page = await open_attendee(stage, "fr")
    await page.evaluate("kabinaTest.waitForTone(400)")
    stage.server.kill()
    # Noticed by itself, while there is nobody who could say so.
    await page.wait_for_selector("[data-testid=connection]:not([data-state=good])")
    again = start_server("--port", str(stage.server.port), data_dir=stage.server.data_dir)
    await page.wait_for_selector("[data-testid=connection][data-state=good]")
    await page.wait_for_function("() => window.kabina?.pc?.connectionState === 'connected'")
    stage.server = again
    await stage.publish("floor", 600.0)
    await page.evaluate("kabinaTest.waitForTone(600)")
    async with stage.http.get(f"{again.url}/api/meetings/m") as response:
        channels = {one["id"]: one["listeners"] for one in (await response.json())["channels"]}
    assert channels == {"en": 0, "fr": 1, "sq": 0}
