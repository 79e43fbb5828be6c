"""A bad network between UDP clients and a server: seeded, in user space, in a C thread.

Clients send to the relay's `address` instead of to the server: a client that reads an SDP answer
gets it through `benchmarks.load.through`, or the server announces the relay's IPv4 address
(`--public-ip 127.0.0.2`, media port P on 127.0.0.1) and the relay listens on 127.0.0.2:P.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

from kabina.benchmarks import _relay

if TYPE_CHECKING:
    from collections.abc import Iterator

LATE_MS: Final = 2.0  # a run whose lateness_p99_ms is above this says nothing (testing.md)
_UP, _DOWN = 0, 1


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

    def _settings(self) -> dict[str, float | bool]:
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


class Relay:
    """Relays while it is entered. OSError when it cannot listen; IPv4, listen port 0: any.

    `up` is from clients to the server, `down` back; both may be assigned while it runs and hold
    from the next packet on. Each client has ways of its own: others take none of its bandwidth
    and share none of its losses.
    """

    def __init__(
        self,
        server: tuple[str, int],
        listen: tuple[str, int] = ("127.0.0.2", 0),
        *,
        seed: int = 1,
        up: Impairment = CLEAR,
        down: Impairment = CLEAR,
        max_clients: int = 1024,
        max_packets: int = 16384,
    ) -> None:
        self._core = _relay.RelayCore(
            server, listen, seed=seed, clients=max_clients, packets=max_packets
        )
        self.address: Final = (listen[0], self._core.port)
        self.up, self.down = up, down

    def __enter__(self) -> Self:
        self._core.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """What is still on its way is lost."""
        self._core.close()

    @property
    def up(self) -> Impairment:
        return self._up

    @up.setter
    def up(self, impairment: Impairment) -> None:
        self._up = impairment
        self._core.set(_UP, impairment._settings())

    @property
    def down(self) -> Impairment:
        return self._down

    @down.setter
    def down(self, impairment: Impairment) -> None:
        self._down = impairment
        self._core.set(_DOWN, impairment._settings())

    @contextmanager
    def blackout(self, *, up: bool = True, down: bool = True) -> Iterator[None]:
        """Nothing passes in the chosen directions until the end of the block."""
        self._darken(up=up, down=down, dark=True)
        try:
            yield
        finally:
            self._darken(up=up, down=down, dark=False)

    def _darken(self, *, up: bool, down: bool, dark: bool) -> None:
        if up:
            self.up = replace(self.up, blackout=dark)
        if down:
            self.down = replace(self.down, blackout=dark)

    def rebind(self, client: int | None = None) -> None:
        """The server sees a new source port from now on, of one client or of all, as after a NAT's
        restart; what it sends to the old one is lost. OSError without a socket."""
        self._core.rebind(-1 if client is None else client)

    @property
    def ports(self) -> list[tuple[int, int]]:
        """(a client's own port, the port that the server sees), in the order they came."""
        return self._core.ports()

    @property
    def counters_up(self) -> Counters:
        return Counters(**self._core.counters(_UP))

    @property
    def counters_down(self) -> Counters:
        return Counters(**self._core.counters(_DOWN))

    @property
    def lateness_p99_ms(self) -> float:
        """How late packets left, from when they were due; 0 without packets. Of 20 µs; ≤ 100 ms."""
        counts = self._core.lateness()
        wanted, seen = 0.99 * sum(counts), 0
        if wanted:
            for bucket, count in enumerate(counts):
                seen += count
                if seen >= wanted:
                    return (bucket + 1) * _relay.BUCKET_NS / 1e6
        return 0.0

    @property
    def is_punctual(self) -> bool:
        return self.lateness_p99_ms <= LATE_MS

    @property
    def is_fifo(self) -> bool:
        """Its thread has real-time priority."""
        return self._core.is_fifo
