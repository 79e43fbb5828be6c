"""The traces of `kabina bench jitter`, and what a buffer made of one, on the same terms for all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Final

import numpy as np

from kabina.benchmarks.jitter_profiles import PACKET_MS, PROFILES, Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RECORDED: Final = Path(__file__).parent / "traces" / "stereo_jitter.txt"
PACKETS: Final = 2000  # 40 s, as long as the recorded one
SEED: Final = 20
TAIL_PACKETS: Final = 50
LOST_AT_MS: Final = 10_000.0
SETTLED_MS: Final = 2.0


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
    send = np.arange(len(arrive), dtype=np.float64) * PACKET_MS
    return Trace(send, np.asarray(arrive - np.nanmin(arrive - send), np.float64))


def one_lost(packets: int = 1000) -> Trace:
    """A perfect network but for one packet, LOST_AT_MS after the first."""
    send = np.arange(packets, dtype=np.float64) * PACKET_MS
    arrive = send.copy()
    arrive[round(LOST_AT_MS / PACKET_MS)] = np.nan
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


def with_tail(trace: Trace) -> list[tuple[float, int]]:
    """(ms, packet number) of all that arrives, in order of time: the trace and a second of perfect
    packets after it, so that no buffer runs dry while it counts."""
    shots = [(float(ms), number) for number, ms in enumerate(trace.arrive_ms) if not np.isnan(ms)]
    end = float(trace.send_ms[-1])
    shots += [(end + i * PACKET_MS, len(trace.send_ms) - 1 + i) for i in range(1, TAIL_PACKETS + 1)]
    return sorted(shots)


@dataclass(frozen=True, slots=True)
class Sums:
    """What a buffer has done until a time of the trace (ms), as getStats counts it.

    `waited_s` and `emitted` are jitterBufferDelay and jitterBufferEmittedCount: seconds from
    arrival to being taken for decoding, summed over samples, and those samples. `concealed` of
    `total` samples were extrapolated, `stretched` inserted or removed; `discarded` packets came
    and were not played, of `recovered` ones the FEC copy was.
    """

    at_ms: float
    waited_s: float = 0.0
    emitted: float = 0.0
    concealed: float = 0.0
    total: float = 0.0
    stretched: float = 0.0
    discarded: float = 0.0
    recovered: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a buffer made of a trace.

    `wait_ms`: from arrival to being taken, mean. `delay_ms`: from when a packet would have come by
    the fastest way, mean: what a listener feels. `p95_ms`: of the latter's means over quarters of a
    second. Shares, 0 to 1: `concealed` and `stretched` of the samples played, `discarded` of the
    packets sent. `over_time` is (ms, delay ms).
    """

    wait_ms: float
    delay_ms: float
    p95_ms: float
    concealed: float
    stretched: float
    discarded: float
    recovered: int
    over_time: tuple[tuple[float, float], ...]


def outcome(trace: Trace, sums: Sequence[Sums]) -> Outcome:
    """From the first sums, which are of before the first packet, to the last ones within the trace.
    RuntimeError when nothing was played."""
    inside = [one for one in sums if one.at_ms <= trace.send_ms[-1]]
    first, last = inside[0], inside[-1]
    if last.emitted <= first.emitted or last.total <= first.total:
        raise RuntimeError("nothing was played")
    total = last.total - first.total
    discarded = last.discarded - first.discarded
    slow = mean_excess_ms(trace, -math.inf, last.at_ms, discarded=round(discarded)) or 0.0
    over_time = _over_time(trace, inside)
    wait = _wait_ms(first, last)
    return Outcome(
        wait_ms=wait,
        delay_ms=wait + slow,
        p95_ms=percentile([value for _, value in over_time], 0.95),
        concealed=(last.concealed - first.concealed) / total,
        stretched=(last.stretched - first.stretched) / total,
        discarded=discarded / len(trace.send_ms),
        recovered=round(last.recovered - first.recovered),
        over_time=tuple(over_time),
    )


def _over_time(trace: Trace, sums: Sequence[Sums]) -> list[tuple[float, float]]:
    found = []
    for earlier, later in pairwise(sums):
        if later.emitted > earlier.emitted:
            # Those played in a window came about then: it has their excess.
            slow = mean_excess_ms(trace, earlier.at_ms, later.at_ms) or 0.0
            found.append((later.at_ms, _wait_ms(earlier, later) + slow))
    return found


def _wait_ms(earlier: Sums, later: Sums) -> float:
    return 1000 * (later.waited_s - earlier.waited_s) / (later.emitted - earlier.emitted)


def mean_excess_ms(
    trace: Trace, begin_ms: float, end_ms: float, *, discarded: int = 0
) -> float | None:
    """How much longer than the fastest the packets took that came in that time, on average.

    The `discarded` slowest are left out: what came too late was not played. None without packets.
    """
    inside = (trace.arrive_ms >= begin_ms) & (trace.arrive_ms < end_ms)
    found = np.sort(excess_ms(trace)[inside])
    kept = found[: max(len(found) - discarded, 1)]
    return float(kept.mean()) if len(kept) else None


WINDOW_MS: Final = 250.0


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that at least `share` of the values do not exceed. ValueError without any."""
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def beats(ours: Outcome, theirs: Outcome) -> bool:
    """A lower mean delay at the same or lower concealment."""
    return ours.delay_ms < theirs.delay_ms and ours.concealed <= theirs.concealed


def mean_of(outcomes: Sequence[Outcome]) -> Outcome:
    """Of several runs of one trace: means of all figures; over time the first run's."""
    return Outcome(
        wait_ms=fmean(one.wait_ms for one in outcomes),
        delay_ms=fmean(one.delay_ms for one in outcomes),
        p95_ms=fmean(one.p95_ms for one in outcomes),
        concealed=fmean(one.concealed for one in outcomes),
        stretched=fmean(one.stretched for one in outcomes),
        discarded=fmean(one.discarded for one in outcomes),
        recovered=round(fmean(one.recovered for one in outcomes)),
        over_time=outcomes[0].over_time,
    )


def after_loss(of_one_lost: Outcome) -> tuple[float, float, float]:
    """(ms of delay that the loss added at most, seconds until within 2 ms of before for good, ms
    left at the end). Before is the mean of the three seconds before it; infinite: never."""
    over_time = of_one_lost.over_time
    before = fmean(ms for at, ms in over_time if LOST_AT_MS - 3000 <= at < LOST_AT_MS)
    after = [(at, ms - before) for at, ms in over_time if at >= LOST_AT_MS]
    above = [at for at, added in after if added > SETTLED_MS]
    gone_s = (above[-1] + WINDOW_MS - LOST_AT_MS) / 1000 if above else 0.0
    if above and above[-1] == after[-1][0]:
        gone_s = math.inf
    return max(added for _, added in after), gone_s, after[-1][1]
