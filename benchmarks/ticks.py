"""How late the mix thread wakes: at rest and with twice as many busy processes as cores, under
SCHED_FIFO and as any other process.

Each measurement is a process of its own: what it may ask of the scheduler is given up before it
begins, so that the engine meets the refusal it would meet without the privilege.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import numpy as np

from kabina.benchmarks import pictures as drawing
from kabina.native import _mixing
from kabina.native.libraries import load_opus
from kabina.native.mixing import MixEngine, RowPlan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS: Final = 10.0
LANGUAGES: Final = 4
GOAL_US: Final = 200.0
"""p99 under FIFO, loaded or not."""
_PR_CAPBSET_DROP: Final = 24
_CAP_SYS_NICE: Final = 23


def rows() -> Iterator[dict[str, object]]:
    """Rest before load: the load's processes would still be ending."""
    for is_loaded in (False, True):
        for wants_fifo in (True, False):
            yield _row(is_loaded, wants_fifo)


def _row(is_loaded: bool, wants_fifo: bool) -> dict[str, object]:
    spinners = 2 * (os.cpu_count() or 1) if is_loaded else 0
    load = [
        # They end by themselves, whatever becomes of this process.
        subprocess.Popen(["timeout", str(SECONDS + 5), sys.executable, "-c", "while True: pass"])
        for _ in range(spinners)
    ]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "kabina.benchmarks.ticks", "--seconds", str(SECONDS)]
            + ([] if wants_fifo else ["--normal"]),
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        for process in load:
            process.terminate()
        for process in load:
            process.wait()
    counters = json.loads(done.stdout)
    is_fifo = bool(counters["is_fifo"])
    row: dict[str, object] = {
        "load": f"{spinners} busy processes" if is_loaded else "none of ours",
        "scheduling": "SCHED_FIFO" if is_fifo else "normal",
        "ticks": counters["ticks"],
        "mean_us": round(counters["lateness_sum_ns"] / max(counters["ticks"], 1) / 1000, 1),
        "p99_us": round(counters["lateness_p99_ns"] / 1000, 1),
        "max_us": round(counters["lateness_max_ns"] / 1000, 1),
        "late_ticks": counters["late_ticks"],
        "busy_max_us": round(counters["busy_max_ns"] / 1000, 1),
        "goal_p99_us": GOAL_US if is_fifo else None,
    }
    if wants_fifo and not is_fifo:
        row["note"] = "SCHED_FIFO was refused: CAP_SYS_NICE or an rtprio limit grants it"
    if not wants_fifo and is_fifo:
        row["note"] = "the privilege could not be given up"
    return row


def pictures(rows: list[dict[str, object]], folder: Path) -> list[Path]:
    """p99 and maximum on a logarithmic axis."""
    figure, (axes,) = drawing.grid(height=3)
    at = np.arange(len(rows))
    names = [f"{row['scheduling']}, {row['load']}" for row in rows]
    axes.barh(at - 0.2, [row["p99_us"] for row in rows], 0.4, label="p99")
    axes.barh(at + 0.2, [row["max_us"] for row in rows], 0.4, label="maximum")
    axes.axvline(GOAL_US, color="#999999", linestyle="--", linewidth=1)
    axes.set_yticks(at, names)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_title(f"Lateness of the mix thread, µs (goal: p99 ≤ {GOAL_US:.0f} under FIFO)")
    axes.legend()
    return drawing.save(figure, folder, "ticks")


# ---- the process that is measured --------------------------------------------------------------


def give_up_realtime() -> None:
    """For this process's next program: neither the capability nor a limit allows SCHED_FIFO."""
    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
    # Root's programs get what the bounding set holds (capabilities(7)). Without the capability it
    # cannot be dropped, and need not be.
    ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_SYS_NICE, 0, 0, 0)


def measure(seconds: float) -> dict[str, int]:
    """The counters of an engine that mixes and encodes four rows for so long."""
    bus = _mixing.new_bus()
    probe = _mixing.BusProbe(bus)
    engine = MixEngine(bus=bus, opus=load_opus())
    rng = np.random.default_rng(1)
    plans = []
    for track in range(LANGUAGES):
        clip = engine.add_clip(rng.uniform(-0.2, 0.2, 48_000).astype(np.float32), loop=True)
        engine.play_clip(clip, True)
        plans.append(RowPlan(engine.add_row(track), (clip,), (), heard=True))
    engine.apply(plans)
    engine.start()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.1)
        while probe.pop() is not None:
            pass
    engine.stop()
    return engine.counters()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--normal", action="store_true", help="without SCHED_FIFO")
    options = parser.parse_args()
    if options.normal:
        give_up_realtime()
        program = [sys.executable, "-m", "kabina.benchmarks.ticks"]
        os.execv(sys.executable, [*program, "--seconds", str(options.seconds)])  # noqa: S606
    print(json.dumps(measure(options.seconds)))


if __name__ == "__main__":
    main()
