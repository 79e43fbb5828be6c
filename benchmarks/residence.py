"""How long sound stays in the mix engine: from a packet on the bus to the mixed packet that has it.

The engine's own thread runs in real time; a probe stands where the plane would be, pushes two
speakers' real Opus with seeded jitter and takes the row's packets when it is woken. `residence` is
counted from the arrival of the packet that completes a mixed frame: the one in which the last
sample of the first source that the frame mixes came. Which one that is follows from chirps
(chirps.py), so nothing of the engine's inside is asked.

Where arrivals are steady the packet can be mixed at once; where they jitter the jitter buffer holds
it on purpose until its target, and `beyond_target` leaves that out: it is counted from the moment
that the target allows, or from the arrival if that is later. The probe's own wake is included.
"""

from __future__ import annotations

import os
import select
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from kabina.benchmarks.chirps import FRAME, FRAME_MS, Heard, Voice, found_chirps, quantile, voice
from kabina.native._mixing import BusProbe, Limiter, new_bus
from kabina.native.libraries import load_opus
from kabina.native.mixing import MixEngine, RowPlan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from kabina.benchmarks.chirps import Packet

    Row = dict[str, object]

SECONDS, SETTLE_S = 24.0, 12.0  # a source's mode may change 10 s after its network did
FRAME_NS: Final = 20_000_000
TRACK: Final = 1
PRIORITY: Final = 5  # SCHED_FIFO, below the engine's
CODECS: Final = 620
"""Samples by which two of libopus's encoders and decoders shift a chirp (see the unit tests)."""
SLACK: Final = 48
"""1 ms of samples that a chirp's place may be wrong by, and that a frame may lack unnoticed."""


@dataclass(frozen=True, slots=True)
class Case:
    """`jitter_ms` is the mean of exponential delays; nobody overtakes."""

    name: str
    jitter_ms: float
    interpreted: bool
    goals_ms: tuple[float, float]


PACKET_CLOCKED: Final = (0.5, 2.0)
DEADLINE: Final = (3.0, 12.0)
CASES: Final = (
    Case("steady, interpreter over the floor", 0.3, True, PACKET_CLOCKED),
    Case("steady, floor of two", 0.3, False, PACKET_CLOCKED),
    Case("jittered, interpreter over the floor", 12.0, True, DEADLINE),
)


def rows() -> Iterator[Row]:
    """One row per case, each with a fresh engine; half a minute each."""
    for case in CASES:
        yield _row(case)


def _row(case: Case) -> Row:
    first = voice(SECONDS, speaker=1, rising=True)
    second = voice(SECONDS, speaker=0, rising=False, every=1 << 30, seed=2)
    run = Run(case, (first, second))
    run.go()
    found, missed = found_chirps(first, run.sent[0], run.heard)
    settled = round(SETTLE_S * 48_000)
    shifts = [
        (each.heard_at, each.heard_at - each.sent_at - CODECS - Limiter.delay_samples)
        for each in found
        if each.sent_at >= settled
    ]
    arrivals = [at_ns for at_ns, *_ in run.sent[0]]
    outs = [at_ns for at_ns, *_ in run.out]
    waited = residences(shifts, arrivals, outs)
    target_ms = float(np.median(run.targets_ms[int(SETTLE_S) :]))
    base = min(at - number * FRAME_NS for number, at in enumerate(arrivals))
    dues = [
        max(at, round(base + number * FRAME_NS + target_ms * 1e6))
        for number, at in enumerate(arrivals)
    ]
    beyond = residences(shifts, dues, outs)
    counters = run.counters
    return {
        "case": case.name,
        "frames": len(waited),
        "missed": missed,
        "p50_ms": quantile(waited, 0.5),
        "p99_ms": quantile(waited, 0.99),
        "beyond_target_p50_ms": quantile(beyond, 0.5),
        "beyond_target_p99_ms": quantile(beyond, 0.99),
        "goal_p50_ms": case.goals_ms[0],
        "goal_p99_ms": case.goals_ms[1],
        "arrivals_p95_ms": quantile(
            [(at - base - number * FRAME_NS) / 1e6 for number, at in enumerate(arrivals)], 0.95
        ),
        "target_ms": target_ms,
        "busy_max_ms": counters["busy_max_ns"] / 1e6,
        "scheduling": "fifo" if counters["is_fifo"] else "other",
    }


def residences(
    shifts: Sequence[tuple[int, int]], arrivals: Sequence[int], outs: Sequence[int]
) -> list[float]:
    """Milliseconds from the completing packet to each mixed one.

    `shifts`: (sample of the mix, samples by which it is later than in the source) in order. Frames
    between two places with the same shift, and those two's own, are counted; nothing is said of
    frames between which the buffer cut or inserted.
    """
    found: dict[int, float] = {}
    for (first, shift), (last, next_shift) in pairwise(shifts):
        if abs(next_shift - shift) > SLACK:
            continue
        for frame in range(first // FRAME, last // FRAME + 1):
            packet = completing(frame, shift)
            if 0 <= packet < len(arrivals) and frame < len(outs):
                found[frame] = (outs[frame] - arrivals[packet]) / 1e6
    return list(found.values())


def completing(frame: int, shift: int) -> int:
    """The source's packet with the last sample of this mixed frame, but for SLACK of them."""
    return ((frame + 1) * FRAME - 1 - shift - SLACK) // FRAME


def arrivals_ns(count: int, jitter_ms: float, phase_ns: int, seed: int) -> NDArray[np.int64]:
    """When packets come after the start, in order; each at most as early as it is sent."""
    delays = np.random.default_rng(seed).exponential(jitter_ms * 1e6, count)
    sends = np.arange(count) * FRAME_NS + phase_ns
    return np.maximum.accumulate((sends + delays).astype(np.int64))


class Run:
    """Both speakers through one row; fills `sent`, `out` and `targets_ms` (one per second)."""

    def __init__(self, case: Case, speakers: tuple[Voice, Voice]) -> None:
        bus = new_bus()
        self._probe, self._engine = BusProbe(bus), MixEngine(bus=bus, opus=load_opus())
        self._speakers = speakers
        self._sources = [self._engine.add_source() for _ in speakers]
        row = self._engine.add_row(TRACK)
        first, second = self._sources
        floor, interpreters = ((second,), (first,)) if case.interpreted else ((first, second), ())
        self._engine.apply([RowPlan(row=row, floor=floor, interpreters=interpreters, heard=True)])
        self._plan = sorted(
            (int(at), speaker, number)
            for speaker, said in enumerate(speakers)
            for number, at in enumerate(
                arrivals_ns(len(said.payloads), case.jitter_ms, speaker * 7_300_000, speaker + 1)
            )
        )
        self.sent: tuple[list[Packet], list[Packet]] = ([], [])
        self.out: list[Packet] = []
        self.targets_ms: list[int] = []
        self.counters: dict[str, int] = {}

    @property
    def heard(self) -> Heard:
        return Heard(self.out)

    def go(self) -> None:
        """In a thread of its own, as the plane is, and at its kind of priority where it may."""
        self._engine.start()
        try:
            thread = threading.Thread(target=self._run)
            thread.start()
            thread.join()
        finally:
            self._engine.stop()
        self.counters = self._engine.counters()

    def _run(self) -> None:
        with suppress(OSError):  # where it may not, the engine may not either: `scheduling`
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
        start = time.monotonic_ns() + FRAME_NS
        for due, speaker, number in self._plan:
            self._take_until(start + due)
            self._push(speaker, number)
        self._take_until(time.monotonic_ns() + 500_000_000)

    def _push(self, speaker: int, number: int) -> None:
        payload = self._speakers[speaker].payloads[number]
        at_ns = time.monotonic_ns()
        self._probe.push(
            payload,
            number=self._sources[speaker],
            at_ns=at_ns,
            sequence=number & 0xFFFF,
            timestamp=number * FRAME,
            ssrc=speaker + 1,
            audio_level=26,
        )
        self.sent[speaker].append((at_ns, number * FRAME, number & 0xFFFF, b""))
        if speaker == 0 and number % round(1000 / FRAME_MS) == 0:
            self.targets_ms.append(self._engine.source_readings(self._sources[0]).target_ms)

    def _take_until(self, due_ns: int) -> None:
        while (wait_ns := due_ns - time.monotonic_ns()) > 0:
            if not select.select([self._probe.wake_fd], [], [], wait_ns / 1e9)[0]:
                continue
            at_ns = time.monotonic_ns()
            os.read(self._probe.wake_fd, 8)
            while (packet := self._probe.pop()) is not None:
                _, _, timestamp, _, payload = packet
                self.out.append((at_ns, timestamp, len(self.out), payload))
