"""Speaks the demo's script with espeak-ng: `python -m kabina.signaling.demo.make_speech`.

For developers, after a change of script.py; the sound files it writes beside itself are part of
the repository, so that running the demo needs no synthesiser. espeak-ng (Debian's package of that
name) is run as a program; its GPL covers the program, not what it says. It is used because it
speaks every language of the demo, Albanian included.
"""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import soundfile

from kabina.signaling.demo.script import LOOP_S, PARTS, Part

Samples = npt.NDArray[np.float64]

RATE: Final = 48_000
TARGET_LUFS: Final = -20.0  # what a well-set microphone gives; the limiter (−1 dBTP) stays idle
PEAK_CEILING: Final = 10 ** (-4 / 20)  # the codec overshoots, and the lowered floor is added
TRIM_LEVEL: Final = 10 ** (-50 / 20)  # re the loudest sample
FADE_S: Final = 0.01
BITRATE_BPS: Final = 30_000  # speech sounds the same above; keeps the three files near 500 kB


@dataclass(frozen=True, slots=True)
class Voice:
    """How espeak-ng is to sound: voice and variant, words per minute, pitch 0–99."""

    name: str
    speed_wpm: int
    pitch: int


# A low voice on the floor and two higher ones in the booths (median pitch 90, 180 and 215 Hz), so
# that nobody takes one for another. espeak-ng ignores a variant it cannot combine with the voice,
# silently: "fr-fr+f2" speaks as plain "fr-fr".
VOICES: Final = {
    "en": Voice("en-us+Andy", 156, 42),
    "fr": Voice("fr+f2", 160, 45),
    "sq": Voice("sq+belinda", 155, 45),
}


def main() -> int:
    """Writes the sound files; 2 with one clear line if it cannot."""
    program = shutil.which("espeak-ng")
    if program is None:
        sys.stderr.write("espeak-ng is missing: apt install espeak-ng\n")
        return 2
    folder = Path(__file__).parent
    for part in PARTS:
        try:
            samples = speak_part(program, part)
        except ValueError as error:
            sys.stderr.write(f"{part.file}: {error}\n")
            return 2
        write_opus(folder / part.file, samples)
        size = (folder / part.file).stat().st_size
        peak_db = 20 * np.log10(np.abs(samples).max())
        sys.stdout.write(
            f"{part.file}: {size / 1000:.0f} kB, {loudness_lufs(samples):.1f} LUFS, "
            f"peak {peak_db:.1f} dBFS\n"
        )
    return 0


def speak_part(program: str, part: Part) -> Samples:
    """A part laid out over one loop, at TARGET_LUFS: float64, (samples,), 48 kHz.

    ValueError if a line runs into the next or past the loop.
    """
    loop = np.zeros(round(LOOP_S * RATE))
    free_from_s = 0.0
    for line in part.lines:
        spoken = _trimmed(_soften(_at_48_khz(*_synthesise(program, part.language, line.text))))
        end_s = line.at_s + len(spoken) / RATE
        sys.stdout.write(f"  {part.language} {line.at_s:5.1f}–{end_s:5.1f} s  {line.text[:50]}\n")
        if line.at_s < free_from_s:
            raise ValueError(f"{line.text[:30]!r} begins before the line before it ends.")
        if end_s > LOOP_S:
            raise ValueError(f"{line.text[:30]!r} ends after the loop, at {end_s:.1f} s.")
        start = round(line.at_s * RATE)
        loop[start : start + len(spoken)] = spoken
        free_from_s = end_s
    return _limited(loop * 10 ** ((TARGET_LUFS - loudness_lufs(loop)) / 20))


def loudness_lufs(samples: Samples) -> float:
    """Integrated loudness of mono speech, ITU-R BS.1770-4: K-weighting, both gates.

    float64, (samples,), 48 kHz, at least 0.4 s. −inf if everything is under the absolute gate.
    """
    power = np.concatenate(([0.0], np.cumsum(_k_weighted(samples) ** 2)))
    block, hop = round(0.4 * RATE), round(0.1 * RATE)
    starts = np.arange(0, len(samples) - block + 1, hop)
    blocks = (power[starts + block] - power[starts]) / block
    loud = blocks[blocks > _power_of(-70.0)]
    if not loud.size:
        return -np.inf
    gated = loud[loud > loud.mean() * _power_of(-10.0, offset_db=0.0)]
    return float(-0.691 + 10 * np.log10(gated.mean()))


def write_opus(path: Path, samples: Samples) -> None:
    """Writes mono Ogg Opus at about BITRATE_BPS."""
    # libsndfile maps 0…1 to 256…6 kbit/s a channel.
    level = (256_000 - BITRATE_BPS) / 250_000
    soundfile.write(path, samples, RATE, format="OGG", subtype="OPUS", compression_level=level)


def _power_of(level_db: float, *, offset_db: float = 0.691) -> float:
    return float(10 ** ((level_db + offset_db) / 10))


def _synthesise(program: str, language: str, text: str) -> tuple[Samples, int]:
    voice = VOICES[language]
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "line.wav"
        order = [program, "-v", voice.name, "-s", str(voice.speed_wpm), "-p", str(voice.pitch)]
        subprocess.run([*order, "-w", str(wav), text], check=True)  # noqa: S603 - fixed arguments
        samples, rate = soundfile.read(wav, dtype="float64")
    return samples, rate


def _at_48_khz(samples: Samples, rate: int) -> Samples:
    """Resampled in the frequency domain; speech ends in silence, so wrapping round is harmless."""
    step = rate // np.gcd(rate, RATE)
    padded = np.pad(samples, (0, -len(samples) % step + step))
    length = len(padded) * RATE // rate
    return np.fft.irfft(np.fft.rfft(padded), length) * (length / len(padded))


def _soften(samples: Samples) -> Samples:
    """Rumble out under 80 Hz, and a shelf of −4 dB above 4 kHz: espeak-ng hisses."""
    spectrum = np.fft.rfft(samples)
    frequency = np.fft.rfftfreq(len(samples), 1 / RATE)
    rumble = 1 / np.sqrt(1 + (80 / np.maximum(frequency, 1)) ** 4)
    depth = 1 - 10 ** (-4 / 20)
    shelf = 1 - depth / (1 + (4000 / np.maximum(frequency, 1)) ** 2)
    return np.fft.irfft(spectrum * rumble * shelf, len(samples))


def _trimmed(samples: Samples) -> Samples:
    """Without the silence around it, and with short fades."""
    audible = np.flatnonzero(np.abs(samples) > TRIM_LEVEL * np.abs(samples).max())
    cut = samples[audible[0] : audible[-1] + 1].copy()
    fade = np.linspace(0.0, 1.0, round(FADE_S * RATE))
    cut[: len(fade)] *= fade
    cut[-len(fade) :] *= fade[::-1]
    return cut


def _limited(samples: Samples) -> Samples:
    """Lowered smoothly around the few glottal pulses over PEAK_CEILING (2 ms each way)."""
    reach = round(0.002 * RATE)
    around = np.pad(np.abs(samples), 2 * reach)
    peaks = np.lib.stride_tricks.sliding_window_view(around, 2 * reach + 1).max(axis=1)
    wanted = np.minimum(1.0, PEAK_CEILING / np.maximum(peaks, PEAK_CEILING))
    # Averaged over as long as a peak is held, the gain is never above what the peak wants.
    window = np.hanning(2 * reach + 3)[1:-1]
    return samples * np.convolve(wanted, window / window.sum(), mode="valid")


def _k_weighted(samples: Samples) -> Samples:
    """BS.1770-4, tables 1 and 2: head shelf and high-pass, coefficients for 48 kHz."""
    stages = (
        (
            (1.53512485958697, -2.69169618940638, 1.19839281085285),
            (-1.69065929318241, 0.73248077421585),
        ),
        ((1.0, -2.0, 1.0), (-1.99004745483398, 0.99007225036621)),
    )
    spectrum = np.fft.rfft(samples)
    delay = np.exp(-2j * np.pi * np.fft.rfftfreq(len(samples)))
    for (b0, b1, b2), (a1, a2) in stages:
        spectrum *= (b0 + b1 * delay + b2 * delay**2) / (1 + a1 * delay + a2 * delay**2)
    return np.fft.irfft(spectrum, len(samples))


if __name__ == "__main__":
    sys.exit(main())
