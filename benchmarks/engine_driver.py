"""The mix engine in virtual time: packets arrive at given moments, rows are heard by one listener
each.

No network, no clock, no thread: the same input gives the same samples, and an hour takes seconds.
"""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from kabina.native import _mixing
from kabina.native.libraries import load_opus
from kabina.native.mixing import MixEngine

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

RATE: Final = 48_000
FRAME: Final = 960
MS: Final = 1_000_000
FRAME_NS: Final = 20 * MS
START_NS: Final = 5_000 * MS
"""Virtual time begins here: 0 has a meaning of its own in the engine."""


class RowPacket(NamedTuple):
    """What a row sent."""

    at_ns: int
    timestamp: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Stream:
    """An RTP sender's packets, one per `samples`."""

    packets: Sequence[bytes]
    levels: Sequence[int]
    """RFC 6464: −dBov of each packet, 127 is silence."""
    samples: int = FRAME


def stream(
    sound: Samples,
    *,
    frame: int = FRAME,
    bitrate_bps: int = 64_000,
    loss_percent: int = 10,
) -> Stream:
    """`sound` as a browser sends it to a channel: VOIP, FEC, what the answer allows (64 kb/s)."""
    encoder = _mixing.OpusEncoder(
        load_opus().handle, bitrate_bps=bitrate_bps, loss_percent=loss_percent, complexity=9
    )
    frames = sound[: len(sound) // frame * frame].reshape(-1, frame)
    powers = np.mean(frames.astype(np.float64) ** 2, axis=1)
    levels = np.clip(np.round(-10 * np.log10(np.maximum(powers, 1e-13))), 0, 127)
    return Stream([encoder.encode(each) for each in frames], [int(each) for each in levels], frame)


@dataclass(order=True)
class _Arrival:
    at_ns: int
    order: int
    source: int = field(compare=False)
    sequence: int = field(compare=False)
    timestamp: int = field(compare=False)
    level: int = field(compare=False)
    payload: bytes = field(compare=False)


class EngineDriver:
    """Engine, bus and a clock that only `run` moves.

    `engine` is for plans and readings. Rows are known by their number. `busy_ns` is the wall time
    inside ticks, `packets` what each row sent.
    """

    def __init__(self, *, complexity: int = 5, rides: bool = False) -> None:
        self._opus = load_opus()
        bus = _mixing.new_bus()
        self._probe = _mixing.BusProbe(bus)
        self.engine = MixEngine(bus=bus, opus=self._opus, complexity=complexity, rides=rides)
        self.now_ns = START_NS
        self.busy_ns = 0
        self.packets: dict[int, list[RowPacket]] = {}
        self._tracks: dict[int, int] = {}
        self._coming: list[_Arrival] = []
        self._order = 0

    def row(self) -> int:
        """A new row."""
        track = 100 + len(self._tracks)
        row = self.engine.add_row(track)
        self._tracks[track] = row
        self.packets[row] = []
        return row

    def arrive(
        self, source: int, at_ns: int, sequence: int, timestamp: int, payload: bytes, level: int
    ) -> None:
        """Schedules one packet."""
        self._order += 1
        wrapped = (sequence & 0xFFFF, timestamp & 0xFFFFFFFF)
        heapq.heappush(self._coming, _Arrival(at_ns, self._order, source, *wrapped, level, payload))

    def send(
        self,
        source: int,
        sent: Stream,
        *,
        start_ns: int | None = None,
        delays_ms: Iterable[float | None] | None = None,
    ) -> int:
        """Schedules a whole stream; its packets leave from `start_ns` (now) on, on their own clock.

        `delays_ms` has one for each packet, None for a lost one; without it all arrive at once.
        Returns when the first one leaves.
        """
        first_ns = self.now_ns if start_ns is None else start_ns
        delays = [0.0] * len(sent.packets) if delays_ms is None else list(delays_ms)
        for index, (payload, level, delay_ms) in enumerate(
            zip(sent.packets, sent.levels, delays, strict=True)
        ):
            if delay_ms is None:
                continue
            timestamp = index * sent.samples
            leaves_ns = first_ns + timestamp * 1_000_000 // 48
            self.arrive(source, leaves_ns + round(delay_ms * MS), index, timestamp, payload, level)
        return first_ns

    def run(self, ms: float) -> None:
        """Lets `ms` pass."""
        until_ns = self.now_ns + round(ms * MS)
        while self.now_ns + FRAME_NS <= until_ns:
            self._tick(self.now_ns + FRAME_NS)

    def _tick(self, now_ns: int) -> None:
        self.now_ns = now_ns
        while self._coming and self._coming[0].at_ns <= now_ns:
            due = heapq.heappop(self._coming)
            pushed = self._probe.push(
                due.payload,
                number=due.source,
                at_ns=due.at_ns,
                sequence=due.sequence,
                timestamp=due.timestamp,
                audio_level=due.level,
            )
            assert pushed, "the ring to the engine is full"
        begin = time.perf_counter_ns()
        self.engine.tick(now_ns)
        self.busy_ns += time.perf_counter_ns() - begin
        while (packet := self._probe.pop()) is not None:
            track, at_ns, timestamp, _, payload = packet
            self.packets[self._tracks[track]].append(RowPacket(at_ns, timestamp, payload))

    def listen(self, row: int) -> Heard:
        """The row as one listener without losses hears it."""
        return decoded(self.packets[row])


@dataclass(frozen=True, slots=True)
class Heard:
    """A row's sound: sample i left the engine (i / 48) µs·1000 after `first_ns`."""

    samples: Samples
    first_ns: int

    def at(self, ns: int) -> int:
        """The sample that a listener without any delay hears at that time."""
        return round((ns - self.first_ns) * 48 / MS)


def decoded(packets: Sequence[RowPacket]) -> Heard:
    """Decodes one RTP stream with one decoder; what its timestamps leave out is concealed."""
    if not packets:
        return Heard(np.empty(0, np.float32), 0)
    decoder = _mixing.OpusDecoder(load_opus().handle)
    parts: list[Samples] = []
    expected = packets[0].timestamp
    for packet in packets:
        missing = (packet.timestamp - expected) & 0xFFFFFFFF
        if missing >= 1 << 31:
            raise ValueError("a row's timestamps go backwards")
        while missing > 0:
            # 2.5 ms is Opus's unit; whole frames else.
            part = min(missing, FRAME)
            parts.append(decoder.conceal(part))
            missing -= part
        sound = decoder.decode(packet.payload)
        parts.append(sound)
        expected = (packet.timestamp + len(sound)) & 0xFFFFFFFF
    return Heard(np.concatenate(parts), packets[0].at_ns)


def heard_directly(sent: Stream) -> Samples:
    """The stream decoded without the engine: what the sender's own codec makes of the sound."""
    decoder = _mixing.OpusDecoder(load_opus().handle)
    return np.concatenate([decoder.decode(packet) for packet in sent.packets])
