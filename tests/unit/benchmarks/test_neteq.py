"""What is sent to real NetEq, and how its statistics are read; the receivers are elsewhere."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from aiortc.rtp import RtpPacket

from kabina.benchmarks import neteq
from kabina.benchmarks._replay import TimedSender
from kabina.benchmarks.jitter_trace import Outcome
from kabina.benchmarks.neteq_receivers import Snapshot
from kabina.native._mixing import OpusDecoder
from kabina.native.libraries import load_opus

OFFER = """v=0
m=audio 9 UDP/TLS/RTP/SAVPF 111
a=candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host
a=candidate:2 1 UDP 2122063615 127.0.0.1 50001 typ host
a=candidate:3 1 tcp 1518083839 127.0.0.1 9 typ host tcptype active
a=rtpmap:111 opus/48000/2
"""


def test_packets_are_20_ms_of_speech_and_most_carry_a_copy_of_the_one_before():
    packets = neteq.speech_packets(200)
    decoder = OpusDecoder(load_opus().handle)
    assert all(len(decoder.decode(packet)) == 960 for packet in packets)
    # RFC 6716: hybrid and SILK frames alone have room for copies, and speech is coded in those.
    assert sum(packet[0] >> 3 < 16 for packet in packets) > 150


def test_rtp_is_what_a_parser_of_others_reads():
    parsed = RtpPacket.parse(neteq.rtp(b"sound", 70_000, 5003, 111))
    assert (parsed.payload_type, parsed.ssrc, parsed.payload) == (111, 5003, b"sound")
    assert parsed.sequence_number == (70_000 + 1000) % 65536
    assert parsed.timestamp == 70_000 * 960


def test_only_loopback_udp_candidates_stay():
    kept = neteq.loopback_alone(OFFER)
    assert [line for line in kept.splitlines() if "candidate" in line] == [
        "a=candidate:2 1 UDP 2122063615 127.0.0.1 50001 typ host"
    ]
    with pytest.raises(RuntimeError, match="no loopback candidate"):
        neteq.loopback_alone(OFFER.replace("127.0.0.1", "192.0.2.8"))


def test_the_answer_says_that_copies_are_sent():
    assert "a=fmtp:111 minptime=10;useinbandfec=1" in neteq.with_fec(OFFER).splitlines()


def snapshot(at_s: float, seconds: float) -> Snapshot:
    samples = 48000 * seconds
    return Snapshot(
        at_s,
        {
            "jitterBufferDelay": 0.03 * samples,
            "jitterBufferEmittedCount": samples,
            "totalSamplesReceived": samples,
            "concealedSamples": 0.01 * samples,
            "insertedSamplesForDeceleration": 10 * seconds,
            "removedSamplesForAcceleration": 20 * seconds,
            "packetsDiscarded": 2,
            "fecPacketsReceived": 9,
            "fecPacketsDiscarded": 5,
        },
    )


def test_statistics_are_read_from_before_the_first_packet_on():
    found = neteq.sums_of([snapshot(99.0, 0.0), snapshot(99.9, 1.0), snapshot(101.0, 2.0)], 100.0)
    assert [one.at_ms for one in found] == pytest.approx([-100.0, 1000.0])
    assert found[0].emitted == 48000
    assert found[1].waited_s / found[1].emitted == pytest.approx(0.03)
    assert (found[1].stretched, found[1].discarded, found[1].recovered) == (60, 2, 4)


def test_statistics_of_a_stream_that_was_not_there_before_begin_at_zero():
    found = neteq.sums_of([Snapshot(99.9, {}), Snapshot(100.1, {}), snapshot(101.0, 1.0)], 100.0)
    assert [one.emitted for one in found] == [0, 48000]


def heard(jitter_ms: float, delay_ms: float, *, refused: int = 0) -> neteq.Heard:
    made = Outcome(
        wait_ms=delay_ms,
        delay_ms=delay_ms,
        p95_ms=delay_ms,
        concealed=0.0,
        stretched=0.0,
        discarded=0.0,
        recovered=0,
        over_time=(),
    )
    return neteq.Heard({"lan": made}, {"perfect": jitter_ms}, 0.1, True, refused)


def test_rounds_that_the_machine_disturbed_do_not_count():
    rounds = [heard(0.0, 30.0), heard(23.0, 107.0), heard(1.0, 40.0), heard(0.0, 99.0, refused=1)]
    found = neteq.choose(rounds, "perfect")
    assert found.mean_of("lan").delay_ms == 35.0
    assert "2 rounds, 2 disturbed by the machine left out" in str(found.row()["note"])


def test_when_all_rounds_were_disturbed_the_least_disturbed_one_is_told_as_such():
    found = neteq.choose([heard(23.0, 107.0), heard(5.0, 60.0)], "perfect")
    assert found.mean_of("lan").delay_ms == 60.0
    assert found.row()["figure"] == 5.0
    assert str(found.row()["note"]).startswith("VOID")


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    theirs.settimeout(30)
    with ours, theirs:
        yield ours, theirs


def test_the_sender_sends_in_order_of_time_whatever_the_order_it_was_given(ends):
    ours, theirs = ends
    shots = [(2_000_000, ours.fileno(), b"third"), (0, ours.fileno(), b"first")]
    sender = TimedSender([*shots, (1_000_000, ours.fileno(), b"second")])
    start_ns = time.monotonic_ns()
    sender.run(start_ns)
    assert time.monotonic_ns() >= start_ns + 2_000_000
    assert [theirs.recv(100) for _ in range(3)] == [b"first", b"second", b"third"]
    assert sender.refused == 0
    assert all(late >= 0 for late in sender.lateness_ns())


def test_a_sender_that_is_stopped_sends_nothing_more(ends):
    ours, theirs = ends
    sender = TimedSender([(0, ours.fileno(), b"sent"), (60_000_000, ours.fileno(), b"not sent")])
    thread = threading.Thread(target=sender.run, args=(time.monotonic_ns(),))
    thread.start()
    assert theirs.recv(100) == b"sent"
    sender.stop()
    thread.join(30)
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(100)


def test_what_the_kernel_does_not_take_is_counted(ends):
    ours, theirs = ends
    theirs.close()
    sender = TimedSender([(0, ours.fileno(), b"to nobody")])
    sender.run(time.monotonic_ns())
    assert sender.refused == 1
