"""Egress threads: who protects and sends when the plane's own thread does not (kb_shard.h)."""

from __future__ import annotations

import itertools
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kabina.native import _plane
from kabina.native.plane import Plane, PlaneSetupError
from kabina_sim.plane_client import Camera, Client, Clock, Rtp, TcpClient, nack

THREADS = 2
PROMPT_S = 20.0  # a hang, not a measure


@pytest.fixture
def running() -> Iterator[Plane]:
    made = Plane(host="127.0.0.1", port=0, max_peers=128, max_connections=8, egress_threads=THREADS)
    made.start()
    yield made
    made.stop()


def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + PROMPT_S
    while not condition():
        assert time.monotonic() < deadline_s, "it never held"
        time.sleep(0.0005)


def join(client: Client) -> None:
    """Until the check is answered: the path is there when this returns."""
    client.join()
    until(lambda: client.read().stun)


def names_of_threads() -> list[str]:
    return [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]


class Mix(threading.Thread):
    """The mixer's end: packets numbered 0, 1, 2 … of one injected track, as many as are allowed."""

    def __init__(self, plane: Plane) -> None:
        super().__init__()
        self.plane = plane
        self.track = plane.add_injected_track(clock_rate=48000)
        self.allowed = self.count = 0
        self.quit = False
        self._probe = _plane.BusProbe(plane.bus)

    def run(self) -> None:
        while not self.quit:
            if self.count < self.allowed and self.put():
                self.count += 1
            time.sleep(0.001)

    def put(self) -> bool:
        return self._probe.put(
            self.track,
            self.count.to_bytes(4, "big") * 20,
            rtp_timestamp=self.count * 960,
            at_ns=time.monotonic_ns(),
        )

    def all_said(self) -> int:
        """Waits until what is allowed was handed to everybody who listens; how much that is."""
        until(lambda: self.plane.counters()["injected"] == self.allowed)
        return self.allowed

    def end(self) -> None:
        self.quit = True
        self.join()


def numbers(packets: list[Rtp]) -> list[int]:
    return [int.from_bytes(packet.payload[:4], "big") for packet in packets]


def assert_whole(packets: list[Rtp]) -> None:
    """One SSRC's packets, each once and in the order of their numbers."""
    for before, after in itertools.pairwise(packets):
        assert (after.sequence - before.sequence) & 0xFFFF == 1
        assert numbers([after])[0] - numbers([before])[0] == 1


def test_the_threads_are_there_named_and_gone_again():
    plane = Plane(host="127.0.0.1", port=0, max_peers=4, egress_threads=3)
    assert plane.egress_scheduling == "stopped"
    plane.start()
    until(lambda: sum(name.startswith("kabina-egress") for name in names_of_threads()) == 3)
    until(lambda: all(each > 0 for each in plane.egress_cpu_s))
    plane.stop()
    assert plane.egress_scheduling == "stopped"
    assert not any(name.startswith("kabina-egress") for name in names_of_threads())


@pytest.mark.parametrize("egress", [{"egress_threads": 17}, {"egress_packets": 100}])
def test_more_threads_than_there_may_be_or_an_odd_ring_is_refused(egress):
    with pytest.raises(PlaneSetupError, match="egress_"):
        Plane(host="127.0.0.1", port=0, max_peers=4, **egress)


class Listener(Client):
    """Hears the mix, and keeps what it heard."""

    def __init__(self, plane: Plane, name: str, track: int) -> None:
        super().__init__(plane, name)
        self.heard: list[Rtp] = []
        join(self)
        plane.set_slot_source(self.add_slot(), track)

    def listen(self) -> int:
        self.heard += self.read().rtp  # raises when it does not decrypt
        return len(self.heard)

    def heard_up_to(self, number: int) -> bool:
        self.listen()
        return bool(self.heard) and numbers(self.heard)[-1] >= number - 1


def test_500_peers_come_and_go_and_nobody_misses_what_was_sent_while_they_were_there(running):
    """With real ciphers: what two threads protect, or one with a context that is gone, or in
    another order, does not decrypt or is not whole."""
    mix = Mix(running)
    mix.start()
    staying = [Listener(running, f"staying {i}", mix.track) for i in range(20)]
    running.flush()
    passing: deque[Listener] = deque()
    try:
        for i in range(500):
            mix.allowed += 2  # no more than the sockets of those who stay hold
            passing.append(Listener(running, f"passing {i}", mix.track))
            if len(passing) > 8:
                gone = passing.popleft()
                sent = mix.all_said()
                running.remove_peer(gone.peer)
                until(lambda: gone.heard_up_to(sent))  # noqa: B023 - in this turn
                assert_whole(gone.heard)
                gone.close()
            if i % 20 == 0:
                for client in staying:
                    client.listen()
        sent = mix.all_said()
        for client in (*staying, *passing):
            until(lambda: client.heard_up_to(sent))  # noqa: B023
            assert_whole(client.heard)
        assert all(numbers(client.heard) == list(range(sent)) for client in staying)
        assert sent == 1000
        counters = running.counters()
        for name in ("egress_overrun", "protect_failed", "sends_refused", "sends_failed"):
            assert counters[name] == 0, name
        assert counters["peers"] == len(staying) + len(passing)
    finally:
        mix.end()
        for client in (*staying, *passing):
            client.close()


def test_the_packets_of_a_picture_go_to_each_viewer_in_one_message():
    """Ten packets to 100 viewers: 500 for each thread, far apart, and held until the marker."""
    plane = Plane(host="127.0.0.1", port=0, max_peers=128, egress_threads=THREADS)
    clock = Clock(plane)
    publisher = Client(plane, "publisher")
    viewers = [Client(plane, f"viewer {i}") for i in range(100)]
    try:
        for client in (publisher, *viewers):
            client.join(clock)
        track = publisher.add_video_track()
        for viewer in viewers:
            plane.set_slot_source(viewer.add_video_slot(), track)
        camera = Camera(publisher, 1)
        clock.turn(after_ms=20)
        before = plane.counters()
        sent = camera.frame(key=True, packets=10, size=1000)
        clock.turn()
        after = plane.counters()
        for viewer in viewers:
            assert [packet.payload for packet in viewer.read().rtp] == sent
        assert after["rtp_forwarded"] - before["rtp_forwarded"] == 1000
        if os.environ.get("KABINA_PORTABLE") != "1":
            # a sender report ends the viewer's group, and goes with it or alone
            assert after["datagrams_grouped"] - before["datagrams_grouped"] >= 1000
    finally:
        plane.stop()
        for client in (publisher, *viewers):
            client.close()


def test_what_a_full_ring_has_no_room_for_is_dropped_and_counted_and_can_be_asked_for_again():
    plane = Plane(host="127.0.0.1", port=0, max_peers=64, egress_threads=1, egress_packets=8)
    clock = Clock(plane)
    publisher, viewer = Client(plane, "publisher"), Client(plane, "viewer")
    try:
        for client in (publisher, viewer):
            client.join(clock)
        plane.set_slot_source(viewer.add_video_slot(), publisher.add_video_track())
        clock.turn(after_ms=20)
        publisher.read()
        camera = Camera(publisher, 1)
        before = plane.counters()
        sent = camera.frame(key=True, packets=12)
        clock.turn(after_ms=20)
        got = viewer.read()
        overrun = plane.counters()["egress_overrun"]
        assert [packet.payload for packet in got.rtp] == sent[:8]
        assert overrun >= 4  # with the reports of this turn
        assert plane.counters()["rtp_forwarded"] - before["rtp_forwarded"] == 12
        first = got.rtp[0].sequence
        viewer.send_rtcp(nack(0x71DE0, range(first + 8, first + 12)))
        clock.turn(after_ms=50)
        assert [packet.payload[2:] for packet in viewer.read().rtp] == sent[8:]
        sent = camera.frame(packets=4)
        clock.turn(after_ms=20)
        assert [packet.payload for packet in viewer.read().rtp] == sent
        assert plane.counters()["egress_overrun"] == overrun
    finally:
        plane.stop()
        for client in (publisher, viewer):
            client.close()


class Roamer(Listener):
    """One peer with a UDP socket and a TCP connection: speaks and hears over one of them."""

    kind: type[Client] = Client
    unread, ended = b"", False  # TcpClient's

    def new_socket(self) -> socket.socket:
        self.sockets = {Client: super().new_socket(), TcpClient: TcpClient.new_socket(self)}  # type: ignore[arg-type]
        return self.sockets[Client]

    def change(self, kind: type[Client]) -> None:
        self.kind, self.socket = kind, self.sockets[kind]
        before = self.plane.peer_readings(self.peer).nominations
        self.send(bytes(self.check()))
        until(lambda: self.plane.peer_readings(self.peer).nominations > before)

    def send(self, datagram: bytes) -> None:
        if self.kind is Client:
            super().send(datagram)
        else:
            TcpClient.send(self, datagram)  # type: ignore[arg-type]

    def datagrams(self) -> Iterator[bytes]:
        if self.kind is Client:
            return super().datagrams()
        return TcpClient.datagrams(self)  # type: ignore[arg-type]

    frames = TcpClient.frames

    def close(self) -> None:
        for each in self.sockets.values():
            each.close()


def test_a_peer_that_changes_between_udp_and_tcp_hears_everything(running):
    """Its contexts stay where they are: what is for a connection comes back to the plane."""
    mix = Mix(running)
    roamer = Roamer(running, "roamer", mix.track)
    running.flush()
    mix.start()
    try:
        for kind in (TcpClient, Client, TcpClient, Client):
            roamer.change(kind)
            mix.allowed += 100
            sent = mix.all_said()
            until(lambda: roamer.heard_up_to(sent))  # noqa: B023 - in this turn
        assert numbers(roamer.heard) == list(range(400))
        assert_whole(roamer.heard)
        counters = running.counters()
        for name in ("egress_overrun", "sends_refused", "tcp_frames_dropped", "tcp_frames_stale"):
            assert counters[name] == 0, name
    finally:
        mix.end()
        roamer.close()
