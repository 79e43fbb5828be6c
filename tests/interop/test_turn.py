"""A client that reaches the server through Debian's coturn and nothing else."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import aiohttp
import aioice.ice
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection

from kabina_sim.stock_clients import Listener, Publisher, ToneTrack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kabina_sim.server_process import ServerProcess

SECRET = "a secret of this test"
pytestmark = pytest.mark.skipif(
    shutil.which("turnserver") is None, reason="no coturn here: apt-get install coturn"
)


@pytest.fixture
def turn_port(tmp_path: Path) -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # A test may relay to loopback; a real coturn must not (docs/operations.md).
    process = subprocess.Popen(
        [
            "turnserver", "-n", "--no-cli", "--no-tls", "--no-dtls", "--allow-loopback-peers",
            "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", f"--listening-port={port}",
            "--realm=kabina", "--use-auth-secret", f"--static-auth-secret={SECRET}",
            "--log-file=stdout", f"--pidfile={tmp_path / 'turn.pid'}", f"--userdb={tmp_path / 'turn.db'}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.02)
    yield port
    process.terminate()
    process.wait(timeout=10)


async def test_a_listener_behind_turn_over_tcp_hears_the_floor(
    start_server: Callable[..., ServerProcess],
    turn_port: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    settings = tmp_path / "kabina.toml"
    url = f"turn:127.0.0.1:{turn_port}?transport=tcp"
    settings.write_text(f'turn_urls = ["{url}"]\nturn_secret = "{SECRET}"\n')
    server = start_server("--config", str(settings))
    server.kabina("meeting", "create", "m", "--floor", "en", "--languages", "fr")
    async with aiohttp.ClientSession() as http:
        speaker = Publisher(http, f"{server.url}/whip/m/floor", server.token("m", "speaker"))
        await speaker.start(ToneTrack(440.0))

        token = server.token("m", "attendee")
        async with http.ws_connect(f"{server.url}/ws") as page:
            await page.send_json({"type": "hello", "id": 1, "version": 1, "token": token})
            (entry,) = (await page.receive_json())["ice_servers"]
        assert entry["urls"] == [url]

        # No host candidates: the relay is the only way out.
        monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: [])
        listener = Listener(http, f"{server.url}/whep/m/fr", token)
        listener.pc = RTCPeerConnection(
            RTCConfiguration(
                [RTCIceServer(url, username=entry["username"], credential=entry["credential"])]
            )
        )
        listener.pc.on(
            "connectionstatechange",
            lambda: (
                listener.connected.set() if listener.pc.connectionState == "connected" else None
            ),
        )
        await listener.start()
        assert re.search(
            r"a=candidate:\S+ 1 udp \d+ 127\.0\.0\.1 \d+ typ relay",
            listener.pc.localDescription.sdp,
        )
        heard = await listener.listen_for(1.0)
        assert np.sqrt(np.mean(heard**2)) > 0.1
        await asyncio.gather(listener.close(), speaker.close())
