"""The impairment relay between real sockets; its chances are tested in tests/native/c/run_relay.c."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from kabina.benchmarks.impairment import DOWN, UP, VirtualPath
from kabina.benchmarks.relay import GilbertElliott, Impairment, Random, Relay

WAIT_S = 5.0


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with new_socket() as made:
        yield made


@pytest.fixture
def client() -> Iterator[socket.socket]:
    with new_socket() as made:
        yield made


def new_socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    made.settimeout(WAIT_S)
    return made


def numbers_that_arrive(relay: Relay, client: socket.socket, server: socket.socket) -> list[int]:
    """Which of 300 datagrams come through; a last one, sent until it arrives, ends the wait."""
    for number in range(300):
        client.sendto(number.to_bytes(2, "big"), relay.address)
    arrived = []
    server.settimeout(0.02)
    while True:
        try:
            got = int.from_bytes(server.recv(2000), "big")
        except TimeoutError:
            client.sendto(b"\xff\xff", relay.address)
            continue
        if got == 0xFFFF:
            return arrived
        arrived.append(got)


def test_datagrams_pass_both_ways_and_the_server_tells_clients_apart(server, client):
    with Relay(server.getsockname()) as relay, new_socket() as other:
        seen = []
        for one in (client, other, client):
            one.sendto(b"question", relay.address)
            data, source = server.recvfrom(2000)
            assert data == b"question"
            seen.append(source)
            server.sendto(b"answer", source)
            assert one.recvfrom(2000) == (b"answer", relay.address)
        assert seen[0] == seen[2] != seen[1]
        own = [one.getsockname()[1] for one in (client, other)]
        assert relay.ports == [(own[0], seen[0][1]), (own[1], seen[1][1])]
        assert relay.counters_up.forwarded == relay.counters_up.received == 3
        assert relay.counters_down.bytes == 3 * len(b"answer")
        assert relay.counters_up.is_faithful
        assert relay.counters_down.is_faithful


def test_no_answer_comes_before_both_delays_have_passed(server, client):
    with Relay(
        server.getsockname(), up=Impairment(delay_ms=30), down=Impairment(delay_ms=20)
    ) as relay:
        began = time.monotonic()
        client.sendto(b"question", relay.address)
        _, source = server.recvfrom(2000)
        assert time.monotonic() - began >= 0.030
        server.sendto(b"answer", source)
        client.recv(2000)
        assert time.monotonic() - began >= 0.050


@pytest.mark.parametrize("loss", [Random(0.2), GilbertElliott.bursts(0.2, 4)])
def test_a_seed_loses_the_same_packets_each_time(client, loss):
    runs = []
    for seed in (1, 1, 2):
        with (
            new_socket() as server,
            Relay(server.getsockname(), seed=seed, up=Impairment(loss=loss)) as relay,
        ):
            runs.append(numbers_that_arrive(relay, client, server))
    assert runs[0] == runs[1] != runs[2]
    assert 180 <= len(runs[0]) <= 290


def test_in_virtual_time_the_same_packets_are_lost(server, client):
    rough = Impairment(loss=GilbertElliott.bursts(0.2, 4))
    with Relay(server.getsockname(), seed=8, up=rough) as relay:
        heard = numbers_that_arrive(relay, client, server)
    path = VirtualPath(seed=8, up=rough)
    for number in range(300):
        path.send(UP, number.to_bytes(2, "big"), number)
    assert [int.from_bytes(data, "big") for _, data in path.arrived(UP, 300)] == heard
    assert path.counters(UP).lost == 300 - len(heard)


def test_in_virtual_time_packets_arrive_when_they_are_due_and_once():
    path = VirtualPath(up=Impairment(delay_ms=30), down=Impairment(delay_ms=20))
    path.send(UP, b"a", 0)
    path.send(DOWN, b"b", 0)
    assert path.arrived(UP, 29_999_999) == path.arrived(DOWN, 19_999_999) == []
    assert path.arrived(UP, 30_000_000) == [(30_000_000, b"a")]
    assert path.arrived(DOWN, 30_000_000) == [(20_000_000, b"b")]
    assert path.arrived(UP, 10**12) == path.arrived(DOWN, 10**12) == []


def test_what_happens_to_packets_can_change_while_they_flow(server, client):
    with Relay(server.getsockname(), up=Impairment(loss=Random(1.0))) as relay:
        client.sendto(b"first", relay.address)
        wait_until(lambda: relay.counters_up.lost == 1)
        relay.up = Impairment()
        client.sendto(b"second", relay.address)
        data, source = server.recvfrom(2000)
        assert data == b"second"
        with relay.blackout(up=False):
            assert relay.down.blackout
            assert not relay.up.blackout
            server.sendto(b"third", source)
            wait_until(lambda: relay.counters_down.blacked_out == 1)
            client.sendto(b"fourth", relay.address)
            assert server.recv(2000) == b"fourth"
        server.sendto(b"fifth", source)
        assert client.recv(2000) == b"fifth"


def test_after_a_rebind_the_server_sees_another_port_and_answers_to_the_old_one_are_lost(
    server, client
):
    with Relay(server.getsockname()) as relay, new_socket() as other:
        sources = {}
        for one in (client, other):
            one.sendto(b"before", relay.address)
            sources[one] = server.recvfrom(2000)[1]
        relay.rebind(0)
        client.sendto(b"after", relay.address)
        moved = server.recvfrom(2000)[1]
        assert moved != sources[client]
        other.sendto(b"after", relay.address)
        assert server.recvfrom(2000)[1] == sources[other]
        server.sendto(b"to the old one", sources[client])
        server.sendto(b"to the new one", moved)
        assert client.recv(2000) == b"to the new one"
        assert relay.ports[0][1] == moved[1]


def test_a_server_that_is_not_there_yet_costs_nothing(client):
    with new_socket() as absent:
        address = absent.getsockname()
    with Relay(address) as relay:
        for _ in range(3):
            client.sendto(b"hello?", relay.address)
        wait_until(lambda: relay.counters_up.forwarded == 3)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.settimeout(0.05)
            server.bind(address)

            def answered() -> bool:
                client.sendto(b"hello", relay.address)
                try:
                    return server.recv(2000) == b"hello"
                except TimeoutError:
                    return False

            wait_until(answered)


def test_a_closed_relay_leaves_no_thread_and_no_file(server, client):
    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))

    before = held()
    with Relay(server.getsockname()) as relay:
        client.sendto(b"one", relay.address)
        server.recv(2000)
        assert held() == (before[0] + 1, before[1] + 4)
    assert held() == before
    with pytest.raises(ValueError, match="closed"):
        relay.rebind()


def test_controls_are_safe_from_other_threads(server, client):
    with Relay(server.getsockname()) as relay:
        stop = threading.Event()

        def turn_knobs() -> None:
            while not stop.is_set():
                relay.up = Impairment(delay_ms=1, jitter_ms=1)
                relay.rebind()
                assert relay.lateness_p99_ms >= 0

        other = threading.Thread(target=turn_knobs)
        other.start()
        try:
            for number in range(200):
                client.sendto(b"%d" % number, relay.address)
                assert server.recv(2000) == b"%d" % number
        finally:
            stop.set()
            other.join()


def test_bursts_have_the_chances_of_the_model():
    five = GilbertElliott.bursts(0.05, 3)
    assert (round(five.good_to_bad, 4), round(five.bad_to_good, 3)) == (0.0175, 0.333)
    ten = GilbertElliott.bursts(0.10, 5)
    assert (round(ten.good_to_bad, 4), round(ten.bad_to_good, 3)) == (0.0222, 0.2)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Random(1.1),
        lambda: GilbertElliott.bursts(1.0, 3),
        lambda: GilbertElliott.bursts(0.1, 0.5),
        lambda: GilbertElliott.bursts(0.9, 1.0),  # would leave the good state with chance 9
        lambda: GilbertElliott(-0.1, 0.5),
        lambda: Impairment(duplicate=2),
        lambda: Impairment(delay_ms=-1),
        lambda: Impairment(reorder_packets=-1),
    ],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=r".+"):
        wrong()


def test_an_address_in_use_is_an_error(server):
    with pytest.raises(OSError, match="no relay at"):
        Relay(("127.0.0.1", 9), server.getsockname())


@pytest.mark.alone
def test_packets_leave_on_time(server, client):
    with Relay(server.getsockname(), up=Impairment(delay_ms=25, jitter_ms=10)) as relay:
        for _ in range(400):
            client.sendto(bytes(1000), relay.address)
            time.sleep(0.0025)
        wait_until(lambda: relay.counters_up.forwarded == 400)
        print(f"lateness p99 {relay.lateness_p99_ms} ms, FIFO: {relay.is_fifo}")
        assert relay.is_punctual


def wait_until(holds) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)
