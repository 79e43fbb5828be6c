"""Janus from Debian's package, with a configuration of ours: one room, one mountpoint, no admin."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from kabina.benchmarks.conditions import ProcessCost
from kabina.benchmarks.peers.forwarder import BUILD, Forwarder, MissingError, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

    from kabina.benchmarks._load import Load
    from kabina.benchmarks.light_client import LightClient

EXECUTABLE: Final = "/usr/bin/janus"
LIBRARIES: Final = Path("/usr/lib/x86_64-linux-gnu/janus")
PACKAGES: Final = "janus"
ROOM, MOUNTPOINT = 1, 1

MAIN = """
general: {{
    configs_folder = "{folder}"
    plugins_folder = "{folder}/plugins"
    transports_folder = "{folder}/transports"
    events_folder = "{folder}/none"
    loggers_folder = "{folder}/none"
    debug_level = 2
    session_timeout = 0
    {event_loops}
}}
media: {{ ipv6 = false }}
nat: {{
    ice_lite = true
    ignore_mdns = true
    ice_enforce_list = "{host}"
}}
"""
HTTP = """
general: {{ json = "compact", base_path = "/janus", http = true, port = {port}, ip = "{host}" }}
admin: {{ admin_http = false }}
"""
ROOMS = """
general: {{ }}
room-{room}: {{ description = "floor", publishers = 4, audiocodec = "opus" }}
"""
MOUNTPOINTS = """
general: {{ }}
floor: {{
    type = "rtp", id = {mountpoint},
    media = ( {{ type = "audio", mid = "a", label = "floor", port = {source_port},
                 pt = 111, codec = "opus", rtpmap = "opus/48000/2", iface = "{host}" }} )
}}
"""
# Rooms are made over the API; plain RTP goes to and comes from one address.
BRIDGE = """
general: {{ local_ip = "{host}" }}
"""


class Janus(Forwarder):
    """A running Janus whose `plugin` forwards the floor."""

    def __init__(
        self, http: aiohttp.ClientSession, host: str, url: str, plugin: str, cost: ProcessCost
    ) -> None:
        super().__init__(host, cost)
        self._http, self._url, self._plugin = http, url, plugin
        self._publisher = 0

    async def published(self, client: LightClient) -> str:
        session = await self._session()
        joined = await self._ask(session, request="join", ptype="publisher", room=ROOM)
        self._publisher = joined["plugindata"]["data"]["id"]
        offer = {"type": "offer", "sdp": client.offer(), "trickle": False}
        answered = await self._ask(session, offer, request="configure", audio=True, video=False)
        return str(answered["jsep"]["sdp"])

    async def listened(self, client: LightClient) -> str:
        session = await self._session()
        if self._plugin == "videoroom":
            streams = [{"feed": self._publisher}]
            join: dict[str, Any] = {
                "request": "join",
                "ptype": "subscriber",
                "room": ROOM,
                "streams": streams,
            }
        else:
            join = {"request": "watch", "id": MOUNTPOINT}
        offered = await self._ask(session, **join)
        sdp = str(offered["jsep"]["sdp"])
        answer = {"type": "answer", "sdp": client.answer(sdp), "trickle": False}
        await self._ask(session, answer, request="start")
        return sdp

    async def _session(self) -> str:
        return await new_handle(self._http, self._url, self._plugin)

    async def _ask(
        self, handle: str, jsep: dict[str, object] | None = None, **body: object
    ) -> dict[str, Any]:
        return await ask(self._http, handle, jsep, **body)


async def new_handle(http: aiohttp.ClientSession, url: str, plugin: str) -> str:
    """A session with one handle of the plug-in, as every page has: its path."""
    session = f"{url}/{(await post(http, url, janus='create'))['data']['id']}"
    attached = await post(http, session, janus="attach", plugin=f"janus.plugin.{plugin}")
    return f"{session}/{attached['data']['id']}"


async def ask(
    http: aiohttp.ClientSession,
    handle: str,
    jsep: dict[str, object] | None = None,
    **body: object,
) -> dict[str, Any]:
    """Sends a message to the plug-in and waits for its event. RuntimeError with its error."""
    mark = secrets.token_hex(6)
    extra = {} if jsep is None else {"jsep": jsep}
    await post(http, handle, janus="message", body=body, transaction=mark, **extra)
    while True:
        async with http.get(handle.rpartition("/")[0], params={"maxev": 1}) as response:
            event = await response.json(content_type=None)
        if event.get("transaction") != mark:
            continue  # a keepalive, media, webrtcup
        if "error" in event or "error" in event.get("plugindata", {}).get("data", {}):
            raise RuntimeError(f"Janus: {event}")
        return dict(event)


async def post(http: aiohttp.ClientSession, url: str, **body: object) -> dict[str, Any]:
    """One request of Janus's API and its answer. RuntimeError with its error."""
    async with http.post(url, json={"transaction": "t", **body}) as response:
        answer = await response.json(content_type=None)
    if answer["janus"] not in ("success", "ack"):
        raise RuntimeError(f"Janus: {answer}")
    return dict(answer)


class StreamingJanus(Janus):
    """Its source is plain RTP into a port, not a WebRTC publisher."""

    source_port = 0

    async def add_source(self, load: Load) -> int:
        plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        plain.bind((self.host, 0))
        plain.connect((self.host, self.source_port))
        return load.add_plain(plain.detach())


@asynccontextmanager
async def janus(
    http: aiohttp.ClientSession, host: str, plugin: str, *, tuned: bool
) -> AsyncIterator[Janus]:
    """A fresh Janus that forwards; see `running`."""
    async with running(http, host, plugin, tuned=tuned) as (url, cost, source):
        kind = StreamingJanus if plugin == "streaming" else Janus
        made = kind(http, host, url, plugin, cost)
        made.notes["libsrtp"] = _mapped_srtp(cost.pid)
        if isinstance(made, StreamingJanus):
            made.source_port = source
        yield made


@asynccontextmanager
async def running(
    http: aiohttp.ClientSession, host: str, plugin: str, *, tuned: bool
) -> AsyncIterator[tuple[str, ProcessCost, int]]:
    """Janus with one plug-in: the URL of its API, what it costs, the port for a plain source.

    `tuned` has one event loop and the wheel's libsrtp. MissingError.
    """
    if not os.path.exists(EXECUTABLE):  # noqa: ASYNC240 - once, before anything runs
        raise MissingError(PACKAGES)
    with TemporaryDirectory() as folder:
        port, source = free_port(host), free_port(host)
        _configure(Path(folder), host, plugin, port, source, tuned=tuned)
        environment = {**os.environ, "LD_PRELOAD": _fast_srtp()} if tuned else None
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                EXECUTABLE, "-F", folder, "--disable-colors",
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment,
            )  # fmt: skip
        try:
            url = f"http://{host}:{port}/janus"
            await _ready(http, f"{url}/info", process, log)
            yield url, ProcessCost(process.pid), source
        finally:
            if process.returncode is None:
                process.kill()  # nothing of it is to be kept
            await process.wait()


def _configure(
    folder: Path, host: str, plugin: str, port: int, source: int, *, tuned: bool
) -> None:
    loops = "event_loops = 1" if tuned else ""
    values = {
        "folder": folder, "host": host, "port": port, "source_port": source, "room": ROOM,
        "mountpoint": MOUNTPOINT, "event_loops": loops,
    }  # fmt: skip
    for name, text in (
        ("janus", MAIN),
        ("janus.transport.http", HTTP),
        ("janus.plugin.videoroom", ROOMS),
        ("janus.plugin.streaming", MOUNTPOINTS),
        ("janus.plugin.audiobridge", BRIDGE),
    ):
        (folder / f"{name}.jcfg").write_text(text.format(**values))
    for kind, name in (("transports", "http"), ("plugins", plugin)):
        (folder / kind).mkdir()
        library = f"libjanus_{name}.so"
        (folder / kind / library).symlink_to(LIBRARIES / kind / library)


def _fast_srtp() -> str:
    """What to preload: the libsrtp in the pylibsrtp wheel, and the one object it wants of Python.

    Its functions of Python are bound when called, which Janus never does; `_Py_NoneStruct` is
    data and must be there.
    """
    binding = importlib.util.find_spec("pylibsrtp._binding")
    compiler = shutil.which("cc")
    if binding is None or binding.origin is None or compiler is None:
        raise MissingError("gcc")
    BUILD.mkdir(parents=True, exist_ok=True)
    shim = BUILD / "none.so"
    code = b"long _Py_NoneStruct[4];"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", shim], input=code, check=True
    )
    return f"{shim} {binding.origin}"


def _mapped_srtp(pid: int) -> str:
    """Which library's code answers for srtp_protect: the first in the link order that is mapped."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return "pylibsrtp's (OpenSSL)" if "pylibsrtp/_binding" in maps else "Debian's (NSS)"


async def _ready(
    http: aiohttp.ClientSession, url: str, process: asyncio.subprocess.Process, log: Path
) -> None:
    async with asyncio.timeout(20):
        while True:
            if process.returncode is not None:
                raise RuntimeError(f"Janus ended: {log.read_text()[-2000:]}")  # noqa: ASYNC240 - it is over
            try:
                async with http.get(url):
                    return
            except OSError:
                await asyncio.sleep(0.1)
