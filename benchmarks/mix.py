"""What a frame of a whole meeting costs: sources × languages through the engine, in virtual time.

Everybody talks all the time: no source is spared a decode and no row an encode. Beside the whole
tick stand the sums alone, as the kernel, as numpy and as memory could do them.
"""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from kabina.benchmarks import pictures as drawing
from kabina.benchmarks.engine_driver import FRAME, EngineDriver, Stream, stream
from kabina.benchmarks.speech import ATTRIBUTION, NoSpeechError, talk
from kabina.native import _mixing
from kabina.native.mixing import RowPlan
from kabina.native.reference import kernels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SOURCES: Final = (1, 2, 5, 10, 20, 40)
LANGUAGES: Final = (1, 2, 4, 8, 16, 24)
SECONDS: Final = 4
WARM_MS: Final = 1_000
"""Jitter buffers and encoders settle before anything is counted."""
GOAL: Final = (40, 8)
GOAL_CORE_PERCENT: Final = 15.0
_FRAME_US: Final = 20_000
_VOICES: Final = 8


class Meeting(NamedTuple):
    """How many talk, and for how many of the languages one of them interprets."""

    sources: int
    languages: int
    interpreters: int


class Cost(NamedTuple):
    tick_us: float
    encodes: float
    decodes: float
    sounding_rows: int


def rows() -> Iterator[dict[str, object]]:
    """The goal's meeting first, then nobody interpreting, then the grid."""
    try:
        voices()
    except NoSpeechError as error:
        yield {"sources": "all", "missing": str(error)}
        return
    sources, languages = GOAL
    yield {"goal": f"≤ {GOAL_CORE_PERCENT:.0f} % of a core"} | _row(
        Meeting(sources, languages, languages), seconds=10
    )
    yield {"goal": "1 encode a tick"} | _row(Meeting(5, languages, 0), seconds=10)
    for sources in SOURCES:
        for languages in LANGUAGES:
            yield _row(Meeting(sources, languages, min(languages, sources - 1)), SECONDS)


@cache
def voices() -> tuple[Stream, ...]:
    """Eight different talks as packets. NoSpeechError without speech."""
    tags = list(ATTRIBUTION)[:3]
    seconds = WARM_MS / 1000 + 12
    return tuple(
        stream(talk(tags[i % len(tags)], seconds, skip_s=7.0 * i).samples) for i in range(_VOICES)
    )


def _row(meeting: Meeting, seconds: float) -> dict[str, object]:
    cost = engine_cost(meeting, seconds)
    native_us, numpy_us, matrix_us, memory_us = sums_us(meeting)
    return {
        "sources": meeting.sources,
        "languages": meeting.languages,
        "interpreted": meeting.interpreters,
        "core_percent": round(100 * cost.tick_us / _FRAME_US, 2),
        "tick_us": round(cost.tick_us, 1),
        "encodes": round(cost.encodes, 2),
        "distinct_rows": cost.sounding_rows,
        "decodes": round(cost.decodes, 2),
        "sums_us": round(native_us, 2),
        "sums_numpy_us": round(numpy_us, 1),
        "sums_matrix_us": round(matrix_us, 1),
        "sums_memory_us": round(memory_us, 2),
    }


def engine_cost(meeting: Meeting, seconds: float) -> Cost:
    """Means per 20 ms. All packets come on time, spread over the frame."""
    driver = EngineDriver()
    numbers = [driver.engine.add_source() for _ in range(meeting.sources)]
    table = [driver.row() for _ in range(meeting.languages)]
    interpreters, floor = numbers[: meeting.interpreters], numbers[meeting.interpreters :]
    driver.engine.apply(
        [
            RowPlan(row, tuple(floor), tuple(interpreters[i : i + 1]), heard=True)
            for i, row in enumerate(table)
        ]
    )
    frames = round((WARM_MS / 1000 + seconds) * 50)
    for index, number in enumerate(numbers):
        voice = voices()[index % _VOICES]
        # A second person with the same voice says something else at any time.
        turn = 41 * (index // _VOICES)
        at = [(turn + i) % len(voice.packets) for i in range(frames)]
        turned = Stream([voice.packets[i] for i in at], [voice.levels[i] for i in at])
        driver.send(number, turned, start_ns=driver.now_ns + index * 20_000_000 // len(numbers))
    driver.run(WARM_MS)
    busy_ns, before = driver.busy_ns, driver.engine.counters()
    driver.run(seconds * 1000)
    after = driver.engine.counters()
    done = round(seconds * 50)
    return Cost(
        tick_us=(driver.busy_ns - busy_ns) / 1000 / done,
        encodes=(after["encodes"] - before["encodes"]) / done,
        decodes=(after["decodes"] - before["decodes"]) / done,
        sounding_rows=meeting.interpreters + (meeting.interpreters < meeting.languages),
    )


def sums_us(meeting: Meeting) -> tuple[float, float, float, float]:
    """The multiplications and additions alone: kernel, its numpy definition, one matrix product,
    and the time memory takes to deliver each source and take each row once."""
    pair_us, pair_numpy_us = _pair_us()
    pairs = (meeting.sources - meeting.interpreters) * meeting.languages + meeting.interpreters
    rng = np.random.default_rng(1)
    gains = rng.uniform(0, 1, (meeting.languages, meeting.sources)).astype(np.float32)
    sound = rng.uniform(-0.1, 0.1, (meeting.sources, FRAME)).astype(np.float32)
    touched = 4 * FRAME * (meeting.sources + meeting.languages)
    return (
        pairs * pair_us,
        pairs * pair_numpy_us,
        _least_us(lambda: gains @ sound, 50),
        touched / _bytes_per_us(),
    )


@cache
def _pair_us() -> tuple[float, float]:
    """One source into one row, without the call from Python; and the same in numpy."""
    rng = np.random.default_rng(1)
    out, nothing = np.zeros(FRAME, np.float32), np.zeros(0, np.float32)
    source = rng.uniform(-0.01, 0.01, FRAME).astype(np.float32)
    call = _least_us(lambda: _mixing.mix_ramp(nothing, nothing, 0.5, 0.5), 5000)
    native = _least_us(lambda: _mixing.mix_ramp(out, source, 0.5, 0.5), 5000)
    return native - call, _least_us(lambda: kernels.mix_ramp(out, source, 0.5, 0.5), 2000)


@cache
def _bytes_per_us() -> float:
    """What one core reads and writes in main memory: a copy far larger than any cache."""
    source = np.ones(1 << 26, np.uint8)
    target = np.empty_like(source)
    return 2 * source.size / _least_us(lambda: np.copyto(target, source), 1)


def _least_us(work: Callable[[], object], count: int) -> float:
    """The least mean of five batches."""
    work()
    batches = []
    for _ in range(5):
        begin = time.perf_counter_ns()
        for _ in range(count):
            work()
        batches.append((time.perf_counter_ns() - begin) / count / 1000)
    return min(batches)


def pictures(rows: list[dict[str, object]], folder: Path) -> list[Path]:
    """A core's share over the number of sources, a line per number of languages; and the sums."""
    grid = [row for row in rows if "goal" not in row and "missing" not in row]
    if not grid:
        return []
    figure, (share, sums) = drawing.grid(1, 2, width=11)
    for languages in LANGUAGES:
        line = [row for row in grid if row["languages"] == languages]
        at = [row["sources"] for row in line]
        share.plot(at, [row["core_percent"] for row in line], marker="o", label=str(languages))
    drawing.goal(share, GOAL_CORE_PERCENT, "goal for 40 sources, 8 languages")
    share.set_title("% of a core, everybody talking")
    share.set_xlabel("sources (interpreters among them)")
    share.legend(title="languages")
    line = [row for row in grid if row["languages"] == GOAL[1]]
    at = [row["sources"] for row in line]
    for key, name in (
        ("tick_us", "the whole tick, codecs included"),
        ("sums_numpy_us", "sums: numpy, pair by pair"),
        ("sums_matrix_us", "sums: numpy, one matrix product"),
        ("sums_us", "sums: native"),
        ("sums_memory_us", "sums: memory could"),
    ):
        sums.plot(at, [row[key] for row in line], marker="o", label=name)
    sums.set_yscale("log")
    sums.set_title(f"µs a frame, {GOAL[1]} languages")
    sums.set_xlabel("sources")
    sums.legend()
    return drawing.save(figure, folder, "mix")
