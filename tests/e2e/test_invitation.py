"""A link that the server does not accept: the page says so once, whom to ask, and asks no more."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from kabina.interpretation.ids import Role
from kabina.signaling.tokens import KEY_FILE, TokenIssuer

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.async_api import Page

    from kabina_sim.browser import Stage
    from kabina_sim.server_process import ServerProcess

pytestmark = pytest.mark.browser

PAGES = (
    ("attend", Role.ATTENDEE, "#listen", "en-GB", "Ask your organiser for a new link"),
    ("booth", Role.INTERPRETER, "#enter-booth", "fr-FR", "Demandez un nouveau lien"),
    ("speak", Role.SPEAKER, "#enter", "sq-AL", "Kërkojini organizatorit një lidhje të re"),
    ("attend", Role.ATTENDEE, "#listen", "ru-RU", "Попросите у организатора новую ссылку"),
)
# The socket of the page, and hello with another token once the test has put one there.
LATER_TOKEN = """{ const send = WebSocket.prototype.send; window.hellos = 0;
  WebSocket.prototype.send = function (text) { window.socket = this;
    const said = JSON.parse(text);
    if (said.type === 'hello') { window.hellos += 1; said.token = window.laterToken ?? said.token; }
    return send.call(this, JSON.stringify(said)); }; }"""


def token_of(stage: Stage, role: Role, valid_for: timedelta) -> str:
    languages = frozenset({"fr"}) if role is Role.INTERPRETER else frozenset()
    issuer = TokenIssuer.open(stage.server.data_dir)
    return issuer.issue(meeting="m", role=role, languages=languages, valid_for=valid_for)


async def connect(page: Page, enter: str) -> None:
    await page.click(enter)
    await page.wait_for_selector("[data-testid=connection][data-state=good]")


async def test_an_expired_link_says_whom_to_ask_and_is_not_asked_about_again(stage: Stage):
    for name, role, enter, locale, ask in PAGES:
        good, expired = (token_of(stage, role, timedelta(hours=hours)) for hours in (1, -1))
        asked: list[str] = []
        page = await stage.open(f"{stage.server.url}/{name}/m#{good}", locale=locale)
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        await page.clock.install()
        await page.reload()
        await page.wait_for_selector(enter)
        async with page.expect_request("**/api/meetings/m"):  # a good link is kept fresh
            await page.clock.run_for(4000)
        # A pasted link changes the fragment alone, and is opened all the same.
        await page.evaluate("(hash) => { location.hash = hash; }", expired)
        notice = page.locator("[data-problem=expired]")
        await notice.wait_for()
        assert ask in await notice.inner_text()
        asked.clear()
        await page.clock.run_for(60_000)
        assert [url for url in asked if "/api/" in url] == []
        await page.evaluate("(hash) => { location.hash = hash; }", good)
        await page.wait_for_selector(enter)
        await page.context.close()


async def test_a_link_that_expires_while_the_page_reconnects_ends_it(stage: Stage):
    for name, role, enter, locale, ask in PAGES[:3]:
        good, expired = (token_of(stage, role, timedelta(hours=hours)) for hours in (1, -1))
        link = f"{stage.server.url}/{name}/m#{good}"
        page = await stage.open(link, locale=locale, tone_hz=1000.0, script=LATER_TOKEN)
        await page.clock.install()
        await page.reload()
        await connect(page, enter)
        await page.evaluate("(token) => { window.laterToken = token; socket.close(); }", expired)
        notice = page.locator("[data-problem=expired]")
        await notice.wait_for()
        assert ask in await notice.inner_text()
        # Who was inside is told that they no longer are; nothing of theirs goes on.
        assert await notice.locator(".meta").count() == 2
        assert await page.evaluate("window.kabina.pc") is None
        await page.clock.run_for(60_000)
        assert await page.evaluate("window.hellos") == 2
        await page.context.close()


async def test_a_link_that_was_withdrawn_over_a_restart_ends_the_page(
    stage: Stage, start_server: Callable[..., ServerProcess]
):
    page = await stage.open(stage.link("attend", "attendee"), script=LATER_TOKEN)
    await connect(page, "#listen")
    server = stage.server
    server.kill()
    # A new key: every link of before is void.
    (server.data_dir / KEY_FILE).unlink()
    stage.server = start_server("--port", str(server.port), data_dir=server.data_dir)
    notice = page.locator("[data-problem=revoked]")
    await notice.wait_for()
    assert "Ask your organiser for a new link" in await notice.inner_text()
    # The new link, over the old one in the same tab, leads in.
    fresh = stage.link("attend", "attendee")
    await page.evaluate("(hash) => { location.hash = hash; }", fresh.partition("#")[2])
    await connect(page, "#listen")
