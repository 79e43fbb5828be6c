"""What `kabina bench iso` plays through the engine, and what it reads from the other end.

Everything is in virtual time, Opus in and Opus out with the settings of a channel. "Mixed" is a
row of the engine; "forwarded" is the sender's packets as they are, which is what the plane sends
while one person speaks and nobody interprets.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from kabina.benchmarks import measures
from kabina.benchmarks.engine_driver import (
    FRAME,
    MS,
    RATE,
    EngineDriver,
    Heard,
    RowPacket,
    Stream,
    decoded,
    heard_directly,
    stream,
)
from kabina.benchmarks.speech import talk
from kabina.native import _mixing
from kabina.native.libraries import load_opus
from kabina.native.mixing import RowPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

LEVEL_DBFS: Final = -20.0
"""Re a full-scale sine, as AES17 counts: a peak of 0.1."""
THIRD_OCTAVES: Final = (
    125, 160, 200, 250, 315, 400, 500, 630, 800, 1000, 1250,
    1600, 2000, 2500, 3150, 4000, 5000, 6300, 8000, 10_000, 12_500, 15_000,
)  # fmt: skip
THD_HZ: Final = 997.0
SETTLE_MS: Final = 2_000
_TONE_S: Final = 1.0
_FADE: Final = 480


def tone(hz: float, seconds: float, dbfs: float = LEVEL_DBFS) -> Samples:
    """A sine that fades in and out over 10 ms; `dbfs` re a full-scale sine."""
    at = np.arange(round(seconds * RATE)) / RATE
    sound = 10 ** (dbfs / 20) * np.sin(2 * np.pi * hz * at)
    edge = np.minimum(np.arange(len(sound)), np.arange(len(sound))[::-1]) / _FADE
    faded: Samples = (sound * np.clip(edge, 0, 1)).astype(np.float32)
    return faded


class Paths(NamedTuple):
    """One sound, forwarded and mixed, each beginning where the sound begins."""

    forwarded: Samples
    mixed: Samples


def through(sound: Samples) -> Paths:
    """One talker, one row."""
    driver = EngineDriver()
    row, source = driver.row(), driver.engine.add_source()
    driver.engine.apply([RowPlan(row, (source,), (), heard=True)])
    sent = stream(sound)
    driver.send(source, sent)
    driver.run(len(sound) / 48 + 200)
    direct, mixed = heard_directly(sent), driver.listen(row).samples
    return Paths(
        direct[max(measures.lag(direct, sound), 0) :], mixed[max(measures.lag(mixed, sound), 0) :]
    )


# ---- response, distortion, noise -----------------------------------------------------------------


class ToneFigures(NamedTuple):
    """One stepped sine; gains in dB."""

    hz: float
    band_db: float
    """Of all power within the third of an octave around it: what a meter behind a filter reads."""
    sine_db: float
    """Of the part that is still that sine: what a codec codes as noise is not in it."""
    thd_n_percent: float


@cache
def stepped_sines() -> dict[str, list[ToneFigures]]:
    """A second of each third of an octave, by path."""
    sound = np.concatenate([tone(hz, _TONE_S) for hz in THIRD_OCTAVES])
    paths = through(sound)._asdict()
    return {
        name: [_figures(heard, sound, i) for i in range(len(THIRD_OCTAVES))]
        for name, heard in paths.items()
    }


def _figures(heard: Samples, sound: Samples, index: int) -> ToneFigures:
    hz = float(THIRD_OCTAVES[index])
    # The middle: neither the fades nor what a jitter buffer may have moved.
    begin = round((index + 0.2) * _TONE_S * RATE)
    part = slice(begin, begin + round(0.6 * _TONE_S * RATE))
    return ToneFigures(
        hz,
        band_dbfs(heard[part], hz) - band_dbfs(sound[part], hz),
        measures.tone_dbfs(heard[part], hz) - measures.tone_dbfs(sound[part], hz),
        measures.thd_n_percent(heard[part], hz),
    )


def band_dbfs(sound: Samples, hz: float) -> float:
    """The power within a third of an octave around `hz`."""
    power = np.abs(np.fft.rfft(np.asarray(sound, np.float64) * np.hanning(len(sound)))) ** 2
    frequency = np.fft.rfftfreq(len(sound), 1 / RATE)
    edge = 2 ** (1 / 6)
    inside = (frequency >= hz / edge) & (frequency <= hz * edge)
    # Hann's mean square is 3/8; the spectrum is one-sided.
    return measures.db(2 * float(power[inside].sum()) / len(sound) ** 2 / 0.375)


SETTINGS: Final = {
    "VOIP 48k FEC": {"bitrate_bps": 48_000},
    "VOIP 64k FEC": {"bitrate_bps": 64_000},
    "AUDIO 64k": {"bitrate_bps": 64_000, "voip": False, "fec": False, "loss_percent": 0},
}


def sines_by_setting() -> dict[str, list[ToneFigures]]:
    """The same sines through the sender's codec and a second one of each setting, no engine."""
    sound = np.concatenate([tone(hz, _TONE_S) for hz in THIRD_OCTAVES])
    direct = heard_directly(stream(sound))
    found = {}
    for name, options in SETTINGS.items():
        encoder = _mixing.OpusEncoder(load_opus().handle, **options)  # type: ignore[arg-type]
        packets = [encoder.encode(frame) for frame in direct.reshape(-1, FRAME)]
        heard = heard_directly(Stream(packets, [0] * len(packets)))
        heard = heard[max(measures.lag(heard, sound), 0) :]
        found[name] = [_figures(heard, sound, index) for index in range(len(THIRD_OCTAVES))]
    return found


@cache
def pink_noise() -> dict[str, list[tuple[float, float]]]:
    """(Hz, gain in dB) per third of an octave of full-band pink noise, by path."""
    length = 8 * RATE
    rng = np.random.default_rng(5)
    frequency = np.fft.rfftfreq(length, 1 / RATE)
    spectrum = rng.normal(size=len(frequency)) + 1j * rng.normal(size=len(frequency))
    spectrum *= (frequency > 60) / np.sqrt(np.maximum(frequency, 1))
    noise = np.fft.irfft(spectrum, length)
    sound = (noise * 10 ** ((LEVEL_DBFS - 3) / 20) / noise.std()).astype(np.float32)
    part = slice(RATE, length - RATE)
    return {
        name: [
            (float(hz), band_dbfs(heard[part], hz) - band_dbfs(sound[part], hz))
            for hz in THIRD_OCTAVES
        ]
        for name, heard in through(sound)._asdict().items()
    }


def distortion_percent() -> dict[str, float]:
    """THD+N of 997 Hz by path."""
    heard = through(tone(THD_HZ, 4))._asdict()
    return {
        name: measures.thd_n_percent(each[RATE : 3 * RATE], THD_HZ) for name, each in heard.items()
    }


def noise_dbfs() -> dict[str, float]:
    """What is beside a tone of −60 dBFS (AES17's dynamic range), re a full-scale sine, by path."""
    found = {}
    for name, heard in through(tone(THD_HZ, 4, -60))._asdict().items():
        part = heard[RATE : 3 * RATE]
        ratio = measures.thd_n_percent(part, THD_HZ) / 100
        # + 3: RMS re full scale to re a full-scale sine.
        found[name] = measures.rms_dbfs(part) + measures.db(ratio**2) + 3.01
    return found


# ---- levels ------------------------------------------------------------------------------------


INPUT_LEVELS_DB: Final = (-12.0, -6.0, 0.0, 6.0)
"""Four interpreters' microphones, against the nominal level of the speech."""


def channel_loudness_lufs(languages: Sequence[str]) -> list[float]:
    """Integrated loudness per interpreter's channel, the last 20 s of a minute. NoSpeechError."""
    driver = EngineDriver(rides=True)
    rows = []
    silent = driver.engine.add_source()  # a floor: who is alone is not touched
    for index, gain_db in enumerate(INPUT_LEVELS_DB):
        speech = talk(languages[index % len(languages)], 60.0, skip_s=3.0 * index).samples
        source, row = driver.engine.add_source(), driver.row()
        driver.send(source, stream(np.clip(speech * np.float32(10 ** (gain_db / 20)), -1, 1)))
        rows.append((row, source))
    driver.engine.apply([RowPlan(row, (silent,), (source,), heard=True) for row, source in rows])
    driver.run(60_000)
    return [measures.loudness_lufs(driver.listen(row).samples[40 * RATE :]) for row, _ in rows]


# ---- time --------------------------------------------------------------------------------------


def added_delays_ms() -> list[float]:
    """Opus in to Opus out, over ten phases of the sender's clock against the engine's.

    From the arrival of the packet that holds a sound to the departure of the one that holds it
    again, both codecs' share included but for the sender's own: that one is in any path.
    """
    rng = np.random.default_rng(2)
    syllables = np.repeat(rng.uniform(0.05, 1, 40), RATE // 10)
    at = np.arange(len(syllables)) / RATE
    voice = sum(np.sin(2 * np.pi * 140 * k * at) / k for k in range(1, 20))
    sent = stream((0.1 * voice * syllables).astype(np.float32))
    direct = heard_directly(sent)
    delays = []
    for phase_ms in range(0, 20, 2):
        driver = EngineDriver()
        row, source = driver.row(), driver.engine.add_source()
        driver.engine.apply([RowPlan(row, (source,), (), heard=True)])
        driver.run(200)
        first_ns = driver.send(source, sent, start_ns=driver.now_ns + phase_ms * MS)
        driver.run(len(syllables) / 48 + 200)
        heard = driver.listen(row)
        late = measures.lag(heard.samples[heard.at(first_ns) :], direct)
        leaves_ns = heard.first_ns + (heard.at(first_ns) + late) * MS // 48
        delays.append((leaves_ns - first_ns) / MS)
    return delays


# ---- clicks ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Click:
    """Peaks above 6 kHz, dBFS: around the changes, and the sound's own away from them."""

    change: str
    at_change_dbfs: float
    own_dbfs: float

    @property
    def excess_db(self) -> float:
        return self.at_change_dbfs - self.own_dbfs

    def stays_below(self, dbfs: float) -> bool:
        """Nothing over `dbfs` that the sound has not by itself."""
        return self.at_change_dbfs <= max(dbfs, self.own_dbfs)


VOICE_DBFS: Final = -26.0
_CHANGES: Final = 6
_EVERY_MS: Final = 3_707
"""No multiple of a frame: changes fall on all its parts."""
_AROUND_MS: Final = ((-5, 180), (2_400, 3_500))
"""The change itself, and the ducking's end: 2.5 s of hold and a ramp of 800 ms."""


class Scene:
    """Talkers of one steady tone each, of which a row's plan changes now and then."""

    def __init__(self, *hertz: float) -> None:
        self.driver = EngineDriver()
        self.row = self.driver.row()
        seconds = (SETTLE_MS + (_CHANGES + 1) * _EVERY_MS) / 1000
        self.sources = [self.driver.engine.add_source() for _ in hertz]
        for source, hz in zip(self.sources, hertz, strict=True):
            self.driver.send(source, stream(tone(hz, seconds, VOICE_DBFS)))
        self.changes_ns: list[int] = []

    def plan(self, floor: Sequence[int], interpreters: Sequence[int] = ()) -> None:
        self.driver.engine.apply([RowPlan(self.row, tuple(floor), tuple(interpreters), heard=True)])

    def alternate(self, *plans: Callable[[], None]) -> Heard:
        """Goes through the plans in turn; returns what the row's listener heard."""
        plans[0]()
        self.driver.run(SETTLE_MS)
        for index in range(_CHANGES):
            self.changes_ns.append(self.driver.now_ns)
            plans[(index + 1) % len(plans)]()
            self.driver.run(_EVERY_MS)
        return self.driver.listen(self.row)


def clicks() -> list[Click]:
    """One entry per kind of change."""
    found = []
    scene = Scene(440, 660)
    a, b = scene.sources
    heard = scene.alternate(lambda: scene.plan([a]), lambda: scene.plan([a, b]))
    found.append(click("a second speaker joins in, leaves", heard, scene.changes_ns))
    scene = Scene(440, 550)
    a, b = scene.sources
    heard = scene.alternate(lambda: scene.plan([a]), lambda: scene.plan([a], [b]))
    found.append(click("an interpreter on air, off air", heard, scene.changes_ns))
    scene = Scene(440, 550, 660)
    a, b, c = scene.sources
    heard = scene.alternate(lambda: scene.plan([a], [b]), lambda: scene.plan([a], [c]))
    found.append(click("handover between two desks", heard, scene.changes_ns))
    found.append(_language_switch())
    return found


def _language_switch() -> Click:
    """A listener's one stream goes from a row's packets to another's and back."""
    driver = EngineDriver()
    seconds = (SETTLE_MS + (_CHANGES + 1) * _EVERY_MS) / 1000
    plans, rows = [], []
    for hz in (440.0, 550.0):
        source, row = driver.engine.add_source(), driver.row()
        driver.send(source, stream(tone(hz, seconds, VOICE_DBFS)))
        plans.append(RowPlan(row, (), (source,), heard=True))
        rows.append(row)
    driver.engine.apply(plans)
    driver.run(seconds * 1000)
    first_ns = driver.now_ns - round(seconds * 1000 * MS)
    changes = [first_ns + (SETTLE_MS + i * _EVERY_MS) * MS for i in range(_CHANGES)]
    heard = spliced([driver.packets[row] for row in rows], changes)
    return click("a listener changes the language", heard, changes)


def spliced(rows: Sequence[Sequence[RowPacket]], changes_ns: Sequence[int]) -> Heard:
    """The stream of a listener whose row is the next one from each change on; timestamps go on."""
    heard: list[RowPacket] = []
    timestamp = 0
    for index, packets in enumerate(zip(*rows, strict=False)):
        at_ns = packets[0].at_ns
        turn = sum(at_ns >= change for change in changes_ns)
        chosen = packets[turn % len(rows)]
        heard.append(RowPacket(at_ns, timestamp, chosen.payload))
        following = rows[0][index + 1].timestamp if index + 1 < len(rows[0]) else 0
        timestamp += (following - packets[0].timestamp) & 0xFFFFFFFF
    return decoded(heard)


def click(change: str, heard: Heard, changes_ns: Sequence[int]) -> Click:
    """The loudest step near the changes, beside the loudest elsewhere."""
    steps = measures.steps_dbfs(heard.samples)
    near = np.zeros(len(steps), bool)
    for change_ns in changes_ns:
        for begin_ms, end_ms in _AROUND_MS:
            first = heard.at(change_ns + begin_ms * MS) // 120
            near[max(first, 0) : max(heard.at(change_ns + end_ms * MS) // 120, 0)] = True
    settled = np.zeros(len(steps), bool)
    settled[SETTLE_MS * 48 // 2 // 120 : -SETTLE_MS * 48 // 2 // 120] = True
    return Click(change, float(steps[near & settled].max()), float(steps[~near & settled].max()))


def handover_gap_ms() -> float:
    """The longest stretch 10 dB below the interpreters' level, over six handovers of two desks that
    both speak: one tone, so that any hole shows."""
    scene = Scene(440, 440)
    a, b = scene.sources
    heard = scene.alternate(lambda: scene.plan([], [a]), lambda: scene.plan([], [b]))
    begin, end = SETTLE_MS * 24, len(heard.samples) - SETTLE_MS * 24
    return measures.gap_ms(heard.samples[begin:end])
