"""What a listener hears, measured: the level of a tone over time, and gaps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 48_000


def tone_levels_db(
    samples: NDArray[np.float32], frequency_hz: float, *, window_ms: int = 40
) -> NDArray[np.float64]:
    """Amplitude of one tone per window, dB re full scale; float32 (samples,) in, (windows,) out.

    A Hann-windowed single-bin DFT: 40 ms resolve 440 from 880 Hz by more than 60 dB.
    """
    size = RATE_HZ * window_ms // 1000
    windows = len(samples) // size
    frames = samples[: windows * size].reshape(windows, size).astype(np.float64)
    taper = np.hanning(size)
    phase = np.exp(-2j * np.pi * frequency_hz * np.arange(size) / RATE_HZ)
    amplitude = np.abs(frames @ (taper * phase)) * 2 / taper.sum()
    return 20 * np.log10(np.maximum(amplitude, 1e-6))


def longest_gap_ms(samples: NDArray[np.float32], *, below_db: float, step_ms: int = 5) -> float:
    """The longest run of `step_ms` windows whose RMS is under `below_db` dBFS."""
    size = RATE_HZ * step_ms // 1000
    windows = len(samples) // size
    frames = samples[: windows * size].reshape(windows, size)
    rms_db = 20 * np.log10(np.sqrt(np.mean(frames**2, axis=1)) + 1e-9)
    longest = run = 0
    for level in rms_db:
        run = run + 1 if level < below_db else 0
        longest = max(longest, run)
    return float(longest * step_ms)
