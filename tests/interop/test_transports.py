"""The meeting over other transports than IPv4 and UDP, heard by stock clients."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import aioice.ice
import numpy as np
import pytest

from kabina_sim.network import needs_ipv6
from kabina_sim.tones import tone_levels_db

if TYPE_CHECKING:
    from kabina_sim.meeting import Meeting

FLOOR_HZ = 440.0
FULL_DB = 20 * np.log10(0.25)  # a tone track's amplitude
pytestmark = pytest.mark.alone


def steady_db(samples: np.ndarray) -> float:
    return float(np.median(tone_levels_db(samples, FLOOR_HZ)))


@needs_ipv6
@pytest.mark.parametrize("flags", [("--host", "::1", "--public-ip", "::1")])
async def test_stock_clients_speak_and_hear_over_ipv6(
    meeting: Meeting, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["::1"])
    publisher = await meeting.publish("floor", FLOOR_HZ)
    listener = await meeting.listen("fr")
    assert " ::1 " in publisher.answer
    heard = await listener.listen_for(1.5)
    assert steady_db(heard[len(heard) // 2 :]) == pytest.approx(FULL_DB, abs=1.0)


@needs_ipv6
@pytest.mark.parametrize("flags", [("--host", "::1", "--public-ip", "127.0.0.1,::1")])
async def test_pages_are_served_in_both_families_and_ipv4_is_named_first(meeting: Meeting):
    listener = await meeting.listen("floor")
    candidates = [line for line in listener.answer.splitlines() if "a=candidate:" in line]
    assert [line.split(" ")[4] for line in candidates[:2]] == ["127.0.0.1", "::1"]
    _, writer = await asyncio.open_connection("::1", meeting.server.port, family=socket.AF_INET6)
    writer.close()
