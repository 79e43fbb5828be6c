"""Real speech for benchmarks: studio prompts of Debian's asterisk-core-sounds packages.

They are read by professionals at 16 kHz, in six languages of which five are used. `apt-get
download` fetches them into a folder under var/ on first use; they are never committed and never
part of a distribution. Licences and authors: `ATTRIBUTION`, and each package's copyright file,
which is kept beside the sound.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import av
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

RATE: Final = 48_000
CACHE: Final = Path("var/speech")
PACKAGE: Final = "asterisk-core-sounds-{}-g722"
TALK: Final = "demo-instruct.g722"
"""The longest prompt of each package: 64 to 86 s of connected speech."""
ATTRIBUTION: Final = {
    "en": "Allison Smith, CC-BY-SA-3.0",
    "fr": "June Wallack, CC-BY-SA-3.0",
    "ru": "Maxim Topal (ivrvoice.ru), CC-BY-3.0",
    "es": "Allison Smith, CC-BY-SA-3.0",
    "it": "Carlo Flora (segreterietelefoniche.it), CC-BY-3.0",
}
LEVEL_DBFS: Final = -26.0
"""RMS of the active parts: the nominal level of ITU-T P.56 material."""
_DOWNLOAD_S: Final = 120


class NoSpeechError(Exception):
    """The recordings are neither here nor to be had; the text says why."""


@dataclass(frozen=True, slots=True)
class Talk:
    """One person speaking, float32 mono at 48 kHz; nothing above 8 kHz is in it."""

    language: str
    samples: Samples
    attribution: str


@cache
def talk(language: str, seconds: float = 20.0, *, skip_s: float = 0.0) -> Talk:
    """`seconds` of one language from `skip_s` on, at −26 dBFS where it speaks.

    Starts over at its end. NoSpeechError when the package cannot be had, KeyError for a language
    that has none.
    """
    attribution = ATTRIBUTION[language]
    sound = _levelled(_decoded(_fetched(language)))
    first = round(skip_s * RATE)
    at = np.arange(first, first + round(seconds * RATE)) % len(sound)
    return Talk(language, sound[at], attribution)


def _fetched(language: str) -> Path:
    """The recording's file."""
    folder = CACHE / language
    if not (found := sorted(folder.rglob(TALK))):
        _fetch(language, folder)
        found = sorted(folder.rglob(TALK))
    if not found:
        raise NoSpeechError(f"{PACKAGE.format(language)} has no {TALK}")
    return found[0]


def _fetch(language: str, folder: Path) -> None:
    package = PACKAGE.format(language)
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        raise NoSpeechError(f"no speech: {package} comes by {' and '.join(missing)}, not here")
    scratch = folder.with_name(f".{language}")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        _run(["apt-get", "-q", "download", package], scratch, package)
        (archive,) = scratch.glob("*.deb")
        _run(["dpkg-deb", "-x", archive.name, "."], scratch, package)
        archive.unlink()
        (scratch / "ATTRIBUTION.txt").write_text(
            f"{package}: {ATTRIBUTION[language]}\nhttps://packages.debian.org/{package}\n"
        )
        shutil.rmtree(folder, ignore_errors=True)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _run(command: list[str], folder: Path, package: str) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=_DOWNLOAD_S,
        )
    except subprocess.TimeoutExpired as error:
        raise NoSpeechError(f"no speech: {package} did not come within {_DOWNLOAD_S} s") from error
    if done.returncode:
        # apt's last lines say what is wrong: no network, no package lists (apt-get update).
        lines = [line for line in done.stderr.splitlines() if line.startswith("E:")]
        why = " ".join(lines) or f"exit code {done.returncode}"
        raise NoSpeechError(f"no speech: {command[0]} {package}: {why}")


def _decoded(path: Path) -> Samples:
    """float32 mono at 48 kHz."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    parts = []
    with av.open(str(path), format="g722") as container:
        for frame in container.decode(audio=0):
            parts += [made.to_ndarray().reshape(-1) for made in resampler.resample(frame)]
        parts += [made.to_ndarray().reshape(-1) for made in resampler.resample(None)]
    return np.concatenate(parts).astype(np.float32)


def _levelled(sound: Samples) -> Samples:
    """With the frames within 40 dB of the loudest at `LEVEL_DBFS`."""
    frames = sound[: len(sound) // 960 * 960].reshape(-1, 960).astype(np.float64)
    powers = np.mean(frames**2, axis=1)
    active = float(np.mean(powers[powers > powers.max() * 1e-4]))
    scaled: Samples = (sound * 10 ** (LEVEL_DBFS / 20) / np.sqrt(active)).astype(np.float32)
    return scaled
