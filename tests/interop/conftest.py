"""A server process with one meeting, and clients that end with the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import aiohttp
import pytest

from kabina_sim.meeting import Meeting

if TYPE_CHECKING:
    from kabina_sim.server_process import ServerProcess


@pytest.fixture
def flags() -> tuple[str, ...]:
    """Further flags of the server; a module or a parametrisation may say others."""
    return ()


@pytest.fixture
async def meeting(
    start_server: Callable[..., ServerProcess], flags: tuple[str, ...]
) -> AsyncIterator[Meeting]:
    server = start_server(*flags)
    server.kabina("meeting", "create", "m", "--floor", "en", "--languages", "fr,sq")
    async with aiohttp.ClientSession() as http:
        meeting = Meeting(server, http, [])
        yield meeting
        for peer in meeting.peers:
            closing = peer.close()
            if closing is not None:
                await closing
    log = server.log.read_text()
    assert "Traceback" not in log, log
