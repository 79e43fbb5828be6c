"""What the kernels mean, in numpy.

Exact ones are equal bit for bit, reductions within 1e-5 relative.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]


def ramp(n: int, g0: float, g1: float) -> Samples:
    """n gains from g0, one step short of g1, where the next block begins."""
    first, last = np.float32(g0), np.float32(g1)
    if n == 0:
        return np.empty(0, np.float32)
    step = (last - first) / np.float32(n)
    return first + step * np.arange(n, dtype=np.float32)


def mix_ramp(out: Samples, src: Samples, g0: float, g1: float) -> None:
    """Adds `src` × a ramp to `out`. Exact."""
    out += src * ramp(len(src), g0, g1)


def apply_ramp(samples: Samples, g0: float, g1: float) -> None:
    """Multiplies by a ramp in place. Exact."""
    samples *= ramp(len(samples), g0, g1)


def crossfade(a: Samples, b: Samples) -> Samples:
    """From `a` to `b`, half a step in at both ends. Exact."""
    n = len(a)
    if n == 0:
        return np.empty(0, np.float32)
    w = (np.arange(n, dtype=np.float32) + np.float32(0.5)) * (np.float32(1) / np.float32(n))
    return a * (np.float32(1) - w) + b * w


def energy(samples: Samples) -> float:
    """Sum of squares."""
    return float(np.sum(np.square(samples, dtype=np.float64)))


def peak(samples: Samples) -> float:
    """Largest magnitude."""
    return float(np.max(np.abs(samples), initial=0.0))


def all_within(samples: Samples, limit: float) -> bool:
    """No NaN, nothing beyond the limit."""
    return bool(np.all(np.abs(samples) <= limit))


def sanitize(samples: Samples, limit: float) -> int:
    """Silences what is no number, beyond the limit or denormal, in place; how many were beyond."""
    beyond = ~(np.abs(samples) <= np.float32(limit))
    samples[beyond | (np.abs(samples) < np.finfo(np.float32).tiny)] = 0.0
    return int(np.count_nonzero(beyond))
