"""The mix engine: sources and language rows in, one Opus packet per heard row and 20 ms out.

Python tells it what to mix, per join and per click; the engine's own thread does everything per
packet and frame.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from kabina.native import _mixing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from kabina.native.libraries import Library

__all__ = ["Ducking", "MixEngine", "RowPlan", "RowReadings", "SourceReadings", "Voice"]

MAX_FADE_MS: Final = 60_000
MIN_DEPTH_DB: Final = -90.0


@dataclass(frozen=True, slots=True)
class Ducking:
    """How the original is lowered under an interpreter.

    ValueError outside −90 … 0 dB and 0 … 60 000 ms.
    """

    depth_db: float = -18.0
    """Below its own level; ISO practice and intelligibility tests put the knee at −18."""
    attack_ms: int = 60
    hold_ms: int = 2500
    """After the last interpreter left; while one is in the plan the original never comes back."""
    release_ms: int = 800
    silent_db: float = -12.0
    """Up to where the original rises while interpreters say nothing, unless depth is higher."""
    silent_rise_ms: int = 1500
    """How long that takes, after `hold_ms` of silence."""

    def __post_init__(self) -> None:
        if not MIN_DEPTH_DB <= self.depth_db <= 0.0:
            raise ValueError(f"depth_db {self.depth_db} is not in {MIN_DEPTH_DB} … 0")
        if not MIN_DEPTH_DB <= self.silent_db <= 0.0:
            raise ValueError(f"silent_db {self.silent_db} is not in {MIN_DEPTH_DB} … 0")
        for length_ms in (self.attack_ms, self.hold_ms, self.release_ms, self.silent_rise_ms):
            if not 0 <= length_ms <= MAX_FADE_MS:
                raise ValueError(f"{length_ms} ms is not in 0 … {MAX_FADE_MS}")


@dataclass(frozen=True, slots=True)
class Voice:
    """How a row is encoded; `guarded`: for ears that must be protected."""

    bitrate_bps: int = 48_000
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class RowPlan:
    """What one row mixes.

    Order in the lists has no meaning; sources come in and go out over 20 ms.
    """

    row: int
    floor: tuple[int, ...]
    """Sources of the original: together under the duck gain."""
    interpreters: tuple[int, ...]
    """Sources on top. While there is one, and it has been heard, the original is lowered."""
    heard: bool
    """Whether anybody listens; an unheard row costs no decode and no encode."""
    ducking: Ducking = Ducking()
    loss_percent: int = 5
    """Of its packets at the receivers, 1 … 100: at 0 Opus would make no copies (FEC)."""


@dataclass(frozen=True, slots=True)
class SourceReadings:
    """One source at the last tick; counters run since it was added."""

    level_db: float
    """dBFS of the last 100 ms, −127 is silence. Undecoded: what the sender says (RFC 6464)."""
    delay_ms: float
    """How long a packet that came by the fastest path waits until it is mixed."""
    target_ms: int
    """What the jitter buffer aims at."""
    buffered_ms: int
    playing: bool
    """A clip that plays, a stream that is running (silent or not)."""
    received: int
    duplicates: int
    late: int
    malformed: int
    restarts: int
    """Streams begun: 1 for the first, one more per SSRC change or sequence reset."""
    skipped: int
    """Packets dropped because they would have been heard more than 400 ms late."""
    decodes: int
    fec: int
    """Packets whose FEC copy was played in their place."""
    concealed: int
    """10 ms units that neither a packet nor a copy filled while the stream ran."""
    cut: int
    inserted: int
    """10 ms units taken out and put in, in silence, to keep the delay at its target."""


@dataclass(frozen=True, slots=True)
class RowReadings:
    """One row at the last tick; levels in dBFS of that frame, −127 is silence."""

    interpreter_db: float
    original_db: float
    """After ducking."""
    mix_db: float
    """What is encoded: after the limiter."""
    duck_db: float
    """The duck gain, 0 … depth."""
    exposure_db: float
    """Of a guarded row: what it has given so far as dB(A) over 8 h, if a full-scale square wave is
    94 dB(A) in the headset: relative unless that is so. −127 before the first sound; others: 0."""
    warnings: int
    """How often a guarded row beeped because its last minute was above 80 dB(A)."""
    heard: bool
    shared: bool
    """Its packets are another row's, because both mixes are the same."""


class MixEngine:
    """One mix thread and what it mixes. Its methods belong to one Python thread.

    `bus` is the capsule that joins it to the plane; a reference is kept. `rides`: voices that are
    mixed are brought to −20 LUFS. OSError when `opus` lacks a function that is needed. KeyError for
    numbers of sources and rows that are not there, BufferError when all numbers are in use.
    """

    def __init__(
        self, *, bus: object, opus: Library, complexity: int = 5, rides: bool = False
    ) -> None:
        if not 0 <= complexity <= 10:
            raise ValueError(f"Opus complexity {complexity} is not in 0 … 10")
        self._opus = opus  # the handle must stay open as long as the engine
        self._engine = _mixing.Engine(bus, opus.handle, complexity, rides, secrets.randbits(32))

    def start(self) -> None:
        """Starts the thread; OSError when there can be none. Started already: nothing."""
        self._engine.start()

    def stop(self) -> None:
        """Ends the thread within one tick (20 ms).

        Sources, rows and plan stay. Stopped already: nothing.
        """
        self._engine.stop()

    def add_source(self) -> int:
        """An RTP Opus source. Its number goes into the plane's `feed_mix`, and is never reused."""
        return self._engine.add_stream()

    def add_clip(self, samples: NDArray[np.float32], *, loop: bool) -> int:
        """A prepared sound, float32 mono at 48 kHz, (samples,); copied, stopped, at its start.

        A looped one must join its own start. ValueError when empty, of another shape, or beyond ±1.
        """
        sound = np.ascontiguousarray(samples, dtype=np.float32)
        if sound.ndim != 1 or not sound.size:
            raise ValueError(f"a clip is mono and not empty, not of shape {sound.shape}")
        if not _mixing.all_within(sound, 1.0):
            raise ValueError("a clip's samples are numbers within ±1")
        return self._engine.add_clip(sound, loop)

    def play_clip(self, source: int, playing: bool, *, rewind: bool = False) -> None:
        """Plays or pauses with a 10 ms fade; `rewind` goes back to the start behind that fade."""
        self._engine.play_clip(source, playing, rewind)

    def remove_source(self, source: int) -> None:
        """Fades it out of every row; the number is unknown from now on."""
        self._engine.remove_source(source)

    def add_row(self, track: int, voice: Voice | None = None) -> int:
        """A row whose packets carry the plane's `track` handle. Silent until a plan names it."""
        made = voice or Voice()
        return self._engine.add_row(track, made.bitrate_bps, made.guarded)

    def remove_row(self, row: int) -> None:
        """Ends it; rows that shared its encoder go on without a seam."""
        self._engine.remove_row(row)

    def apply(self, rows: Sequence[RowPlan]) -> None:
        """The whole truth for all rows, from the next frame on; rows not named fall silent.

        KeyError for an unknown row or source, ValueError for a row named twice, a source twice in
        one list, or more than 64 sources in a row; then nothing is changed.
        """
        if len({plan.row for plan in rows}) != len(rows):
            raise ValueError("a row is named twice")
        compiled = []
        for plan in rows:
            # Sorted: rows with the same sources add them in the same order, to the same samples.
            floor, interpreters = sorted(set(plan.floor)), sorted(set(plan.interpreters))
            if len(floor) != len(plan.floor) or len(interpreters) != len(plan.interpreters):
                raise ValueError(f"row {plan.row} names a source twice")
            duck = plan.ducking
            levels = (duck.depth_db, duck.attack_ms, duck.hold_ms, duck.release_ms)
            settings = (*levels, duck.silent_db, duck.silent_rise_ms)
            if not 1 <= plan.loss_percent <= 100:
                raise ValueError(f"loss_percent {plan.loss_percent} is not in 1 … 100")
            compiled.append(
                (plan.row, floor, interpreters, plan.heard, plan.loss_percent, settings)
            )
        self._engine.apply(compiled)

    def source_readings(self, source: int) -> SourceReadings:
        """The source at the last tick."""
        values = self._engine.source_readings(source)
        level_db, delay_ms, target_ms, buffered_ms, playing, *counts = values
        return SourceReadings(level_db, delay_ms, target_ms, buffered_ms, bool(playing), *counts)

    def row_readings(self, row: int) -> RowReadings:
        """The row at the last tick."""
        return RowReadings(*self._engine.row_readings(row))

    def counters(self) -> dict[str, int]:
        """Totals since the engine was made; times in ns.

        `is_fifo` is 1 when SCHED_FIFO was granted to the thread.
        """
        return self._engine.counters()

    def tick(self, now_ns: int) -> None:
        """One frame in the calling thread, for tests.

        RuntimeError while the engine's own thread runs.
        """
        self._engine.tick(now_ns)

    def next_tick_ns(self, now_ns: int) -> int:
        """When the thread would tick next after `now_ns`: in 20 ms, moved by at most 0.2 ms towards
        where the talkers' packets arrive."""
        return self._engine.next_tick_ns(now_ns)
