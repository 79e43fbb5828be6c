"""Markers in a voice that are found again behind codecs and mixes, and when each was heard.

A moment of sound leaves a mouth when it is captured: a packet of a frame is sent when the frame's
last sample has been, so sample n of N was there N − n samples earlier. It reaches an ear when it
can be played: sample n of a received frame n samples after the packet's arrival. Without any server
that makes one frame plus the codec's look-ahead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from kabina.native._mixing import OpusDecoder, OpusEncoder
from kabina.native.libraries import load_opus
from kabina.signaling.demo.script import PARTS
from kabina.signaling.demo.speech import load_speech

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Sound = NDArray[np.float32]
    Packet = tuple[int, int, int, bytes]  # at_ns, timestamp, sequence, payload

RATE_HZ: Final = 48_000
FRAME: Final = 960
FRAME_MS: Final = 20.0
LOOK_AHEAD_MS: Final = 6.5
"""libopus's of VOIP, 312 samples; of each of the two encoders on the way through a mix."""

# Above the strongest part of speech, and in what a room of 16 kHz carries.
_LOW_HZ, _HIGH_HZ = 1_600.0, 4_400.0
LENGTH: Final = 2_400  # 50 ms: 140 periods × Hz, 21 dB over what is as loud beside it
AMPLITUDE: Final = 0.2
LEAST_LIKENESS: Final = 0.3
"""Of a normalized correlation; below it nothing was found. Another voice's chirp has 0.1."""
_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice as it is sent: one payload per 20 ms, and where its chirps begin, in samples."""

    payloads: list[bytes]
    chirps: tuple[int, ...]
    rising: bool


@lru_cache
def chirp(*, rising: bool) -> Sound:
    """A linear sweep with soft ends, float32, (LENGTH,)."""
    t = np.arange(LENGTH) / RATE_HZ
    slope = (_HIGH_HZ - _LOW_HZ) / (LENGTH / RATE_HZ)
    sweep = np.sin(2 * np.pi * (_LOW_HZ * t + slope / 2 * t * t))
    edge = np.minimum(1.0, np.minimum(np.arange(LENGTH), np.arange(LENGTH)[::-1]) / 240)
    shaped = (sweep if rising else sweep[::-1]) * np.sin(edge * np.pi / 2) ** 2
    return cast("Sound", (AMPLITUDE * shaped).astype(np.float32))


def voice(
    seconds: float,
    *,
    speaker: int,
    rising: bool,
    every: int = 21_600,
    first: int = 4_800,
    seed: int = 1,
    rate_bps: int = 48_000,
) -> Voice:
    """Speech of the demo with a chirp about every 450 ms, encoded as a browser does.

    The places are seeded: their phase against the frames is not always the same.
    """
    rng = np.random.default_rng(seed)
    frames = round(seconds * RATE_HZ / FRAME)
    sound = _speech(speaker, frames * FRAME)
    places = []
    for start in range(first, len(sound) - LENGTH - FRAME, every):
        at = start + int(rng.integers(0, FRAME))
        sound[at : at + LENGTH] *= 0.25
        sound[at : at + LENGTH] += chirp(rising=rising)
        places.append(at)
    return Voice(encoded(sound, rate_bps=rate_bps), tuple(places), rising)


def _speech(speaker: int, length: int) -> Sound:
    """The demo's voice number `speaker` at −26 dBFS, over and over."""
    part = PARTS[speaker % len(PARTS)]
    said = load_speech(part)
    blocks = said[: len(said) // 4_800 * 4_800].reshape(-1, 4_800)
    power = np.mean(blocks**2, axis=1)
    said = blocks[power > 1e-5].ravel()  # without the pauses, in which others of the demo speak
    said = said * (0.05 / float(np.sqrt(np.mean(said**2))))
    return np.resize(said, length).astype(np.float32)


def encoded(sound: Sound, *, rate_bps: int = 48_000) -> list[bytes]:
    """One packet per whole frame."""
    encoder = OpusEncoder(
        load_opus().handle, bitrate_bps=rate_bps, complexity=5, fec=True, loss_percent=5
    )
    whole = len(sound) // FRAME * FRAME
    return [encoder.encode(sound[at : at + FRAME]) for at in range(0, whole, FRAME)]


class Heard:
    """What a listener got, decoded, with the moment at which each sample could be played.

    Missing packets are silence that is not measured; of two with one timestamp the second is left
    out.
    """

    def __init__(self, packets: Iterable[Packet]) -> None:
        decoder = OpusDecoder(load_opus().handle)
        blocks: list[Sound] = []
        self._starts: list[int] = []  # of the frames that came: their first sample
        self._ready_ns: list[int] = []
        self.lengths: list[int] = []
        at, expected = 0, None
        for at_ns, timestamp, _, payload in packets:
            if expected is not None:
                gap = (timestamp - expected + (1 << 31)) % (1 << 32) - (1 << 31)
                if gap < 0:
                    continue
                if gap:
                    blocks.append(np.zeros(gap, np.float32))
                    at += gap
            block = decoder.decode(payload)
            self._starts.append(at)
            self._ready_ns.append(at_ns)
            self.lengths.append(len(block))
            blocks.append(block)
            at += len(block)
            expected = timestamp + len(block)
        self.sound: Sound = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)

    def frame_of(self, sample: int) -> int | None:
        """The number of the received frame that the sample is in, None in a hole."""
        index = int(np.searchsorted(self._starts, sample, side="right")) - 1
        if index < 0 or sample >= self._starts[index] + self.lengths[index]:
            return None
        return index

    def ear_ns(self, sample: int) -> int | None:
        """When it can be played, None in a hole."""
        index = self.frame_of(sample)
        if index is None:
            return None
        offset = sample - self._starts[index]
        return self._ready_ns[index] + offset * _SECOND_NS // RATE_HZ

    def sample_at(self, moment_ns: int) -> int:
        """The first sample that cannot be played before the moment."""
        index = int(np.searchsorted(self._ready_ns, moment_ns, side="right")) - 1
        if index < 0:
            return 0
        late = (moment_ns - self._ready_ns[index]) * RATE_HZ // _SECOND_NS
        return self._starts[index] + min(int(late), self.lengths[index])


def mouth_ns(sent: Sequence[Packet], sample: int) -> int:
    """When it was captured, by the send of its frame's packet. IndexError if that never left."""
    frame, offset = divmod(sample, FRAME)
    return sent[frame][0] - (FRAME - offset) * _SECOND_NS // RATE_HZ


@dataclass(frozen=True, slots=True)
class Found:
    """One chirp on both sides; `ms` from mouth to ear, `sent_at` and `heard_at` in samples."""

    ms: float
    sent_at: int
    heard_at: int


def found_chirps(
    marked: Voice, sent: Sequence[Packet], heard: Heard, *, most_ms: float = 400.0
) -> tuple[list[Found], int]:
    """Every chirp of the voice that is heard within `most_ms`, and how many are not.

    Timed at their middle. Those whose packets were not sent and heard in full do not count.
    """
    template = chirp(rising=marked.rising)
    passed = band(heard.sound)
    found, missed = [], 0
    middle = LENGTH // 2
    for place in marked.chirps:
        if (place + LENGTH) // FRAME >= len(sent):
            break
        mouth = mouth_ns(sent, place + middle)
        first = heard.sample_at(mouth) - middle
        last = heard.sample_at(mouth + round(most_ms * 1e6)) + middle
        if first < 0 or last >= len(passed):
            continue
        at, likeness = best_match(passed[first:last], template)
        ear = heard.ear_ns(first + at + middle)
        if likeness < LEAST_LIKENESS or ear is None:
            missed += 1
            continue
        found.append(Found((ear - mouth) / 1e6, place + middle, first + at + middle))
    return found, missed


def best_match(sound: Sound, template: Sound) -> tuple[int, float]:
    """Where the template is most alike, and the normalized correlation there (0 to 1)."""
    if len(sound) < len(template):
        return 0, 0.0
    size = 1 << math.ceil(math.log2(len(sound) + len(template)))
    spectrum = np.fft.rfft(sound, size) * np.conj(np.fft.rfft(template, size))
    count = len(sound) - len(template) + 1
    correlation = np.fft.irfft(spectrum, size)[:count]
    sums = np.concatenate([[0.0], np.cumsum(sound.astype(np.float64) ** 2)])
    energy = sums[len(template) :] - sums[: -len(template)]
    # What is nearly silent is like nothing.
    floor = 1e-6 * float(np.sum(template**2))
    likeness = np.abs(correlation) / np.sqrt(np.maximum(energy, floor) * np.sum(template**2))
    at = int(np.argmax(likeness))
    return at, float(likeness[at])


def band(sound: Sound) -> Sound:
    """What lies between the chirps' lowest and highest frequency, without shifting it."""
    if not len(sound):
        return sound
    spectrum = np.fft.rfft(sound)
    frequencies = np.fft.rfftfreq(len(sound), 1 / RATE_HZ)
    spectrum[(frequencies < _LOW_HZ - 200) | (frequencies > _HIGH_HZ + 200)] = 0
    return np.fft.irfft(spectrum, len(sound)).astype(np.float32)


def quantile(values: Sequence[float], share: float) -> float | None:
    """Linear between the nearest ranks; None of nothing."""
    return float(np.quantile(values, share)) if len(values) else None
