"""Which addresses media is bound to and which ones clients are told."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING

from kabina.signaling.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ANY_V4 = "0.0.0.0"  # noqa: S104 - compared with, not bound to
ANY_V6 = "::"


@dataclass(frozen=True, slots=True)
class MediaAddresses:
    """`v4` and `v6` are bound ("": none); `announced` stand in answers, IPv4 first."""

    v4: str
    v6: str
    announced: tuple[str, ...]


def split_families(addresses: Sequence[str], flag: str) -> tuple[str, str]:
    """At most one address of each family. StartError for anything else."""
    found = {4: "", 6: ""}
    for address in addresses:
        try:
            version = ip_address(address).version
        except ValueError:
            raise StartError(f"{flag}: {address!r} is not an IPv4 or IPv6 address") from None
        if found[version]:
            raise StartError(f"{flag}: one IPv4 and one IPv6 address at most")
        found[version] = address
    return found[4], found[6]


def media_addresses(
    hosts: Sequence[str],
    public: Sequence[str],
    route_ip: Callable[[str], str | None] | None = None,
) -> MediaAddresses:
    """`0.0.0.0` means IPv6, too, where this host or a public address has it.

    What is announced is the public addresses, else those that are bound, else the default routes'
    (`route_ip` finds them). StartError for a public address of a family that is not bound.
    """
    route_ip = route_ip or default_route_ip
    v4, v6 = split_families(hosts, "--host")
    public_v4, public_v6 = split_families(public, "--public-ip")
    if v4 == ANY_V4 and not v6 and (public_v6 or (not public and route_ip(ANY_V6))):
        v6 = ANY_V6
    for family, bound, told in (("IPv4", v4, public_v4), ("IPv6", v6, public_v6)):
        if told and not bound:
            raise StartError(f"--public-ip has an {family} address and --host has none: add one")
    if public:
        return MediaAddresses(v4, v6, tuple(ip for ip in (public_v4, public_v6) if ip))
    found = [_reachable(host, route_ip) for host in (v4, v6) if host]
    announced = tuple(ip for ip in found if ip)
    return MediaAddresses(v4, v6, announced or ("127.0.0.1" if v4 else "::1",))


def _reachable(host: str, route_ip: Callable[[str], str | None]) -> str | None:
    return route_ip(host) if ip_address(host).is_unspecified else host


def default_route_ip(unspecified: str) -> str | None:
    """The source address a datagram to the world would have; nothing is sent."""
    v4 = isinstance(ip_address(unspecified), IPv4Address)
    # TEST-NET-1 (RFC 5737), the documentation prefix (RFC 3849).
    family, world = (socket.AF_INET, "192.0.2.1") if v4 else (socket.AF_INET6, "2001:db8::1")
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((world, 9))
            return str(probe.getsockname()[0])
    except OSError:  # no route, or a kernel without IPv6
        return None
