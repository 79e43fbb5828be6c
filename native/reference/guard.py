"""What the hearing guard means: gains and exposure of whole signals at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from kabina.native.reference import weighting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

STEP: Final = 120
RISE: Final = 1.001728
SUSTAINED_DB: Final = 94.0
LOUDNESS_LU: Final = 5.0


def _mean_squares(weighted: Floats) -> Floats:
    result: Floats = np.mean(np.square(weighted.reshape(-1, STEP)), axis=1)
    return result


def _follow(mean_squares: Floats, steps: int, most: float) -> Floats:
    """The gain after every step: down at once, up by 6 dB/s."""
    padded = np.concatenate([np.zeros(steps - 1), mean_squares])
    means = np.lib.stride_tricks.sliding_window_view(padded, steps).mean(axis=1)
    wanted = np.minimum(1.0, np.sqrt(most / np.maximum(means, 1e-30)))
    gains, gain = np.empty(len(wanted)), 1.0
    for i, least in enumerate(wanted):
        gain = gains[i] = min(least, gain * RISE)
    return gains


def gains(
    samples: NDArray[np.floating], spl_at_full_scale_db: float, target_lufs: float
) -> tuple[Floats, Floats]:
    """(sustained, loudness) gains after every 2.5 ms of samples within ±8."""
    a = _mean_squares(weighting.weigh(samples, weighting.A_SECTIONS))
    k = _mean_squares(weighting.weigh(samples, weighting.K_SECTIONS))
    sustained_most = 10 ** ((SUSTAINED_DB - spl_at_full_scale_db) / 10)
    loudness_most = 10 ** ((target_lufs + LOUDNESS_LU + 0.691) / 10)
    return _follow(a, 40, sustained_most), _follow(k, 160, loudness_most)


def l_ex_db(
    samples: NDArray[np.floating], spl_at_full_scale_db: float, target_lufs: float
) -> float:
    """The exposure behind the gains as dB(A) over eight hours."""
    a = _mean_squares(weighting.weigh(samples, weighting.A_SECTIONS))
    gain = np.minimum(*gains(samples, spl_at_full_scale_db, target_lufs))
    energy = float(np.sum(a * gain**2)) * STEP
    return float(10 * np.log10(energy / (8 * 3600 * 48_000))) + spl_at_full_scale_db
