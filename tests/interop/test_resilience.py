"""A blocked loop, a vanished client, a hostile neighbour, a stop."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kabina_sim.meeting import Meeting
    from kabina_sim.server_process import ServerProcess

pytestmark = pytest.mark.alone


async def test_a_python_loop_that_is_blocked_for_500_ms_is_not_heard(meeting: Meeting):
    await meeting.publish("floor", 440.0)
    listener = await meeting.listen_lightly("fr", meeting.server.token("m", "attendee"))
    await asyncio.sleep(1.0)
    skipped = meeting.server.metric("kabina_mix_skipped_frames_total")
    listener.record = True
    loop = asyncio.get_running_loop()
    meeting.server.block_loop()
    blocked_s = loop.time()
    await asyncio.sleep(0.05)
    await meeting.view()  # answered when the loop runs again
    answered_s = loop.time()
    await asyncio.sleep(0.5)
    listener.record = False
    assert answered_s - blocked_s > 0.4
    arrivals_s = np.array(listener.arrivals_s)
    meanwhile = np.sum((arrivals_s > blocked_s) & (arrivals_s < blocked_s + 0.4))
    print(f"{meanwhile} packets came in the first 400 ms of {answered_s - blocked_s:.2f} s")
    # Of twenty; none, if one thread waited for the other.
    assert meanwhile >= 10
    assert np.all(np.diff(listener.sequences) % 65536 == 1)
    assert meeting.server.metric("kabina_mix_skipped_frames_total") - skipped < 10


async def test_the_hook_really_blocks_the_loop(meeting: Meeting):
    loop = asyncio.get_running_loop()
    meeting.server.block_loop()
    started = loop.time()
    await asyncio.sleep(0.05)
    await meeting.view()
    assert loop.time() - started > 0.4


async def test_a_client_that_vanishes_is_gone_and_no_longer_counted(meeting: Meeting):
    listener = await meeting.listen_lightly("fr", meeting.server.token("m", "attendee"))
    assert meeting.server.metric("kabina_peers") == 1
    listener.close()
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.timeout(60):
        while meeting.server.metric("kabina_peers"):
            await asyncio.sleep(0.1)
    print(f"a vanished listener was removed after {loop.time() - started:.1f} s")
    assert (await meeting.view())["channels"][1]["listeners"] == 0


async def test_an_interpreter_who_vanishes_gives_the_channel_back_before_the_desk(
    meeting: Meeting,
):
    interpreter = await meeting.publish("fr", 880.0)
    await asyncio.sleep(0.5)
    assert (await meeting.view())["channels"][1]["state"] == "interpreted"
    interpreter.vanish()
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.timeout(60):
        while (view := await meeting.view())["channels"][1]["state"] != "passthrough":
            await asyncio.sleep(0.1)
    print(f"a vanished interpreter was off the air after {loop.time() - started:.1f} s")
    # After 5 s the channel is free, for listeners hear nothing; after 10 s the person is gone.
    assert [desk["state"] for desk in view["booths"][0]["desks"]] == ["standby"]


def junk(corpora: Path, rng: random.Random) -> Iterator[bytes]:
    """Empty, random, look-alikes, cut, oversized; then every seed of the corpora."""
    yield b""
    for size in (1, 2, 11, 12, 13, 19, 20, 28, 100, 1200, 1472, 1500, 1501, 9000, 65_507):
        yield rng.randbytes(size)
        for first in (0, 1, 3, 20, 22, 25, 63, 64, 127, 128, 144, 191, 192, 255):
            yield bytes([first]) + rng.randbytes(size - 1)
    stun_head = bytes.fromhex("0001000c2112a442") + bytes(12)
    yield from (stun_head[:n] for n in range(len(stun_head)))
    for _ in range(300):
        yield stun_head + rng.randbytes(rng.randrange(200))
        yield b"\x16\xfe\xff" + bytes(8) + rng.randbytes(rng.randrange(300))
        yield b"\x16\xfe\xfd" + rng.randbytes(10) + b"\x01" + rng.randbytes(100)
        yield b"\x15\xfe\xfd" + bytes(8) + b"\0\x02\x02\x28"
        yield b"\x80\x6f" + rng.randbytes(rng.randrange(10, 300))
        yield bytes([0x80 | rng.randrange(32), rng.randrange(192, 224)]) + rng.randbytes(
            rng.randrange(200)
        )
    for path in sorted(corpora.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            yield content[:65_507]
            for start in range(0, min(len(content), 30_000), 1200):
                yield content[start : start + rng.randrange(1, 1500)]


async def test_junk_at_the_media_port_costs_no_session_and_no_exception(
    meeting: Meeting, corpora: Path
):
    await meeting.publish("floor", 440.0)
    listener = await meeting.listen("fr")
    light = await meeting.listen_lightly("fr", meeting.server.token("m", "attendee"))
    server = light.server
    await listener.listen_for(1.0)
    rng = random.Random(7)
    peers = meeting.server.metric("kabina_peers")
    received = meeting.server.metric("kabina_plane_datagrams_received_total")
    sent = 0
    strangers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(4)]
    light.record = True
    for index, datagram in enumerate(junk(corpora, rng)):
        # Every fourth one comes from the address of a joined peer.
        if index % 4 == 0:
            light._transport.sendto(datagram, server)
        else:
            strangers[index % 4].sendto(datagram, server)
        sent += 1
        if index % 50 == 0:
            await asyncio.sleep(0.005)
    for stranger in strangers:
        stranger.close()
    async with asyncio.timeout(30):
        while (
            meeting.server.metric("kabina_plane_datagrams_received_total") - received < 0.9 * sent
        ):
            await asyncio.sleep(0.05)
    light.record = False
    assert meeting.server.metric("kabina_peers") == peers
    assert np.all(np.diff(light.sequences) % 65536 == 1)
    heard = await listener.listen_for(1.0)
    assert np.sqrt(np.mean(heard**2)) > 0.1
    late = await meeting.listen_lightly("sq", meeting.server.token("m", "attendee"))
    async with asyncio.timeout(30):
        while late.packets <= 10:
            await asyncio.sleep(0.02)
    print(f"{sent} junk datagrams, {meeting.server.log.read_text().count(chr(10))} log lines")
    assert "Traceback" not in meeting.server.log.read_text()


async def test_a_server_with_people_in_it_says_goodbye_and_stops_cleanly(
    meeting: Meeting,
):
    await meeting.publish("floor", 440.0)
    listener = await meeting.listen("fr")
    async with meeting.http.ws_connect(meeting.url("/ws")) as socket_:
        await socket_.send_json(
            {"type": "hello", "id": 1, "version": 1, "token": meeting.server.token("m", "attendee")}
        )
        assert (await socket_.receive_json())["type"] == "welcome"
        stopping = asyncio.to_thread(meeting.server.stop)
        task = asyncio.ensure_future(stopping)
        async for frame in socket_:
            if frame.json()["type"] == "goodbye":
                break
        code, took_s = await task
    print(f"stopped in {took_s:.2f} s")
    assert code == 0
    async with asyncio.timeout(30):
        while listener.pc.connectionState == "connected":
            await asyncio.sleep(0.05)


def test_a_silent_http_socket_is_closed(start_server: Callable[..., ServerProcess]):
    server = start_server()
    port = int(server.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.send(b"GET / HT")
        try:
            assert connection.recv(100) == b""
        except ConnectionResetError:
            pass
    assert os.path.exists(f"/proc/{server.process.pid}")
