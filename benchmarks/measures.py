"""What can be said of a sound: levels, distortion, loudness, steps, alignment.

Pure functions of float32 or float64 mono at 48 kHz unless said; the definitions are written out
here, independently of the engine's own, which they judge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32] | NDArray[np.float64]

RATE: Final = 48_000
SILENCE_DB: Final = -160.0
_TINY: Final = 1e-16


def db(power: float) -> float:
    """10·log10, not below −160."""
    return float(10 * np.log10(max(power, _TINY)))


def rms_dbfs(sound: Samples) -> float:
    """RMS re full scale: a full-scale sine is −3.01."""
    return db(float(np.mean(np.square(sound, dtype=np.float64)))) if len(sound) else SILENCE_DB


def peak_dbfs(sound: Samples) -> float:
    """The largest sample."""
    return db(float(np.max(np.abs(sound), initial=0.0)) ** 2)


def true_peak_dbtp(sound: Samples) -> float:
    """The largest value of the curve through the samples, at four times the rate (BS.1770-5)."""
    spectrum = np.fft.rfft(np.asarray(sound, np.float64))
    finer = np.fft.irfft(spectrum, 4 * len(sound)) * 4
    # What wraps round the ends is not of the sound.
    edge = 256
    return peak_dbfs(finer[edge:-edge])


def sine_fit(sound: Samples, hz: float) -> tuple[complex, NDArray[np.float64]]:
    """Amplitude (and phase) of that frequency by least squares, and what it leaves over."""
    at = np.arange(len(sound)) / RATE
    basis = np.stack(
        [np.cos(2 * np.pi * hz * at), np.sin(2 * np.pi * hz * at), np.ones(len(sound))], axis=1
    )
    found, *_ = np.linalg.lstsq(basis, np.asarray(sound, np.float64), rcond=None)
    return complex(found[0], -found[1]), np.asarray(sound, np.float64) - basis @ found


def tone_dbfs(sound: Samples, hz: float) -> float:
    """RMS level of that frequency."""
    amplitude, _ = sine_fit(sound, hz)
    return db(abs(amplitude) ** 2 / 2)


def thd_n_percent(
    sound: Samples, hz: float, *, low_hz: float = 20, high_hz: float = 20_000
) -> float:
    """RMS of all but the tone within a band, over the RMS of the whole (AES17's ratio), %.

    The sound is windowed: its ends need not join.
    """
    windowed = np.asarray(sound, np.float64) * np.hanning(len(sound))
    power = np.abs(np.fft.rfft(windowed)) ** 2
    frequency = np.fft.rfftfreq(len(sound), 1 / RATE)
    in_band = (frequency >= low_hz) & (frequency <= high_hz)
    # Hann's main lobe is two bins wide to each side; two more for what leaks.
    notch = np.abs(frequency - hz) <= 4 * RATE / len(sound)
    whole = float(power[in_band].sum())
    return 100 * float(np.sqrt(power[in_band & ~notch].sum() / max(whole, _TINY)))


def thd_percent(sound: Samples, hz: float, *, high_hz: float = 20_000) -> float:
    """RMS of the harmonics over that of the tone, %: without the noise between them."""
    first = 10 ** (tone_dbfs(sound, hz) / 10)
    above = np.arange(2, int(high_hz // hz) + 1) * hz
    harmonics = sum(10 ** (tone_dbfs(sound, each) / 10) for each in above)
    return 100 * float(np.sqrt(harmonics / max(first, _TINY)))


def weighted(sound: Samples) -> NDArray[np.float64]:
    """K-weighted (BS.1770-5, annex 1: its two filters for 48 kHz)."""
    shelf = ((1.53512485958697, -2.69169618940638, 1.19839281085285),
             (1.0, -1.69065929318241, 0.73248077421585))  # fmt: skip
    high_pass = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))
    # As a product in frequency: both filters die out within the padding.
    length = len(sound) + RATE
    delay = np.exp(-2j * np.pi * np.arange(length // 2 + 1) / length)
    response = np.ones(len(delay), complex)
    for above, below in (shelf, high_pass):
        response *= np.polyval(above[::-1], delay) / np.polyval(below[::-1], delay)
    return np.fft.irfft(np.fft.rfft(sound, length) * response, length)[: len(sound)]


def loudness_lufs(sound: Samples) -> float:
    """Integrated and gated (BS.1770-5); −160 for silence."""
    block, hop = RATE * 4 // 10, RATE // 10
    if len(sound) < block:
        return SILENCE_DB
    squares = np.square(weighted(sound))
    sums = np.concatenate([[0.0], np.cumsum(squares)])
    starts = np.arange(0, len(sound) - block + 1, hop)
    powers = (sums[starts + block] - sums[starts]) / block
    loud = -0.691 + 10 * np.log10(np.maximum(powers, _TINY))
    kept = powers[loud > -70]
    if not len(kept):
        return SILENCE_DB
    relative = -0.691 + db(float(np.mean(kept))) - 10
    kept = powers[(loud > -70) & (loud > relative)]
    return -0.691 + db(float(np.mean(kept)))


def lag(sound: Samples, reference: Samples) -> int:
    """By how many samples `sound` comes after `reference`: where they agree best; any rate."""
    length = 1 << (len(sound) + len(reference) - 1).bit_length()
    spectrum = np.fft.rfft(sound, length) * np.conj(np.fft.rfft(reference, length))
    agreement = np.fft.irfft(spectrum, length)
    best = int(np.argmax(agreement))
    return best if best < len(sound) else best - length


def aligned(sound: Samples, reference: Samples, *, part: int, reach: int) -> NDArray[np.float64]:
    """`sound`, part by part, where it agrees best with the same part of `reference`.

    A jitter buffer changes its delay, and what compares frame by frame would take that for damage.
    Parts have `part` samples and are looked for up to `reach` to both sides; what is beyond the
    ends is silence. As long as `reference`.
    """
    padded = np.concatenate([np.zeros(reach), sound, np.zeros(reach + len(reference))])
    parts = []
    for at in range(0, len(reference), part):
        wanted = np.asarray(reference[at : at + part], np.float64)
        around = padded[at : at + len(wanted) + 2 * reach]
        best = lag(around, wanted) if np.any(wanted) else reach
        first = min(max(best, 0), 2 * reach)
        parts.append(around[first : first + len(wanted)])
    return np.concatenate(parts)


def high_passed(sound: Samples, hz: float) -> NDArray[np.float64]:
    """Without what is below, by a raised-cosine edge of half an octave; no phase is moved."""
    spectrum = np.fft.rfft(np.asarray(sound, np.float64))
    frequency = np.fft.rfftfreq(len(sound), 1 / RATE)
    octaves = np.log2(np.maximum(frequency, 1e-3) / hz)
    edge = np.clip(octaves / 0.5 + 1, 0, 1)
    return np.fft.irfft(spectrum * (0.5 - 0.5 * np.cos(np.pi * edge)), len(sound))


def steps_dbfs(
    sound: Samples, *, above_hz: float = 6_000, window: int = 120
) -> NDArray[np.float64]:
    """Peaks per 2.5 ms of what is above a frequency, dBFS.

    A step or a click is in all frequencies at once, so it stands out where the signal, tones or
    speech of a 16 kHz recording, has little of its own.
    """
    high = np.abs(high_passed(sound, above_hz))
    peaks = high[: len(high) // window * window].reshape(-1, window).max(axis=1)
    levels: NDArray[np.float64] = 10 * np.log10(np.maximum(np.square(peaks), _TINY))
    return levels


def gap_ms(sound: Samples, *, below_db: float = 10.0, window: int = 48) -> float:
    """The longest stretch, in whole ms, that lies so far below the sound's own median level."""
    frames = np.asarray(sound, np.float64)[: len(sound) // window * window].reshape(-1, window)
    # 20 ms, so that a tone's own zeros are no gaps.
    power = np.convolve(np.mean(frames**2, axis=1), np.ones(20) / 20, "same")
    is_low = power < np.median(power) * 10 ** (-below_db / 10)
    longest = run = 0
    for each in is_low[10:-10]:
        run = run + 1 if each else 0
        longest = max(longest, run)
    return float(longest * window / 48)


def resampled(sound: Samples, every: int = 3) -> NDArray[np.float64]:
    """Every third sample of 48 kHz, band-limited: 16 kHz, as the scorers of speech want it."""
    length = len(sound) // every * every
    spectrum = np.fft.rfft(np.asarray(sound, np.float64)[:length])
    kept = length // every // 2 + 1
    return np.fft.irfft(spectrum[:kept], length // every) / every
