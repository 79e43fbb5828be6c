"""A sound that loudness meters and voice detectors take for speech; seeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import signal

if TYPE_CHECKING:
    from numpy.typing import NDArray


def speech_like(seconds: float, level: float, seed: int = 4) -> NDArray[np.float64]:
    """Noise with the slope of a voice's spectrum, in syllables of 4 Hz, a breath every 2 s.

    `level` is the standard deviation of the noise before its filter; samples at 48 kHz.
    """
    rng = np.random.default_rng(seed)
    at = np.arange(round(seconds * 48_000)) / 48_000
    noise = signal.lfilter([1], [1, -0.95], rng.normal(0, level, len(at)))
    result: NDArray[np.float64] = noise * np.sin(2 * np.pi * 2 * at) ** 2 * (at % 2 < 1.7)
    return result
