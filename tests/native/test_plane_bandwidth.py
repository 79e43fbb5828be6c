"""What the plane tells publishers about their path, and what it makes of what listeners tell."""

from __future__ import annotations

import struct

from kabina.native.plane import Extension, Kind, MediaCodec, PayloadType
from kabina_sim.plane_client import Camera, read_feedback, remb, transport_feedback

RIDS = ("q", "h", "f")
TRANSPORT_CC = {Extension.TRANSPORT_CC: 6}


def feedback_of(datagrams: list[bytes], format_: int, kind: int) -> list[bytes]:
    return [d for d in datagrams if d[0] & 31 == format_ and d[1] == kind]


def test_a_publisher_hears_ten_times_a_second_which_packets_arrived(plane, clock, connect):
    publisher = connect("publisher")
    publisher.add_video_track(extensions=TRANSPORT_CC)
    camera = Camera(publisher, 1)
    told = []
    for step in range(60):
        camera.frame(packets=1, extensions={6: struct.pack("!H", 0xFFF0 + step & 0xFFFF)})
        clock.turn(after_ms=20)
        told += feedback_of(publisher.read().rtcp, 15, 205)
    assert 10 <= len(told) <= 13
    numbers = []
    for packet in told:
        base, count = struct.unpack_from("!HH", packet, 12)
        numbers += [(base + i) & 0xFFFF for i in range(count)]
    assert numbers == [0xFFF0 + i & 0xFFFF for i in range(len(numbers))]
    assert plane.counters()["twcc_sent"] == len(told)


def test_a_publisher_without_transport_feedback_hears_a_limit_once_a_second(plane, clock, connect):
    publisher = connect("publisher")
    plane.add_track(
        publisher.peer, kind=Kind.VIDEO, clock_rate=90000, mid="v", extensions={Extension.MID: 1},
        payload_types=[PayloadType(96, MediaCodec.VP8, 97)], remb=True,
    )  # fmt: skip
    camera = Camera(publisher, 1)
    told = []
    for _ in range(150):
        camera.frame()
        clock.turn(after_ms=20)
        told += feedback_of(publisher.read().rtcp, 15, 206)
    assert 3 <= len(told) <= 4
    mantissa = struct.unpack_from("!I", told[0], 16)[0]
    assert (mantissa & 0x3FFFF) << (mantissa >> 18 & 63) == 4_000_000


def test_a_narrow_path_gets_a_lower_layer_and_a_wide_one_the_highest_again(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    sizes = {0: 400, 1: 1200, 2: 1200}
    cameras = [Camera(publisher, 0x10 + i, rid=rid.encode()) for i, rid in enumerate(RIDS)]
    slot = listener.add_video_slot()
    plane.set_slot_source(slot, publisher.add_video_track(rids=RIDS))
    layers: list[int | None] = []
    waiting = {0, 1, 2}

    def film(seconds: float, bps: int | None) -> None:
        for step in range(int(seconds * 30)):
            for layer, camera in enumerate(cameras):
                packets = (1, 2, 5)[layer]  # 0.1, 0.6 and 1.4 Mb/s
                camera.frame(key=layer in waiting, packets=packets, size=sizes[layer])
            waiting.clear()
            for _ in range(2):
                clock.turn(after_ms=16.5)
            for ssrc in read_feedback(publisher.read().rtcp).plis:
                waiting.add(ssrc - 0x10)
            if bps and step % 15 == 0:
                listener.send_rtcp(remb(bps, 0x71DE0))
            listener.read()
            layers.append(plane.slot_readings(slot).layer)

    film(2, None)
    assert layers[-1] == 2  # nobody told anything: what is shown decides
    film(3, 300_000)
    assert layers[-1] == 0
    assert plane.slot_readings(slot).estimate_bps <= 300_000
    film(10, 5_000_000)
    assert layers[-1] == 2


def test_a_path_is_probed_with_packets_that_were_sent_already(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    cameras = [Camera(publisher, 0x10 + i, rid=rid.encode()) for i, rid in enumerate(RIDS)]
    slot = listener.add_video_slot(extensions=TRANSPORT_CC)
    plane.set_slot_source(slot, publisher.add_video_track(rids=RIDS))
    waiting, told, now_ms = {0, 1, 2}, 0, 1000.0
    unsaid: list[tuple[int, float]] = []
    for step in range(300):
        for layer, camera in enumerate(cameras):
            packets, size = (1, 2, 5)[layer], (600, 1100, 1100)[layer]
            camera.frame(key=layer in waiting, packets=packets, size=size)
        waiting.clear()
        for _ in range(3):
            clock.turn(after_ms=11)
            now_ms += 11
            heard = listener.read().rtp
            unsaid += [(struct.unpack("!H", packet.extensions[6])[0], now_ms) for packet in heard]
        for ssrc in read_feedback(publisher.read().rtcp).plis:
            waiting.add(ssrc - 0x10)
        if step % 3 == 2 and unsaid:
            first = unsaid[0][0]
            assert [number - first & 0xFFFF for number, _ in unsaid] == [*range(len(unsaid))]
            arrivals_ms = [at_ms for _, at_ms in unsaid]
            listener.send_rtcp(transport_feedback(first, arrivals_ms, number=told))
            told += 1
            unsaid.clear()
    counters = plane.counters()
    assert counters["rtcp_malformed"] == 0
    assert counters["probes_sent"] > 5
    assert plane.slot_readings(slot).layer == 2


def test_a_layer_whose_encoder_leaves_out_pictures_is_waited_for(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    cameras = [Camera(publisher, 0x10 + i, rid=rid.encode()) for i, rid in enumerate(RIDS)]
    slot = listener.add_video_slot()
    plane.set_slot_source(slot, publisher.add_video_track(rids=RIDS))

    def film(seconds: float, *running: int) -> list[int]:
        """Source layers that were asked for; each sends a key frame when it is."""
        asked = []
        waiting = {0, 1, 2}
        for step in range(int(seconds * 30)):
            for layer in running:
                cameras[layer].frame(key=layer in waiting, packets=(1, 2, 5)[layer], size=1000)
            waiting.clear()
            clock.turn(after_ms=33)
            plis = [ssrc - 0x10 for ssrc in read_feedback(publisher.read().rtcp).plis]
            waiting.update(plis)
            asked += plis
            if step % 15 == 0:
                listener.send_rtcp(remb(400_000, 0x71DE0))
            listener.read()
        return asked

    film(4, 0, 1, 2)
    assert plane.slot_readings(slot).layer == 0
    assert film(1.5, 1, 2) == []
    assert plane.slot_readings(slot).layer == 0
    film(1, 0, 1, 2)
    assert plane.slot_readings(slot).layer == 0
    film(6, 1, 2)  # dropped for good: the next one is nearly carried
    assert plane.slot_readings(slot).layer == 1
