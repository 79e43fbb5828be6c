"""Silence is seen in time, told once, and taken back."""

from __future__ import annotations

from kabina.native.plane import (
    Nominated,
    PeerLost,
    PeerResumed,
    PeerStalled,
    Plane,
    Silence,
    TrackResumed,
    TrackStalled,
    TrackStarted,
)
from kabina_sim.plane_client import Client, Clock, Speaker


def test_a_silent_peer_is_stalled_after_5_s_and_lost_after_10_s(plane, clock, connect):
    client = connect("client")
    assert plane.poll() == [Nominated(client.peer)]
    clock.run(4980)
    assert plane.poll() == []
    clock.run(20)
    assert plane.poll() == [PeerStalled(client.peer)]
    clock.run(4980)
    assert plane.poll() == []
    clock.run(5000)
    assert plane.poll() == [PeerLost(client.peer)]
    client.send(bytes(client.check()))
    clock.turn(after_ms=20)
    assert plane.poll() == [PeerResumed(client.peer)]


def test_a_peer_that_never_comes_is_lost_too(plane, clock, connect):
    client = connect("client", join=False)
    clock.run(10_040)
    assert plane.poll() == [PeerStalled(client.peer), PeerLost(client.peer)]


def test_checks_alone_keep_a_peer(plane, clock, connect):
    client = connect("client")
    plane.poll()
    for _ in range(10):
        clock.run(2500)
        client.send(bytes(client.check(nominate=False)))
    assert plane.poll() == []


def test_media_alone_keeps_a_peer_and_unauthenticated_datagrams_do_not(plane, clock, connect):
    alive, dead = connect("alive"), connect("dead")
    track = alive.add_track()
    plane.poll()
    speaker = Speaker(alive, 1)
    for step in range(120):
        speaker.speak()
        dead.send(bytes([0x80, 111]) + bytes(60))
        dead.send(bytes([22, 254, 253]) + bytes(20))
        clock.turn(after_ms=100)
        if step == 0:
            assert TrackStarted(track) in plane.poll()
    events = [event for event in plane.poll() if isinstance(event, PeerStalled | PeerLost)]
    assert events == [PeerStalled(dead.peer), PeerLost(dead.peer)]


def test_a_track_starts_stalls_and_resumes(plane, clock, connect):
    client = connect("client")
    track = client.add_track()
    speaker = Speaker(client, 1)
    plane.poll()
    clock.run(400)
    assert plane.poll() == []
    speaker.speak()
    clock.turn(after_ms=20)
    assert plane.poll() == [TrackStarted(track)]
    clock.run(280)
    assert plane.poll() == []
    clock.run(20)
    assert plane.poll() == [TrackStalled(track)]
    clock.run(1000)
    assert plane.poll() == []
    speaker.speak()
    clock.turn(after_ms=20)
    assert plane.poll() == [TrackResumed(track)]


def test_states_are_told_in_order_however_late_python_looks(plane, clock, connect):
    """Ten changes while Python was blocked become the shortest story that ends right."""
    client = connect("client")
    track = client.add_track()
    speaker = Speaker(client, 1)
    plane.poll()
    for _ in range(10):
        speaker.speak()
        clock.run(400)
    assert plane.poll() == [TrackStarted(track), TrackStalled(track)]


def test_no_state_is_lost_when_every_peer_and_datagram_comes_at_once(clock):
    """The datagram ring holds 512; states do not go through it."""
    plane = Plane(host="127.0.0.1", port=0, max_peers=300)
    clock = Clock(plane)
    clients = [Client(plane, f"client{i}") for i in range(300)]
    for client in clients:
        client.send(bytes(client.check()))
        for _ in range(5):
            client.send(bytes([22, 254, 253]) + bytes(20))
        clock.turn()
    clock.run(10_040)
    events = plane.poll()
    for kind in (Nominated, PeerStalled, PeerLost):
        assert {e.peer for e in events if isinstance(e, kind)} == {c.peer for c in clients}
    assert plane.counters()["dtls_dropped"] == 300 * 5 - 512
    for client in clients:
        client.close()
    plane.stop()


def test_events_about_what_was_removed_are_not_told(plane, clock, connect):
    client = connect("client")
    client.send(bytes([22, 254, 253]) + bytes(20))
    clock.turn()
    plane.remove_peer(client.peer)
    assert plane.poll() == []


def test_the_limits_of_silence_can_be_set():
    plane = Plane(host="127.0.0.1", port=0, max_peers=4, silence=Silence(50, 100, 20))
    clock = Clock(plane)
    peer = plane.add_peer(local_ufrag="abcd", local_password="p" * 22)
    clock.run(100)
    assert plane.poll() == [PeerStalled(peer), PeerLost(peer)]
    plane.stop()
