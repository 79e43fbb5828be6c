"""RTCP both ways, against aiortc's own parser and writer."""

from __future__ import annotations

import itertools
import struct
import time

import pytest
from aiortc.rtp import (
    RtcpPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
)

from kabina.native import _plane
from kabina_sim.plane_client import MS, Speaker

NTP_OFFSET_S = 2208988800


def reports(client, kind):
    parsed = [RtcpPacket.parse(compound) for compound in client.read().rtcp]
    return [packet for compound in parsed for packet in compound if isinstance(packet, kind)]


def test_a_sender_report_comes_with_the_first_packet_and_then_about_every_second(
    plane, clock, connect
):
    publisher, listener = connect("publisher"), connect("listener")
    plane.set_slot_source(listener.add_slot(), publisher.add_track())
    speaker = Speaker(publisher, 1)
    times_ms = []
    for step in range(500):
        speaker.speak()
        clock.turn(after_ms=20)
        times_ms += [step * 20] * len(reports(listener, RtcpSrPacket))
    assert times_ms[0] == 0
    gaps = [after - before for before, after in itertools.pairwise(times_ms)]
    assert 9 <= len(gaps) <= 11
    assert all(880 <= gap <= 1120 for gap in gaps)


def test_a_sender_report_maps_the_timestamp_to_the_servers_clock(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    plane.set_slot_source(listener.add_slot(), publisher.add_track())
    speaker = Speaker(publisher, 1)
    said_octets = 0
    sent = []
    for _ in range(100):
        said_octets += len(speaker.speak())
        clock.turn(after_ms=20)
        received = listener.read()
        sent += received.rtp
        for compound in received.rtcp:
            report, description = RtcpPacket.parse(compound)
            assert isinstance(report, RtcpSrPacket)
            assert isinstance(description, RtcpSdesPacket)
            assert report.ssrc == 0x5107
            assert description.chunks[0].items == [(1, b"the-server")]
            ntp_s = report.sender_info.ntp_timestamp / 2**32 - NTP_OFFSET_S
            offset_s = time.clock_gettime(time.CLOCK_REALTIME) - time.monotonic()
            assert ntp_s == pytest.approx(clock.now_ns / 1e9 + offset_s, abs=0.05)
            # The last packet left now, so the report's timestamp is that packet's.
            difference = (report.sender_info.rtp_timestamp - sent[-1].timestamp) & 0xFFFFFFFF
            assert min(difference, 2**32 - difference) <= 48
            assert report.sender_info.packet_count == len(sent)
            assert report.sender_info.octet_count == said_octets


def test_a_source_change_is_reported_at_once_and_skips_no_tick(plane, clock, connect):
    """Both tracks have a packet every tick. Whichever comes first, the listener gets one of them."""
    listener = connect("listener")
    tracks = [plane.add_injected_track(clock_rate=48000) for _ in range(2)]
    probe = _plane.BusProbe(plane.bus)
    slot = listener.add_slot()
    changes, heard = [], []
    for i in range(20):
        if i % 5 == 0:
            plane.set_slot_source(slot, tracks[i // 5 % 2])
        for number, track in enumerate(tracks):
            probe.put(track, b"x", rtp_timestamp=number * 7777 + i * 960, at_ns=clock.now_ns)
        clock.turn(after_ms=20)
        received = listener.read()
        (packet,) = received.rtp
        heard.append(packet)
        assert len(received.rtcp) == int(packet.marker)
        if packet.marker:
            changes.append(i)
            report = RtcpPacket.parse(received.rtcp[0])[0]
            # Stamped 20 ms ago: by now the clock of the stream is one frame on.
            assert report.sender_info.rtp_timestamp == (packet.timestamp + 960) % 2**32
    # The second track's packet comes when the first one's has gone: it begins a tick later.
    assert changes == [0, 6, 10, 16]
    for before, after in itertools.pairwise(heard):
        assert after.timestamp == (before.timestamp + 960) % 2**32


def test_a_silent_slot_sends_no_reports(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    slot = listener.add_slot()
    plane.set_slot_source(slot, publisher.add_track())
    clock.run(3000)
    assert listener.read().rtcp == []
    Speaker(publisher, 1).speak()
    clock.turn()
    plane.set_slot_source(slot, 0)
    listener.read()
    clock.run(3000)
    assert listener.read().rtcp == []


def test_a_publisher_is_told_what_arrived_of_its_streams(plane, clock, connect):
    publisher = connect("publisher")
    publisher.add_track()
    speaker = Speaker(publisher, 0xFACE, sequence=65500)
    told = []
    for step in range(200):
        if step % 10 == 9:
            speaker.sequence += 1  # lost on the way
        speaker.speak()
        clock.turn(after_ms=20)
        told += reports(publisher, RtcpRrPacket)
    assert len(told) in (3, 4, 5)
    block = told[-1].reports[0]
    assert block.ssrc == 0xFACE
    assert block.fraction_lost == pytest.approx(256 / 11, abs=6)
    assert block.highest_sequence > 65536  # one cycle on
    assert block.packets_lost == pytest.approx((block.highest_sequence - 65500) / 11, abs=2)
    assert block.jitter <= 1


def test_a_publishers_report_comes_back_as_lsr_and_delay(plane, clock, connect):
    publisher = connect("publisher")
    publisher.add_track()
    speaker = Speaker(publisher, 5)
    speaker.speak()
    ntp = 0x0123456789ABCDEF
    info = RtcpSenderInfo(ntp_timestamp=ntp, rtp_timestamp=1, packet_count=1, octet_count=1)
    publisher.send_rtcp(bytes(RtcpSrPacket(ssrc=5, sender_info=info)))
    clock.turn()
    clock.run(600)
    (told,) = reports(publisher, RtcpRrPacket)
    assert told.reports[0].lsr == (ntp >> 16) & 0xFFFFFFFF
    assert told.reports[0].dlsr == pytest.approx(0.5 * 65536, abs=0.03 * 65536)


def test_a_listeners_report_gives_loss_jitter_and_round_trip(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    slot = listener.add_slot()
    plane.set_slot_source(slot, publisher.add_track())
    Speaker(publisher, 1).speak()
    clock.turn()
    (sent,) = reports(listener, RtcpSrPacket)
    assert plane.slot_readings(slot).rtt_ms is None
    block = RtcpReceiverInfo(
        ssrc=0x5107,
        fraction_lost=64,
        packets_lost=-3,
        highest_sequence=1,
        jitter=96,
        lsr=(sent.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF,
        dlsr=65536 // 10,
    )
    foreign = RtcpReceiverInfo(1, 255, 9, 9, 9, 0, 0)
    listener.send_rtcp(bytes(RtcpRrPacket(ssrc=77, reports=[foreign, block])))
    clock.turn(after_ms=180)
    readings = plane.slot_readings(slot)
    assert readings.fraction_lost == 0.25
    assert readings.lost == -3
    assert readings.jitter_ms == 2
    assert readings.rtt_ms == pytest.approx(80, abs=0.1)
    assert plane.counters()["rtcp_foreign_blocks"] == 1


def test_every_kind_of_feedback_is_counted_and_lies_about_lengths_too(plane, clock, connect):
    client = connect("client")
    two = struct.pack("!II", 1, 2)

    def packet(kind: int, count: int, body: bytes) -> bytes:
        return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body

    for datagram in (
        packet(201, 0, bytes(4)) + packet(205, 1, two + bytes(4)),
        packet(201, 0, bytes(4)) + packet(205, 15, two + bytes(8)),
        packet(206, 1, two),
        packet(206, 4, two + bytes(8)),
        packet(206, 15, two + b"REMB" + bytes([1, 0, 0, 0]) + bytes(4)),
        packet(203, 1, bytes(4)),
        packet(207, 0, bytes(8)),
        packet(202, 1, struct.pack("!I", 1) + b"\1\1a\0"),
    ):
        client.send_rtcp(datagram)
    clock.turn()
    counters = plane.counters()
    for name in (
        "rtcp_nacks", "rtcp_twcc", "rtcp_plis", "rtcp_firs", "rtcp_rembs", "rtcp_byes",
        "rtcp_unknown", "rtcp_descriptions",
    ):  # fmt: skip
        assert counters[name] == 1, name
    for datagram in (
        packet(201, 31, bytes(4)),
        packet(206, 15, two + b"REMB" + bytes([200, 0, 0, 0]) + bytes(4)),
        struct.pack("!BBH", 0x81, 202, 500) + bytes(8),
        packet(202, 1, struct.pack("!I", 1) + b"\1\xffab"),
        packet(205, 1, two),
        packet(203, 9, bytes(4)),
        struct.pack("!BBH", 0xA0, 201, 1) + b"\0\0\0\xff",
    ):
        client.send_rtcp(datagram)
    clock.turn()
    assert plane.counters()["rtcp_malformed"] == 7


def test_reports_are_bounded_per_turn_and_nobody_starves(plane, clock, connect):
    """300 slots that begin in one turn are all reported within three."""
    publisher, listener = connect("publisher"), connect("listener")
    track = publisher.add_track()
    slots = [listener.add_slot(ssrc=0x10000 + i) for i in range(120)]
    for slot in slots:
        plane.set_slot_source(slot, track)
    Speaker(publisher, 1).speak()
    clock.turn()
    clock.turn()
    assert {report.ssrc for report in reports(listener, RtcpSrPacket)} == {
        0x10000 + i for i in range(120)
    }
    assert clock.now_ns % MS == 0
