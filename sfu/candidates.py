"""The candidates of an answer: where a lite end can be reached, best first (RFC 8445, RFC 6544)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

# Type preferences of host candidates: RFC 8445 §5.1.2.2; over TCP less, or a browser that may use
# both would take what stalls behind each lost packet.
_HOST_UDP: Final = 126
_HOST_TCP: Final = 90
_PASSIVE: Final = 4  # RFC 6544 §4.2: the direction preference of a passive host candidate


@dataclass(frozen=True, slots=True)
class Candidate:
    ip: str
    port: int
    priority: int
    foundation: str
    protocol: str = "udp"  # or "tcp", passive


def host_candidates(
    ips: Sequence[str], port: int, *, udp: bool = True, tcp: bool = False
) -> tuple[Candidate, ...]:
    """IPv4 over UDP, IPv6 over UDP, and with `tcp` the same again over TCP, in that order."""
    ordered = sorted(ips, key=lambda ip: isinstance(ip_address(ip), IPv6Address))
    over_udp = [
        Candidate(ip, port, _priority(_HOST_UDP, 0xFFFF - i), f"u{i + 1}")
        for i, ip in enumerate(ordered if udp else ())
    ]
    over_tcp = [
        Candidate(ip, port, _priority(_HOST_TCP, _PASSIVE << 13 | 0x1FFF - i), f"t{i + 1}", "tcp")
        for i, ip in enumerate(ordered if tcp else ())
    ]
    return (*over_udp, *over_tcp)


def _priority(type_preference: int, local_preference: int) -> int:
    return type_preference << 24 | local_preference << 8 | 255  # of component 1
