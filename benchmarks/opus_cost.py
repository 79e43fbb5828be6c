"""What 20 ms cost: Opus alone, then whole engine ticks for meetings of several shapes.

Run: python benchmarks/opus_cost.py [--frames 500]
The sound is a synthetic voice (a gliding harmonic series under a syllable envelope, with pauses and
breath noise).
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np

from kabina.native import _mixing
from kabina.native.libraries import load_opus
from kabina.native.mixing import MixEngine, RowPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FRAME = 960
RATE = 48_000
TICK_NS = 20_000_000


def voice(frames: int, seed: int = 1) -> NDArray[np.float32]:
    """A voice-like signal, (frames · 960,)."""
    rng = np.random.default_rng(seed)
    at = np.arange(frames * FRAME) / RATE
    pitch = 120 + 25 * np.sin(2 * np.pi * 0.7 * at) + 10 * np.sin(2 * np.pi * 2.3 * at)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    harmonics = sum(np.sin(k * phase) / k for k in range(1, 30))
    syllables = np.clip(np.sin(2 * np.pi * 3.1 * at), 0, 1) * (np.sin(2 * np.pi * 0.2 * at) > -0.6)
    return (0.12 * harmonics * syllables + 0.003 * rng.normal(size=len(at))).astype(np.float32)


def microseconds(start_ns: int, count: int) -> float:
    return (time.perf_counter_ns() - start_ns) / 1000 / count


def codec(handle: int, frames: int) -> list[bytes]:
    """Prints the codec's own costs; returns the packets of the production setting."""
    sound = voice(frames).reshape(-1, FRAME)
    print(f"{'20 ms mono, µs':32}{'enc':>8}{'dec':>8}{'PLC':>8}{'FEC':>8}{'kb/s':>8}")
    kept: list[bytes] = []
    for name, options in (
        ("VOIP 48k c5 FEC (production)", {"complexity": 5}),
        ("VOIP 48k c10 FEC", {"complexity": 10}),
        ("VOIP 48k c5", {"complexity": 5, "fec": False, "loss_percent": 0}),
        ("AUDIO 64k c5", {"complexity": 5, "voip": False, "bitrate_bps": 64_000, "fec": False}),
    ):
        encoder = _mixing.OpusEncoder(handle, **options)  # type: ignore[arg-type]
        start = time.perf_counter_ns()
        packets = [encoder.encode(frame) for frame in sound]
        encode_us = microseconds(start, frames)
        decoder = _mixing.OpusDecoder(handle)
        start = time.perf_counter_ns()
        for packet in packets:
            decoder.decode(packet)
        decode_us = microseconds(start, frames)
        start = time.perf_counter_ns()
        for packet in packets:
            decoder.recover(packet, FRAME)
        recover_us = microseconds(start, frames)
        conceal_us = 0.0
        for packet in packets:
            decoder.decode(packet)
            start = time.perf_counter_ns()
            decoder.conceal(FRAME)
            conceal_us += microseconds(start, frames)
        rate = sum(map(len, packets)) * 8 / frames / 20
        times = (encode_us, decode_us, conceal_us, recover_us)
        print(f"{name:32}{''.join(f'{us:8.0f}' for us in times)}{rate:8.1f}")
        kept = kept or packets
    return kept


def meeting(
    name: str, packets: Sequence[bytes], frames: int, *, languages: int, live: int, speakers: int
) -> None:
    """Prints what one tick of such a meeting costs, all packets arriving on time."""
    bus = _mixing.new_bus()
    probe = _mixing.BusProbe(bus)
    engine = MixEngine(bus=bus, opus=load_opus())
    floor = [engine.add_source() for _ in range(speakers)]
    booths = [engine.add_source() for _ in range(live)]
    rows = [engine.add_row(track) for track in range(languages)]
    engine.apply(
        [
            RowPlan(row, tuple(floor), (booths[i],) if i < live else (), heard=True)
            for i, row in enumerate(rows)
        ]
    )
    busy_ns = 0
    for index in range(frames):
        now = (100 + index) * TICK_NS
        for offset, source in enumerate((*floor, *booths)):
            payload = packets[(index + 37 * offset) % len(packets)]
            probe.push(
                payload,
                number=source,
                at_ns=now - 5_000_000,
                sequence=index & 0xFFFF,
                timestamp=index * FRAME,
            )
        start = time.perf_counter_ns()
        engine.tick(now)
        busy_ns += time.perf_counter_ns() - start
        while probe.pop() is not None:
            pass
    counters = engine.counters()
    tick_us = busy_ns / frames / 1000
    encodes, decodes = counters["encodes"] / frames, counters["decodes"] / frames
    print(f"{name:44}{tick_us:10.0f}{tick_us / 200:10.1f}{encodes:10.2f}{decodes:10.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=500)
    frames = parser.parse_args().frames
    library = load_opus()
    print(f"libopus {library.version} ({library.source})")
    packets = codec(library.handle, frames)
    print(f"\n{'one tick of 20 ms':44}{'µs':>10}{'core %':>10}{'encodes':>10}{'decodes':>10}")
    meeting("3 languages, nobody interprets", packets, frames, languages=3, live=0, speakers=1)
    meeting("3 languages, 2 booths live", packets, frames, languages=3, live=2, speakers=1)
    meeting("8 languages, 7 live, 3 at the floor", packets, frames, languages=8, live=7, speakers=3)
    meeting(
        "24 languages, nobody interprets, 5 speak",
        packets,
        frames,
        languages=24,
        live=0,
        speakers=5,
    )


if __name__ == "__main__":
    main()
