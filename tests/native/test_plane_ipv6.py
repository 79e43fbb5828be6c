"""A plane with a socket per family: peers of both are equal."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from kabina.native.plane import Nominated, Plane
from kabina_sim.network import needs_ipv6
from kabina_sim.plane_client import Speaker

pytestmark = needs_ipv6


@pytest.fixture
def plane() -> Iterator[Plane]:
    made = Plane(host="127.0.0.1", host_v6="::1", port=0, max_peers=64)
    yield made
    made.stop()


def test_both_families_have_one_port_number_and_stay_apart(plane):
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with (
            socket.socket(family, socket.SOCK_DGRAM) as probe,
            pytest.raises(OSError, match="in use"),
        ):
            probe.bind((host, plane.port))


def test_a_check_over_ipv6_is_answered_with_the_ipv6_address(plane, clock, connect):
    client = connect("client", join=False, host="::1")
    client.send(bytes(client.check()))
    clock.turn()
    (answer,) = client.read().stun
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == client.socket.getsockname()[:2]
    assert plane.poll() == [Nominated(client.peer)]


@pytest.mark.parametrize("hosts", [("::1", "::1"), ("::1", "127.0.0.1"), ("127.0.0.1", "::1")])
def test_media_goes_from_either_family_to_either(plane, clock, connect, hosts):
    publisher, *listeners = [
        connect(f"client {i}", host=host) for i, host in enumerate((*hosts, "127.0.0.1", "::1"))
    ]
    track = publisher.add_track()
    for listener in listeners:
        plane.set_slot_source(listener.add_slot(), track)
    speaker = Speaker(publisher, 1)
    for _ in range(50):
        speaker.speak()
        speaker.speak()
        clock.turn(after_ms=20)
    for listener in listeners:
        sequences = [packet.sequence for packet in listener.read().rtp]
        assert sequences == list(range(sequences[0], sequences[0] + 100))
    assert plane.counters()["sends_failed"] == 0


def test_a_peer_moves_from_one_family_to_the_other_and_back(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener", host="::1")
    plane.set_slot_source(listener.add_slot(), publisher.add_track())
    speaker = Speaker(publisher, 1)
    sequences = []
    for host in ("::1", "127.0.0.1", "::1"):
        listener.host = host
        old = listener.move()
        listener.send(bytes(listener.check()))
        clock.turn()
        speaker.speak()
        clock.turn()
        sequences += [packet.sequence for packet in listener.read().rtp]
        old.close()
    assert sequences == list(range(sequences[0], sequences[0] + 3))


def test_the_same_port_in_the_other_family_is_another_address(plane, clock, connect):
    """Where the tables took only part of an address, one peer would get the other one's path."""
    first = connect("first", join=False, host="::1")
    second = connect("second", join=False)
    second.socket.close()
    second.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    second.socket.bind(("127.0.0.1", first.socket.getsockname()[1]))
    second.socket.setblocking(False)
    for client in (first, second):
        client.join(clock)
    for client in (first, second):
        plane.send(client.peer, b"\x16" + client.ufrag.encode())
        assert client.read().dtls == [b"\x16" + client.ufrag.encode()]
    assert plane.counters()["stun_conflicts"] == 0


def test_a_plane_of_ipv6_alone_serves_and_gives_its_port_back():
    plane = Plane(host_v6="::1", port=0, max_peers=4)
    plane.start()
    plane.stop()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as again:
        again.bind(("::1", plane.port))


def test_a_port_taken_in_one_family_is_refused_and_the_other_given_back():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as taken:
        taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        taken.bind(("::1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            Plane(host="127.0.0.1", host_v6="::1", port=port, max_peers=4)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", port))
