"""Which addresses are bound and announced, for what an operator says and what the host has."""

# ruff: noqa: S104 - addresses are compared here, not bound to

import socket

import pytest

from kabina.signaling.addresses import MediaAddresses, default_route_ip, media_addresses
from kabina.signaling.errors import StartError

V4_ONLY = {"0.0.0.0": "192.0.2.4", "::": None}
BOTH = {"0.0.0.0": "192.0.2.4", "::": "2001:db8::4"}
NEITHER = {"0.0.0.0": None, "::": None}


@pytest.mark.parametrize(
    ("hosts", "public", "routes", "expected"),
    [
        (["127.0.0.1"], [], BOTH, ("127.0.0.1", "", ["127.0.0.1"])),
        (["127.0.0.1", "::1"], [], BOTH, ("127.0.0.1", "::1", ["127.0.0.1", "::1"])),
        (["::1"], [], BOTH, ("", "::1", ["::1"])),
        (["0.0.0.0"], [], V4_ONLY, ("0.0.0.0", "", ["192.0.2.4"])),
        (["0.0.0.0"], [], BOTH, ("0.0.0.0", "::", ["192.0.2.4", "2001:db8::4"])),
        (["0.0.0.0"], [], NEITHER, ("0.0.0.0", "", ["127.0.0.1"])),
        (["::"], [], BOTH, ("", "::", ["2001:db8::4"])),
        (["0.0.0.0"], ["203.0.113.5"], BOTH, ("0.0.0.0", "", ["203.0.113.5"])),
        (
            ["0.0.0.0"],
            ["2001:db8::5", "203.0.113.5"],
            V4_ONLY,
            ("0.0.0.0", "::", ["203.0.113.5", "2001:db8::5"]),
        ),
    ],
)
def test_families_follow_what_is_said_and_then_what_the_host_has(hosts, public, routes, expected):
    v4, v6, announced = expected
    assert media_addresses(hosts, public, routes.get) == MediaAddresses(v4, v6, tuple(announced))


@pytest.mark.parametrize(
    ("hosts", "public", "match"),
    [
        (["127.0.0.1"], ["2001:db8::5"], "IPv6"),
        (["::"], ["203.0.113.5"], "IPv4"),
        (["127.0.0.1", "127.0.0.2"], [], "at most"),
        (["localhost"], [], "localhost"),
    ],
)
def test_what_cannot_be_bound_or_announced_is_refused_with_the_flag(hosts, public, match):
    with pytest.raises(StartError, match=match):
        media_addresses(hosts, public, BOTH.get)


def test_the_route_is_this_hosts_own_address():
    found = default_route_ip("0.0.0.0")
    if found is None:
        pytest.skip("this host has no IPv4 route")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((found, 0))
