"""ICE over TCP on the media port: framing, trust, slow readers, and that nobody else notices them."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kabina.native.plane import DtlsReceived, Nominated, PeerPath, Plane
from kabina_sim.network import needs_ipv6
from kabina_sim.plane_client import Client, Clock, Speaker, TcpClient

DTLS_HELLO = bytes([22, 254, 253]) + bytes(30)


@pytest.fixture
def plane(egress_threads: int) -> Iterator[Plane]:
    made = Plane(
        host="127.0.0.1",
        port=0,
        max_peers=64,
        max_connections=40,
        egress_threads=egress_threads,
    )
    yield made
    made.stop()


def is_closed(stream: socket.socket) -> bool:
    """After whatever stands before the end."""
    stream.setblocking(False)
    try:
        while stream.recv(1 << 16):
            pass
    except BlockingIOError:
        return False
    except ConnectionResetError:
        pass
    return True


def are_closed(streams: list[socket.socket]) -> int:
    return sum(map(is_closed, streams))


def dial(plane: Plane, count: int = 1) -> list[socket.socket]:
    return [socket.create_connection(("127.0.0.1", plane.port)) for _ in range(count)]


def framed(datagram: bytes) -> bytes:
    return len(datagram).to_bytes(2, "big") + datagram


def test_a_check_over_tcp_is_answered_there_with_the_address_of_the_connection(
    plane, clock, connect
):
    client = connect("client", join=False, over=TcpClient)
    client.send(bytes(client.check()))
    answers = []
    clock.turn_until(lambda: answers.extend(client.read().stun) or answers)
    assert answers[0].attributes["XOR-MAPPED-ADDRESS"] == client.socket.getsockname()
    assert plane.poll() == [Nominated(client.peer)]
    client.send(DTLS_HELLO)
    clock.turn_until(lambda: plane.counters()["dtls_received"])
    assert plane.poll() == [DtlsReceived(client.peer, DTLS_HELLO)]


@pytest.mark.parametrize(("speaks", "hears"), [(0, 1), (1, 0), (1, 1)])
def test_media_goes_over_tcp_as_over_udp(plane, clock, connect, speaks, hears):
    kinds = (Client, TcpClient)
    publisher = connect("publisher", over=kinds[speaks])
    listener = connect("listener", over=kinds[hears])
    plane.set_slot_source(listener.add_slot(), publisher.add_track())
    speaker = Speaker(publisher, 1)
    for _ in range(100):
        speaker.speak()
        clock.turn(after_ms=20)
    sequences = []
    clock.turn_until(
        lambda: sequences.extend(p.sequence for p in listener.read().rtp) or len(sequences) >= 100
    )
    assert sequences == list(range(sequences[0], sequences[0] + 100))
    assert plane.peer_readings(listener.peer).path is (PeerPath.UDP, PeerPath.TCP)[hears]


@needs_ipv6
def test_tcp_is_there_in_both_families():
    plane = Plane(host="127.0.0.1", host_v6="::1", port=0, max_peers=4, max_connections=4)
    clock = Clock(plane)
    try:
        for number, host in enumerate(("127.0.0.1", "::1")):
            client = TcpClient(plane, f"client {number}", host=host)
            client.join(clock)
            plane.remove_peer(client.peer)
            clock.turn_until(lambda: is_closed(client.socket))  # noqa: B023 - in this turn
            client.close()
    finally:
        plane.stop()


def test_frames_may_come_in_pieces_and_several_at_once(plane, clock, connect):
    client = connect("client", join=False, over=TcpClient)
    for byte in framed(bytes(client.check())):
        client.socket.sendall(bytes([byte]))
        clock.turn()
    clock.turn_until(lambda: client.read().stun)
    plane.poll()
    received = plane.counters()["bytes_received"]
    pieces = framed(DTLS_HELLO) * 5 + framed(DTLS_HELLO)[:7], framed(DTLS_HELLO)[7:]
    for piece, whole in zip(pieces, (5, 1), strict=True):
        client.socket.sendall(piece)
        received += len(piece)
        clock.turn_until(lambda: plane.counters()["bytes_received"] == received)  # noqa: B023
        assert len(plane.poll()) == whole


def test_junk_after_the_check_costs_counters_and_not_the_connection(plane, clock, connect):
    client = connect("client", over=TcpClient)
    plane.poll()
    before = plane.counters()
    client.socket.sendall(framed(b"") * 10 + framed(b"?" * 65535) + framed(b"Z") + framed(bytes(9)))
    client.socket.sendall(framed(b"\x80" + bytes(1501)) + framed(DTLS_HELLO))
    clock.turn_until(lambda: plane.counters()["dtls_received"])
    after = plane.counters()
    assert after["datagrams_empty"] - before["datagrams_empty"] == 10
    assert after["datagrams_oversized"] - before["datagrams_oversized"] == 2
    assert plane.poll() == [DtlsReceived(client.peer, DTLS_HELLO)]


@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.1\r\nHost: kabina\r\n\r\n",
        framed(DTLS_HELLO),
        framed(b"\x80\x6f" + bytes(60)),
        framed(b""),
    ],
    ids=["HTTP", "DTLS", "RTP", "nothing"],
)
def test_who_begins_with_anything_but_a_check_is_closed(plane, clock, first):
    (stranger,) = dial(plane)
    stranger.sendall(first)
    clock.turn_until(lambda: is_closed(stranger))
    stranger.close()
    assert plane.counters()["tcp_closed"] == 1
    assert plane.poll() == []


def test_a_connection_without_a_signed_check_is_closed_after_five_seconds(plane, clock, connect):
    client = connect("client", join=False, over=TcpClient)
    client.send(bytes(client.check(password=client.ufrag)))
    silent, trickling = dial(plane, 2)
    clock.turn_until(lambda: plane.counters()["stun_unauthenticated"])
    clock.turn_until(lambda: plane.counters()["tcp_accepted"] == 3)
    trickling.sendall(b"\0")
    clock.run(4800)
    streams = [client.socket, silent, trickling]
    assert are_closed(streams) == 0
    trickling.sendall(b"\x40")
    clock.run(400)
    clock.turn_until(lambda: are_closed(streams) == 3)
    assert plane.counters()["tcp_expired"] == 3
    silent.close()
    trickling.close()


def test_a_trusted_connection_may_be_silent_for_thirty_seconds(plane, clock, connect):
    client = connect("client", over=TcpClient)
    clock.run(29_000, step_ms=200)
    assert not is_closed(client.socket)
    clock.run(1_400, step_ms=200)
    clock.turn_until(lambda: is_closed(client.socket))
    assert plane.peer_readings(client.peer).paths == 0


def test_one_address_has_32_strangers_at_most_where_there_are_few_places(plane, clock):
    strangers = dial(plane, 36)
    clock.turn_until(lambda: plane.counters()["tcp_refused"] == 4)
    clock.turn_until(lambda: are_closed(strangers) == 4)
    assert [is_closed(one) for one in strangers] == [False] * 32 + [True] * 4
    for one in strangers:
        one.close()


def test_when_all_connections_are_taken_the_oldest_stranger_gives_way_and_nobody_else():
    plane = Plane(host="127.0.0.1", port=0, max_peers=64, max_connections=4)
    clock = Clock(plane)
    try:
        trusted = [TcpClient(plane, "trusted")]
        trusted[0].join(clock)
        strangers = []
        for number in range(5):
            clock.turn(after_ms=10)
            strangers += dial(plane)
            clock.turn_until(lambda: plane.counters()["tcp_accepted"] == number + 2)  # noqa: B023
        clock.turn_until(lambda: are_closed(strangers) == 2)
        assert are_closed(strangers[:2]) == 2
        for number in range(3):
            clock.turn(after_ms=10)
            trusted.append(TcpClient(plane, f"client {number}"))
            trusted[-1].join(clock)
        assert are_closed(strangers) == 5
        # Peers fill it: then there is no room for anybody.
        (late,) = dial(plane)
        clock.turn_until(lambda: is_closed(late))
        assert plane.counters()["tcp_refused"] == 1
        assert are_closed([one.socket for one in trusted]) == 0
        for stream in (*strangers, late, *(one.socket for one in trusted)):
            stream.close()
    finally:
        plane.stop()


def test_a_closed_connection_is_no_path_any_more_and_the_peer_falls_back_to_another(
    plane, clock, connect
):
    publisher = connect("publisher")
    listener = connect("listener", over=TcpClient)
    plane.set_slot_source(listener.add_slot(), publisher.add_track())
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    udp.setblocking(False)
    udp.sendto(bytes(listener.check(nominate=False)), ("127.0.0.1", plane.port))
    speaker = Speaker(publisher, 1)
    speaker.speak()
    clock.turn_until(lambda: listener.read().rtp)  # it nominated the connection
    assert plane.peer_readings(listener.peer).paths == 2
    listener.socket.close()
    clock.turn_until(lambda: plane.peer_readings(listener.peer).paths == 1)
    speaker.speak()
    clock.turn()
    assert udp.recv(2048)[:2] == b"\1\1"
    assert udp.recv(2048)[0] == 0x90
    udp.close()


def test_another_connection_with_the_same_number_gets_nothing_of_the_first_ones(
    plane, clock, connect
):
    publisher = connect("publisher")
    listener = connect("listener", over=TcpClient)
    plane.set_slot_source(listener.add_slot(), publisher.add_track())
    listener.socket.close()
    clock.turn_until(lambda: plane.counters()["tcp_closed"] == 1)
    (stranger,) = dial(plane)
    clock.turn_until(lambda: plane.counters()["tcp_accepted"] == 2)
    Speaker(publisher, 1).speak()
    clock.turn()
    stranger.setblocking(False)
    with pytest.raises(BlockingIOError):
        stranger.recv(1)
    stranger.close()
    assert plane.counters()["rtp_unsendable"] == 1


def test_a_peer_has_eight_paths_and_connections_beyond_are_closed(plane, clock, connect):
    client = connect("client", over=TcpClient)
    olds = []
    for _ in range(10):
        olds.append(client.move())
        client.send(bytes(client.check(nominate=False)))
        clock.turn(after_ms=10)
        clock.turn_until(lambda: client.read().stun)
    assert plane.peer_readings(client.peer).paths == 8
    clock.turn_until(lambda: are_closed(olds) == 3)
    assert not is_closed(olds[0])  # the nominated one
    for old in olds:
        old.close()


def test_a_connection_has_one_peer_for_life(plane, clock, connect):
    first, second = connect("first", over=TcpClient), connect("second", join=False)
    plane.poll()
    clock.run(15_000, step_ms=200)  # over UDP it would be a port that a NAT gave to somebody else
    first.send(bytes(second.check()))
    clock.turn_until(lambda: plane.counters()["stun_conflicts"])
    assert not is_closed(first.socket)
    assert plane.peer_readings(second.peer).paths == 0


def test_a_removed_peer_gets_its_last_words_before_its_connection_is_closed(plane, clock, connect):
    client = connect("client", over=TcpClient)
    plane.send(client.peer, b"\x15 close_notify")
    plane.remove_peer(client.peer)
    words = []
    clock.turn_until(lambda: words.extend(client.read().dtls) or client.ended)
    assert words == [b"\x15 close_notify"]


def test_a_reader_that_stops_loses_frames_and_costs_nobody_else_one(plane, clock, connect):
    publisher, quick = connect("publisher"), connect("quick")
    slow = connect("slow", over=TcpClient)
    track = publisher.add_track()
    for listener in (quick, slow):
        plane.set_slot_source(listener.add_slot(), track)
    speaker = Speaker(publisher, 1)
    heard = []
    rounds = 0
    while plane.counters()["tcp_frames_stale"] < 2000:
        rounds += 1
        assert rounds < 2000, "the connection took everything"
        for _ in range(10):
            speaker.speak(bytes_more=1000)
        clock.turn(after_ms=20)
        heard += [packet.sequence & 0xFFFF for packet in quick.read().rtp]
    assert heard == [(heard[0] + i) & 0xFFFF for i in range(10 * rounds)]
    # What it reads in the end is whole frames, and what was kept for it is 400 ms old at most.
    late = []
    speaker.speak()  # the last one: what the connection holds comes before it
    clock.turn(after_ms=20)
    last = quick.read().rtp[0].payload
    clock.turn_until(lambda: late.extend(slow.read().rtp) or (late and late[-1].payload == last))
    assert not slow.unread
    late = [packet.sequence for packet in late]
    behind = [(late[i + 1] - late[i]) & 0xFFFF for i in range(len(late) - 1)]
    assert max(behind) > 1000
    assert all(behind)
    last_kept = behind[::-1].index(max(behind)) + 1
    assert last_kept <= 10 * (400 + 20 + 20) // 20


class NarrowClient(TcpClient):
    """Reads 30 kB/s over a socket that holds next to nothing itself."""

    BYTES_PER_S = 30_000

    def new_socket(self) -> socket.socket:
        opened = socket.socket()
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        opened.connect((self.host, self.plane.port))
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setblocking(False)
        self.began_s, self.taken = time.monotonic(), 0
        return opened

    def datagrams(self) -> Iterator[bytes]:
        allowed = int((time.monotonic() - self.began_s) * self.BYTES_PER_S) - self.taken
        with contextlib.suppress(BlockingIOError):
            if allowed > 0:
                more = self.socket.recv(allowed)
                self.taken += len(more)
                self.unread += more
        yield from self.frames()


@pytest.mark.alone
def test_over_a_path_too_narrow_a_listener_hears_the_present_with_holes_and_not_the_past():
    """100 kB/s into 30 kB/s: without its bounds each second would add 0.7 s to what is behind."""
    plane = Plane(host="127.0.0.1", port=0, max_peers=4, max_connections=4)
    publisher, narrow = Client(plane, "publisher"), NarrowClient(plane, "narrow")
    try:
        plane.start()
        for client in (publisher, narrow):
            client.join()
        plane.set_slot_source(narrow.add_slot(), publisher.add_track())
        plane.flush()
        speaker, sent_s, ages_s = Speaker(publisher, 1), [], []
        began_s = time.monotonic()
        while (now_s := time.monotonic()) < began_s + 6:
            while len(sent_s) < (now_s - began_s) * 100:
                sent_s.append(time.monotonic())
                speaker.speak(bytes_more=1000)
            for packet in narrow.read().rtp:
                count = int.from_bytes(packet.payload[4:8], "big")
                ages_s.append(time.monotonic() - sent_s[count])
            time.sleep(0.002)
        late_s = sorted(ages_s[len(ages_s) // 2 :])
        print(f"{len(ages_s)} of {len(sent_s)} frames, the later half {late_s[-1]:.2f} s late")
        assert len(ages_s) > 100
        assert late_s[-1] < 1.5
        assert plane.counters()["tcp_frames_stale"] > 200
    finally:
        plane.stop()
        for client in (publisher, narrow):
            client.close()


def test_frames_beyond_the_queue_are_dropped_whole_and_counted(plane, clock, connect):
    publisher = connect("publisher")
    slow = connect("slow", over=TcpClient)
    track = publisher.add_track()
    for number in range(8):
        plane.set_slot_source(slow.add_slot(ssrc=100 + number), track)
    speaker = Speaker(publisher, 1)
    rounds = 0

    def dropped() -> int:
        return plane.counters()["tcp_frames_dropped"]

    while dropped() < 100:
        rounds += 1
        assert rounds < 50, "the connection took everything"
        for _ in range(10):
            speaker.speak(bytes_more=1000)
        clock.turn()  # no time passes: nothing gets stale
    heard = []
    clock.turn_until(
        # raises when a frame is cut
        lambda: heard.extend(slow.read().rtp) or rounds * 80 - len(heard) == dropped()
    )
    assert not slow.unread


def test_without_descriptors_the_listener_rests_and_then_goes_on(plane, clock, connect):
    client = connect("client", join=False, over=TcpClient)
    client.send(bytes(client.check()))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
    fillers = [os.dup(0) for _ in range(used - len(os.listdir("/proc/self/fd")) + 1)]
    limit = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        clock.turn_until(lambda: plane.counters()["tcp_refused"])
        for _ in range(20):
            clock.turn()
        assert plane.counters()["tcp_refused"] == 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for filler in fillers:
            os.close(filler)
    clock.run(200)
    clock.turn_until(lambda: client.read().stun)


def test_a_stopped_plane_closes_its_connections_and_gives_the_port_back(clock, plane, connect):
    client = connect("client", over=TcpClient)
    plane.stop()
    assert is_closed(client.socket)  # the end is there before close() returns
    client.close()
    again = Plane(host="127.0.0.1", port=plane.port, max_peers=4, max_connections=4)
    again.stop()
    # Without connections nobody listens there.
    silent = Plane(host="127.0.0.1", port=0, max_peers=4)
    with pytest.raises(ConnectionRefusedError):
        dial(silent)
    silent.stop()
