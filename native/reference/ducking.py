"""What a move of the duck gain means: half a cosine in dB, per millisecond."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def move_db(from_db: float, to_db: float, length_ms: int) -> NDArray[np.float64]:
    """The levels at 0, 1, … length_ms ms of one move."""
    part = np.arange(length_ms + 1) / max(length_ms, 1)
    result: NDArray[np.float64] = from_db + (to_db - from_db) * 0.5 * (1 - np.cos(np.pi * part))
    return result


def gain(level_db: NDArray[np.float64]) -> NDArray[np.float64]:
    """dB to linear."""
    result: NDArray[np.float64] = 10.0 ** (level_db / 20)
    return result
