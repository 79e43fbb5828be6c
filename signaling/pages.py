"""The built pages and their assets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from kabina.signaling.errors import CodedError
from kabina.web import STATIC

if TYPE_CHECKING:
    from pathlib import Path

PAGES: Final = ("attend", "booth", "speak")
_NOT_BUILT: Final = (
    "<!doctype html><meta charset=utf-8><title>Kabina</title>"
    "<p>Kabina is running, but its pages were not built (KABINA_SKIP_WEB=1). "
    "WHIP, WHEP and the API work; <code>make build</code> makes the pages.</p>"
)


class Pages:
    """HTML is revalidated on every visit, hashed assets are kept for a year."""

    def routes(self) -> list[web.AbstractRouteDef]:
        routes: list[web.AbstractRouteDef] = [web.get("/", self._front)]
        routes += [web.get(f"/{page}/{{meeting}}", self._page) for page in PAGES]
        routes.append(web.get("/assets/{name}", self._asset))
        routes.append(web.get("/favicon.svg", self._icon))
        return routes

    async def _front(self, _request: web.Request) -> web.StreamResponse:
        return _html(STATIC / "index.html")

    async def _page(self, request: web.Request) -> web.StreamResponse:
        return _html(STATIC / f"{request.path.split('/')[1]}.html")

    async def _asset(self, request: web.Request) -> web.StreamResponse:
        path = STATIC / "assets" / request.match_info["name"]
        if path.parent != STATIC / "assets" or not path.is_file():
            raise CodedError("page.unknown", "There is no such file.")
        return web.FileResponse(
            path, headers={"Cache-Control": "public, max-age=31536000, immutable"}
        )

    async def _icon(self, _request: web.Request) -> web.StreamResponse:
        path = STATIC / "favicon.svg"
        if not path.is_file():
            raise CodedError("page.unknown", "There is no such file.")
        return web.FileResponse(path)


def _html(path: Path) -> web.StreamResponse:
    if not path.is_file():
        return web.Response(text=_NOT_BUILT, content_type="text/html")
    return web.FileResponse(path, headers={"Cache-Control": "no-cache"})
