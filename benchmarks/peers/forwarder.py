"""What the comparison needs of a forwarder, and those that speak our two-route HTTP."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Final

from kabina.benchmarks.conditions import ProcessCost
from kabina.benchmarks.light_client import BUFFER_BYTES, LightClient
from kabina.benchmarks.load import join, post_offer
from kabina.native.plane import SrtpProfile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import aiohttp

    from kabina.benchmarks._load import Load

ROOT: Final = Path(__file__).resolve().parents[2]
BUILD: Final = ROOT / "build" / "peers"
START_TIMEOUT_S: Final = 60.0
SSRC: Final = 0x0F100F10


class MissingError(Exception):
    """A peer's software is not here; `packages` are Debian's that bring it."""

    def __init__(self, packages: str) -> None:
        super().__init__(f"not installed: apt-get install {packages}")
        self.packages = packages


class Forwarder:
    """A running server with one publisher; `notes` say how it ran."""

    sends_always = False
    """Listeners get packets without a publisher, so what is idle is told before they come."""

    def __init__(self, host: str, cost: ProcessCost) -> None:
        self.host, self.cost = host, cost
        self.notes: dict[str, object] = {}
        self.profiles: set[str] = set()

    async def add_source(self, load: Load) -> int:
        """Joins the publisher; the number of its end in the load."""
        client = LightClient(sends=True, ssrc=SSRC, host=self.host)
        return await join(load, client, self.published)

    async def add_listener(self, load: Load) -> int:
        """Joins a listener; the number of its end in the load."""
        client = LightClient(host=self.host)
        number = await join(load, client, self.listened, stamped=True)
        if client.profile is not None:
            self.profiles.add(client.profile.name)
        return number

    async def published(self, client: LightClient) -> str:
        """The server's description for a client that sends."""
        raise NotImplementedError

    async def listened(self, client: LightClient) -> str:
        """The server's description for a client that receives."""
        raise NotImplementedError


class HttpForwarder(Forwarder):
    """POST /publish and /listen: offer in, answer out."""

    def __init__(self, http: aiohttp.ClientSession, host: str, url: str, cost: ProcessCost) -> None:
        super().__init__(host, cost)
        self.http, self.url = http, url

    async def published(self, client: LightClient) -> str:
        return await post_offer(self.http, f"{self.url}/publish", client)

    async def listened(self, client: LightClient) -> str:
        return await post_offer(self.http, f"{self.url}/listen", client)


class PlainForwarder(HttpForwarder):
    """Keys and addresses by HTTP, no ICE and no DTLS."""

    keyed = True

    async def add_source(self, load: Load) -> int:
        return await self._add(load, "publish")

    async def add_listener(self, load: Load) -> int:
        return await self._add(load, "listen")

    async def _add(self, load: Load, route: str) -> int:
        profile = SrtpProfile.AEAD_AES_128_GCM
        key = os.urandom(profile.key_bytes)
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        own.bind((self.host, 0))
        body = {"host": self.host, "port": own.getsockname()[1], "key": key.hex()}
        async with self.http.post(f"{self.url}/{route}", json=body) as response:
            own.connect((self.host, int(await response.text())))
        if not self.keyed:
            self.profiles.add("none")
            return load.add_plain(own.detach(), stamped=route == "listen")
        self.profiles.add(profile.name)
        return load.add(own.detach(), int(profile), key, key, b"", stamped=route == "listen")


class BareForwarder(PlainForwarder):
    """Not even keys."""

    keyed = False


def free_port(host: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def started(
    http: aiohttp.ClientSession,
    host: str,
    command: Sequence[str | Path],
    kind: type[HttpForwarder] = HttpForwarder,
) -> AsyncIterator[HttpForwarder]:
    """The command's server from its `ready: URL` line until the block ends; ended by its pid."""
    with TemporaryFile() as errors:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=errors
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                line = (await process.stdout.readline()).decode()
            ready = re.match(r"ready: (http://\S+)", line)
            if ready is None:
                errors.seek(0)
                raise RuntimeError(f"{command[0]} did not start: {errors.read().decode()[-2000:]}")
            yield kind(http, host, ready.group(1), ProcessCost(process.pid))
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


def python(module: str, host: str) -> list[str]:
    return [sys.executable, "-m", f"kabina.benchmarks.peers.{module}", host]


def pion(host: str) -> list[str | Path]:
    """Builds the Go forwarder when it is older than its source. MissingError without Go or Pion."""
    source, program = Path(__file__).parent / "pion" / "main.go", BUILD / "pion-forwarder"
    go, library = shutil.which("go"), Path("/usr/share/gocode")
    if go is None or not (library / "src/github.com/pion/webrtc").exists():
        raise MissingError("golang-go golang-github-pion-webrtc.v3-dev")
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        # Without modules Go strips the /v3 of an import only for code that lies beside a go.mod.
        package = BUILD / "gopath" / "src" / "kabina" / "forwarder"
        package.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, package)
        (package / "go.mod").write_text("module kabina/forwarder\n")
        environment = {
            **os.environ, "GO111MODULE": "off", "GOFLAGS": "",
            "GOPATH": f"{BUILD / 'gopath'}:{library}", "GOCACHE": str(BUILD / "gocache"),
        }  # fmt: skip
        subprocess.run([go, "build", "-o", program, "."], cwd=package, env=environment, check=True)
    return [program, host]
