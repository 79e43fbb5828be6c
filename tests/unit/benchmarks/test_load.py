"""The load generator judges servers: what it counts must be so."""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING

import pytest

from kabina.benchmarks.load import new_load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kabina.benchmarks._load import Load


@pytest.fixture(params=[0, 2], ids=["as packets come", "every 2 ms"])
def load(request: pytest.FixtureRequest) -> Iterator[Load]:
    made = new_load(4, read_every_ms=request.param)
    yield made
    made.close()


def pair() -> tuple[socket.socket, socket.socket]:
    """Two UDP sockets that are each other's only peer."""
    ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for end in ends:
        end.bind(("127.0.0.1", 0))
    ends[0].connect(ends[1].getsockname())
    ends[1].connect(ends[0].getsockname())
    return ends[0], ends[1]


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def rtp(sequence: int, payload: bytes = bytes(40)) -> bytes:
    return struct.pack("!BBHII", 0x80, 111, sequence & 0xFFFF, 960 * sequence, 7) + payload


def test_what_one_end_publishes_another_counts_once_each_with_its_delay(load: Load):
    ours, theirs = pair()
    source = load.add_plain(ours.detach())
    sink = load.add_plain(theirs.detach(), stamped=True)
    load.publish(
        source,
        [bytes(60)],
        interval_ns=1_000_000,
        timestamp_step=48,
        ssrc=7,
        payload_type=111,
        stamped=True,
    )
    load.start()
    until(lambda: load.figures(sink)["received"] >= 50)
    load.stop()
    figures = load.figures(sink)
    assert figures["lost"] == figures["overflowed"] == figures["failures"] == 0
    assert 0 <= load.figures(source)["sent"] - figures["received"] <= 16
    (median_us,) = load.delays_us([0.5])
    assert median_us is not None


def test_holes_in_the_sequence_are_losses_also_across_its_wrap(load: Load):
    ours, theirs = pair()
    sink = load.add_plain(theirs.detach())
    load.start()
    for sequence in (65533, 65534, 65537, 65538, 65540):
        ours.send(rtp(sequence))
    until(lambda: load.figures(sink)["received"] == 5)
    assert load.figures(sink)["lost"] == 3
    ours.close()


def test_a_late_packet_fills_its_hole(load: Load):
    ours, theirs = pair()
    sink = load.add_plain(theirs.detach())
    load.start()
    for sequence in (1, 3, 2):
        ours.send(rtp(sequence))
    until(lambda: load.figures(sink)["received"] == 3)
    assert load.figures(sink)["lost"] == 0
    ours.close()


def test_what_the_socket_had_no_room_for_is_told_apart(load: Load):
    ours, theirs = pair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sink = load.add_plain(theirs.detach())  # not read before the start
    for sequence in range(200):
        ours.send(rtp(sequence, bytes(1000)))
    load.start()
    until(lambda: load.figures(sink)["received"] > 0)
    kept = load.figures(sink)["received"]
    ours.send(rtp(200))
    until(lambda: load.figures(sink)["received"] > kept)
    figures = load.figures(sink)
    assert figures["overflowed"] > 100
    assert figures["lost"] == figures["overflowed"] == 201 - figures["received"]
    ours.close()


def test_an_end_may_join_while_others_are_read(load: Load):
    load.start()
    ours, theirs = pair()
    sink = load.add_plain(theirs.detach())
    ours.send(rtp(1))
    until(lambda: load.figures(sink)["received"] == 1)
    ours.close()


def test_a_recording_has_what_one_end_sent_and_another_got_with_their_times(load: Load):
    ours, theirs = pair()
    source = load.add_plain(ours.detach())
    sink = load.add_plain(theirs.detach())
    payloads = [bytes([number]) * (20 + number) for number in range(4)]
    load.publish(
        source,
        payloads,
        interval_ns=1_000_000,
        timestamp_step=960,
        ssrc=7,
        payload_type=111,
        phase_ns=300_000,
    )
    load.record(source, 8)
    load.record(sink, 8)
    before = time.time_ns()
    load.start(realtime=True)
    until(lambda: len(load.recorded(sink)) == 8)
    load.stop()
    sent, got = load.recorded(source), load.recorded(sink)
    assert [payload for *_, payload in got] == payloads * 2
    assert [each[1:3] for each in sent] == [each[1:3] for each in got]
    assert [stamp for _, stamp, *_ in sent] == [960 * number for number in range(8)]
    assert all(before < left[0] <= came[0] for left, came in zip(sent, got, strict=True))


def test_an_extension_and_padding_are_no_part_of_a_recorded_payload(load: Load):
    ours, theirs = pair()
    sink = load.add_plain(theirs.detach())
    load.record(sink, 4)
    load.start()
    extended = bytearray(rtp(1, b"\xbe\xde\x00\x01\x10\x1a\x00\x00" + b"sound"))
    extended[0] |= 0x10
    padded = bytearray(rtp(2, b"sound" + b"\x00\x00\x03"))
    padded[0] |= 0x20
    broken = bytearray(rtp(3, b"\xbe\xde\xff\xff"))
    broken[0] |= 0x10
    for packet in (extended, padded, broken, rtp(4, b"end")):
        ours.send(packet)
    until(lambda: load.figures(sink)["received"] == 4)
    assert [payload for *_, payload in load.recorded(sink)] == [b"sound", b"sound", b"end"]
    ours.close()


def test_what_is_not_recorded_is_nothing(load: Load):
    ours, theirs = pair()
    sink = load.add_plain(theirs.detach())
    assert load.recorded(sink) == []
    with pytest.raises(IndexError):
        load.record(sink + 1, 4)
    ours.close()
