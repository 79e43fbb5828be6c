"""A server process of our own: with the demo as the source of sound, or with meetings of ours."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from kabina.benchmarks.conditions import ProcessCost
from kabina.signaling.store import Store
from kabina.signaling.tokens import TokenIssuer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kabina.interpretation.ids import Role
    from kabina.interpretation.spec import MeetingSpec


_COMMAND: Final = (
    sys.executable,
    "-c",
    "import sys; from kabina.signaling.cli import main; sys.exit(main())",
)


@dataclass
class Server:
    """`url` of HTTP, tokens of its meeting (a speaker's where it is silent), and what it costs."""

    url: str
    meeting: str
    token: str  # an attendee's
    cost: ProcessCost
    speaker_token: str = ""
    media_port: int = 0  # where somebody stands between: `log_level="info"`


@dataclass
class MeetingServer:
    """A server with meetings of ours in it, in which nobody is."""

    url: str
    cost: ProcessCost
    issuer: TokenIssuer

    def token(self, meeting: str, role: Role, language: str = "") -> str:
        """Of somebody new; an interpreter's is for one language."""
        languages = frozenset({language} if language else ())
        valid_for = timedelta(hours=1)
        return self.issuer.issue(
            meeting=meeting, role=role, languages=languages, valid_for=valid_for
        )


@asynccontextmanager
async def meeting_server(*meetings: MeetingSpec) -> AsyncIterator[MeetingServer]:
    """`kabina serve` on free loopback ports with these meetings, ended by its pid."""
    with TemporaryDirectory() as folder:
        store = await Store.open(Path(folder))
        try:
            for meeting in meetings:
                await store.create_meeting(meeting)
        finally:
            await store.close()
        log = Path(folder) / "log"
        async with _serving(folder, log) as (process, url, _):
            yield MeetingServer(url, ProcessCost(process.pid), TokenIssuer.open(Path(folder)))


@asynccontextmanager
async def demo_server(*, silent: bool = False, log_level: str = "warning") -> AsyncIterator[Server]:
    """`kabina serve --demo` on free loopback ports, ended by its pid.

    With `silent` the meeting is an empty one instead: nobody speaks, nothing is mixed.
    """
    with TemporaryDirectory() as folder:
        own = ("--data-dir", folder)
        token = speaker = ""
        if silent:
            await _kabina("meeting", "create", "quiet", "--floor", "en", "--languages", "fr", *own)
            token = await _kabina("token", "--meeting", "quiet", "--role", "attendee", *own)
            speaker = await _kabina("token", "--meeting", "quiet", "--role", "speaker", *own)
        log = Path(folder) / "log"
        flags = ("--log-level", log_level, *(() if silent else ("--demo",)))
        async with _serving(folder, log, *flags, wants_link=not silent) as (process, url, found):
            meeting = "quiet" if silent else "demo"
            media_port = await asyncio.to_thread(media_port_in, log) if log_level == "info" else 0
            yield Server(
                url=url,
                meeting=meeting,
                token=token or found,
                cost=ProcessCost(process.pid),
                speaker_token=speaker,
                media_port=media_port,
            )


@asynccontextmanager
async def _serving(
    folder: str, log: Path, *flags: str, wants_link: bool = False
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, str]]:
    """The process once it is ready, its URL, and the token of the demo's attendee if wanted."""
    if "--log-level" not in flags:
        flags = (*flags, "--log-level", "warning")
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *_COMMAND, "serve", *flags, "--port", "0", "--media-port", "0", "--data-dir", folder,
            stdout=asyncio.subprocess.PIPE, stderr=errors,
        )  # fmt: skip
    assert process.stdout is not None
    url = token = ""
    try:
        async with asyncio.timeout(60):
            while not (url and (token or not wants_link)):
                line = (await process.stdout.readline()).decode()
                if not line:
                    raise RuntimeError(f"the server did not start: {log.read_text()}")  # noqa: ASYNC240 - it is over
                ready = re.search(r"ready: (http://\S+)", line)
                url = ready.group(1) if ready else url
                link = re.search(r"/attend/demo#(\S+)", line)
                token = link.group(1) if link else token
        yield process, url.rstrip("/"), token
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def media_port_in(log: Path) -> int:
    """As the log says, which has a thread of its own: its line may come after "ready".

    RuntimeError if it is not there within 30 s.
    """
    for _ in range(3000):
        if found := re.search(r"media_port\D+(\d+)", log.read_text()):
            return int(found.group(1))
        time.sleep(0.01)
    raise RuntimeError("the server did not say its media port")


async def _kabina(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *_COMMAND, *arguments, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"kabina {arguments[0]} failed")
    return output.decode().strip()
