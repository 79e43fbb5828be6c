"""All forwarders in turn, in a private network namespace; prints a JSON line per run.

Run by `rows()` of this package behind `unshare`: Janus and aiortc offer no loopback address, and
what is made in a namespace is gone with its last process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import aiohttp

from kabina.benchmarks.peers import forwarder as forwarders
from kabina.benchmarks.peers.forwarder import (
    BareForwarder,
    Forwarder,
    MissingError,
    PlainForwarder,
    started,
)
from kabina.benchmarks.peers.janus import janus
from kabina.benchmarks.peers.measure import Setting, measure
from kabina.benchmarks.peers.meeting import meeting

if TYPE_CHECKING:
    from collections.abc import Callable

HOST: Final = "192.0.2.1"  # RFC 5737: nobody's
Start = AbstractAsyncContextManager[Forwarder]


def peers(http: aiohttp.ClientSession) -> dict[str, Callable[[], Start]]:
    """By the name in the table. Starting one may raise MissingError."""
    return {
        "kabina": lambda: started(http, HOST, forwarders.python("kabina_forwarder", HOST)),
        "kabina, mixed": lambda: meeting(http),
        "pion": lambda: started(http, HOST, forwarders.pion(HOST)),
        "janus videoroom, tuned": lambda: janus(http, HOST, "videoroom", tuned=True),
        "janus streaming, tuned": lambda: janus(http, HOST, "streaming", tuned=True),
        "janus videoroom, default": lambda: janus(http, HOST, "videoroom", tuned=False),
        "janus streaming, default": lambda: janus(http, HOST, "streaming", tuned=False),
        "aiortc relay": lambda: started(http, HOST, forwarders.python("aiortc_relay", HOST)),
        "plain python": lambda: started(
            http, HOST, forwarders.python("plain_python", HOST), PlainForwarder
        ),
        "bare sendmmsg": lambda: started(
            http, HOST, forwarders.python("bare_send", HOST), BareForwarder
        ),
    }


def make_network() -> None:
    """An address that is not loopback's, on an interface of ours."""
    for command in (
        "ip link set lo up",
        "ip link add kabina0 type veth peer name kabina1",  # not every kernel has dummy
        "ip link set kabina1 up",
        f"ip address add {HOST}/24 dev kabina0",
        "ip link set kabina0 up",
    ):
        subprocess.run(command.split(), check=True)


async def run(name: str, setting: Setting) -> dict[str, object]:
    """One run as JSON can carry it; `error` instead of figures where there are none."""
    timeout = aiohttp.ClientTimeout(total=60)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        try:
            async with peers(http)[name]() as forwarder:
                measured = await measure(forwarder, setting)
                return {
                    **asdict(measured),
                    "us_per_packet": measured.us_per_packet,
                    "notes": forwarder.notes,
                }
        except MissingError as error:
            return {"missing": str(error)}
        except (RuntimeError, OSError) as error:
            return {"error": str(error)[:2000]}


def main() -> None:
    """`--plan` is a JSON list of [name, listeners, pps, ms between reads], done in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", type=json.loads, required=True)
    make_network()
    for name, *setting in parser.parse_args().plan:
        found = asyncio.run(run(name, Setting(*setting)))
        line = {"peer": name, "setting": setting, **found}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
