"""Sound and picture of one person on one clock, whether they are forwarded or mixed."""

from __future__ import annotations

import struct
import time

import pytest
from aiortc.rtp import RtcpPacket, RtcpSenderInfo, RtcpSrPacket

from kabina.native import _plane
from kabina.native.plane import Extension, Kind, MediaCodec, PayloadType
from kabina_sim.plane_client import Camera, Speaker

NTP_OFFSET_S = 2208988800
PUBLISHER_AHEAD_S = 5000.0  # its clock is wrong by that much
CAPTURE_TIME = {Extension.ABS_CAPTURE_TIME: 7}


def ntp(seconds: float) -> int:
    return round((seconds + NTP_OFFSET_S) * 2**32)


def server_time_s(now_ns: int) -> float:
    return now_ns / 1e9 + time.clock_gettime(time.CLOCK_REALTIME) - time.monotonic()


def send_report(client, ssrc: int, at_s: float, rtp_timestamp: int) -> None:
    info = RtcpSenderInfo(
        ntp_timestamp=ntp(at_s), rtp_timestamp=rtp_timestamp, packet_count=1, octet_count=1
    )
    client.send_rtcp(bytes(RtcpSrPacket(ssrc=ssrc, sender_info=info)))


def captured_s(datagrams: list[bytes], ssrc: int, timestamp: int, clock_rate: int) -> float | None:
    """When this timestamp was captured, by the last report about the stream."""
    found = None
    for compound in datagrams:
        for packet in RtcpPacket.parse(compound):
            if isinstance(packet, RtcpSrPacket) and packet.ssrc == ssrc:
                info = packet.sender_info
                ticks = (timestamp - info.rtp_timestamp + 2**31) % 2**32 - 2**31
                found = info.ntp_timestamp / 2**32 - NTP_OFFSET_S + ticks / clock_rate
    return found


def test_forwarded_sound_and_picture_are_reported_as_the_publisher_captured_them(
    plane, clock, connect
):
    """The microphone's packets arrive 25 ms after their capture, the camera's 60 ms."""
    publisher, listener = connect("publisher"), connect("listener")
    heard, seen = listener.add_slot(), listener.add_video_slot()
    plane.set_slot_source(heard, publisher.add_track())
    plane.set_slot_source(seen, publisher.add_video_track())
    speaker, camera = Speaker(publisher, 1), Camera(publisher, 2)
    last: dict[int, tuple[int, float]] = {}
    reported: list[bytes] = []
    for step in range(300):
        now_s = server_time_s(clock.now_ns)
        if step % 50 == 0:
            there_s = now_s + PUBLISHER_AHEAD_S
            send_report(publisher, 1, there_s, speaker.timestamp + round(0.025 * 48000))
            send_report(publisher, 2, there_s, camera.timestamp + round(0.060 * 90000))
        camera.frame(key=step == 0, packets=1, elapsed_ms=20)
        speaker.speak()
        clock.turn()
        received = listener.read()
        reported += received.rtcp
        for packet in received.rtp:
            last[packet.ssrc] = packet.timestamp, now_s
        clock.turn(after_ms=20)
    voice_timestamp, now_s = last[0x5107]
    voice_s = captured_s(reported, 0x5107, voice_timestamp, 48000)
    assert voice_s == pytest.approx(now_s - 0.025, abs=0.003)
    picture_timestamp, now_s = last[0x71DE0]
    picture_s = captured_s(reported, 0x71DE0, picture_timestamp, 90000)
    assert picture_s == pytest.approx(now_s - 0.060, abs=0.003)


def test_a_mixed_channel_is_reported_as_what_it_consists_of_was_captured(plane, clock, connect):
    listener = connect("listener")
    track = plane.add_injected_track(clock_rate=48000)
    slot = plane.add_slot(
        listener.peer, kind=Kind.AUDIO, ssrc=0x5107, clock_rate=48000, mid="s0", cname="the-server",
        payload_types=[PayloadType(109, MediaCodec.OPUS)], extensions=CAPTURE_TIME,
    )  # fmt: skip
    plane.set_slot_source(slot, track)
    probe = _plane.BusProbe(plane.bus)
    reported = []
    for step in range(100):
        probe.put(
            track, b"x", rtp_timestamp=step * 960, at_ns=clock.now_ns, delay_us=45_000
        )  # fmt: skip
        now_s = server_time_s(clock.now_ns)
        clock.turn()
        received = listener.read()
        reported += received.rtcp
        (packet,) = received.rtp
        said = struct.unpack("!Q", packet.extensions[7])[0]
        assert said / 2**32 - NTP_OFFSET_S == pytest.approx(now_s - 0.045, abs=0.003)
        clock.turn(after_ms=20)
    at_s = captured_s(reported, 0x5107, packet.timestamp, 48000)
    assert at_s == pytest.approx(now_s - 0.045, abs=0.003)


def test_the_mixer_is_told_how_long_sound_takes_from_capture_to_arrival(plane, clock, connect):
    publisher = connect("publisher")
    plane.feed_mix(publisher.add_track(), 5)
    speaker, probe = Speaker(publisher, 1), _plane.BusProbe(plane.bus)
    told = []
    for step in range(60):
        if step == 20:
            there_s = server_time_s(clock.now_ns) + PUBLISHER_AHEAD_S
            send_report(publisher, 1, there_s, speaker.timestamp + round(0.030 * 48000))
        speaker.speak()
        clock.turn(after_ms=20)
        told += [delay_us for *_, delay_us, _ in probe.take()]
    assert told[:20] == [0] * 20
    assert told[-1] == pytest.approx(30_000, abs=3_000)


def test_capture_times_are_passed_on_in_the_servers_clock(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    slot = listener.add_video_slot(extensions=CAPTURE_TIME)
    plane.set_slot_source(slot, publisher.add_video_track(extensions=CAPTURE_TIME))
    camera = Camera(publisher, 2)
    now_s = server_time_s(clock.now_ns)
    send_report(publisher, 2, now_s + PUBLISHER_AHEAD_S, 0)
    clock.turn()
    captured = struct.pack("!Qq", ntp(now_s + PUBLISHER_AHEAD_S - 0.040), 12345)
    camera.frame(key=True, packets=1, extensions={7: captured})
    clock.turn()
    (packet,) = listener.read().rtp
    (said,) = struct.unpack("!Q", packet.extensions[7])
    assert said / 2**32 - NTP_OFFSET_S == pytest.approx(now_s - 0.040, abs=0.003)


@pytest.mark.parametrize("lie", [0, 1, 2**64 - 1, 2**63])
def test_a_publisher_that_lies_about_its_clock_is_taken_by_its_arrivals(plane, clock, connect, lie):
    publisher, listener = connect("publisher"), connect("listener")
    plane.set_slot_source(listener.add_slot(), publisher.add_track())
    speaker = Speaker(publisher, 1)
    reported = []
    for step in range(150):
        if step % 10 == 0:
            info = RtcpSenderInfo(
                ntp_timestamp=lie if step % 20 else ntp(0), rtp_timestamp=step * 7919,
                packet_count=1, octet_count=1,
            )  # fmt: skip
            publisher.send_rtcp(bytes(RtcpSrPacket(ssrc=1, sender_info=info)))
        speaker.speak()
        clock.turn()
        now_s = server_time_s(clock.now_ns)
        received = listener.read()
        reported += received.rtcp
        (packet,) = received.rtp
        clock.turn(after_ms=20)
    at_s = captured_s(reported, 0x5107, packet.timestamp, 48000)
    assert at_s == pytest.approx(now_s, abs=0.6)  # never further off than a lead that is believed
