"""A bad network between UDP clients and a server: seeded, in user space, in a C thread.

Clients send to the relay's `address` instead of to the server: a client that reads an SDP answer
gets it through `benchmarks.load.through`, or the server announces the relay's IPv4 address
(`--public-ip 127.0.0.2`, media port P on 127.0.0.1) and the relay listens on 127.0.0.2:P.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

from kabina.benchmarks import _relay
from kabina.benchmarks.impairment import (
    CLEAR,
    DOWN,
    UP,
    Counters,
    GilbertElliott,
    Impairment,
    Random,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CLEAR", "Counters", "GilbertElliott", "Impairment", "Random", "Relay"]
LATE_MS: Final = 2.0  # a run whose lateness_p99_ms is above this says nothing (testing.md)


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
        self._core.set(UP, impairment.settings())

    @property
    def down(self) -> Impairment:
        return self._down

    @down.setter
    def down(self, impairment: Impairment) -> None:
        self._down = impairment
        self._core.set(DOWN, impairment.settings())

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
        return Counters(**self._core.counters(UP))

    @property
    def counters_down(self) -> Counters:
        return Counters(**self._core.counters(DOWN))

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
