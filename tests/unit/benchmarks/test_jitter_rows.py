"""What `kabina bench jitter` concludes from its figures."""

from __future__ import annotations

import pytest

from kabina.benchmarks import jitter, jitter_picture
from kabina.benchmarks.jitter_trace import Outcome


def made(delay_ms: float, concealed: float) -> Outcome:
    return Outcome(
        wait_ms=delay_ms,
        delay_ms=delay_ms,
        p95_ms=delay_ms,
        concealed=concealed,
        stretched=0.0,
        discarded=0.0,
        recovered=0,
        over_time=tuple((250.0 * i, delay_ms) for i in range(1, 80)),
    )


@pytest.fixture
def results():
    """We win over the first NetEq wherever it is, over the second but on two traces."""
    traces = (*jitter.COUNTED, "random_loss", jitter.LONG_LOSS, jitter.ONE_LOST)
    found = {
        trace: {
            jitter.OURS: made(20.0, 0.01),
            jitter.OURS_20_MS: made(30.0, 0.01),
            jitter.AIORTC: made(280.0, 0.05),
            "NetEq one": made(40.0, 0.01),
            "NetEq two": made(25.0, 0.02),
        }
        for trace in traces
    }
    found["lte"]["NetEq two"] = made(19.0, 0.02)
    found["drift"]["NetEq two"] = made(50.0, 0.0)
    return found


def tallies(results) -> dict[str, dict]:
    return {row["buffer"]: row for row in jitter.goal_rows(results) if "wins" in row["trace"]}


def test_ten_traces_count():
    assert len(jitter.COUNTED) == 10


def test_a_win_is_less_delay_at_no_more_concealment(results):
    found = tallies(results)
    assert found["Kabina over NetEq one"]["figure"] == "10 of 10"
    assert found["Kabina over NetEq two"]["figure"] == "8 of 10"
    assert found["Kabina over NetEq two"]["note"] == "not on lte, drift"


def test_over_both_means_over_each_of_them_on_the_same_trace(results):
    results["lan"]["NetEq one"] = made(10.0, 0.0)
    found = tallies(results)
    assert found["Kabina over both NetEqs"]["figure"] == "7 of 10"
    assert found["Kabina over both NetEqs"]["note"] == "not on lan, lte, drift"


def test_whoever_is_not_installed_is_in_no_tally(results):
    for by_buffer in results.values():
        del by_buffer["NetEq two"]
    assert not any("two" in name or "both" in name for name in tallies(results))


def test_the_pictures_rows_are_told_apart_by_trace_and_kind():
    rows = [
        {"trace": "lan", "buffer": "Kabina", "delay_ms": 1.0, "over_time": [(0.0, 1.0)]},
        {"trace": "lan", "buffer": "aiortc 16/4", "delay_ms": 80.0},
        {"trace": "harness", "buffer": "NetEq", "figure": 0.1},
    ]
    assert list(jitter_picture.by_trace(rows, "delay_ms")) == ["lan"]
    assert [row["buffer"] for row in jitter_picture.by_trace(rows, "over_time")["lan"]] == [
        "Kabina"
    ]
