"""Real browsers behind a bad network, which the relay plays."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import numpy as np
import pytest

from kabina.benchmarks.relay import Impairment, Random
from kabina_sim.browser import Stage
from kabina_sim.stock_clients import Listener

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.async_api import Page

    from kabina_sim.server_process import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.alone]
SETTLE_S, MEASURE_S = 5.0, 20.0
SOUND = "kabinaTest.soundReceived(window.kabina.pc)"


async def wait_for_sound(page: Page, more: int, timeout_s: float) -> float:
    """How long until `more` packets of sound have come."""
    began_s = time.monotonic()
    start = await page.evaluate(SOUND)
    async with asyncio.timeout(timeout_s):
        while await page.evaluate(SOUND) < start + more:
            await asyncio.sleep(0.05)
    return time.monotonic() - began_s


async def test_a_listener_in_a_browser_keeps_the_session_through_rebinding_and_black_out(
    stage: Stage,
):
    with stage.server.relay() as relay:
        await stage.publish("floor", 400.0)
        page = await stage.open(stage.link("attend", "attendee"), relay=relay)
        await page.click("#listen")
        await page.wait_for_function("() => window.kabina.pc?.connectionState === 'connected'")
        await page.evaluate("kabinaTest.waitForTone(400)")
        assert relay.counters_down.forwarded > 5
        await page.evaluate("window.before = window.kabina.pc")
        dtls = stage.server.metric("kabina_plane_dtls_received_total")
        relay.rebind()
        await asyncio.sleep(0.05)
        # libwebrtc checks every 2.5 s, sooner when it gets no answer; then it takes a second.
        print(f"sound {await wait_for_sound(page, 10, 10):.1f} s after the rebinding")
        await page.evaluate("kabinaTest.waitForTone(400)")
        with relay.blackout():
            await asyncio.sleep(5.0)
        print(f"sound {await wait_for_sound(page, 10, 10):.1f} s after the black-out")
        await page.evaluate("kabinaTest.waitForTone(400)")
        assert await page.evaluate("window.before === window.kabina.pc")
        assert stage.server.metric("kabina_plane_dtls_received_total") == dtls
        assert stage.server.metric("kabina_peers") == 2


async def test_a_speaker_in_a_browser_goes_on_air_through_rebinding(
    start_server: Callable[..., ServerProcess],
    launch: Callable[..., Any],
    http: aiohttp.ClientSession,
):
    """The server names the relay's address itself, as one behind a NAT would."""
    server = start_server("--public-ip", "127.0.0.2")
    server.kabina("meeting", "create", "m", "--floor", "en", "--languages", "fr,sq")
    stage = Stage(server, await launch(), http)
    with server.relay(listen=("127.0.0.2", server.media_port)) as relay:
        page = await stage.open(stage.link("speak", "speaker"), tone_hz=400.0)
        await page.click("#enter")
        await page.click("#take-floor")
        await page.wait_for_selector("#release-floor")
        sockets = range(len(relay.ports))  # a browser tries several
        listener = Listener(http, f"{server.url}/whep/m/floor", server.token("m", "attendee"))
        try:
            await listener.start()
            await listener.listen_for(1.0)
            dtls = server.metric("kabina_plane_dtls_received_total")
            for client in sockets:
                relay.rebind(client)
            heard = await listener.listen_for(5.0)
            silent_s = np.mean(loudness_db(heard) < -40) * 5.0
            print(f"{silent_s:.2f} s of silence after the rebinding")
            # Until libwebrtc's next check at the latest, and a second to follow it.
            assert silent_s <= 3.5
            assert loudness_db(await listener.listen_for(1.0)).min() > -40
            assert server.metric("kabina_plane_dtls_received_total") == dtls
            assert await page.locator("#release-floor").is_visible()
            assert stage.errors == []
        finally:
            await listener.close()


def loudness_db(sound: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.mean(sound.reshape(-1, 480) ** 2, axis=1) + 1e-9)


async def test_five_percent_of_loss_costs_a_viewer_no_frames(stage: Stage):
    """100 ms of round trip. Frames are counted exactly: the picture stands still before and after."""
    down = Impairment(delay_ms=50)
    with stage.server.relay(seed=5, up=Impairment(delay_ms=50), down=down) as relay:
        speaker = await join(stage, "speaker", speaks=True)
        await speaker.evaluate("kabinaTest.speakPlainly()")
        viewer = await join(stage, "attendee", through=relay)
        await viewer.evaluate("kabinaTest.waitForPicture(1, 2000)")
        await asyncio.sleep(SETTLE_S)
        # Long enough for what is on its way, not for the server to call the track stalled.
        sent, seen = await standing_still(speaker, viewer, 0.25)
        relay.down = Impairment(delay_ms=50, loss=Random(0.05))
        await speaker.evaluate("window.plain.paints = true")
        await asyncio.sleep(MEASURE_S)
        relay.down = down  # a stream that ends cannot be repaired: nobody knows what is missing
        await asyncio.sleep(0.5)
        sent_after, seen_after = await standing_still(speaker, viewer, 2.0)
        frames = sent_after - sent
        missing = frames - (seen_after["frames"] - seen["frames"])
        lost = relay.counters_down.lost
        print(f"{missing} of {frames} frames missing, {lost} packets lost, {seen_after}")
        assert frames > 20 * MEASURE_S
        assert lost > 50
        assert seen_after["nacks"] > 20
        assert missing <= 0.005 * frames
        assert relay.is_punctual
        await speaker.context.close()


async def standing_still(speaker: Page, viewer: Page, seconds: float) -> tuple[int, dict]:
    """Frames sent and the viewer's picture after nothing new was shown for so long."""
    await speaker.evaluate("window.plain.paints = false")
    await asyncio.sleep(seconds)
    sent = await speaker.evaluate("kabinaTest.framesSent()")
    return sent, (await viewer.evaluate("kabinaTest.pictures()"))[0]


async def join(stage: Stage, role: str, *, speaks: bool = False, through=None) -> Page:
    page = await stage.open(f"{stage.server.url}/", relay=through)
    token = stage.server.token("m", role)
    await page.evaluate(f"kabinaTest.joinPlainly({token!r}, {str(speaks).lower()}, 1)")
    return page
