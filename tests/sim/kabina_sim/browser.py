"""Chromium and the pages in it: flags, links, a microphone that hears a tone."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kabina_sim.stock_clients import Publisher, ToneTrack

if TYPE_CHECKING:
    import aiohttp
    from playwright.async_api import Browser, Page

    from kabina.benchmarks.relay import Relay
    from kabina_sim.server_process import ServerProcess

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
TOOLS_JS = (Path(__file__).parent / "page_tools.js").read_text()

# Loopback candidates are for tests; the sandbox needs a user namespace that root in a container
# lacks; the rest keeps Chromium from calling home.
COMMON = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AUTOMATIC = [
    *COMMON,
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]


@dataclass
class Stage:
    """A server with the meeting `m` and pages in it."""

    server: ServerProcess
    browser: Browser
    http: aiohttp.ClientSession
    errors: list[str] = field(default_factory=list)
    publishers: list[Publisher] = field(default_factory=list)

    def link(self, page: str, role: str, *languages: str) -> str:
        return f"{self.server.url}/{page}/m#{self.server.token('m', role, *languages)}"

    async def view(self) -> dict[str, Any]:
        async with self.http.get(f"{self.server.url}/api/meetings/m") as response:
            assert response.status == 200
            return await response.json()

    async def publish(self, channel: str, tone_hz: float) -> None:
        """A tone over WHIP: cheaper than a page that speaks."""
        role, languages = ("speaker", ()) if channel == "floor" else ("interpreter", (channel,))
        token = self.server.token("m", role, *languages)
        publisher = Publisher(self.http, f"{self.server.url}/whip/m/{channel}", token)
        self.publishers.append(await publisher.start(ToneTrack(tone_hz)))

    async def open(
        self,
        url: str,
        *,
        tone_hz: float | None = None,
        relay: Relay | None = None,
        script: str = "",
        **context: Any,
    ) -> Page:
        """A page in a context of its own; `tone_hz` is what its microphone hears, `relay` the bad
        network that its media goes through, `script` runs before the page's own."""
        options = {"viewport": {"width": 1280, "height": 800}, **context}
        new = await self.browser.new_context(**options)
        page = await new.new_page()
        page.on("pageerror", lambda error: self.errors.append(f"{page.url.split('#')[0]}: {error}"))
        await page.add_init_script(TOOLS_JS)
        if script:
            await page.add_init_script(script)
        if tone_hz is not None:
            await page.add_init_script(f"window.kabinaTest.microphoneHears({tone_hz});")
        if relay is not None:
            host, port = relay.address
            await page.add_init_script(f"window.kabinaTest.goThrough({host!r}, {port});")
        await page.goto(url)
        return page
