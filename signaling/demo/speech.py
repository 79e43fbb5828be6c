"""Reads the demo's recordings, made by make_speech.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import soundfile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kabina.signaling.demo.script import Part

RATE_HZ: Final = 48_000
_FOLDER: Final = Path(__file__).parent


def load_speech(part: Part) -> NDArray[np.float32]:
    """One voice of the script: float32, (samples,), 48 kHz mono."""
    samples, rate_hz = soundfile.read(_FOLDER / part.file, dtype="float32", always_2d=False)
    if rate_hz != RATE_HZ or samples.ndim != 1:
        raise ValueError(f"{part.file} is not 48 kHz mono")
    return np.ascontiguousarray(samples)
