"""What protects ears: the limiter's curve, and how hearing protection answers a jump in level and
what its dose meter counts.

Hearing protection stands on booth feeds; here it is played directly, block by block, before any
codec.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from kabina.benchmarks import measures
from kabina.benchmarks.engine_driver import FRAME, RATE, EngineDriver, stream
from kabina.benchmarks.iso_scenes import THD_HZ, tone
from kabina.native import _mixing
from kabina.native.mixing import RowPlan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

QUIET_DBFS: Final = -23.0
LOUD_DBFS: Final = -3.0
"""Mean squares: a tone at the level of voices, then one of nearly full scale."""
JUMP_S: Final = 2
CALIBRATED_DB: Final = 114.0
"""A headset on which nearly full scale would be 111 dB SPL."""
SUSTAINED_DB: Final = 94.0
DOSE_DB: Final = 83.0
DOSE_MINUTES: Final = 4
_WINDOW: Final = 480


class LimiterPoint(NamedTuple):
    given_dbfs: float
    kernel_dbtp: float
    """Out of the limiter itself."""
    heard_dbtp: float
    """Out of a listener's decoder: Opus adds its own overshoot."""
    thd_n_percent: float


@cache
def limiter_curve() -> list[LimiterPoint]:
    """A loud tone, made by two talkers of half its amplitude each."""
    return [_limited(given) for given in (-20.0, -10.0, -6.0, -3.0, -1.0, 0.0, 3.0, 6.0)]


def _limited(given_dbfs: float) -> LimiterPoint:
    driver = EngineDriver()
    row = driver.row()
    sources = (driver.engine.add_source(), driver.engine.add_source())
    driver.engine.apply([RowPlan(row, sources, (), heard=True)])
    half = stream(tone(THD_HZ, 4, given_dbfs - 6.02))
    for source in sources:
        driver.send(source, half)
    driver.run(4_000)
    heard = driver.listen(row).samples[2 * RATE : 3 * RATE]
    limiter = _mixing.Limiter()
    whole = tone(THD_HZ, 4, given_dbfs)
    for at in range(0, len(whole), FRAME):
        limiter.run(whole[at : at + FRAME])
    kernel = whole[2 * RATE : 3 * RATE]
    return LimiterPoint(
        given_dbfs,
        measures.true_peak_dbtp(kernel),
        measures.true_peak_dbtp(heard),
        measures.thd_n_percent(heard, THD_HZ),
    )


# ---- hearing protection ------------------------------------------------------------------------


class Jump(NamedTuple):
    """After a jump of 20 dB; levels are mean squares re full scale."""

    envelope_dbfs: list[float]
    """Of every 10 ms, from half a second before the jump."""
    settled_dbfs: float
    settled_ms: float
    """Until it stays within 1 dB of where it ends."""
    highest_100_ms_dbfs: float


class Dose(NamedTuple):
    expected_percent: float
    """Of the daily exposure of 80 dB(A): half the time for every 3 dB more."""
    measured_percent: float
    warnings: int


def jump(spl_at_full_scale_db: float | None = None) -> Jump:
    """With its defaults, or with a calibration."""
    options = {} if spl_at_full_scale_db is None else {"spl_at_full_scale_db": spl_at_full_scale_db}
    sound = np.concatenate([_tone(QUIET_DBFS, 1), _tone(LOUD_DBFS, JUMP_S)])
    return described(_guarded(_mixing.HearingGuard(**options), sound))


def described(sound: Samples) -> Jump:
    """What a jump at one second came to."""
    powers = np.mean(sound[RATE // 2 :].reshape(-1, _WINDOW).astype(np.float64) ** 2, axis=1)
    envelope = [measures.db(float(power)) for power in powers]
    after = envelope[50:]
    settled = float(np.median(after[-50:]))
    away = [index for index, level in enumerate(after) if abs(level - settled) > 1]
    runs = np.convolve(powers[50:], np.ones(10) / 10, "valid")
    return Jump(
        [round(each, 2) for each in envelope],
        settled,
        10.0 * (away[-1] + 1 if away else 0),
        measures.db(float(runs.max())),
    )


def dose() -> Dose:
    """A tone of 83 dB(A) for minutes."""
    guard = _mixing.HearingGuard(spl_at_full_scale_db=CALIBRATED_DB)
    second = _tone(DOSE_DB - CALIBRATED_DB, 1)
    for _ in range(DOSE_MINUTES * 60):
        _guarded(guard, second)
    readings = guard.readings()
    share = DOSE_MINUTES / (8 * 60) * 2 ** ((DOSE_DB - 80) / 3)
    return Dose(100 * share, float(readings["dose_80_percent"]), int(readings["warnings"]))


def _tone(dbfs: float, seconds: int) -> Samples:
    """1 kHz, where all weightings are 0 dB (K: +0.7); joins itself."""
    at = np.arange(seconds * RATE) / RATE
    made: Samples = (10 ** (dbfs / 20) * np.sqrt(2) * np.sin(2 * np.pi * 1000 * at)).astype(
        np.float32
    )
    return made


def _guarded(guard: _mixing.HearingGuard, sound: Samples) -> Samples:
    copy = sound.copy()
    for at in range(0, len(copy), FRAME):
        guard.run(copy[at : at + FRAME])
    return copy
