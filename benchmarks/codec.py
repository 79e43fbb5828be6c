"""What Opus costs by setting: encoding, decoding, concealing and recovering a frame of real speech.

Beside it the figures the engine was designed with (2-core x86-64, libopus 1.6.1, ±15 %).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from kabina.benchmarks import pictures as drawing
from kabina.benchmarks.speech import RATE, NoSpeechError, talk
from kabina.native import _mixing
from kabina.native.libraries import load_opus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

SECONDS: Final = 10
ROUNDS: Final = 3
"""The least of them counts: what it costs when nobody else uses the core."""


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    bitrate_bps: int
    complexity: int
    fec: bool = False
    voip: bool = True
    channels: int = 1
    frame_ms: int = 20
    designed: tuple[float | None, ...] = (None, None, None, None)
    """The design's encode, decode, conceal and recover, µs."""


SETTINGS: Final = (
    Setting("VOIP 24k", 24_000, 10, fec=True, designed=(205, 17.5, 19, 16)),
    Setting("VOIP 32k", 32_000, 5, designed=(137, 28, 27, None)),
    Setting("VOIP 32k", 32_000, 5, fec=True, designed=(185, 28, 27, 25)),
    Setting("VOIP 32k", 32_000, 10, fec=True, designed=(236, 28, 27, 25)),
    Setting("VOIP 48k", 48_000, 5, designed=(143, 32, 27, None)),
    Setting("VOIP 48k, a channel", 48_000, 5, fec=True, designed=(183, 32, 27, 26)),
    Setting("VOIP 48k", 48_000, 10, fec=True, designed=(242, 32, 27, 26)),
    Setting("VOIP 64k", 64_000, 5, fec=True, designed=(209, 38.5, 28, 28)),
    Setting("AUDIO 64k", 64_000, 5, voip=False, designed=(56, 22, 22, None)),
    Setting("AUDIO 64k", 64_000, 10, voip=False, designed=(77, 22, 22, None)),
    Setting("VOIP 48k, 10 ms", 48_000, 5, fec=True, frame_ms=10, designed=(96, 16.5, 15.5, 14)),
    Setting("stereo VOIP 64k", 64_000, 5, channels=2, designed=(87, 32, 34, None)),
    Setting("stereo VOIP 96k", 96_000, 9, channels=2, designed=(148, 37, 34, None)),
)


def rows() -> Iterator[dict[str, object]]:
    """A row per setting, µs per frame."""
    try:
        mono = talk("en", SECONDS).samples
    except NoSpeechError as error:
        yield {"setting": "all", "missing": str(error)}
        return
    for setting in SETTINGS:
        # The same voice in both ears, one a little later: what stereo prediction is for.
        stereo = np.stack([mono, np.roll(mono, 24)], axis=1).reshape(-1)
        yield measured(setting, mono if setting.channels == 1 else stereo)


def measured(setting: Setting, sound: NDArray[np.float32]) -> dict[str, object]:
    handle = load_opus().handle
    samples = RATE * setting.frame_ms // 1000
    step = samples * setting.channels
    frames = [sound[at : at + step] for at in range(0, len(sound) - step + 1, step)]

    def encoder() -> _mixing.OpusEncoder:
        return _mixing.OpusEncoder(
            handle,
            channels=setting.channels,
            bitrate_bps=setting.bitrate_bps,
            complexity=setting.complexity,
            fec=setting.fec,
            loss_percent=10 if setting.fec else 0,
            voip=setting.voip,
        )

    made = encoder()
    packets = [made.encode(frame) for frame in frames]

    def encode() -> float:
        fresh = encoder()
        return _each_us(fresh.encode, frames)

    def decode() -> float:
        decoder = _mixing.OpusDecoder(handle, channels=setting.channels)
        return _each_us(decoder.decode, packets)

    def conceal() -> float:
        # Never twice in a row: what follows a concealed frame fades, and costs less.
        decoder = _mixing.OpusDecoder(handle, channels=setting.channels)
        total_ns = 0
        for packet in packets:
            decoder.decode(packet)
            begin = time.perf_counter_ns()
            decoder.conceal(samples)
            total_ns += time.perf_counter_ns() - begin
        return total_ns / len(packets) / 1000

    def recover() -> float:
        decoder = _mixing.OpusDecoder(handle, channels=setting.channels)
        return _each_us(lambda packet: decoder.recover(packet, samples), packets)

    times = [_least(encode), _least(decode), _least(conceal)]
    found: list[float | None] = [*times, _least(recover) if setting.fec else None]
    names = ("encode_us", "decode_us", "conceal_us", "recover_us")
    row: dict[str, object] = {
        "setting": setting.name,
        "complexity": setting.complexity,
        "fec": setting.fec,
        "kbit_s": round(sum(map(len, packets)) * 8 / len(packets) / setting.frame_ms, 1),
    }
    for name, value, designed in zip(names, found, setting.designed, strict=True):
        row[name] = value if value is None else round(value, 1)
        row[f"{name[:-3]}_designed_us"] = designed
    return row


def _each_us(work: Callable[..., object], inputs: Sequence[object]) -> float:
    begin = time.perf_counter_ns()
    for each in inputs:
        work(each)
    return (time.perf_counter_ns() - begin) / len(inputs) / 1000


def _least(measure: Callable[[], float]) -> float:
    return min(measure() for _ in range(ROUNDS))


def pictures(rows: list[dict[str, object]], folder: Path) -> list[Path]:
    """Measured bars, the design's figures as marks on them."""
    found = [row for row in rows if "missing" not in row]
    if not found:
        return []
    figure, (encode, rest) = drawing.grid(1, 2, width=11, height=5)
    names = [
        f"{row['setting']} c{row['complexity']}{' FEC' if row['fec'] else ''}" for row in found
    ]
    at = np.arange(len(found))
    series = (("encode", encode, 0, 0.7), ("decode", rest, 0.25, 0.25), ("conceal", rest, 0, 0.25))
    for name, axes, shift, height in (*series, ("recover", rest, -0.25, 0.25)):
        values = [_number(row[f"{name}_us"]) for row in found]
        designed = [_number(row[f"{name}_designed_us"]) for row in found]
        axes.barh(at + shift, values, height, label=name)
        axes.plot(designed, at + shift, "k|", markersize=9)
    for axes, title in ((encode, "encode, µs a frame"), (rest, "decode, conceal, recover, µs")):
        axes.set_yticks(at, names if axes is encode else [""] * len(at))
        axes.invert_yaxis()
        axes.set_title(f"{title} (| = designed with)")
    rest.legend()
    return drawing.save(figure, folder, "codec")


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
