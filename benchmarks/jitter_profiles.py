"""When packets arrive over ten kinds of networks, seeded, and one recorded arrival pattern.

Each profile gives the sending and the arrival times of a run of packets on the receiver's clock, in
ms; NaN marks a lost packet. The constant part of the path is left out (it delays, and teaches a
jitter buffer nothing) except where its change is the point.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.random import Generator
    from numpy.typing import NDArray

    Times = NDArray[np.float64]

PACKET_MS: Final = 20.0


class Trace(NamedTuple):
    """(packets,) each, ms: when packet i was sent (its timestamp is 20·i ms) and when it came."""

    send_ms: Times
    arrive_ms: Times


def _send(packets: int) -> Times:
    return np.arange(packets, dtype=np.float64) * PACKET_MS


def _in_order(arrive_ms: Times) -> Times:
    """One queue on the way: nothing overtakes."""
    ordered: Times = arrive_ms.copy()
    np.maximum.accumulate(arrive_ms, out=ordered)
    return ordered


def _lose(rng: Generator, arrive_ms: Times, share: float, mean_packets: float = 1.0) -> Times:
    """Losses in bursts of `mean_packets` on average (two states, RFC 3357's usual model)."""
    lost = np.zeros(len(arrive_ms), bool)
    into = share / (1 - share) / mean_packets
    is_bad = False
    for i, chance in enumerate(rng.random(len(arrive_ms))):
        is_bad = chance >= 1 / mean_packets if is_bad else chance < into
        lost[i] = is_bad
    return np.where(lost, np.nan, arrive_ms)


def _stalls(
    rng: Generator, arrive_ms: Times, *, every_ms: float, mean_ms: float, least_ms: float = 0.0
) -> Times:
    """The link pauses now and then, and gives out what it held when it goes on."""
    held = arrive_ms.copy()
    begin = rng.exponential(every_ms)
    while begin < arrive_ms[-1]:
        end = begin + least_ms + rng.exponential(mean_ms)
        held = np.where((held >= begin) & (held < end), end, held)
        begin = end + rng.exponential(every_ms)
    return held


def lan(packets: int, seed: int = 0) -> Trace:
    """A switched office network: half a millisecond of queueing, no loss."""
    rng = np.random.default_rng(seed)
    send = _send(packets)
    return Trace(send, _in_order(send + rng.gamma(1.0, 0.5, packets)))


def office_wifi(packets: int, seed: int = 0) -> Trace:
    """Shared air: a few ms of contention, a pause of 20 to 150 ms every 4 s, 0.2 % lost."""
    rng = np.random.default_rng(seed)
    send = _send(packets)
    arrive = send + rng.gamma(1.5, 2.0, packets)
    arrive = _stalls(rng, arrive, every_ms=4000, mean_ms=40, least_ms=20)
    return Trace(send, _lose(rng, _in_order(arrive), 0.002))


def lte(packets: int, seed: int = 0) -> Trace:
    """A phone's uplink: grants every 10 ms, 8 ms per HARQ retransmission, a handover each 20 s."""
    rng = np.random.default_rng(seed)
    send = _send(packets)
    grant = np.ceil((send + rng.uniform(0, 14, packets)) / 10) * 10
    retransmissions = np.minimum(rng.geometric(0.9, packets) - 1, 4)
    arrive = _in_order(grant + 4 + 8 * retransmissions)
    arrive = _stalls(rng, arrive, every_ms=20_000, mean_ms=60, least_ms=50)
    return Trace(send, _lose(rng, arrive, 0.005, 2))


def satellite(packets: int, seed: int = 0) -> Trace:
    """Low orbit: another path each 15 s, up to 20 ms longer; the change loses packets."""
    rng = np.random.default_rng(seed)
    send = _send(packets)
    slot = (send // 15_000).astype(int)
    path = rng.uniform(0, 20, slot[-1] + 1)
    arrive = _in_order(send + path[slot] + rng.gamma(2.0, 3.0, packets))
    at_change = (send % 15_000 < 60) & (slot > 0)
    arrive = np.where(at_change & (rng.random(packets) < 0.7), np.nan, arrive)
    return Trace(send, np.where(rng.random(packets) < 0.003, np.nan, arrive))


def stalls(packets: int, seed: int = 0) -> Trace:
    """A clean path that stops for 100 to 400 ms about every 8 s and loses nothing."""
    rng = np.random.default_rng(seed)
    send = _send(packets)
    arrive = send + rng.gamma(1.0, 1.0, packets)
    arrive = _stalls(rng, arrive, every_ms=8000, mean_ms=70, least_ms=100)
    return Trace(send, _in_order(arrive))


def burst_loss(packets: int, seed: int = 0) -> Trace:
    """5 % lost in bursts of three, little jitter."""
    rng = np.random.default_rng(seed)
    send = _send(packets)
    return Trace(send, _lose(rng, _in_order(send + rng.gamma(1.5, 1.5, packets)), 0.05, 3))


def random_loss(packets: int, seed: int = 0) -> Trace:
    """1 % lost one by one, little jitter: what FEC is for."""
    rng = np.random.default_rng(seed)
    send = _send(packets)
    return Trace(send, _lose(rng, _in_order(send + rng.gamma(1.5, 1.5, packets)), 0.01))


def reorder(packets: int, seed: int = 0) -> Trace:
    """Two paths of different length: every thirtieth packet comes up to 45 ms after its time."""
    rng = np.random.default_rng(seed)
    send = _send(packets)
    slow = rng.random(packets) < 1 / 30
    return Trace(send, send + rng.gamma(1.5, 1.5, packets) + slow * rng.uniform(20, 45, packets))


def drift(packets: int, seed: int = 0, ppm: float = 200.0) -> Trace:
    """A sender whose clock runs `ppm` too fast, over a nearly clean path."""
    rng = np.random.default_rng(seed)
    send = _send(packets) / (1 + ppm * 1e-6)
    return Trace(send, _in_order(send + rng.gamma(1.5, 1.0, packets)))


def congested_dsl(packets: int, seed: int = 0) -> Trace:
    """An uplink shared with an upload: its queue fills to 120 ms and overflows, again and again."""
    rng = np.random.default_rng(seed)
    send = _send(packets)
    queue = np.empty(packets)
    lost = np.zeros(packets, bool)
    level = 0.0
    rise = 0.5
    for i in range(packets):
        level += rise + rng.normal(0, 4)
        if level > 120:
            lost[i] = rng.random() < 0.5
            level, rise = 30 + rng.uniform(0, 20), rng.uniform(0.3, 0.9)
        level = max(level, 0.0)
        queue[i] = level
    arrive = _in_order(send + queue + rng.gamma(1.0, 1.0, packets))
    return Trace(send, np.where(lost, np.nan, arrive))


PROFILES: Final[dict[str, Callable[[int, int], Trace]]] = {
    "lan": lan,
    "office_wifi": office_wifi,
    "lte": lte,
    "satellite": satellite,
    "stalls": stalls,
    "random_loss": random_loss,
    "burst_loss": burst_loss,
    "reorder": reorder,
    "drift": drift,
    "congested_dsl": congested_dsl,
}


def recorded(path: Path, clock_hz: int) -> Trace:
    """The arrivals of an rtpdump file with a packet per 20 ms; what is missing was lost.

    `clock_hz` is that of its RTP timestamps. ValueError when it is no rtpdump.
    """
    data = path.read_bytes()
    if not data.startswith(b"#!rtpplay1.0"):
        raise ValueError(f"{path.name} is no rtpdump")
    at = data.index(b"\n") + 1 + 16
    came: dict[int, float] = {}
    first: int | None = None
    while at + 8 <= len(data):
        length, _, time_ms = struct.unpack_from(">HHI", data, at)
        _, _, timestamp = struct.unpack_from(">HHI", data, at + 8)
        first = timestamp if first is None else first
        index = round((timestamp - first) * 1000 / clock_hz / PACKET_MS)
        came.setdefault(index, float(time_ms))
        at += length
    packets = max(came) + 1
    arrive = np.full(packets, np.nan)
    for index, time_ms in came.items():
        if index >= 0:
            arrive[index] = time_ms
    send = _send(packets)
    return Trace(send, arrive - np.nanmin(arrive - send))
