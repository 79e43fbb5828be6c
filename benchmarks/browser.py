"""Chromium for benchmarks and tests: its flags, and what is put into a page before its own code."""

from __future__ import annotations

import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

    from kabina.benchmarks.relay import Relay

CHROMIUM: Final = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
TOOLS_JS: Final = (Path(__file__).parent / "page_tools.js").read_text()

# Loopback candidates are for tests; the sandbox needs a user namespace that root in a container
# lacks; the rest keeps Chromium from calling home.
COMMON: Final = (
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
AUTOMATIC: Final = (
    *COMMON,
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)


def missing() -> str:
    """What is not installed here of a browser that a program drives; empty when all is."""
    if CHROMIUM is None:
        return "no Chromium here: apt-get install chromium"
    try:
        import playwright.async_api  # noqa: F401
    except ImportError:
        return "no Playwright here: make dev"
    return ""


@asynccontextmanager
async def chromium(*flags: str) -> AsyncIterator[Browser]:
    """A browser that asks nobody for a microphone. RuntimeError where there is none."""
    if reason := missing():
        raise RuntimeError(reason)
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(flags or AUTOMATIC)
        )
        try:
            yield browser
        finally:
            await browser.close()


async def equip(
    page: Page, *, tone_hz: float | None = None, relay: Relay | None = None, script: str = ""
) -> None:
    """Before the page is opened: `window.kabinaTest` of page_tools.js; `tone_hz` is what its
    microphone hears, `relay` the bad network its media goes through, `script` runs last."""
    await page.add_init_script(TOOLS_JS)
    if script:
        await page.add_init_script(script)
    if tone_hz is not None:
        await page.add_init_script(f"window.kabinaTest.microphoneHears({tone_hz});")
    if relay is not None:
        host, port = relay.address
        await page.add_init_script(f"window.kabinaTest.goThrough({host!r}, {port});")
