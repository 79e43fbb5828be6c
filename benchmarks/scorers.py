"""Objective scores of speech: PESQ-WB (ITU-T P.862.2), STOI and PLCMOS v2.

The packages are the extra `bench-quality` (`make bench-quality-tools`), imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from kabina.benchmarks.measures import aligned, lag

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples16k = NDArray[np.float64]

RATE: Final = 16_000
HOW_TO_HAVE_IT: Final = "make bench-quality-tools"


class Scorers:
    """Those of the three that are installed; `missing` names the others."""

    def __init__(self) -> None:
        self.missing: list[str] = []
        self._pesq = self._module("pesq")
        self._stoi = self._module("pystoi")
        self._plcmos = self._module("speechmos.plcmos")

    def _module(self, name: str) -> Any:  # noqa: ANN401
        try:
            return importlib.import_module(name)
        except ImportError as error:
            self.missing.append(f"{name.partition('.')[0]} ({error})")
            return None

    def score(self, heard: Samples16k, original: Samples16k) -> dict[str, float | None]:
        """`pesq` (1.04 … 4.64), `stoi` (0 … 1) and `plcmos` (1 … 5) of a sound at 16 kHz.

        PLCMOS hears only `heard`. PESQ aligns utterances itself, STOI gets parts of 2 s aligned.
        """
        late = lag(heard, original)
        a, b = (heard[late:], original) if late >= 0 else (heard, original[-late:])
        length = min(len(a), len(b))
        now, before = a[:length].astype(np.float32), b[:length].astype(np.float32)
        return {
            "pesq": float(self._pesq.pesq(RATE, before, now, "wb")) if self._pesq else None,
            "stoi": self._intelligibility(now, before),
            "plcmos": self._concealment(now),
        }

    def _intelligibility(
        self, heard: NDArray[np.float32], original: NDArray[np.float32]
    ) -> float | None:
        if self._stoi is None:
            return None
        moved = aligned(heard, original, part=2 * RATE, reach=RATE // 4)
        return float(self._stoi.stoi(original, moved, RATE))

    def _concealment(self, sound: NDArray[np.float32]) -> float | None:
        if self._plcmos is None:
            return None
        # It embeds random excerpts with numpy's global generator: the same sound, the same score.
        np.random.seed(1)
        return float(self._plcmos.run(np.clip(sound, -1, 1), sr=RATE)["plcmos"])
