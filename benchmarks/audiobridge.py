"""Listeners in four languages: Kabina's channels beside Janus's AudioBridge, CPU per listener.

In every language a floor speaks and an interpreter over it: to Kabina a floor and four booths on
air, to Janus four rooms with two speakers each. All send speech in real Opus; all listeners read.
Kabina's 500 are DTLS-SRTP; Janus's participants are plain RTP, and muted where they only listen,
which is the kindest to it.

An AudioBridge encodes for every listener; a core of it is full at 80 to 90 participants, so it is
measured at 20, 40 and 60, where it keeps up; a run that delivers less than 95 % does not count.
What it would take for 500 lies on the line through those. Compared are all that both take over the
listeners, and one listener more, the slope of each.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

import aiohttp
import numpy as np

from kabina.benchmarks import peers
from kabina.benchmarks import pictures as drawing
from kabina.benchmarks.chirps import voice
from kabina.benchmarks.light_client import LightClient
from kabina.benchmarks.load import Joiner, join, new_load, post_offer
from kabina.benchmarks.peers.audiobridge import audiobridge
from kabina.benchmarks.peers.compare import HOST, make_network
from kabina.benchmarks.peers.forwarder import MissingError
from kabina.benchmarks.peers.measure import more_descriptors
from kabina.benchmarks.server import meeting_server
from kabina.interpretation.ids import FLOOR, MeetingId, Role
from kabina.interpretation.spec import MeetingSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from kabina.benchmarks._load import Load
    from kabina.benchmarks.conditions import ProcessCost

    Row = dict[str, object]

LANGUAGES: Final = ("fr", "de", "es", "it")
LISTENERS: Final = 500
FEWER: Final = 100
PARTICIPANTS: Final = (20, 40, 60)
RATES_HZ: Final = (48_000, 16_000)
SPEECH_S: Final = 12.0
WARM_S, MEASURE_S = 3.0, 8.0
PPS: Final = 50
KEEPS_UP: Final = 0.95
GOAL_SHARE: Final = 0.05


def rows() -> list[Row]:
    """A row per run and one that compares; one that says why where there can be none."""
    prefix = peers.isolation()
    if prefix is None:
        return [{"server": "all", "note": peers.NEEDS_NAMESPACES}]
    return compared(list(peers.isolated(prefix, "audiobridge")))


def compared(runs: Sequence[Row]) -> list[Row]:
    """The runs, then what both would take for LISTENERS, and for one more."""
    made = list(runs)
    ours = _line_of("kabina", runs)
    for rate_hz in RATES_HZ:
        theirs = _line_of(room_name(rate_hz), runs)
        if ours is None or theirs is None:
            continue
        all_ours, all_theirs = (fixed + each * LISTENERS for fixed, each in (ours, theirs))
        made.append(
            {
                "server": f"kabina / {room_name(rate_hz)}",
                "listeners": LISTENERS,
                "cpu_percent": all_ours,
                "janus_would_take": all_theirs,
                "share": all_ours / all_theirs,
                "percent_each": ours[1],
                "janus_percent_each": theirs[1],
                "share_each": ours[1] / theirs[1],
                "goal_share": GOAL_SHARE,
            }
        )
    return made


def pictures(rows: list[Row], folder: Path) -> list[Path]:
    """CPU over listeners: the runs, and the lines through them as far as LISTENERS."""
    servers = ["kabina", *(room_name(rate_hz) for rate_hz in RATES_HZ)]
    lines = {server: _line_of(server, rows) for server in servers}
    if not any(lines.values()):
        return []
    figure, (axes,) = drawing.grid()
    for server, colour in zip(servers, drawing.COLOURS, strict=False):
        mine = [row for row in rows if row["server"] == server and "cpu_percent" in row]
        axes.scatter(
            [_number(row, "listeners") for row in mine],
            [_number(row, "cpu_percent") for row in mine],
            color=colour,
            label=server,
        )
        found = lines[server]
        if found is not None:
            ends = [0, LISTENERS]
            axes.plot(ends, [found[0] + found[1] * x for x in ends], "--", color=colour)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("listeners in four interpreted languages")
    axes.set_title("CPU of the server, % of one core; dashed: the line through what was measured")
    axes.legend()
    return drawing.save(figure, folder, "audiobridge")


def _line_of(server: str, runs: Sequence[Row]) -> tuple[float, float] | None:
    mine = [run for run in runs if run["server"] == server and run.get("keeps_up")]
    return line([(_number(run, "listeners"), _number(run, "cpu_percent")) for run in mine])


def line(points: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """The least squares' y at 0 and slope; None where there are not two x."""
    if len({x for x, _ in points}) < 2:
        return None
    slope, at_zero = np.polyfit([x for x, _ in points], [y for _, y in points], 1)
    return float(at_zero), float(slope)


def _number(run: Row, key: str) -> float:
    value = run[key]
    assert isinstance(value, int | float)
    return float(value)


def room_name(rate_hz: int) -> str:
    return f"janus audiobridge, {rate_hz // 1000} kHz rooms"


# --- In the namespace -----------------------------------------------------------------------------


class Speakers:
    """Publishes to ends of a load, each its own part of the speech."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._voices = [
            voice(SPEECH_S, speaker=number, rising=True, every=1 << 30).payloads
            for number in range(3)
        ]

    def start(self, ends: Iterable[int]) -> None:
        """The first speaks as the floor does, the others as interpreters, whoever they are."""
        for number, end in enumerate(ends):
            self._load.publish(
                end,
                self._voices[number % 3],
                interval_ns=1_000_000_000 // PPS,
                timestamp_step=48_000 // PPS,
                ssrc=0x0B00 + number,
                payload_type=111,
                phase_ns=number * 3_100_000 % 20_000_000,
            )
        self._load.start()


async def kabina(http: aiohttp.ClientSession, listeners: int) -> Row:
    """A row of the whole server: HTTP, mixing, encoding, fan-out."""
    spec = MeetingSpec(MeetingId("bridge"), "Bridge", "en", LANGUAGES)
    load = new_load(listeners + len(LANGUAGES) + 1)
    try:
        async with meeting_server(spec) as server:
            speakers = [
                await _published(http, load, f"{server.url}/whip/bridge/{channel}", token, number)
                for number, (channel, token) in enumerate(
                    [(FLOOR, server.token("bridge", Role.SPEAKER))]
                    + [(tag, server.token("bridge", Role.INTERPRETER, tag)) for tag in LANGUAGES]
                )
            ]
            Speakers(load).start(speakers)
            joiner = Joiner(http, load)
            token = server.token("bridge", Role.ATTENDEE)
            ends: list[int] = []
            for tag in LANGUAGES:
                url, count = f"{server.url}/whep/bridge/{tag}", listeners // len(LANGUAGES)
                ends += await joiner.listen_all(url, token, count)
            return {"server": "kabina", **await measured(load, server.cost, ends, speakers)}
    finally:
        load.close()


async def _published(
    http: aiohttp.ClientSession, load: Load, url: str, token: str, number: int
) -> int:
    client = LightClient(sends=True, ssrc=0x0B00 + number)
    return await join(load, client, lambda client: post_offer(http, url, client, token))


async def janus(http: aiohttp.ClientSession, participants: int, rate_hz: int) -> Row:
    """A row of a fresh Janus with a room per language, two of whose participants speak."""
    load = new_load(participants)
    try:
        async with audiobridge(http, HOST) as bridge:
            speakers: list[int] = []
            ends: list[int] = []
            rooms = [await bridge.add_room(rate_hz=rate_hz) for _ in LANGUAGES]
            for room in rooms:
                speakers += [await bridge.join(load, room, speaks=True) for _ in range(2)]
            for number in range(participants - len(speakers)):
                room = rooms[number % len(rooms)]
                ends.append(await bridge.join(load, room, speaks=False))
            Speakers(load).start(speakers)
            return {
                "server": room_name(rate_hz),
                **await measured(load, bridge.cost, ends, speakers),
            }
    finally:
        load.close()


async def measured(
    load: Load, cost: ProcessCost, listeners: Sequence[int], speakers: Sequence[int]
) -> Row:
    """CPU in percent of a core, and what the listeners got."""
    await asyncio.sleep(WARM_S)
    load.reset()
    cpu = cost.cpu_s()
    threads = cost.threads_s()
    await asyncio.sleep(MEASURE_S)
    cpu = cost.cpu_s() - cpu
    after = cost.threads_s()
    figures = [load.figures(end) for end in listeners]
    got = sum(each["received"] for each in figures)
    lost = sum(max(each["lost"] - each["overflowed"], 0) for each in figures)
    arrived = got / (len(listeners) * PPS * MEASURE_S)
    percent = cpu / MEASURE_S * 100
    by_thread = {name: after[name] - threads.get(name, 0.0) for name in after}
    busiest = max(by_thread, key=lambda name: by_thread[name])
    return {
        "listeners": len(listeners),
        "speakers": len(speakers),
        "cpu_percent": percent,
        "percent_each": percent / len(listeners),  # of all there is, speakers too
        "arrived": arrived,
        "keeps_up": arrived >= KEEPS_UP,
        "lost_by_server": lost,
        "lost_by_reader": sum(each["overflowed"] for each in figures),
        "busiest": f"{busiest} {by_thread[busiest] / MEASURE_S * 100:.1f} %",
        "threads": cost.thread_count(),
    }


async def _run() -> None:
    timeout, connector = aiohttp.ClientTimeout(total=60), aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        for rate_hz in RATES_HZ:
            for participants in PARTICIPANTS:
                try:
                    run = await janus(http, participants, rate_hz)
                except MissingError as error:
                    run = {"server": room_name(rate_hz), "note": str(error)}
                print(json.dumps(run), flush=True)
                if "note" in run:
                    break
            if rate_hz == RATES_HZ[0]:  # beside those it is compared with first
                for listeners in (FEWER, LISTENERS):
                    print(json.dumps(await kabina(http, listeners)), flush=True)


def main() -> None:
    """Prints a JSON line per run; in a namespace of its own."""
    make_network()
    more_descriptors()
    asyncio.run(_run())


if __name__ == "__main__":
    main()
