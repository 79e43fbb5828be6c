"""The traces of `kabina bench jitter`, and what a buffer made of one, on the same terms for all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from kabina.benchmarks.jitter_profiles import PACKET_MS, PROFILES, Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RECORDED: Final = Path(__file__).parent / "traces" / "stereo_jitter.txt"
PACKETS: Final = 2000  # 40 s, as long as the recorded one
SEED: Final = 20


def recorded() -> Trace:
    """The arrivals that libwebrtc tests its own buffer with; 2.6 % lost, much reordered."""
    lines = RECORDED.read_text().splitlines()
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    return from_arrivals((float(ms), int(number)) for ms, number in rows)


def from_arrivals(arrivals: Iterable[tuple[float, int]]) -> Trace:
    """Of (ms, packet number): the first of each counts, the fastest took no time."""
    came: dict[int, float] = {}
    for ms, number in arrivals:
        came.setdefault(number, ms)
    arrive = np.full(max(came) + 1, np.nan)
    arrive[list(came)] = list(came.values())
    send = np.arange(len(arrive)) * PACKET_MS
    return Trace(send, arrive - np.nanmin(arrive - send))


def one_lost(packets: int = 600, number: int = 250) -> Trace:
    """A perfect network but for one packet."""
    send = np.arange(packets) * PACKET_MS
    arrive = send.copy()
    arrive[number] = np.nan
    return Trace(send, arrive)


def traces(packets: int = PACKETS) -> dict[str, Trace]:
    """The recorded one and all profiles, by name."""
    made = {name: profile(packets, SEED) for name, profile in PROFILES.items()}
    return {"recorded": recorded(), **made}


def excess_ms(trace: Trace) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """(packets,): how much longer than the fastest each took; NaN where it is lost."""
    transit = trace.arrive_ms - trace.send_ms
    return np.asarray(transit - np.nanmin(transit))


def lost_share(trace: Trace) -> float:
    """0 to 1."""
    return float(np.isnan(trace.arrive_ms).mean())


class Played(NamedTuple):
    """A packet that a buffer gave out, ms on the trace's clock."""

    number: int
    at_ms: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a buffer made of a trace.

    `wait_ms`: from arrival to playout, mean. `delay_ms`: from when the packet would have come by
    the fastest way to playout, mean: what a listener feels. `p95_ms`: of the latter's means over
    quarters of a second. Shares are of all samples played, 0 to 1: `concealed` is extrapolated (lost
    with no FEC copy, or too late), `stretched` is cut or inserted to change the delay, None where it
    cannot be told. `over_time` is (ms, delay ms).
    """

    wait_ms: float
    delay_ms: float
    p95_ms: float
    concealed: float
    stretched: float | None
    over_time: tuple[tuple[float, float], ...]
    recovered: int = 0
    """Packets whose FEC copy was played."""


WINDOW_MS: Final = 250.0


def outcome(
    trace: Trace,
    played: Sequence[Played],
    *,
    concealed: float,
    stretched: float | None,
    recovered: int = 0,
) -> Outcome:
    """From what was given out and when. ValueError when that is nothing."""
    if not played:
        raise ValueError("nothing was played")
    numbers = np.array([each.number for each in played])
    at = np.array([each.at_ms for each in played])
    wait = at - trace.arrive_ms[numbers]
    delay = wait + excess_ms(trace)[numbers]
    windows = over_windows(at, delay)
    return Outcome(
        wait_ms=float(np.nanmean(wait)),
        delay_ms=float(np.nanmean(delay)),
        p95_ms=percentile([value for _, value in windows], 0.95),
        concealed=concealed,
        stretched=stretched,
        over_time=tuple(windows),
        recovered=recovered,
    )


def over_windows(
    at_ms: np.ndarray[tuple[int], np.dtype[np.float64]],
    values: np.ndarray[tuple[int], np.dtype[np.float64]],
    window_ms: float = WINDOW_MS,
) -> list[tuple[float, float]]:
    """(end of the window, mean of the values in it), windows without values left out."""
    window = (at_ms // window_ms).astype(int)
    found = []
    for each in np.unique(window):
        inside = values[window == each]
        if not np.isnan(inside).all():
            found.append((float((each + 1) * window_ms), float(np.nanmean(inside))))
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that at least `share` of the values do not exceed. ValueError without any."""
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def beats(ours: Outcome, theirs: Outcome) -> bool:
    """A lower mean delay at the same or lower concealment."""
    return ours.delay_ms < theirs.delay_ms and ours.concealed <= theirs.concealed


def mean_excess_ms(
    trace: Trace, *, begin_ms: float, end_ms: float, discarded: int = 0
) -> float | None:
    """How much longer than the fastest the packets took that came in that time, on average.

    The `discarded` slowest are left out: what came too late was not played. None without packets.
    """
    inside = (trace.arrive_ms >= begin_ms) & (trace.arrive_ms < end_ms)
    found = np.sort(excess_ms(trace)[inside])
    kept = found[: max(len(found) - discarded, 1)]
    return float(kept.mean()) if len(kept) else None
