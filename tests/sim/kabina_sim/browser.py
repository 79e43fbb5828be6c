"""A server, Chromium, and the pages in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kabina.benchmarks.browser import equip
from kabina_sim.stock_clients import Publisher, ToneTrack

if TYPE_CHECKING:
    import aiohttp
    from playwright.async_api import Browser, Page

    from kabina.benchmarks.relay import Relay
    from kabina_sim.server_process import ServerProcess


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
        await equip(page, tone_hz=tone_hz, relay=relay, script=script)
        await page.goto(url)
        return page
