"""Real Chromium against a real server. Skipped with a reason where there is no Chromium."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kabina_sim.server_process import ServerProcess
    from playwright.async_api import Browser, Page

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
SCREENSHOTS = Path(__file__).parent / "screenshots"
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
    errors: list[str] = field(default_factory=list)

    def link(self, page: str, role: str, *languages: str) -> str:
        return f"{self.server.url}/{page}/m#{self.server.token('m', role, *languages)}"

    async def open(self, url: str, *, tone_hz: float | None = None, **context: Any) -> Page:
        """A page in a context of its own; `tone_hz` is what its microphone hears."""
        options = {"viewport": {"width": 1280, "height": 800}, **context}
        new = await self.browser.new_context(**options)
        page = await new.new_page()
        page.on("pageerror", lambda error: self.errors.append(f"{page.url.split('#')[0]}: {error}"))
        await page.add_init_script(TOOLS_JS)
        if tone_hz is not None:
            await page.add_init_script(f"window.kabinaTest.microphoneHears({tone_hz});")
        await page.goto(url)
        return page


@pytest.fixture
async def launch() -> AsyncIterator[Callable[..., Any]]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browsers = []

        async def start(*flags: str, **options: Any) -> Browser:
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM, args=list(flags or AUTOMATIC), **options
            )
            browsers.append(browser)
            return browser

        yield start
        for browser in browsers:
            await browser.close()


@pytest.fixture
async def stage(
    start_server: Callable[..., ServerProcess], launch: Callable[..., Any]
) -> AsyncIterator[Stage]:
    server = start_server()
    server.kabina(
        "meeting",
        "create",
        "m",
        "--title",
        "Cross-border contact points",
        "--floor",
        "en",
        "--languages",
        "fr,sq",
    )
    stage = Stage(server, await launch())
    yield stage
    assert stage.errors == []
    log = server.log.read_text()
    assert "Traceback" not in log, log
