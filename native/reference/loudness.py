"""What loudness means (ITU-R BS.1770-4, one channel): whole signals at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from kabina.native.reference import weighting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

HOP: Final = 4800
BLOCK_HOPS: Final = 4
SHORT_TERM_HOPS: Final = 30
SILENCE: Final = -127.0


def lufs(mean_square: float) -> float:
    """From the mean square of weighted samples."""
    return max(-0.691 + 10 * np.log10(mean_square), SILENCE) if mean_square > 0 else SILENCE


def hops(samples: NDArray[np.floating]) -> Floats:
    """Mean squares of every whole 100 ms, K-weighted."""
    weighted = weighting.weigh(samples, weighting.K_SECTIONS)
    whole = len(weighted) // HOP * HOP
    result: Floats = np.mean(np.square(weighted[:whole].reshape(-1, HOP)), axis=1)
    return result


def gated(mean_squares: Floats) -> float:
    """Integrated loudness of these hops: blocks of 400 ms above −70 LUFS and −10 LU."""
    if len(mean_squares) < BLOCK_HOPS:
        return SILENCE
    blocks = np.lib.stride_tricks.sliding_window_view(mean_squares, BLOCK_HOPS).mean(axis=1)
    absolute = 10 ** ((-70 + 0.691) / 10)
    loud = blocks[blocks > absolute]
    if not len(loud):
        return SILENCE
    return lufs(float(np.mean(loud[loud > max(absolute, 0.1 * float(np.mean(loud)))])))


def momentary(mean_squares: Floats) -> float:
    """Of the last 400 ms."""
    return lufs(float(np.mean(mean_squares[-BLOCK_HOPS:])))


def short_term(mean_squares: Floats) -> float:
    """Of the last 3 s; what was before the first hop counts as silence."""
    return lufs(float(np.sum(mean_squares[-SHORT_TERM_HOPS:])) / SHORT_TERM_HOPS)
