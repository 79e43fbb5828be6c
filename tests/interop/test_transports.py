"""The meeting over other transports than IPv4 and UDP, heard by stock clients."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import aioice.ice
import numpy as np
import pytest

from kabina_sim.light_client import LightListener, TcpLightListener
from kabina_sim.meeting import Meeting
from kabina_sim.network import needs_ipv6
from kabina_sim.tones import tone_levels_db

if TYPE_CHECKING:
    from kabina_sim.server_process import ServerProcess

LISTENERS = {"udp": LightListener, "tcp": TcpLightListener}
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


async def packets(listener: LightListener, more: int) -> None:
    wanted = listener.packets + more
    async with asyncio.timeout(60):
        while listener.packets < wanted:
            await asyncio.sleep(0.02)


def steps(listener: LightListener) -> set[int]:
    return {(b - a) & 0xFFFF for a, b in itertools.pairwise(listener.sequences)}


async def test_a_listener_over_tcp_hears_beside_one_over_udp_and_leaves_nothing(meeting: Meeting):
    await meeting.publish("floor", FLOOR_HZ)
    token = meeting.server.token("m", "attendee")
    udp = await meeting.listen_lightly("fr", token)
    await packets(udp, 20)
    before = meeting.server.threads_and_files()
    tcp = await meeting.listen_lightly("fr", token, over=TcpLightListener)
    tcp.record = True
    await packets(tcp, 100)
    threads, files = meeting.server.threads_and_files()
    assert (threads, files) == (before[0], before[1] + 1)
    assert steps(tcp) == {1}
    await tcp.delete()
    async with asyncio.timeout(30):
        while meeting.server.metric("kabina_plane_tcp_closed_total") == 0:
            await asyncio.sleep(0.02)
    assert meeting.server.metric("kabina_plane_tcp_frames_dropped_total") == 0


async def test_a_listener_whose_connection_breaks_is_heard_of_and_removed(meeting: Meeting):
    """Its UDP neighbours go on; its own session ends as for every vanished client."""
    await meeting.publish("floor", FLOOR_HZ)
    token = meeting.server.token("m", "attendee")
    udp = await meeting.listen_lightly("fr", token)
    tcp = await meeting.listen_lightly("fr", token, over=TcpLightListener)
    await packets(tcp, 20)
    tcp._checks.cancel()
    tcp._transport.stream.abort()
    async with asyncio.timeout(60):
        while (await meeting.view())["channels"][1]["listeners"] != 1:
            await asyncio.sleep(0.1)
    await packets(udp, 20)


async def test_silent_and_babbling_connections_cost_no_listener_a_packet(meeting: Meeting):
    await meeting.publish("floor", FLOOR_HZ)
    token = meeting.server.token("m", "attendee")
    udp = await meeting.listen_lightly("fr", token)
    tcp = await meeting.listen_lightly("fr", token, over=TcpLightListener)
    await asyncio.gather(packets(udp, 20), packets(tcp, 20))
    address = tcp.server
    udp.record = tcp.record = True
    strangers = []
    for i in range(600):
        stranger = socket.socket()
        stranger.setblocking(False)
        stranger.bind((f"127.0.0.{2 + i % 40}", 0))
        with contextlib.suppress(BlockingIOError):
            stranger.connect(address)
        strangers.append(stranger)
        if i % 20 == 0:
            await asyncio.sleep(0.02)
    junk = [b"\0\0" * 2000, b"GET / HTTP/1.1\r\n\r\n", b"\0\x1c\0\1" + bytes(26), b"\xff" * 4000]
    for i, stranger in enumerate(strangers[::2]):
        with contextlib.suppress(OSError):
            stranger.send(junk[i % len(junk)])
    await asyncio.gather(packets(udp, 100), packets(tcp, 100))
    for stranger in strangers:
        stranger.close()
    for listener in (udp, tcp):
        assert steps(listener) == {1}


async def test_an_operator_may_send_everybody_over_tcp_or_nobody(
    start_server: Callable[..., ServerProcess], tmp_path: Path
):
    async with aiohttp.ClientSession() as http:
        for line, protocols in (("media_udp = false", {"tcp"}), ("media_tcp = false", {"udp"})):
            file = tmp_path / "kabina.toml"
            file.write_text(line + "\n")
            server = start_server("--config", str(file))
            server.kabina("meeting", "create", "m", "--floor", "en", "--languages", "fr")
            meeting = Meeting(server, http, [])
            (protocol,) = protocols
            token = server.token("m", "attendee")
            listener = await meeting.listen_lightly("fr", token, over=LISTENERS[protocol])
            port = listener.server[1]
            listener.close()
            if protocol == "udp":
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.open_connection("127.0.0.1", port)
