"""A mix engine in virtual time: talkers push Opus packets at given moments, listeners decode rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from kabina.native import _mixing
from kabina.native.libraries import load_opus
from kabina.native.mixing import MixEngine, Voice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

RATE = 48_000
FRAME = 960
MS = 1_000_000
TICK = 20 * MS


def tone(hz: float, frames: int, *, amplitude: float = 0.25) -> Samples:
    """A sine of whole 20 ms frames; 50 Hz multiples join at every frame."""
    at = np.arange(frames * FRAME) / RATE
    return (amplitude * np.sin(2 * np.pi * hz * at)).astype(np.float32)


def bursts(frames: int, *, hz: float = 300.0, on: int = 20, off: int = 15) -> Samples:
    """Speech-like to a jitter buffer: `on` frames of tone, `off` of silence."""
    sound: Samples = tone(hz, frames).reshape(frames, FRAME).copy()
    sound[np.arange(frames) % (on + off) >= on] = 0
    return sound.reshape(-1)


def voice(frames: int) -> Samples:
    """A vowel of 150 Hz that swells four times a second; joins at every 50th frame.

    libopus takes anything steadier for noise: it sends no FEC copies of it, and lets it fade at
    once when it is lost.
    """
    vowel = np.sum([tone(150.0 * k, frames, amplitude=0.2 / k) for k in range(1, 20)], axis=0)
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * np.arange(frames * FRAME) / RATE)
    swelling: Samples = (vowel * swell).astype(np.float32)
    return swelling


@cache
def _encoded(key: tuple[bytes, int, bool, int]) -> tuple[bytes, ...]:
    data, channels, fec, frame = key
    sound = np.frombuffer(data, np.float32)
    encoder = _mixing.OpusEncoder(
        load_opus().handle, channels=channels, fec=fec, loss_percent=20 if fec else 0
    )
    step = frame * channels
    # The end goes in first: the packets may be sent round and round, and an encoder's own onset is
    # no seam of ours.
    warm = sound[-(min(len(sound), RATE * channels) // step * step) :]
    for at in range(0, len(warm), step):
        encoder.encode(warm[at : at + step])
    return tuple(encoder.encode(sound[at : at + step]) for at in range(0, len(sound), step))


def encode(
    sound: Samples, *, channels: int = 1, fec: bool = True, frame: int = FRAME
) -> tuple[bytes, ...]:
    """Opus packets of `frame` samples each; `sound` is interleaved. Cached: encoding dominates these tests."""
    return _encoded((sound.tobytes(), channels, fec, frame))


def level_db(samples: Samples, hz: float) -> float:
    """The level of one tone as the RMS of that component, dBFS (a full-scale sine is −3)."""
    window = np.hanning(len(samples))
    at = np.arange(len(samples)) / RATE
    component = np.abs(np.sum(samples * window * np.exp(-2j * np.pi * hz * at))) * 2 / window.sum()
    return float(20 * np.log10(max(component / np.sqrt(2), 1e-9)))


@dataclass
class Talker:
    """An RTP sender: its packets leave every `frame` samples of its own clock."""

    bench: MixBench
    number: int
    packets: Sequence[bytes]
    start_ns: int
    frame: int = FRAME
    sequence: int = 0
    timestamp: int = 0
    ssrc: int = 1
    ppm: float = 0.0
    """How much too fast its clock runs."""
    sent: int = 0
    is_on: bool = True
    in_flight: list[tuple[int, int, int, bytes]] = field(default_factory=list)

    def due(self, delay_ms: float = 0.0) -> int:
        """When the next packet arrives if the network takes `delay_ms`."""
        period = self.frame * 1e9 / RATE / (1 + self.ppm * 1e-6)
        return self.start_ns + round(self.sent * period + delay_ms * MS)

    def send(self, at_ns: int, payload: bytes | None = None) -> None:
        """Sends the next packet so that it arrives at `at_ns` (or another payload in its place)."""
        if payload is None:
            payload = self.packets[self.sent % len(self.packets)]
        self.push(at_ns, self.sent, payload)
        self.sent += 1

    def push(self, at_ns: int, index: int, payload: bytes | None = None) -> None:
        """The packet number `index` arrives, whenever it is."""
        pushed = self.bench.probe.push(
            self.packets[index % len(self.packets)] if payload is None else payload,
            number=self.number,
            at_ns=at_ns,
            sequence=(self.sequence + index) & 0xFFFF,
            timestamp=(self.timestamp + index * self.frame) & 0xFFFFFFFF,
            ssrc=self.ssrc,
        )
        assert pushed

    def skip(self) -> None:
        """The next packet is lost."""
        self.sent += 1


class MixBench:
    """Engine, bus and a clock that only `run` moves."""

    def __init__(self, *, rides: bool = False, follows: bool = False) -> None:
        """`follows`: ticks come when the engine's own thread would make them, not every 20 ms."""
        self.follows = follows
        self.opus = load_opus()
        self.bus = _mixing.new_bus()
        self.probe = _mixing.BusProbe(self.bus)
        self.engine = MixEngine(bus=self.bus, opus=self.opus, rides=rides)
        self.now_ns = 5_000 * MS
        self.talkers: list[Talker] = []
        self.packets: dict[int, list[tuple[int, int, bytes]]] = {}
        self._next_track = 100

    def row(self, voice: Voice | None = None) -> int:
        """A new row; its track is 100, 101, …"""
        row = self.engine.add_row(self._next_track, voice)
        self.packets[self._next_track] = []
        self._next_track += 1
        return row

    def talker(
        self, packets: Sequence[bytes], *, phase_ms: float = 15.0, **options: object
    ) -> Talker:
        """A source whose packets come `phase_ms` after a tick, starting with the next."""
        number = self.engine.add_source()
        start_ns = self.now_ns + round(phase_ms * MS)
        talker = Talker(self, number, packets, start_ns, **options)  # type: ignore[arg-type]
        self.talkers.append(talker)
        return talker

    def _next_ns(self) -> int:
        return self.engine.next_tick_ns(self.now_ns) if self.follows else self.now_ns + TICK

    def tick(self) -> None:
        """One engine frame, 20 ms on; whatever the rows sent is kept."""
        self.now_ns = self._next_ns()
        self.engine.tick(self.now_ns)
        while (packet := self.probe.pop()) is not None:
            track, at_ns, timestamp, _, payload = packet
            assert at_ns == self.now_ns
            self.packets[track].append((at_ns, timestamp, payload))

    def run(self, frames: int) -> None:
        """Frames during which every talker that is on sends on time."""
        for _ in range(frames):
            until = self._next_ns()
            for talker in self.talkers:
                while talker.due() <= until:
                    if talker.is_on:
                        talker.send(talker.due())
                    else:
                        talker.skip()
            self.tick()

    def heard(self, track: int) -> Samples:
        """Everything the track sent, decoded as one stream by one listener."""
        decoder = _mixing.OpusDecoder(self.opus.handle)
        frames = [decoder.decode(payload) for _, _, payload in self.packets[track]]
        return np.concatenate(frames) if frames else np.empty(0, np.float32)

    def counted(self, name: str) -> int:
        return self.engine.counters()[name]
