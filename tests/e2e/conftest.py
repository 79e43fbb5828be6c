"""Real Chromium against a real server. Skipped with a reason where there is no Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from kabina.benchmarks.browser import AUTOMATIC, CHROMIUM, missing
from kabina_sim.browser import Stage

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from kabina_sim.server_process import ServerProcess


@pytest.fixture
async def launch() -> AsyncIterator[Callable[..., Any]]:
    if reason := missing():
        pytest.skip(reason)
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
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def flags() -> tuple[str, ...]:
    """Further flags of the server; a parametrisation may say others."""
    return ()


@pytest.fixture
async def stage(
    start_server: Callable[..., ServerProcess],
    launch: Callable[..., Any],
    http: aiohttp.ClientSession,
    flags: tuple[str, ...],
) -> AsyncIterator[Stage]:
    server = start_server(*flags)
    options = ("--title", "Cross-border contact points", "--floor", "en", "--languages", "fr,sq")
    server.kabina("meeting", "create", "m", *options)
    stage = Stage(server, await launch(), http)
    yield stage
    for publisher in stage.publishers:
        await publisher.close()
    assert stage.errors == []
    log = server.log.read_text()
    assert "Traceback" not in log, log
