"""Jitter buffers side by side: the same packets at the same times into Kabina's and others'.

Kabina's, aiortc's and speexdsp's run in virtual time, over several phases of the output clock. Real
NetEq runs inside WebRTC receivers in real time, all traces at once, in rounds. Delay is from when a
packet would have come by the trace's fastest way until it is taken for decoding, by one formula for
all (`jitter_trace.outcome`); concealed is every sample that was extrapolated.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from kabina.benchmarks import jitter_buffers, neteq, neteq_receivers
from kabina.benchmarks.jitter_profiles import PROFILES
from kabina.benchmarks.jitter_trace import (
    PACKETS,
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
    Results = dict[str, dict[str, Outcome]]  # by trace, by buffer

ROUNDS: Final = 2
PHASES_MS: Final = (0.5, 3.0, 5.5, 8.0)
COSTS_MS: Final = (5, 10, 20, 40, 80, 160)  # of the frontier in the picture
OURS: Final = "Kabina"
OURS_20_MS: Final = "Kabina, 20 ms ticks"
AIORTC: Final = "aiortc JitterBuffer(16, 4), no output clock"
ONE_LOST: Final = "one_lost"
# What the goal counts: losses one by one have a goal of their own.
COUNTED: Final = ("recorded", *(name for name in PROFILES if name != "random_loss"))
GOALS: Final = {
    "clean_ms": 6.0,
    "added_ms": 10.0,
    "gone_s": 2.0,
    "random_loss_pct": 0.25,
    "wins": 8,
}


def rows() -> list[Row]:
    """A row per trace and buffer, then one per goal; see README.md's table."""
    chosen = {**traces(PACKETS), ONE_LOST: one_lost()}
    payloads = neteq.speech_packets(max(len(each.send_ms) for each in chosen.values()) + 100)
    results = {name: in_virtual_time(trace, payloads) for name, trace in chosen.items()}
    harness: list[Row] = []
    for name, missing, receivers in (
        (neteq_receivers.Wrtc.name, neteq_receivers.wrtc_missing, neteq_receivers.wrtc),
        (neteq_receivers.Chromium.name, neteq_receivers.browser_missing, neteq_receivers.browser),
    ):
        if reason := missing():
            harness.append({"buffer": name, "not_run": reason})
            continue
        heard = asyncio.run(neteq.rounds(receivers, chosen, ROUNDS, ONE_LOST))
        harness.append({"buffer": name, **heard.row()})
        for trace in chosen:
            results[trace][name] = heard.mean_of(trace)
    found = [
        _row(trace, chosen[trace], buffer, each)
        for trace, by_buffer in results.items()
        for buffer, each in by_buffer.items()
    ]
    return found + harness + goal_rows(results) + _picture(results, chosen, payloads)


def in_virtual_time(trace: Trace, payloads: Sequence[bytes]) -> dict[str, Outcome]:
    """What the buffers that need no real time make of it, each the mean over the phases."""

    def over_phases(run: Callable[[float], list[Sums]]) -> Outcome:
        return mean_of([outcome(trace, run(phase_ms)) for phase_ms in PHASES_MS])

    found = {
        OURS: over_phases(lambda ms: jitter_buffers.kabina(trace, payloads, phase_ms=ms)),
        OURS_20_MS: over_phases(
            lambda ms: jitter_buffers.kabina(trace, payloads, phase_ms=2 * ms, block_ms=20.0)
        ),
        AIORTC: outcome(trace, jitter_buffers.aiortc(trace)),
    }
    if not jitter_buffers.speex_missing():
        found["speexdsp as in AudioBridge"] = over_phases(
            lambda ms: jitter_buffers.speex(trace, phase_ms=2 * ms)
        )
    return found


def _row(name: str, trace: Trace, buffer: str, each: Outcome) -> Row:
    return {
        "trace": name,
        "buffer": buffer,
        "lost_pct": 100 * lost_share(trace),
        "delay_ms": each.delay_ms,
        "wait_ms": each.wait_ms,
        "p95_ms": each.p95_ms,
        "concealed_pct": 100 * each.concealed,
        "stretched_pct": 100 * each.stretched,
        "discarded_pct": 100 * each.discarded,
        "from_fec": each.recovered,
    }


# --- Goals ------------------------------------------------------------------------------------


def goal_rows(results: Mapping[str, Mapping[str, Outcome]]) -> list[Row]:
    """What the figures say about each goal, for us and for the others."""
    found: list[Row] = [
        {
            "goal": f"clean network: mean delay ≤ {GOALS['clean_ms']:g} ms",
            "buffer": buffer,
            "figure": each.delay_ms,
        }
        for buffer, each in results["lan"].items()
    ]
    for buffer, each in results[ONE_LOST].items():
        added_ms, gone_s, left_ms = after_loss(each)
        found.append(
            {
                "goal": f"one lost packet: ≤ {GOALS['added_ms']:g} ms more, "
                f"gone in {GOALS['gone_s']:g} s",
                "buffer": buffer,
                "figure": added_ms,
                "gone_s": gone_s,
                "left_ms": left_ms,
            }
        )
    found += [
        {
            "goal": f"1 % random loss: concealed ≤ {GOALS['random_loss_pct']:g} %",
            "buffer": buffer,
            "figure": 100 * each.concealed,
        }
        for buffer, each in results["random_loss"].items()
    ]
    for ours in (OURS, OURS_20_MS):
        for theirs in (name for name in results["lan"] if not name.startswith(OURS)):
            won = [
                trace for trace in COUNTED if beats(results[trace][ours], results[trace][theirs])
            ]
            found.append(
                {
                    "goal": f"less delay at no more concealment than it: {GOALS['wins']} of "
                    f"{len(COUNTED)}",
                    "buffer": f"{ours} against {theirs}",
                    "figure": f"{len(won)} of {len(COUNTED)}",
                    "won": " ".join(won),
                }
            )
    return found


# --- Pictures ---------------------------------------------------------------------------------


def _picture(results: Results, chosen: Mapping[str, Trace], payloads: Sequence[bytes]) -> list[Row]:
    from kabina.benchmarks import jitter_picture

    frontiers = {
        name: [
            outcome(
                chosen[name],
                jitter_buffers.kabina(chosen[name], payloads, phase_ms=3.0, cost_ms=cost_ms),
            )
            for cost_ms in COSTS_MS
        ]
        for name in COUNTED
    }
    return jitter_picture.draw(results, frontiers, one_lost=ONE_LOST, outlier=AIORTC)
