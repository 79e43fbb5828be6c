"""Time per 20 ms frame of every mixing kernel, beside its numpy definition.

Run: python benchmarks/mix_kernels.py [--seconds 0.2]
The native column includes the call from Python, shown in the first row.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np

from kabina.native import _mixing
from kabina.native.libraries import LibraryError, load_rnnoise
from kabina.native.reference import kernels, limiter, loudness, weighting

if TYPE_CHECKING:
    from collections.abc import Callable

FRAME = 960


def best_ns(work: Callable[[], object], seconds: float) -> float:
    """The least mean of five batches: what the kernel costs when nobody else uses the core."""
    work()
    start = time.perf_counter_ns()
    count = 0
    while time.perf_counter_ns() - start < seconds * 1e8:
        work()
        count += 1
    batches = []
    for _ in range(5):
        start = time.perf_counter_ns()
        for _ in range(count):
            work()
        batches.append((time.perf_counter_ns() - start) / count)
    return min(batches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.2, help="per kernel")
    seconds = parser.parse_args().seconds

    rng = np.random.default_rng(1)
    out = np.zeros(FRAME, np.float32)
    src = rng.uniform(-0.01, 0.01, FRAME).astype(np.float32)
    wide = rng.uniform(-1, 1, FRAME + 16).astype(np.float32)
    loud = rng.uniform(-2, 2, FRAME).astype(np.float32)
    voice = rng.normal(0, 0.1, FRAME).astype(np.float32)
    k, a = _mixing.Weighting(), _mixing.Weighting(True)
    meter, rider, guard = _mixing.Loudness(), _mixing.Rider(), _mixing.HearingGuard()
    idle, busy = _mixing.Limiter(), _mixing.Limiter()
    nothing = np.zeros(0, np.float32)

    # What works in place gets copies: a sound that was ridden or limited before is another one.
    rows: list[tuple[str, Callable[[], object], Callable[[], object] | None]] = [
        ("the call alone", lambda: _mixing.energy(nothing), None),
        (
            "mix with ramp",
            lambda: _mixing.mix_ramp(out, src, 0.5, 0.5),
            lambda: kernels.mix_ramp(out, src, 0.5, 0.5),
        ),
        (
            "gain ramp",
            lambda: _mixing.apply_ramp(src, 1.0, 1.0),
            lambda: kernels.apply_ramp(src, 1.0, 1.0),
        ),
        ("energy", lambda: _mixing.energy(src), lambda: kernels.energy(src)),
        ("peak", lambda: _mixing.peak(src), lambda: kernels.peak(src)),
        ("all within", lambda: _mixing.all_within(src, 8.0), lambda: kernels.all_within(src, 8.0)),
        (
            "sanitize",
            lambda: _mixing.sanitize(src, 8.0),
            lambda: kernels.sanitize(src, 8.0),
        ),
        (
            "K weighting",
            lambda: k.run(voice),
            lambda: weighting.weigh(voice, weighting.K_SECTIONS),
        ),
        (
            "A weighting",
            lambda: a.run(voice),
            lambda: weighting.weigh(voice, weighting.A_SECTIONS),
        ),
        ("loudness", lambda: meter.run(voice), lambda: loudness.hops(voice)),
        ("loudness and rider", lambda: rider.run(voice.copy()), None),
        ("hearing guard, idle", lambda: guard.run(src), None),
        ("true peak 4×", lambda: _mixing.true_peak(wide), lambda: limiter.true_peak(wide)),
        ("limiter, idle", lambda: idle.run(src), None),
        ("limiter, limiting", lambda: busy.run(loud.copy()), lambda: limiter.limit(loud)),
    ]
    try:
        denoiser = _mixing.Denoiser(load_rnnoise().handle)
        denoiser.switch(True)
        rows.append(("RNNoise", lambda: denoiser.run(voice.copy()), None))
    except LibraryError as error:
        print(error)
    print(f"{'960 samples':20}{'native ns':>12}{'numpy ns':>12}{'ratio':>8}")
    for name, native, reference in rows:
        native_ns = best_ns(native, seconds)
        if reference is None:
            print(f"{name:20}{native_ns:12.0f}")
            continue
        reference_ns = best_ns(reference, seconds)
        print(f"{name:20}{native_ns:12.0f}{reference_ns:12.0f}{reference_ns / native_ns:8.1f}")


if __name__ == "__main__":
    main()
