"""Chromium behind networks that let only some of the candidates through."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kabina_sim.network import needs_ipv6

if TYPE_CHECKING:
    from playwright.async_api import Page

    from kabina_sim.browser import Stage

pytestmark = pytest.mark.browser
WITHOUT_UDP = "kabinaTest.dropCandidates(/ udp /i);"


async def speak_and_listen(
    stage: Stage, script: str = "", host: str = "127.0.0.1"
) -> tuple[Page, Page]:
    def link(page: str, role: str) -> str:
        return stage.link(page, role).replace("127.0.0.1", host)

    speaker = await stage.open(link("speak", "speaker"), tone_hz=400.0, script=script)
    await speaker.click("#enter")
    await speaker.click("#take-floor")
    await speaker.wait_for_selector("#release-floor")
    attendee = await stage.open(link("attend", "attendee"), script=script)
    await attendee.check("input[name=channel][value=fr]", force=True)
    await attendee.click("#listen")
    await attendee.wait_for_function("() => window.kabina?.pc?.connectionState === 'connected'")
    return speaker, attendee


async def test_without_udp_a_speaker_is_heard_over_tcp_on_the_media_port(stage: Stage):
    pages = await speak_and_listen(stage, WITHOUT_UDP)
    await pages[1].evaluate("kabinaTest.waitForTone(400)")
    for page in pages:
        assert await page.evaluate("kabinaTest.path()") == "tcp 127.0.0.1"
    assert stage.server.metric("kabina_plane_tcp_frames_dropped_total") == 0


async def test_with_udp_nobody_takes_tcp(stage: Stage):
    pages = await speak_and_listen(stage)
    await pages[1].evaluate("kabinaTest.waitForTone(400)")
    for page in pages:
        assert await page.evaluate("kabinaTest.path()") == "udp 127.0.0.1"


async def test_a_camera_is_seen_in_full_over_tcp(stage: Stage):
    pages = []
    for role in ("speaker", "attendee"):
        page = await stage.open(f"{stage.server.url}/", script=WITHOUT_UDP)
        token = stage.server.token("m", role)
        speaks = str(role == "speaker").lower()
        await page.evaluate(f"kabinaTest.joinPlainly({token!r}, {speaks})")
        pages.append(page)
    full = await pages[1].evaluate("kabinaTest.waitForPicture(700, 720)")
    print("full size", full)
    before = (await pages[1].evaluate("kabinaTest.pictures()"))[0]
    after = before
    async with asyncio.timeout(60):
        while after["frames"] <= before["frames"] + 45:
            await asyncio.sleep(0.1)
            after = (await pages[1].evaluate("kabinaTest.pictures()"))[0]
    assert after["lost"] == 0
    for page in pages:
        assert await page.evaluate("kabinaTest.path()") == "tcp 127.0.0.1"


@needs_ipv6
@pytest.mark.parametrize("flags", [("--host", "::1", "--public-ip", "::1")])
async def test_pages_and_a_speaker_come_over_ipv6(stage: Stage):
    pages = await speak_and_listen(stage, host="[::1]")
    await pages[1].evaluate("kabinaTest.waitForTone(400)")
    for page in pages:
        assert await page.evaluate("kabinaTest.path()") in ("udp ::1", "udp [::1]")
