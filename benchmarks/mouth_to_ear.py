"""From a speaker's mouth to a listener's ear: what Kabina adds, and Janus's AudioBridge.

Chirps in speech, in Opus, are sent 20 ms at a time and looked for in what a listener gets and
decodes (chirps.py says when a sound leaves a mouth and reaches an ear). Of that time `beyond_ms` is
what is left without one frame of 20 ms and the look-ahead of 6.5 ms of each encoder on the way: the
speaker's, and the server's where it mixes. It is what jitter buffers, waiting for a clock, mixing,
encoding and the way take on a loopback without loss; a listener's own jitter buffer comes on top.
`beyond_frame_ms` still has the look-aheads; so have the shares called `with_look_ahead`.

Every round both servers get fresh speakers whose sends are 4 ms later against the servers' clocks,
and the first seconds do not count: buffers settle. `beyond_ms` is the median of all chirps, the
range that of the rounds' medians.

All of Kabina is DTLS-SRTP by WHIP and WHEP, all of Janus plain RTP in 48 kHz rooms.
"""

from __future__ import annotations

import asyncio
import json
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import aiohttp

from kabina.benchmarks import peers
from kabina.benchmarks import pictures as drawing
from kabina.benchmarks.chirps import (
    FRAME_MS,
    LOOK_AHEAD_MS,
    Heard,
    Voice,
    found_chirps,
    quantile,
    voice,
)
from kabina.benchmarks.light_client import LightClient
from kabina.benchmarks.load import join, new_load, post_offer_at
from kabina.benchmarks.peers.audiobridge import PREBUFFER, AudioBridge, audiobridge
from kabina.benchmarks.peers.compare import HOST, make_network
from kabina.benchmarks.peers.forwarder import MissingError
from kabina.benchmarks.server import MeetingServer, meeting_server
from kabina.interpretation.ids import FLOOR, MeetingId, Role
from kabina.interpretation.spec import MeetingSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    Row = dict[str, object]

ROUNDS: Final = 5
ROUND_S, SETTLE_S = 10.0, 3.0
FRAME_NS: Final = 20_000_000
OTHERS_PHASE_NS: Final = 7_300_000  # of the second speaker, after the first one's
GOAL_MS, GOAL_SHARE, GOAL_SHARE_DEFAULT = 12.0, 1 / 2, 1 / 10


@dataclass(frozen=True, slots=True)
class Case:
    """One way through a server; `encoders` on it."""

    name: str
    encoders: int


INTERPRETER: Final = Case("kabina, interpreter over the floor", 2)
UNDER: Final = Case("kabina, floor under the interpreter", 2)
TWO: Final = Case("kabina, floor of two speakers", 2)
FORWARDED: Final = Case("kabina, one speaker untouched", 1)
BEST: Final = Case("janus audiobridge, prebuffer 1", 2)
DEFAULT: Final = Case(f"janus audiobridge, prebuffer {PREBUFFER} (its default)", 2)
KABINA: Final = (INTERPRETER, UNDER, TWO, FORWARDED)
JANUS: Final = (BEST, DEFAULT)
CASES: Final = {case.name: case for case in (*KABINA, *JANUS)}


def rows() -> list[Row]:
    """A row per case; one that says why where there can be none."""
    prefix = peers.isolation()
    if prefix is None:
        return [{"case": "all", "note": peers.NEEDS_NAMESPACES}]
    return summed(list(peers.isolated(prefix, "mouth_to_ear")))


def summed(runs: Sequence[Row]) -> list[Row]:
    """A row per case of all its rounds; Kabina's mixes have their share of Janus's."""
    made = [_summed(case, [run for run in runs if run["case"] == case.name]) for case in KABINA]
    theirs = [_summed(case, [run for run in runs if run["case"] == case.name]) for case in JANUS]
    for row in made[:3]:
        row["goal_ms"] = GOAL_MS
        for other, goal, name in zip(
            theirs, (GOAL_SHARE, GOAL_SHARE_DEFAULT), ("best", "default"), strict=True
        ):
            ours, whole = row.get("beyond_ms"), other.get("beyond_ms")
            if isinstance(ours, float) and isinstance(whole, float):
                row[f"share_of_{name}"] = ours / whole
                row[f"with_look_ahead_{name}"] = (ours + 2 * LOOK_AHEAD_MS) / (
                    whole + 2 * LOOK_AHEAD_MS
                )
                row[f"goal_of_{name}"] = goal
    return made + theirs + _curves(runs)


def _curves(runs: Sequence[Row]) -> list[Row]:
    """Per case all chirps' `beyond_ms` in order: for JSON and the picture."""
    return [
        {
            "case": case.name,
            "curve": sorted(
                _beyond(case, ms) for run in runs if run["case"] == case.name for ms in _list(run)
            ),
        }
        for case in CASES.values()
        if any(_list(run) for run in runs if run["case"] == case.name)
    ]


def pictures(rows: list[Row], folder: Path) -> list[Path]:
    """Bars of the medians with the rounds' range, and the share of chirps heard by then."""
    shown = [row for row in rows if "beyond_ms" in row and "curve" not in row]
    curves = [row for row in rows if "curve" in row]
    if not shown:
        return []
    figure, (bars, shares) = drawing.grid(2, 1, height=6.5)
    for number, row in enumerate(shown):
        middle, least, most = (_number(row, key) for key in ("beyond_ms", "least_ms", "most_ms"))
        bars.barh(number, middle, color=drawing.COLOURS[number])
        bars.plot([least, most], [number, number], color="#333333", linewidth=1.5)
        bars.annotate(f" {middle:.1f}", (max(middle, most), number), va="center")
    bars.set_yticks(range(len(shown)), [str(row["case"]) for row in shown])
    bars.invert_yaxis()
    bars.axvline(GOAL_MS, color="#999999", linestyle="--", linewidth=1)
    bars.set_title("Beyond frame and look-ahead, ms (line: rounds)")
    for number, row in enumerate(curves):
        ms = _list({"ms": row["curve"]})
        reached = [(i + 1) / len(ms) for i in range(len(ms))]
        shares.step(
            ms, reached, where="post", label=str(row["case"]), color=drawing.COLOURS[number]
        )
    shares.axvline(GOAL_MS, color="#999999", linestyle="--", linewidth=1)
    shares.set_xlabel("ms")
    shares.set_title("Share of chirps heard by then")
    shares.legend(fontsize=7)
    return drawing.save(figure, folder, "mouth-to-ear")


def _number(row: Row, key: str) -> float:
    value = row[key]
    assert isinstance(value, int | float)
    return float(value)


def _summed(case: Case, runs: Sequence[Row]) -> Row:
    note = next((run["note"] for run in runs if "note" in run), None)
    rounds = [[_beyond(case, float(ms)) for ms in _list(run)] for run in runs]
    every = [ms for found in rounds for ms in found]
    if not every:
        return {"case": case.name, "note": note or "no chirp was heard"}
    medians = [statistics.median(found) for found in rounds if found]
    return {
        "case": case.name,
        "rounds": len(medians),
        "chirps": len(every),
        "missed": sum(int(str(run["missed"])) for run in runs),
        "total_ms": statistics.median(every) + FRAME_MS + case.encoders * LOOK_AHEAD_MS,
        "beyond_frame_ms": statistics.median(every) + case.encoders * LOOK_AHEAD_MS,
        "look_ahead_ms": case.encoders * LOOK_AHEAD_MS,
        "beyond_ms": statistics.median(every),
        "least_ms": min(medians),
        "most_ms": max(medians),
        "p95_ms": quantile(every, 0.95),
    }


def _list(run: Row) -> list[float]:
    found = run.get("ms", [])
    assert isinstance(found, list)
    return found


def _beyond(case: Case, ms: float) -> float:
    return ms - FRAME_MS - case.encoders * LOOK_AHEAD_MS


# --- In the namespace -----------------------------------------------------------------------------


class Session:
    """One round's load: speakers that publish voices, listeners that are recorded."""

    def __init__(self, number: int) -> None:
        self.load = new_load(16)
        self._phase_ns = number * FRAME_NS // ROUNDS
        self._speakers: list[tuple[int, Voice]] = []
        self._listeners: list[tuple[Case, int, int]] = []

    def speaks(self, end: int, said: Voice, *, second: bool = False) -> int:
        """The speaker's number here; `second` is out of step with the first."""
        phase_ns = (self._phase_ns + second * OTHERS_PHASE_NS) % FRAME_NS
        self.load.publish(
            end,
            said.payloads,
            interval_ns=FRAME_NS,
            timestamp_step=960,
            ssrc=0x0E00 + len(self._speakers),
            payload_type=111,
            phase_ns=phase_ns,
        )
        self.load.record(end, len(said.payloads))
        self._speakers.append((end, said))
        return len(self._speakers) - 1

    def listens(self, case: Case, end: int, to: int) -> None:
        """`to`: the speaker whose chirps are looked for."""
        self.load.record(end, round(ROUND_S * 60))
        self._listeners.append((case, end, to))

    async def run(self) -> list[Row]:
        """A row per listener: `ms` from mouth to ear of each chirp that counts."""
        self.load.start(realtime=True)
        await asyncio.sleep(ROUND_S)
        self.load.stop()
        made: list[Row] = []
        for case, end, to in self._listeners:
            source, said = self._speakers[to]
            sent, heard = self.load.recorded(source), Heard(self.load.recorded(end))
            found, missed = found_chirps(said, sent, heard)
            after = [each for each in found if each.sent_at >= SETTLE_S * 48_000]
            made.append({"case": case.name, "ms": [each.ms for each in after], "missed": missed})
        return made


def voices() -> tuple[Voice, Voice]:
    """Two speakers whose chirps are unlike each other and about half a period apart."""
    return (
        voice(ROUND_S, speaker=1, rising=True, seed=1),
        voice(ROUND_S, speaker=0, rising=False, first=4_800 + 10_800, seed=2),
    )


async def kabina_round(
    http: aiohttp.ClientSession, server: MeetingServer, number: int
) -> list[Row]:
    """All cases of Kabina at once, each in a meeting of its own."""
    session = Session(number)
    resources: list[tuple[str, str]] = []
    first, second = voices()

    async def end(meeting: str, path: str, role: Role, language: str = "", ssrc: int = 0) -> int:
        url, token = f"{server.url}/{path}", server.token(meeting, role, language)

        async def exchange(client: LightClient) -> str:
            answer, location = await post_offer_at(http, url, client, token)
            resources.append((location, token))
            return answer

        return await join(session.load, LightClient(sends=ssrc > 0, ssrc=ssrc or None), exchange)

    async def speak(meeting: str, said: Voice, language: str = "", *, second: bool = False) -> int:
        role = Role.INTERPRETER if language else Role.SPEAKER
        ssrc = 0x0E00 + len(session._speakers)
        path = f"whip/{meeting}/{language or FLOOR}"
        return session.speaks(await end(meeting, path, role, language, ssrc), said, second=second)

    async def listen(case: Case, meeting: str, channel: str, to: int) -> None:
        path = f"whep/{meeting}/{channel}"
        session.listens(case, await end(meeting, path, Role.ATTENDEE), to)

    try:
        floor = await speak("interpreted", second, second=True)
        interpreter = await speak("interpreted", first, "fr")
        await listen(INTERPRETER, "interpreted", "fr", interpreter)
        await listen(UNDER, "interpreted", "fr", floor)
        one = await speak("two", first)
        await speak("two", second, second=True)
        await listen(TWO, "two", FLOOR, one)
        alone = await speak("one", first)
        await listen(FORWARDED, "one", FLOOR, alone)
        return await session.run()
    finally:
        session.load.close()
        for url, token in resources:
            async with http.delete(url, headers={"Authorization": f"Bearer {token}"}):
                pass


async def janus_round(http: aiohttp.ClientSession, bridge: AudioBridge, number: int) -> list[Row]:
    """Both kinds of rooms at once, with the speakers of Kabina's interpreted meeting."""
    session = Session(number)
    rooms: list[int] = []
    first, second = voices()
    try:
        for case, prebuffer in ((BEST, 1), (DEFAULT, PREBUFFER)):
            room = await bridge.add_room(prebuffer=prebuffer)
            rooms.append(room)
            one = session.speaks(await bridge.join(session.load, room, speaks=True), first)
            other = await bridge.join(session.load, room, speaks=True)
            session.speaks(other, second, second=True)
            session.listens(case, await bridge.join(session.load, room, speaks=False), one)
        return await session.run()
    finally:
        session.load.close()
        for room in rooms:
            await bridge.end_room(room)


async def _run() -> None:
    meetings = [
        MeetingSpec(MeetingId(name), name, "en", ("fr",)) for name in ("interpreted", "two", "one")
    ]
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout) as http, meeting_server(*meetings) as server:
        try:
            async with audiobridge(http, HOST) as bridge:
                for number in range(ROUNDS):
                    _print(await kabina_round(http, server, number))
                    _print(await janus_round(http, bridge, number))
        except MissingError as error:
            _print([{"case": case.name, "note": str(error)} for case in JANUS])
            for number in range(ROUNDS):
                _print(await kabina_round(http, server, number))


def _print(found: list[Row]) -> None:
    for row in found:
        print(json.dumps(row), flush=True)


def main() -> None:
    """Prints a JSON line per case and round; in a namespace of its own."""
    make_network()
    asyncio.run(_run())


if __name__ == "__main__":
    main()
