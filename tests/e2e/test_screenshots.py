"""Pictures of every page for a person to look at; one that overflows or cuts its words off fails.

They lie in tests/e2e/screenshots (not in the repository): NAME-WIDTH-SCHEME.png.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kabina.interpretation.ids import Role
from kabina.signaling.tokens import TokenIssuer

if TYPE_CHECKING:
    from playwright.async_api import Page

    from kabina_sim.browser import Stage

pytestmark = pytest.mark.browser
SCREENSHOTS = Path(__file__).parent / "screenshots"
LOOKS = [
    (width, height, scheme)
    for width, height in ((1280, 800), (390, 844))
    for scheme in ("light", "dark")
]
GOOD = "[data-testid=connection][data-state=good]"
LOST = "[data-testid=connection][data-state=reconnecting]"
# Laid out and painted: the second frame comes after the first was shown.
PAINTED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
# What sticks out of the page, and words that end in nothing: `cut` ends them in an ellipsis, `vh` is
# for screen readers.
MISSHAPEN = """() => {
  const wide = document.documentElement.clientWidth;
  const found = [];
  for (const one of document.querySelectorAll('body *')) {
    const style = getComputedStyle(one);
    if (!one.checkVisibility({ visibilityProperty: true }) || one.closest('.vh, .skip, svg, canvas, option, .cut *')) continue;
    if (style.clipPath !== 'none' || one.matches('input, select')) continue;
    const box = one.getBoundingClientRect();
    const name = `${one.tagName.toLowerCase()}.${one.className} ${one.textContent.trim().slice(0, 40)}`;
    if (box.width > 0 && (box.right > wide + 1 || box.left < -1)) found.push(`outside: ${name}`);
    const hides = style.overflowX !== 'visible' && style.overflowX !== 'auto';
    if (hides && style.textOverflow !== 'ellipsis' && one.scrollWidth > one.clientWidth + 1) found.push(`cut: ${name}`);
  }
  return found;
}"""


# Words too faint for WCAG 2.2 AA: 4.5 : 1, and 3 : 1 from 24 px, or 18.66 px in bold.
FAINT = """() => {
  const paint = Object.assign(document.createElement('canvas'), { width: 1, height: 1 })
    .getContext('2d', { willReadFrequently: true });
  const rgb = (colors) => {
    paint.clearRect(0, 0, 1, 1);
    for (const color of colors) { paint.fillStyle = color; paint.fillRect(0, 0, 1, 1); }
    return [...paint.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  };
  const luminance = (color) => color.map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
  const found = new Set();
  for (const one of document.querySelectorAll('body *')) {
    const words = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '');
    if (!words || !one.checkVisibility({ visibilityProperty: true }) || one.closest('.vh, .skip, option, :disabled, figure')) continue;
    const behind = [];
    for (let at = one; at !== null; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
    const style = getComputedStyle(one);
    const under = rgb(['Canvas', ...behind]);
    const [a, b] = [luminance(rgb(['Canvas', ...behind, style.color])), luminance(under)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = Number.parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) found.add(`${ratio.toFixed(2)}: ${one.className} ${one.textContent.trim().slice(0, 30)}`);
  }
  return [...found];
}"""


async def picture(page: Page, name: str) -> None:
    for width, height, scheme in LOOKS:
        await page.set_viewport_size({"width": width, "height": height})
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await page.evaluate(PAINTED)
        await page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png")
        assert await page.evaluate(MISSHAPEN) == [], (name, width)
        assert await page.evaluate(FAINT) == [], (name, scheme)
    await page.set_viewport_size({"width": 1280, "height": 800})


async def enter(page: Page, button: str) -> None:
    await page.click(button)
    await page.wait_for_selector(GOOD)


@pytest.fixture
def flags() -> tuple[str, ...]:
    return ("--demo",)  # for the links on the front page


async def test_pages_are_pictured(stage: Stage):
    SCREENSHOTS.mkdir(exist_ok=True)
    index = await stage.open(f"{stage.server.url}/")
    await index.wait_for_selector("a[href^='/attend/']")
    await picture(index, "index")
    await index.context.close()

    speak = await stage.open(stage.link("speak", "speaker"), tone_hz=400.0)
    await speak.wait_for_selector("#enter")
    await picture(speak, "speak-door")
    await enter(speak, "#enter")
    await picture(speak, "speak-off")
    await speak.click("#take-floor")
    await speak.wait_for_selector("#release-floor")

    booth = await stage.open(stage.link("booth", "interpreter", "fr"), tone_hz=1000.0)
    await booth.wait_for_selector("#enter-booth")
    await picture(booth, "booth-door")
    await enter(booth, "#enter-booth")
    await picture(booth, "booth-off")
    await booth.click("#mic")
    await booth.wait_for_selector("#mic[data-hold=on]")

    attend = await stage.open(stage.link("attend", "attendee"))
    await attend.wait_for_selector("#listen")
    await picture(attend, "attend-door")
    await attend.check("input[name=channel][value=fr]", force=True)
    await enter(attend, "#listen")
    await attend.wait_for_selector("#lamp[data-state=interpreted]")

    second = await stage.open(stage.link("booth", "interpreter", "fr"), tone_hz=1200.0)
    await enter(second, "#enter-booth")
    await second.click("#mic")
    await second.wait_for_selector("#refusal")
    await picture(second, "booth-refused")
    await second.context.close()

    live = (("attend", attend), ("booth", booth), ("speak", speak))
    for name, page in live:
        await picture(page, f"{name}-live")
    await attend.check("input[name=original][value=off]", force=True)
    await attend.wait_for_function("() => kabina.state.session.confirmed_db === 'off'")
    await picture(attend, "attend-original-off")
    for name, page in live:
        await page.reload()
        await page.wait_for_selector(GOOD)
        await picture(page, f"{name}-reloaded")
    # Back at the desk and on the floor, as before the reload.
    await booth.wait_for_selector("#mic[data-hold=on]")
    await speak.wait_for_selector("#release-floor")
    await attend.wait_for_selector("#lamp[data-state=interpreted]")

    stage.server.kill()
    for name, page in live:
        await page.wait_for_selector(LOST)
        await picture(page, f"{name}-lost")


async def test_what_is_faint_or_sticks_out_would_be_found(stage: Stage):
    page = await stage.open(stage.link("attend", "attendee"))
    await page.wait_for_selector("#listen")
    assert [await page.evaluate(look) for look in (FAINT, MISSHAPEN)] == [[], []]
    heading = page.locator("h1")
    await heading.evaluate("(one) => { one.style.color = '#aaa'; one.style.width = '2000px'; }")
    assert len(await page.evaluate(FAINT)) == 1
    assert any("outside: h1" in one for one in await page.evaluate(MISSHAPEN))
    await heading.evaluate(
        "(one) => { one.style = 'width: 60px; overflow: hidden; white-space: nowrap'; }"
    )
    assert any("cut: h1" in one for one in await page.evaluate(MISSHAPEN))


@pytest.mark.parametrize("locale", ["en", "ru"])
async def test_refusals_are_pictured(stage: Stage, locale: str):
    """In English, and in the language with the longest words."""
    SCREENSHOTS.mkdir(exist_ok=True)
    issuer = TokenIssuer.open(stage.server.data_dir)
    hour = timedelta(hours=1)
    good, expired = (
        issuer.issue(meeting="m", role=Role.ATTENDEE, valid_for=valid_for)
        for valid_for in (hour, -hour)
    )
    unknown = issuer.issue(meeting="gone", role=Role.ATTENDEE, valid_for=hour)
    for problem, path in (
        ("expired", f"attend/m#{expired}"),
        ("revoked", f"attend/m#{good[:-8]}AAAAAAAA"),
        ("other_role", f"booth/m#{good}"),
        ("unknown_meeting", f"attend/gone#{unknown}"),
    ):
        page = await stage.open(f"{stage.server.url}/{path}", locale=locale)
        await page.wait_for_selector(f"[data-problem={problem}]")
        await picture(page, f"{problem}-{locale}")
        await page.context.close()


async def test_long_words_and_many_languages_are_pictured(stage: Stage):
    SCREENSHOTS.mkdir(exist_ok=True)
    title = "Grenzpolizeizusammenarbeitsvereinbarungsverhandlungen der Donauanrainerstaaten"
    options = ("--title", title, "--floor", "de", "--languages", "fr,sq,ru,sr,mk,hy,ka,uk")
    stage.server.kabina("meeting", "create", "long", *options)
    issuer = TokenIssuer.open(stage.server.data_dir)

    def link(page: str, role: Role, *languages: str) -> str:
        token = issuer.issue(
            meeting="long",
            role=role,
            languages=frozenset(languages),
            name="Kriminalhauptkommissarin Maximiliane Freifrau von Wallersteinhausen",
            valid_for=timedelta(hours=1),
        )
        return f"{stage.server.url}/{page}/long#{token}"

    speak = await stage.open(link("speak", Role.SPEAKER), tone_hz=400.0, locale="ru")
    await enter(speak, "#enter")
    await speak.click("#take-floor")
    await speak.wait_for_selector("#release-floor")
    booth = await stage.open(
        link("booth", Role.INTERPRETER, "fr", "hy"), tone_hz=900.0, locale="ru"
    )
    await booth.wait_for_selector("#enter-booth")
    await picture(booth, "long-booth-door")
    await enter(booth, "#enter-booth")
    await booth.click("#mic")
    await booth.wait_for_selector("#mic[data-hold=on]")
    attend = await stage.open(link("attend", Role.ATTENDEE), locale="ru")
    await attend.wait_for_selector("#listen")
    await picture(attend, "long-attend-door")
    await enter(attend, "#listen")
    for name, page in (("attend", attend), ("booth", booth), ("speak", speak)):
        await picture(page, f"long-{name}")
