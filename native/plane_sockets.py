"""The sockets of a plane: bound here, handed over as descriptors."""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# 4 MiB hold 80 ms of 50 kpps while the thread is not scheduled; the kernel gives what it allows.
SOCKET_BUFFER_BYTES: Final = 4 << 20
_SNDBUFFORCE: Final = 32  # Linux, asm-generic/socket.h; the socket module does not name them
_RCVBUFFORCE: Final = 33
# A port that is free in one family and taken in the other: the kernel is asked for another one.
_TRIES: Final = 20
_BACKLOG: Final = 128


@dataclass(frozen=True, slots=True)
class PlaneSockets:
    """Sockets of one port number, one per family that was asked for."""

    v4: socket.socket | None
    v6: socket.socket | None
    tcp_v4: socket.socket | None
    tcp_v6: socket.socket | None

    @property
    def _all(self) -> tuple[socket.socket | None, ...]:
        return (self.v4, self.v6, self.tcp_v4, self.tcp_v6)

    @property
    def port(self) -> int:
        port: int = next(one.getsockname()[1] for one in self._all if one is not None)
        return port

    @property
    def descriptors(self) -> tuple[int, ...]:
        """As kb_sockets has them: −1 = none."""
        return tuple(-1 if one is None else one.fileno() for one in self._all)

    def detach(self) -> None:
        """Somebody else closes them now."""
        for one in self._all:
            if one is not None:
                one.detach()

    def close(self) -> None:
        for one in self._all:
            if one is not None:
                one.close()


def bind(host_v4: str, host_v6: str, port: int, *, tcp: bool = False) -> PlaneSockets:
    """Non-blocking sockets with large buffers; "" leaves a family out. OSError if taken.

    With `tcp` there is a listening socket on the same port in each family, too.
    """
    if not host_v4 and not host_v6:
        raise ValueError("an address of either family")
    for _ in range(_TRIES if port == 0 else 0):
        with suppress(OSError):
            return _bind_all(host_v4, host_v6, port, tcp=tcp)
    return _bind_all(host_v4, host_v6, port, tcp=tcp)


def _bind_all(host_v4: str, host_v6: str, port: int, *, tcp: bool) -> PlaneSockets:
    with ExitStack() as undo:
        bound: list[socket.socket | None] = []
        for open_one in (_udp, _tcp) if tcp else (_udp,):
            for family, host in ((socket.AF_INET, host_v4), (socket.AF_INET6, host_v6)):
                if not host:
                    bound.append(None)
                    continue
                one = undo.enter_context(open_one(family, host, port))
                port = one.getsockname()[1]
                bound.append(one)
        undo.pop_all()
    return PlaneSockets(*bound, *[None] * (4 - len(bound)))


def _udp(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_DGRAM)
    with _closed_on_failure(opened):
        for option, forced in ((socket.SO_RCVBUF, _RCVBUFFORCE), (socket.SO_SNDBUF, _SNDBUFFORCE)):
            try:
                opened.setsockopt(socket.SOL_SOCKET, forced, SOCKET_BUFFER_BYTES)
            except PermissionError:  # without CAP_NET_ADMIN: as much as net.core.rmem_max allows
                opened.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
        _bind(opened, host, port)
    return opened


def _tcp(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    with _closed_on_failure(opened):
        # Connections of the process before may still be in TIME_WAIT.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _bind(opened, host, port)
        opened.listen(_BACKLOG)
    return opened


def _bind(opened: socket.socket, host: str, port: int) -> None:
    opened.setblocking(False)
    if opened.family == socket.AF_INET6:
        # IPv4 has its own socket: its packets need no mapping and cost nothing more.
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    opened.bind((host, port))


@contextmanager
def _closed_on_failure(opened: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        opened.close()
        raise
