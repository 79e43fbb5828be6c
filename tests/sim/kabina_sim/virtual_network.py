"""A plane client's socket behind a bad network in the plane's virtual time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kabina.benchmarks.impairment import DOWN, UP, VirtualPath

if TYPE_CHECKING:
    import socket

    from kabina_sim.plane_client import Client, Clock


@dataclass
class VirtualSocket:
    """Put in a `Client`'s place of its socket; `turn` goes with the clock's."""

    real: socket.socket
    path: VirtualPath
    clock: Clock
    server: tuple[str, int]
    _ready: deque[bytes] = field(default_factory=deque)

    @staticmethod
    def between(client: Client, clock: Clock, path: VirtualPath) -> VirtualSocket:
        made = VirtualSocket(client.socket, path, clock, ("127.0.0.1", client.plane.port))
        client.socket = made  # type: ignore[assignment]
        return made

    def turn(self) -> None:
        """What is due by the clock's time moves; what the plane has sent enters the network."""
        for _, datagram in self.path.arrived(UP, self.clock.now_ns):
            self.real.sendto(datagram, self.server)
        while True:
            try:
                self.path.send(DOWN, self.real.recv(2048), self.clock.now_ns)
            except BlockingIOError:
                break
        self._ready += (datagram for _, datagram in self.path.arrived(DOWN, self.clock.now_ns))

    def sendto(self, datagram: bytes, _: tuple[str, int]) -> None:
        self.path.send(UP, datagram, self.clock.now_ns)

    def recv(self, _: int) -> bytes:
        if not self._ready:
            raise BlockingIOError
        return self._ready.popleft()

    def close(self) -> None:
        self.real.close()
