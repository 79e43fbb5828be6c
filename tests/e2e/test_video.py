"""Pictures through the server, between real browsers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Page

    from kabina_sim.browser import Stage

pytestmark = pytest.mark.browser


async def join(stage: Stage, role: str, *, speaks: bool = False) -> Page:
    page = await stage.open(f"{stage.server.url}/")
    token = stage.server.token("m", role)
    await page.evaluate(f"kabinaTest.joinPlainly({token!r}, {str(speaks).lower()})")
    return page


@pytest.mark.alone
async def test_a_camera_is_seen_and_its_size_follows_the_tile(stage: Stage):
    speaker = await join(stage, "speaker", speaks=True)
    viewer = await join(stage, "attendee")
    first = await viewer.evaluate("kabinaTest.waitForPicture(1, 2000)")
    print("first picture", first)
    large = await viewer.evaluate("kabinaTest.waitForPicture(700, 720)")
    print("full size", large)
    tile = {"what": "camera", "width": 240, "height": 135, "visible": True}
    await viewer.evaluate("(slots) => plain.ask('view', { slots })", [tile])
    small = await viewer.evaluate("kabinaTest.waitForPicture(100, 200)")
    print("small tile", small)
    await viewer.evaluate("(slots) => plain.ask('view', { slots })", [{**tile, "visible": False}])
    # It stops, once what was on its way is shown: 25 frames would come in this second.
    before, after = -1, 0
    async with asyncio.timeout(30):
        while before != after:
            before = (await viewer.evaluate("kabinaTest.pictures()"))[0]["frames"]
            await asyncio.sleep(1.0)
            after = (await viewer.evaluate("kabinaTest.pictures()"))[0]["frames"]
    await viewer.evaluate("(slots) => plain.ask('view', { slots })", [{**tile, "height": 720}])
    back = await viewer.evaluate("kabinaTest.waitForPicture(300, 720)")
    print("visible again", back)
    await speaker.context.close()


async def test_an_ice_restart_keeps_the_session(stage: Stage):
    await stage.publish("floor", 400.0)
    viewer = await join(stage, "attendee")
    await viewer.wait_for_function("() => plain.pc.connectionState === 'connected'")
    before = await viewer.evaluate("plain.pc.remoteDescription.sdp")
    await viewer.evaluate("plain.pc.restartIce()")
    await viewer.evaluate("kabinaTest.offerPlainly('floor')")
    after = await viewer.evaluate("plain.pc.remoteDescription.sdp")

    def of(text: str, name: str) -> list[str]:
        return [line for line in text.splitlines() if line.startswith(name)]

    assert of(after, "a=ice-ufrag") != of(before, "a=ice-ufrag")
    for kept in ("a=ssrc", "a=fingerprint", "a=mid", "m="):
        assert of(after, kept) == of(before, kept)
    received = """async () => [...(await plain.pc.getStats()).values()]
        .find((one) => one.type === 'inbound-rtp' && one.kind === 'audio').packetsReceived"""
    counted = await viewer.evaluate(received)
    async with asyncio.timeout(30):
        while await viewer.evaluate(received) - counted <= 40:
            await asyncio.sleep(0.05)
    assert stage.server.metric("kabina_peers") == 2
