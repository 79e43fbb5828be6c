"""What a bad network does, as values, and the same in virtual time, without a socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from kabina.benchmarks import _relay

UP, DOWN = 0, 1


def _chances(*values: float) -> None:
    if not all(0 <= value <= 1 for value in values):
        raise ValueError("chances are from 0 to 1")


@dataclass(frozen=True, slots=True)
class Random:
    """Each packet is lost with the same chance, 0 to 1."""

    share: float

    def __post_init__(self) -> None:
        _chances(self.share)


@dataclass(frozen=True, slots=True)
class GilbertElliott:
    """Losses in bursts: two states, each with its chance of loss; chances of change per packet."""

    good_to_bad: float
    bad_to_good: float
    loss_in_good: float = 0.0
    loss_in_bad: float = 1.0

    def __post_init__(self) -> None:
        _chances(self.good_to_bad, self.bad_to_good, self.loss_in_good, self.loss_in_bad)

    @classmethod
    def bursts(cls, share: float, mean_packets: float) -> Self:
        """Loses `share` (0 to 1) of all packets in bursts of `mean_packets` on average.

        All loss is in the bad state, so r = 1/mean and p = r · share/(1 − share): 5 % in bursts
        of 3 are p 0.0175, r 0.333. ValueError where no such chances exist.
        """
        if not 0 <= share < 1 or mean_packets < 1:
            raise ValueError("a share below 1 and bursts of at least one packet")
        bad_to_good = 1 / mean_packets
        return cls(bad_to_good * share / (1 - share), bad_to_good)


@dataclass(frozen=True, slots=True)
class Impairment:
    """What one direction of each client's way does to a datagram, in this order.

    Longer than the MTU: gone. Loss. Bottleneck of `rate_bps`, whose queue holds `queue_ms` and
    `queue_bytes` (0: no limit). Then `delay_ms` and up to `jitter_ms` more (uniform, order kept).
    Then by chance (0 to 1): held back until 1 to `reorder_packets` later ones have left (100 ms
    at most), sent twice, one bit flipped. Rates, queues and MTU count 28 bytes of IPv4 and UDP
    headers. ValueError for what cannot be.
    """

    loss: Random | GilbertElliott | None = None
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    reorder: float = 0.0
    reorder_packets: int = 3
    duplicate: float = 0.0
    corrupt: float = 0.0
    rate_bps: int = 0
    queue_ms: float = 0.0
    queue_bytes: int = 0
    mtu_bytes: int = 0
    blackout: bool = False  # nothing enters; what is on its way arrives

    def __post_init__(self) -> None:
        _chances(self.reorder, self.duplicate, self.corrupt)
        amounts = (self.delay_ms, self.jitter_ms, self.rate_bps, self.queue_ms)
        if min(*amounts, self.queue_bytes, self.mtu_bytes, self.reorder_packets) < 0:
            raise ValueError("times, rates and sizes are not negative")

    def settings(self) -> dict[str, float | bool]:
        """As the C code wants it: chances, ns, bytes."""
        match self.loss:
            case GilbertElliott(good_to_bad, bad_to_good, good_loss, bad_loss):
                pass
            case Random(good_loss):
                good_to_bad, bad_to_good, bad_loss = 0.0, 1.0, good_loss
            case _:
                good_to_bad, bad_to_good, bad_loss, good_loss = 0.0, 1.0, 0.0, 0.0
        return {
            "good_loss": good_loss,
            "bad_loss": bad_loss,
            "good_to_bad": good_to_bad,
            "bad_to_good": bad_to_good,
            "reorder": self.reorder,
            "reorder_packets": self.reorder_packets,
            "duplicate": self.duplicate,
            "corrupt": self.corrupt,
            "delay_ns": round(self.delay_ms * 1e6),
            "jitter_ns": round(self.jitter_ms * 1e6),
            "rate_bps": self.rate_bps,
            "queue_ns": round(self.queue_ms * 1e6),
            "queue_bytes": self.queue_bytes,
            "mtu_bytes": self.mtu_bytes,
            "blackout": self.blackout,
        }


CLEAR: Final = Impairment()


@dataclass(frozen=True, slots=True)
class Counters:
    """Datagrams of one direction, all clients together, since the relay began."""

    received: int
    forwarded: int  # with duplicates
    bytes: int  # of forwarded UDP payload
    lost: int
    blacked_out: int
    too_large: int
    queue_drops: int
    duplicated: int
    corrupted: int
    reordered: int  # left after a later one
    exhausted: int  # the relay had no room: with any of these the run is void,
    refused: int  # the kernel took no send, a client was one too many,
    overruns: int  # or the kernel dropped before the relay could read

    @property
    def is_faithful(self) -> bool:
        """Nothing got lost by the relay's own fault."""
        return self.exhausted + self.refused + self.overruns == 0


class VirtualPath:
    """One client's way to a server and back. Given the time in ns, it asks no clock.

    The same seed does to the same packets what a `Relay` does to those of its first client.
    """

    def __init__(
        self, *, seed: int = 1, up: Impairment = CLEAR, down: Impairment = CLEAR, room: int = 16384
    ) -> None:
        self._core = _relay.ImpairCore(seed, 2, room)
        self.set(UP, up)
        self.set(DOWN, down)

    def set(self, direction: int, impairment: Impairment) -> None:
        """From the next packet on; `direction` is UP or DOWN."""
        self._core.set(direction, impairment.settings())

    def send(self, direction: int, datagram: bytes, now_ns: int) -> None:
        """It enters there now."""
        self._core.receive(direction, datagram, now_ns)

    def arrived(self, direction: int, now_ns: int) -> list[tuple[int, bytes]]:
        """(when, what) left in that direction by now and was not told yet, in order."""
        return self._core.arrived(direction, now_ns)

    def counters(self, direction: int) -> Counters:
        return Counters(**self._core.counters(direction))
