"""What the comparisons with the AudioBridge say, and from which packet on residence counts."""

from __future__ import annotations

import numpy as np
import pytest

from kabina.benchmarks import audiobridge, mouth_to_ear, residence
from kabina.benchmarks.residence import FRAME, FRAME_NS, completing, residences


def run(server: str, listeners: int, cpu_percent: float, *, keeps_up: bool = True) -> dict:
    return {
        "server": server,
        "listeners": listeners,
        "cpu_percent": cpu_percent,
        "keeps_up": keeps_up,
    }


JANUS = audiobridge.room_name(48_000)


def test_the_bridge_s_cost_for_all_lies_on_the_line_through_the_runs_that_kept_up():
    runs = [run(JANUS, 12, 20.0), run(JANUS, 32, 40.0), run(JANUS, 52, 60.0)]
    runs += [run(JANUS, 72, 61.0, keeps_up=False)]
    runs += [run("kabina", 100, 10.0), run("kabina", 500, 20.0)]
    *_, last = audiobridge.compared(runs)
    assert last["janus_would_take"] == pytest.approx(8 + audiobridge.LISTENERS)
    assert last["share"] == pytest.approx(20 / 508)
    assert last["share_each"] == pytest.approx(0.025)


def test_without_runs_that_kept_up_nothing_is_compared():
    runs = [run(JANUS, 12, 20.0), run(JANUS, 32, 40.0, keeps_up=False)]
    runs += [run("kabina", 100, 10.0), run("kabina", 500, 20.0)]
    assert audiobridge.compared(runs) == runs
    assert audiobridge.compared([{"server": JANUS, "note": "not installed"}]) == [
        {"server": JANUS, "note": "not installed"}
    ]


def test_a_line_needs_two_places():
    assert audiobridge.line([(1.0, 2.0), (1.0, 3.0)]) is None
    assert audiobridge.line([]) is None
    assert audiobridge.line([(0.0, 1.0), (2.0, 5.0)]) == pytest.approx((1.0, 2.0))


def heard(case: mouth_to_ear.Case, *rounds: list[float]) -> list[dict]:
    return [{"case": case.name, "ms": ms, "missed": 1} for ms in rounds]


def test_the_frame_and_each_look_ahead_are_taken_off_and_rounds_make_the_range():
    runs = heard(mouth_to_ear.INTERPRETER, [41.0, 42.0, 43.0], [45.0, 46.0, 47.0])
    runs += heard(mouth_to_ear.FORWARDED, [27.0])
    runs += heard(mouth_to_ear.BEST, [53.0]) + heard(mouth_to_ear.DEFAULT, [133.0])
    rows = mouth_to_ear.summed(runs)
    by_case = {row["case"]: row for row in rows if "curve" not in row}
    ours = by_case[mouth_to_ear.INTERPRETER.name]
    assert ours["beyond_ms"] == pytest.approx(11.0)
    assert ours["total_ms"] == pytest.approx(44.0)
    assert (ours["least_ms"], ours["most_ms"]) == (pytest.approx(9.0), pytest.approx(13.0))
    assert ours["missed"] == 2
    assert ours["share_of_best"] == pytest.approx(11 / 20)
    assert ours["share_of_default"] == pytest.approx(11 / 100)
    assert ours["with_look_ahead_best"] == pytest.approx(24 / 33)
    assert by_case[mouth_to_ear.FORWARDED.name]["beyond_ms"] == pytest.approx(0.5)
    curves = {row["case"]: row["curve"] for row in rows if "curve" in row}
    assert curves[mouth_to_ear.INTERPRETER.name] == pytest.approx([8, 9, 10, 12, 13, 14])
    assert mouth_to_ear.TWO.name not in curves


def test_a_case_without_a_chirp_says_why():
    missing = {"case": mouth_to_ear.BEST.name, "note": "not installed"}
    rows = mouth_to_ear.summed([missing, *heard(mouth_to_ear.INTERPRETER, [40.0])])
    by_case = {row["case"]: row for row in rows if "curve" not in row}
    assert by_case[mouth_to_ear.BEST.name]["note"] == "not installed"
    assert by_case[mouth_to_ear.TWO.name]["note"] == "no chirp was heard"
    assert "share_of_best" not in by_case[mouth_to_ear.INTERPRETER.name]


@pytest.mark.parametrize(
    ("shift", "packet"),
    [(0, 7), (FRAME, 6), (FRAME // 2, 7), (FRAME + 10, 6), (FRAME - 10, 6), (2 * FRAME, 5)],
)
def test_a_mixed_frame_is_complete_with_the_packet_of_its_last_sample(shift: int, packet: int):
    assert completing(7, shift) == packet


def test_residence_is_counted_where_the_shift_stands_still():
    arrivals = [i * FRAME_NS for i in range(40)]
    # Mixed 2 ms after the packet before: a shift of one frame.
    outs = [(i - 1) * FRAME_NS + 2_000_000 for i in range(40)]
    steady = residences([(5 * FRAME, FRAME), (10 * FRAME, FRAME + 1)], arrivals, outs)
    assert steady == pytest.approx([2.0] * 6)
    assert residences([(5 * FRAME, FRAME), (10 * FRAME, FRAME + 480)], arrivals, outs) == []


def test_arrivals_are_in_order_and_never_before_their_sends():
    arrivals = residence.arrivals_ns(500, 12.0, 1_000_000, seed=4)
    assert (np.diff(arrivals) >= 0).all()
    assert (arrivals >= np.arange(500) * FRAME_NS + 1_000_000).all()
    assert (arrivals == residence.arrivals_ns(500, 12.0, 1_000_000, seed=4)).all()
