"""Jitter buffers in virtual time: Kabina's, aiortc's, and speexdsp's as AudioBridge 1.2.4 sets it.

Each gives the sums of what it did at every quarter of a second. Output is on a clock that does not
know the packets' one: its phase against them is an argument, in ms.
"""

from __future__ import annotations

import ctypes
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from aiortc.jitterbuffer import JitterBuffer as AiortcBuffer
from aiortc.rtp import RtpPacket

from kabina.benchmarks.jitter_trace import Sums, with_tail
from kabina.native._mixing import StreamReplay
from kabina.native.libraries import load_opus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kabina.benchmarks.jitter_profiles import Trace

FRAME: Final = 960
EVERY_MS: Final = 250.0
MS: Final = 1_000_000
START_NS: Final = 10_000 * MS  # virtual time begins well above 0


def ticks(
    trace: Trace,
    phase_ms: float,
    block_ms: float,
    moved_ms: Callable[[float], float] = lambda _at_ms: 0.0,
) -> Iterator[tuple[float, list[tuple[float, int]]]]:
    """(ms, what arrived since the tick before) for each tick until the trace's end; the one after
    `at_ms` comes by `moved_ms(at_ms)` later."""
    shots = with_tail(trace)
    sent, at_ms = 0, shots[0][0] + phase_ms
    while at_ms <= trace.send_ms[-1]:
        first = sent
        while sent < len(shots) and shots[sent][0] <= at_ms:
            sent += 1
        yield at_ms, shots[first:sent]
        at_ms += block_ms + moved_ms(at_ms)


# --- Kabina -----------------------------------------------------------------------------------


def kabina(
    trace: Trace,
    payloads: Sequence[bytes],
    *,
    phase_ms: float = 0.0,
    block_ms: float = 10.0,
    cost_ms: int | None = None,
    follows: bool = False,
) -> list[Sums]:
    """The mixer's own stream: jitter buffer, decoder, edits of time; its own settings but for the
    given one. `follows`: ticks move as the mix thread's do for somebody who speaks alone."""
    settings = {} if cost_ms is None else {"cost_ms": cost_ms}
    replay = StreamReplay(load_opus().handle, **settings)
    samples = round(block_ms * 48)
    found, next_ms = [Sums(at_ms=-EVERY_MS)], 0.0

    def moved_ms(at_ms: float) -> float:
        return replay.moved_ns(START_NS + round(at_ms * MS)) / MS if follows else 0.0

    for at_ms, arrived in ticks(trace, phase_ms, block_ms, moved_ms):
        push(replay, arrived, payloads)
        replay.take(START_NS + round(at_ms * MS), samples)
        if at_ms >= next_ms:
            found.append(_of_kabina(at_ms, replay.readings()))
            next_ms += EVERY_MS
    return found


def push(
    replay: StreamReplay, arrived: Sequence[tuple[float, int]], payloads: Sequence[bytes]
) -> None:
    """What arrived, (ms, packet number) each, into the stream."""
    for ms, number in arrived:
        replay.push(
            START_NS + round(ms * MS),
            payloads[number],
            sequence=number + 1000 & 0xFFFF,
            timestamp=number * FRAME & 0xFFFFFFFF,
        )


def _of_kabina(at_ms: float, readings: dict[str, float]) -> Sums:
    emitted = readings["played"] * FRAME
    return Sums(
        at_ms=at_ms,
        waited_s=readings["waited_ms"] / 1000 * emitted,
        emitted=emitted,
        concealed=readings["concealed_samples"],
        total=readings["taken_samples"],
        stretched=readings["cut_samples"] + readings["inserted_samples"],
        discarded=readings["discarded"],
        recovered=readings["recovered_samples"] / FRAME,
    )


# --- aiortc -----------------------------------------------------------------------------------


def aiortc(trace: Trace) -> list[Sums]:
    """Its class as its receiver makes and uses it: a packet in, perhaps an older frame out.

    It has no output clock: a frame counts as played when it comes out, and as concealed when a
    later one came out and it never did.
    """
    buffer = AiortcBuffer(capacity=16, prefetch=4)
    sums, found, next_ms = Sums(at_ms=-EVERY_MS), [Sums(at_ms=-EVERY_MS)], 0.0
    arrived: dict[int, float] = {}
    highest = -1
    for at_ms, number in with_tail(trace):
        while at_ms >= next_ms:
            found.append(replace(sums, at_ms=next_ms))
            next_ms += EVERY_MS
        arrived.setdefault(number, at_ms)
        packet = RtpPacket(payload_type=111, sequence_number=number, timestamp=number * FRAME)
        packet._data = b"-"  # type: ignore[attr-defined]
        _, frame = buffer.add(packet)
        if frame is not None:
            played = frame.timestamp // FRAME
            skipped = range(highest + 1, played)
            highest = played
            sums = replace(
                sums,
                waited_s=sums.waited_s + (at_ms - arrived[played]) / 1000 * FRAME,
                emitted=sums.emitted + FRAME,
                concealed=sums.concealed + len(skipped) * FRAME,
                total=sums.total + (len(skipped) + 1) * FRAME,
                discarded=sums.discarded + sum(each in arrived for each in skipped),
            )
    return found


# --- speexdsp, as Janus AudioBridge sets it ----------------------------------------------------


class _Packet(ctypes.Structure):
    """JitterBufferPacket of speex_jitter.h."""

    _fields_ = (
        ("data", ctypes.c_char_p),
        ("len", ctypes.c_uint32),
        ("timestamp", ctypes.c_uint32),
        ("span", ctypes.c_uint32),
        ("sequence", ctypes.c_uint16),
        ("user_data", ctypes.c_uint32),
    )


SET_MARGIN: Final = 0
JANUS_MARGIN_PACKETS: Final = 2
JANUS_ADJUST_TICKS: Final = 50


def speex_missing() -> str:
    """Empty when it can be loaded."""
    return "" if _speex() is not None else "no libspeexdsp.so.1 here: make bench-peers-tools"


def _speex() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libspeexdsp.so.1")
    except OSError:
        return None
    library.jitter_buffer_init.restype = ctypes.c_void_p
    return library


def speex(trace: Trace, *, phase_ms: float = 0.0) -> list[Sums]:
    """What AudioBridge does: a margin of two packets, one packet taken every 20 ms, the delay
    adjusted once a second, concealment when none comes. RuntimeError without the library."""
    library = _speex()
    if library is None:
        raise RuntimeError(speex_missing())
    buffer = ctypes.c_void_p(library.jitter_buffer_init(FRAME))
    margin = ctypes.c_int32(JANUS_MARGIN_PACKETS * FRAME)
    library.jitter_buffer_ctl(buffer, SET_MARGIN, ctypes.byref(margin))
    library.jitter_buffer_update_delay(buffer, None, None)
    sums, found, next_ms = Sums(at_ms=-EVERY_MS), [Sums(at_ms=-EVERY_MS)], 0.0
    came: dict[int, float] = {}
    room = ctypes.create_string_buffer(64)
    try:
        for tick, (at_ms, arrived) in enumerate(ticks(trace, phase_ms, 20.0), 1):
            for ms, number in arrived:
                came.setdefault(number, ms)
                packet = _Packet(number.to_bytes(4, "big") + b".", 5, number * FRAME, FRAME, 0, 0)
                library.jitter_buffer_put(buffer, ctypes.byref(packet))
            taken = _Packet(ctypes.cast(room, ctypes.c_char_p), 64, 0, 0, 0, 0)
            status = library.jitter_buffer_get(buffer, ctypes.byref(taken), FRAME, None)
            if tick % JANUS_ADJUST_TICKS == 0:
                library.jitter_buffer_update_delay(buffer, None, None)
            library.jitter_buffer_tick(buffer)
            if status == 0:
                number = int.from_bytes(room.raw[:4], "big")
                sums = replace(
                    sums,
                    waited_s=sums.waited_s + (at_ms - came[number]) / 1000 * FRAME,
                    emitted=sums.emitted + FRAME,
                )
            if sums.emitted:  # before the first packet there is silence, not concealment
                missed = FRAME if status else 0
                sums = replace(sums, concealed=sums.concealed + missed, total=sums.total + FRAME)
            sums = replace(
                sums, discarded=len(came) - sums.emitted / FRAME - _here(library, buffer)
            )
            if at_ms >= next_ms:
                found.append(replace(sums, at_ms=at_ms))
                next_ms += EVERY_MS
    finally:
        library.jitter_buffer_destroy(buffer)
    return found


GET_AVAILABLE_COUNT: Final = 3


def _here(library: ctypes.CDLL, buffer: ctypes.c_void_p) -> int:
    count = ctypes.c_int32()
    library.jitter_buffer_ctl(buffer, GET_AVAILABLE_COUNT, ctypes.byref(count))
    return count.value
