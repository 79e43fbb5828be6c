"""The sockets of a plane: bound here, handed over as descriptors."""

from __future__ import annotations

import socket
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Final

# 4 MiB hold 80 ms of 50 kpps while the thread is not scheduled; the kernel gives what it allows.
SOCKET_BUFFER_BYTES: Final = 4 << 20
_SNDBUFFORCE: Final = 32  # Linux, asm-generic/socket.h; the socket module does not name them
_RCVBUFFORCE: Final = 33
# A port that is free in one family and taken in the other: the kernel is asked for another one.
_TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class PlaneSockets:
    """Sockets of one port number, one per family that was asked for."""

    v4: socket.socket | None
    v6: socket.socket | None

    @property
    def _all(self) -> tuple[socket.socket | None, ...]:
        return (self.v4, self.v6)

    @property
    def port(self) -> int:
        port: int = next(one.getsockname()[1] for one in self._all if one is not None)
        return port

    @property
    def descriptors(self) -> tuple[int, int]:
        """As kb_sockets has them: −1 = none."""
        return tuple(-1 if one is None else one.fileno() for one in self._all)  # type: ignore[return-value]

    def detach(self) -> None:
        """Somebody else closes them now."""
        for one in self._all:
            if one is not None:
                one.detach()

    def close(self) -> None:
        for one in self._all:
            if one is not None:
                one.close()


def bind(host_v4: str, host_v6: str, port: int) -> PlaneSockets:
    """Non-blocking sockets with large buffers; "" leaves a family out. OSError if taken."""
    if not host_v4 and not host_v6:
        raise ValueError("an address of either family")
    for _ in range(_TRIES if port == 0 else 0):
        with suppress(OSError):
            return _bind_both(host_v4, host_v6, port)
    return _bind_both(host_v4, host_v6, port)


def _bind_both(host_v4: str, host_v6: str, port: int) -> PlaneSockets:
    with ExitStack() as undo:
        v4 = undo.enter_context(_udp(socket.AF_INET, host_v4, port)) if host_v4 else None
        if v4 is not None:
            port = v4.getsockname()[1]
        v6 = undo.enter_context(_udp(socket.AF_INET6, host_v6, port)) if host_v6 else None
        undo.pop_all()
    return PlaneSockets(v4, v6)


def _udp(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        if family == socket.AF_INET6:
            # IPv4 has its own socket: its packets need no mapping and cost nothing more.
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for option, forced in ((socket.SO_RCVBUF, _RCVBUFFORCE), (socket.SO_SNDBUF, _SNDBUFFORCE)):
            try:
                bound.setsockopt(socket.SOL_SOCKET, forced, SOCKET_BUFFER_BYTES)
            except PermissionError:  # without CAP_NET_ADMIN: as much as net.core.rmem_max allows
                bound.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
        bound.bind((host, port))
    except BaseException:
        bound.close()
        raise
    return bound
