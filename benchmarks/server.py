"""A server process of our own, with the demo meeting as the source of sound."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from kabina.benchmarks.conditions import ProcessCost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


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
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *_COMMAND, "serve", *(() if silent else ("--demo",)), "--port", "0",
                "--media-port", "0", "--log-level", log_level, *own,
                stdout=asyncio.subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        assert process.stdout is not None
        try:
            url = ""
            async with asyncio.timeout(60):
                while not (token and url):
                    line = (await process.stdout.readline()).decode()
                    if not line:
                        raise RuntimeError(f"the server did not start: {log.read_text()}")
                    ready = re.search(r"ready: (http://\S+)", line)
                    url = ready.group(1) if ready else url
                    link = re.search(r"/attend/demo#(\S+)", line)
                    token = link.group(1) if link else token
            meeting = "quiet" if silent else "demo"
            media_port = await asyncio.to_thread(media_port_in, log) if log_level == "info" else 0
            yield Server(
                url=url.rstrip("/"),
                meeting=meeting,
                token=token,
                cost=ProcessCost(process.pid),
                speaker_token=speaker,
                media_port=media_port,
            )
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
