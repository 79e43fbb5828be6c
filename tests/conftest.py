"""Fixtures that start real servers and real clients, on loopback and free ports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import aioice.ice
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kabina_sim.server_process import ServerProcess


@pytest.fixture(autouse=True)
def _peers_gather_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice skips loopback; the test's clients have nothing else to reach a loopback server from."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Starts `kabina serve` processes and ends them."""
    from kabina_sim import server_process

    servers: list[ServerProcess] = []

    def start(*flags: str, data_dir: Path | None = None) -> ServerProcess:
        folder = data_dir or tmp_path / f"server-{len(servers)}"
        servers.append(server_process.start_server(folder, *flags))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.stop()
        assert server.process.stdout is not None
        server.process.stdout.close()


@pytest.fixture
def corpora() -> Path:
    return Path(__file__).parent / "wire" / "corpora"
