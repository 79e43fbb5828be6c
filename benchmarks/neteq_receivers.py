"""WebRTC receivers whose NetEq is watched: libwebrtc itself (the package `wrtc`), and Chromium.

`wrtc` lives in an environment of its own, made by `make bench-peers-tools`: never a dependency.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from kabina.benchmarks.browser import AUTOMATIC, chromium, missing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from playwright.async_api import Page

WRTC_PYTHON: Final = Path(__file__).resolve().parent.parent / "build/wrtc/bin/python"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """getStats of one connection: seconds of CLOCK_MONOTONIC and W3C's inbound-rtp numbers."""

    at_s: float
    values: Mapping[str, float]

    def __getitem__(self, name: str) -> float:
        return float(self.values.get(name, 0.0))


class Receivers(Protocol):
    """Some WebRTC receiver with several connections. `name` says whose."""

    name: str

    async def offers(self, count: int) -> Sequence[str]: ...

    async def answer(self, answers: Sequence[str]) -> None: ...

    async def finish(self) -> list[list[Snapshot]]:
        """Of each connection, what was read since the answers, in order."""


class Wrtc:
    """libwebrtc (M152 in wrtc 0.1) in Python, as a process of the environment that has it."""

    name = "NetEq wrtc"

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._reading: asyncio.Task[list[dict[str, Any]]] | None = None

    async def offers(self, count: int) -> Sequence[str]:
        self._say(count)
        found: list[str] = json.loads(await self._line())
        return found

    async def answer(self, answers: Sequence[str]) -> None:
        self._say(answers)
        self._reading = asyncio.create_task(self._read())

    async def finish(self) -> list[list[Snapshot]]:
        assert self._process.stdin is not None
        assert self._reading is not None
        self._process.stdin.close()
        lines = await self._reading
        return [
            [Snapshot(line["at_s"], line["inbound"][i]) for line in lines]
            for i in range(len(lines[0]["inbound"]))
        ]

    def _say(self, value: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(value).encode() + b"\n")

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("wrtc ended: see above")
        return line

    async def _read(self) -> list[dict[str, Any]]:
        lines = []
        with suppress(RuntimeError):
            while True:
                lines.append(json.loads(await self._line()))
        return lines


@asynccontextmanager
async def wrtc() -> AsyncIterator[Wrtc]:
    """RuntimeError where it is not installed."""
    if reason := wrtc_missing():
        raise RuntimeError(reason)
    with favoured():
        process = await asyncio.create_subprocess_exec(
            WRTC_PYTHON,
            str(Path(__file__).parent / "neteq_wrtc.py"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 22,
        )
    try:
        yield Wrtc(process)
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
        await process.wait()


def browser_missing() -> str:
    """What is not installed here of it; empty when all is."""
    return missing()


def wrtc_missing() -> str:
    """What is not installed here of it; empty when all is."""
    return "" if WRTC_PYTHON.exists() else "no wrtc here: make bench-peers-tools"


PAGE_JS: Final = (Path(__file__).parent / "neteq_page.js").read_text()


class Chromium:
    """Chromium."""

    name = "NetEq Chromium"

    def __init__(self, page: Page) -> None:
        self._page = page

    async def offers(self, count: int) -> Sequence[str]:
        found: list[str] = await self._page.evaluate("(count) => netEq.offers(count)", count)
        return found

    async def answer(self, answers: Sequence[str]) -> None:
        await self._page.evaluate("(answers) => netEq.answer(answers)", list(answers))

    async def finish(self) -> list[list[Snapshot]]:
        before = time.monotonic()
        now_ms: float = await self._page.evaluate("performance.now()")
        origin_s = (before + time.monotonic()) / 2 - now_ms / 1000
        lines = await self._page.evaluate("netEq.snapshots")
        return [
            [Snapshot(origin_s + line["at"] / 1000, line["inbound"][i]) for line in lines]
            for i in range(len(lines[0]["inbound"]))
        ]


@asynccontextmanager
async def browser() -> AsyncIterator[Chromium]:
    """RuntimeError where there is none."""
    if reason := missing():
        raise RuntimeError(reason)
    # Without it host candidates are names that only mDNS resolves.
    async with AsyncExitStack() as stack:
        with favoured():
            started = await stack.enter_async_context(
                chromium(*AUTOMATIC, "--disable-features=WebRtcHideLocalIpsWithMdns")
            )
        context = await started.new_context()
        # Who may use a microphone is shown all addresses, loopback among them.
        await context.grant_permissions(["microphone"])
        page = await context.new_page()
        await page.evaluate(PAGE_JS)
        yield Chromium(page)


@contextmanager
def favoured() -> Iterator[None]:
    """Processes begun in here run before all others where we may say so: what disturbs a receiver
    is not to be charged to its buffer."""
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
