"""What a time edit of running sound means: where it fits, what is left out, what comes twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

OVERLAP: Final = 240
SILENT_ENERGY: Final = 1e-6


def likenesses(model: Samples, candidates: Samples) -> NDArray[np.float64]:
    """(places,): the normalised correlation of the first OVERLAP samples of `model` with those at
    each place of `candidates`; 0 where either is silent."""
    wanted = model[:OVERLAP].astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(candidates.astype(np.float64), OVERLAP)
    energies = np.sum(windows**2, axis=1)
    own = np.sum(wanted**2)
    silent = (energies < SILENT_ENERGY) | (own < SILENT_ENERGY)
    scale = np.sqrt(np.where(silent, 1.0, energies * own))
    found: NDArray[np.float64] = np.where(silent, 0.0, windows @ wanted / scale)
    return found


def _crossfade(a: Samples, b: Samples) -> Samples:
    w = ((np.arange(len(a)) + np.float32(0.5)) / len(a)).astype(np.float32)
    faded: Samples = a * (1 - w) + b * w
    return faded


def cut(samples: Samples, lag: int) -> Samples:
    """Without the first `lag` samples, faded from the beginning into what follows them."""
    joint = _crossfade(samples[:OVERLAP], samples[lag : lag + OVERLAP])
    return np.concatenate([joint, samples[lag + OVERLAP :]])


def insert(samples: Samples, at: int, lag: int) -> Samples:
    """With the `lag` samples before `at` once more, faded into at `at`, left without a seam."""
    again = samples[at - lag :]
    joint = _crossfade(samples[at : at + OVERLAP], again[:OVERLAP])
    return np.concatenate([samples[:at], joint, again[OVERLAP:]])
