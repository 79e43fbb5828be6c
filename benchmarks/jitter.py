"""Jitter buffers side by side: the same packets at the same times into Kabina's and others'.

Kabina's, aiortc's and speexdsp's run in virtual time, over several phases of the output clock. Real
NetEq runs inside WebRTC receivers in real time, all traces at once, in rounds. Delay is from when a
packet would have come by the trace's fastest way until it is taken for decoding, by one formula for
all (`jitter_trace.outcome`); concealed is every sample that was extrapolated.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final

from kabina.benchmarks import jitter_buffers, jitter_picture, neteq, neteq_receivers
from kabina.benchmarks.jitter_profiles import PROFILES
from kabina.benchmarks.jitter_trace import (
    PACKETS,
    SEED,
    TAIL_PACKETS,
    Outcome,
    after_loss,
    beats,
    lost_share,
    mean_of,
    one_lost,
    outcome,
    traces,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kabina.benchmarks.jitter_profiles import Trace
    from kabina.benchmarks.jitter_trace import Sums

    Row = dict[str, object]
    Results = Mapping[str, Mapping[str, Outcome]]  # by trace, by buffer

pictures = jitter_picture.pictures

ROUNDS: Final = 2
PHASES_MS: Final = (0.5, 3.0, 5.5, 8.0)
COSTS_MS: Final = (5, 10, 20, 40, 80, 160)  # of Kabina's frontier in the picture
OURS: Final = "Kabina"
OURS_20_MS: Final = "Kabina 20 ms"  # as the mix thread ticks, not every 10 ms as NetEq
AIORTC: Final = "aiortc 16/4"  # JitterBuffer(capacity=16, prefetch=4)
SPEEX: Final = "speexdsp"  # as Janus AudioBridge sets it
NETEQ: Final = "NetEq"
ONE_LOST: Final = "one_lost"
# So long that one per cent is one per cent; in real time it would take five minutes.
LONG_LOSS: Final = "random_loss_5_min"
LONG_PACKETS: Final = 15_000
# What the goal counts: losses one by one have a goal of their own.
COUNTED: Final = ("recorded", *(name for name in PROFILES if name != "random_loss"))


def rows() -> list[Row]:
    """A row per trace and buffer, of Kabina's other settings, of the harness, and per goal."""
    chosen = {**traces(PACKETS), ONE_LOST: one_lost()}
    alone = {LONG_LOSS: PROFILES["random_loss"](LONG_PACKETS, SEED)}
    payloads = neteq.speech_packets(LONG_PACKETS + TAIL_PACKETS)
    every = {**chosen, **alone}
    results = {name: in_virtual_time(trace, payloads) for name, trace in every.items()}
    harness: list[Row] = []
    if reason := jitter_buffers.speex_missing():
        harness.append({"trace": "harness", "buffer": SPEEX, "note": reason})
    for name, missing, receivers in (
        (neteq_receivers.Wrtc.name, neteq_receivers.wrtc_missing, neteq_receivers.wrtc),
        (neteq_receivers.Chromium.name, neteq_receivers.browser_missing, neteq_receivers.browser),
    ):
        if reason := missing():
            harness.append({"trace": "harness", "buffer": name, "note": reason})
            continue
        heard = asyncio.run(neteq.rounds(receivers, chosen, ROUNDS, ONE_LOST))
        harness.append({"trace": "harness", "buffer": name, **heard.row()})
        for trace in chosen:
            results[trace][name] = heard.mean_of(trace)
    found = [
        _row(trace, every[trace], buffer, each)
        for trace, by_buffer in results.items()
        for buffer, each in by_buffer.items()
    ]
    return found + frontier_rows(chosen, payloads) + harness + goal_rows(results)


def in_virtual_time(trace: Trace, payloads: Sequence[bytes]) -> dict[str, Outcome]:
    """What the buffers that need no real time make of it, each the mean over the phases."""

    def over_phases(run: Callable[[float], list[Sums]]) -> Outcome:
        return mean_of([outcome(trace, run(phase_ms)) for phase_ms in PHASES_MS])

    found = {
        OURS: over_phases(lambda ms: jitter_buffers.kabina(trace, payloads, phase_ms=ms)),
        OURS_20_MS: over_phases(
            lambda ms: jitter_buffers.kabina(
                trace, payloads, phase_ms=2 * ms, block_ms=20.0, follows=True
            )
        ),
        AIORTC: outcome(trace, jitter_buffers.aiortc(trace)),
    }
    if not jitter_buffers.speex_missing():
        found[SPEEX] = over_phases(lambda ms: jitter_buffers.speex(trace, phase_ms=2 * ms))
    return found


def frontier_rows(chosen: Mapping[str, Trace], payloads: Sequence[bytes]) -> list[Row]:
    """Kabina's delay and concealment by the delay that a per cent of late packets is worth."""
    found = []
    for name in COUNTED:
        for cost_ms in COSTS_MS:
            sums = jitter_buffers.kabina(chosen[name], payloads, phase_ms=3.0, cost_ms=cost_ms)
            each = outcome(chosen[name], sums)
            found.append(_row(name, chosen[name], jitter_picture.FRONTIER.format(cost_ms), each))
    return found


def _row(name: str, trace: Trace, buffer: str, each: Outcome) -> Row:
    row: Row = {
        "trace": name,
        "buffer": buffer,
        "lost_pct": round(100 * lost_share(trace), 2),
        "delay_ms": round(each.delay_ms, 1),
        "wait_ms": round(each.wait_ms, 1),
        "p95_ms": round(each.p95_ms, 1),
        "concealed_pct": round(100 * each.concealed, 3),
        "stretched_pct": round(100 * each.stretched, 2),
        "discarded_pct": round(100 * each.discarded, 2),
        "from_fec": each.recovered,
    }
    if name in jitter_picture.OVER_TIME and not buffer.startswith(OURS + ", C"):
        row["over_time"] = [(round(at / 1000, 2), round(ms, 1)) for at, ms in each.over_time]
    return row


# --- Goals ------------------------------------------------------------------------------------


def goal_rows(results: Results) -> list[Row]:
    """What the figures say about each goal, for us and for the others."""
    found: list[Row] = []
    for buffer, each in results["lan"].items():
        found.append(_goal("clean network: ≤ 6 ms", buffer, round(each.delay_ms, 1)))
    for buffer, each in results[ONE_LOST].items():
        added_ms, gone_s, left_ms = after_loss(each)
        gone = f"gone after {gone_s:.2f} s" if math.isfinite(gone_s) else "never gone"
        found.append(
            _goal(
                "one lost adds: ≤ 10 ms, < 2 s",
                buffer,
                round(added_ms, 1),
                f"{gone}, {abs(left_ms):.0f} ms {'left' if left_ms >= 0 else 'less'} after 10 s",
            )
        )
    for trace in ("random_loss", LONG_LOSS):
        for buffer, each in results[trace].items():
            goal = f"{trace} concealed: ≤ 0.25 %"
            found.append(_goal(goal, buffer, round(100 * each.concealed, 3)))
    real = [name for name in results["lan"] if name.startswith(NETEQ)]
    for ours in (OURS, OURS_20_MS):
        against = [[name] for name in (AIORTC, SPEEX, *real) if name in results["lan"]]
        against += [real] if len(real) > 1 else []
        found += [_tally(results, ours, theirs) for theirs in against]
    return found


def _tally(results: Results, ours: str, theirs: Sequence[str]) -> Row:
    """On how many traces we beat all of `theirs`."""
    won = [
        trace
        for trace in COUNTED
        if all(beats(results[trace][ours], results[trace][name]) for name in theirs)
    ]
    missed = [trace for trace in COUNTED if trace not in won]
    against = theirs[0] if len(theirs) == 1 else f"both {NETEQ}s"
    return _goal(
        "wins: ≥ 8 of 10",
        f"{ours} over {against}",
        f"{len(won)} of {len(COUNTED)}",
        "not on " + ", ".join(missed) if missed else "",
    )


def _goal(goal: str, buffer: str, figure: object, note: str = "") -> Row:
    return {"trace": goal, "buffer": buffer, "figure": figure, **({"note": note} if note else {})}
