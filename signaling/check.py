"""`kabina check`: what a server needs of its machine, with a fix for each thing that is missing."""

from __future__ import annotations

import os
import socket
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kabina.native.libraries import LibraryError, load_crypto, load_opus, load_srtp
from kabina.signaling.config import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kabina.native.libraries import Library
    from kabina.signaling.config import Config

# Mix ticks are 20 ms; a thread that wakes later than this without FIFO is common on a busy box.
CLOCK_STEP_LIMIT_NS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """`fix` is empty when all is well; a finding may be a warning without being a failure."""

    what: str
    found: str
    fix: str = ""
    failed: bool = False

    @property
    def line(self) -> str:
        mark = "FAIL" if self.failed else "warn" if self.fix else "ok"
        return f"{mark:<5}{self.what:<12}{self.found}" + (f" → {self.fix}" if self.fix else "")


def run_checks(config: Config) -> list[Finding]:
    return [
        _python(),
        _library("libopus", load_opus),
        _library("libsrtp", load_srtp),
        _library("libcrypto", load_crypto),
        *_ports(config),
        _data_dir(config),
        _fifo(),
        _egress(config),
        _clock(),
    ]


def _python() -> Finding:
    version = f"Python {sys.version.split()[0]}"
    if not __debug__:
        # aiortc validates what it parses with assert statements (testing.md §4).
        return Finding(
            "Python", f"{version} with -O", "run without -O and PYTHONOPTIMIZE", failed=True
        )
    return Finding("Python", version)


def _library(name: str, load: Callable[[], Library]) -> Finding:
    try:
        library = load()
    except LibraryError as error:
        return Finding(name, "not found", str(error), failed=True)
    return Finding(name, f"{library.version} ({library.source}: {library.path})")


def _ports(config: Config) -> Iterator[Finding]:
    for host in config.host:
        yield _port("HTTP port", socket.SOCK_STREAM, host, config.port, "--port")
    media = config.media_addresses()
    for host in (media.v4, media.v6):
        if host:
            port = config.effective_media_port
            yield _port("media port", socket.SOCK_DGRAM, host, port, "--media-port")
            if config.media_tcp:
                yield _port("media TCP", socket.SOCK_STREAM, host, port, "--media-port")
    yield Finding("announced", ", ".join(media.announced))


def _port(what: str, kind: socket.SocketKind, host: str, port: int, flag: str) -> Finding:
    if port == 0:
        return Finding(what, "any free port")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(kind is socket.SOCK_STREAM))
        try:
            probe.bind((host, port))
        except OSError as error:
            return Finding(
                what,
                f"{host}:{port} cannot be used ({error.strerror})",
                f"stop what uses it, or choose another with {flag}",
                failed=True,
            )
    return Finding(what, f"{host}:{port} is free")


def _data_dir(config: Config) -> Finding:
    path = config.data_dir
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return Finding(
            "data", f"{path}: {error.strerror}", "choose another with --data-dir", failed=True
        )
    if not os.access(path, os.W_OK):
        return Finding(
            "data", f"{path} is not writable", f"chown it to user {os.getuid()}", failed=True
        )
    return Finding("data", str(path))


def _fifo() -> Finding:
    parameters = os.sched_param(os.sched_get_priority_min(os.SCHED_FIFO))
    before = os.sched_getscheduler(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, parameters)
    except PermissionError:
        return Finding(
            "FIFO",
            "not permitted: media threads run at normal priority and may be late",
            "give the service CAP_SYS_NICE or LimitRTPRIO=10",
        )
    os.sched_setscheduler(0, before, os.sched_param(0))
    return Finding("FIFO", "permitted")


def _egress(config: Config) -> Finding:
    threads, cores = config.effective_egress_threads, usable_cores()
    found = (
        f"{threads} threads protect and send beside the media thread ({cores} cores)"
        if threads
        else f"by the media thread ({cores} cores)"
    )
    # The media thread needs one for itself.
    fix = f"egress_threads = {max(cores - 2, 0)}" if threads and threads >= cores else ""
    return Finding("egress", found, fix)


def _clock() -> Finding:
    resolution_ns = round(time.get_clock_info("monotonic").resolution * 1e9)
    if resolution_ns > CLOCK_STEP_LIMIT_NS:
        return Finding(
            "clock", f"steps of {resolution_ns} ns", "use a clock source tsc or hpet", failed=True
        )
    return Finding("clock", f"CLOCK_MONOTONIC, {resolution_ns} ns")
