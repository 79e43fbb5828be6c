"""What the true-peak limiter means: whole signals at once, no blocks, no state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

TAPS: Final = 16
REACH: Final = 8
DELAY: Final = 64
WINDOW: Final = DELAY - REACH + 1
CEILING: Final = 0.8861
RISE: Final = 2.0**-16
KAISER_BETA: Final = 4.0


def true_peak_taps() -> NDArray[np.float64]:
    """(3, 16): interpolators for ¼, ½ and ¾ of a sample behind the eighth, unity at DC."""
    at = np.arange(TAPS) - (REACH - 1) - np.array([[0.25], [0.5], [0.75]])
    window = np.i0(KAISER_BETA * np.sqrt(1 - (at / REACH) ** 2)) / np.i0(KAISER_BETA)
    taps = np.sinc(at) * window
    result: NDArray[np.float64] = taps / taps.sum(axis=1, keepdims=True)
    return result


def true_peak(samples: Samples) -> NDArray[np.float64]:
    """The highest of a sample and the three points on either side; (samples − 16,)."""
    x = samples.astype(np.float64)
    n = len(x) - 2 * REACH
    intervals = np.lib.stride_tricks.sliding_window_view(x, TAPS)[: n + 1]
    highest = np.abs(intervals @ true_peak_taps().T).max(axis=1)
    result: NDArray[np.float64] = np.maximum(
        np.abs(x[REACH:-REACH]), np.maximum(highest[:-1], highest[1:])
    )
    return result


def limit(samples: Samples, ceiling: NDArray[np.float64] | float = CEILING) -> NDArray[np.float64]:
    """The limiter's output for an input after silence: as long as the input, 64 samples late.

    `ceiling` is a number, or one per sample of the input.
    """
    x = np.concatenate([np.zeros(4 * DELAY), samples, np.zeros(4 * DELAY)])
    padded = np.pad(x, REACH).astype(np.float32)
    ceilings = np.full(len(x), CEILING)
    ceilings[4 * DELAY : 4 * DELAY + len(samples)] = ceiling
    wanted = np.minimum(1.0, ceilings / np.maximum(true_peak(padded), 1e-9))
    ones = np.ones(WINDOW - 1)
    least = np.lib.stride_tricks.sliding_window_view(np.concatenate([wanted, ones]), WINDOW).min(
        axis=1
    )
    line = RISE * np.arange(len(least))
    eased = np.minimum.accumulate(least - line) + line
    gain = np.lib.stride_tricks.sliding_window_view(np.concatenate([ones, eased]), WINDOW).mean(
        axis=1
    )
    limited: NDArray[np.float64] = (x * gain)[3 * DELAY : 3 * DELAY + len(samples)]
    return limited
