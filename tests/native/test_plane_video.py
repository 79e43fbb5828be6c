"""Video through the plane: key frames, simulcast layers, counters that go on, requests upstream."""

from __future__ import annotations

import itertools
import struct
import sys

import pytest

from kabina.native import _plane
from kabina.native.plane import Extension, MediaCodec, TrackStalled
from kabina_sim.plane_client import Camera, Rtp, picture_of, pli, read_feedback

RIDS = ("q", "h", "f")


def assert_continuous(packets: list[Rtp]) -> None:
    for before, after in itertools.pairwise(packets):
        assert (after.sequence - before.sequence) & 0xFFFF == 1
        new_frame = before.timestamp != after.timestamp
        assert (after.timestamp - before.timestamp) & 0xFFFFFFFF < 90000
        pictures = picture_of(after.payload)[0] - picture_of(before.payload)[0]
        assert pictures & 0x7FFF == new_frame
        tl0 = picture_of(after.payload)[1] - picture_of(before.payload)[1]
        assert tl0 & 0xFF == new_frame


def test_a_listener_begins_with_a_key_frame_that_was_asked_for(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    camera = Camera(publisher, 0xCA)
    track, slot = publisher.add_video_track(), listener.add_video_slot()
    camera.frame(key=True)
    clock.turn(after_ms=33)
    plane.set_slot_source(slot, track)
    assert read_feedback(publisher.read().rtcp).plis == [0xCA]
    camera.frame()
    clock.turn(after_ms=33)
    assert listener.read().rtp == []
    sent = camera.frame(key=True) + camera.frame()
    clock.turn(after_ms=33)
    heard = listener.read().rtp
    assert [packet.payload for packet in heard] == sent
    assert [packet.marker for packet in heard] == [False, True, False, True]
    assert {(packet.ssrc, packet.payload_type, packet.mid) for packet in heard} == {
        (0x71DE0, 100, b"s1")
    }
    assert plane.slot_readings(slot).layer == 0
    assert plane.track_readings(track).layers[0].key_frames == 2


def test_layers_switch_at_key_frames_and_every_counter_goes_on(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    cameras = [
        Camera(publisher, 0x10 + i, rid=rid.encode(), sequence=65500 * i & 0xFFFF, picture=100 * i)
        for i, rid in enumerate(RIDS)
    ]
    track, slot = publisher.add_video_track(rids=RIDS), listener.add_video_slot()
    plane.limit_slot(slot, layer=0)
    plane.set_slot_source(slot, track)
    heard: list[Rtp] = []
    layers = []

    def film(frames: int, *, keys: tuple[int, ...] = ()) -> None:
        for i in range(frames):
            for layer, camera in enumerate(cameras):
                camera.frame(key=i == 0 and layer in keys)
            clock.turn(after_ms=33)
            heard.extend(listener.read().rtp)
            layers.append(plane.slot_readings(slot).layer)

    film(3, keys=(0, 1, 2))
    assert {picture_of(packet.payload)[2] for packet in heard} == {0x10}
    publisher.read()
    plane.limit_slot(slot, layer=255)
    clock.turn(after_ms=600)
    assert set(read_feedback(publisher.read().rtcp).plis) == {0x12}
    film(3)  # the lower one goes on until then
    assert layers[-1] == 0
    film(3, keys=(1,))  # not what is wanted
    assert layers[-1] == 0
    film(3, keys=(2,))
    assert layers[-1] == 2
    plane.limit_slot(slot, layer=1)
    film(2)
    assert layers[-1] == 2
    film(4, keys=(1,))
    assert layers[-1] == 1
    assert_continuous(heard)
    assert [source for source, _ in itertools.groupby(picture_of(p.payload)[2] for p in heard)] == [
        0x10, 0x12, 0x11,
    ]  # fmt: skip
    readings = plane.slot_readings(slot)
    assert (readings.wanted_layer, readings.layer_switches, readings.source_changes) == (1, 2, 1)
    assert all(layer.bitrate_bps > 0 for layer in plane.track_readings(track).layers)


def test_a_layer_that_stops_is_replaced_at_the_next_key_frame(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    low, high = (Camera(publisher, 0x10 + i, rid=rid.encode()) for i, rid in enumerate(RIDS[:2]))
    track, slot = publisher.add_video_track(rids=RIDS[:2]), listener.add_video_slot()
    plane.set_slot_source(slot, track)
    # The top layer is awaited only once it is known; after that it is what a fresh slot gets.
    for camera in (high, low):
        camera.frame(key=True)
    clock.turn(after_ms=33)
    assert plane.slot_readings(slot).layer == 1
    for _ in range(20):
        low.frame()
        clock.turn(after_ms=33)
    assert 0x10 in read_feedback(publisher.read().rtcp).plis
    low.frame(key=True)
    clock.turn(after_ms=33)
    assert plane.slot_readings(slot).layer == 0
    assert_continuous(listener.read().rtp)


def test_a_slot_changes_its_camera_at_a_key_frame_and_shows_the_old_one_until_then(
    plane, clock, connect
):
    first, second, listener = connect("first"), connect("second"), connect("listener")
    one = Camera(first, 0xA, picture=3, tl0=9, sequence=65530)
    two = Camera(second, 0xB, picture=30000, tl0=200, timestamp=0xFFFFFF00)
    tracks = [first.add_video_track(), second.add_video_track()]
    slot = listener.add_video_slot()
    plane.set_slot_source(slot, tracks[0])
    heard = []
    for step in range(30):
        one.frame(key=step == 0)
        two.frame(key=step in (0, 20))
        if step == 10:
            first.read(), second.read()
            plane.set_slot_source(slot, tracks[1])
            assert read_feedback(second.read().rtcp).plis == [0xB]
        clock.turn(after_ms=33)
        heard += listener.read().rtp
        assert plane.slot_readings(slot).source == tracks[step >= 20]
    assert_continuous(heard)
    assert [picture_of(packet.payload)[2] for packet in heard] == [0xA] * 42 + [0xB] * 20


def test_a_paused_slot_sends_nothing_and_begins_again_with_a_key_frame(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    camera = Camera(publisher, 1)
    track, slot = publisher.add_video_track(), listener.add_video_slot()
    plane.set_slot_source(slot, track)
    camera.frame(key=True)
    clock.turn(after_ms=600)
    assert len(listener.read().rtp) == 2
    plane.limit_slot(slot, layer=255, paused=True)
    camera.frame(key=True)
    clock.turn(after_ms=600)
    publisher.read()
    assert listener.read().rtp == []
    plane.limit_slot(slot, layer=255, paused=False)
    assert read_feedback(publisher.read().rtcp).plis == [1]
    camera.frame()
    clock.turn(after_ms=33)
    assert listener.read().rtp == []
    camera.frame(key=True)
    clock.turn(after_ms=33)
    assert len(listener.read().rtp) == 2


def test_a_storm_of_key_requests_reaches_the_publisher_twice_a_second(plane, clock, connect):
    publisher = connect("publisher")
    track = publisher.add_video_track()
    camera = Camera(publisher, 1)
    listeners = [connect(f"listener{i}") for i in range(5)]
    for listener in listeners:
        plane.set_slot_source(listener.add_video_slot(), track)
    camera.frame(key=True)
    clock.turn(after_ms=33)
    publisher.read()
    asked = 0
    for _ in range(200):  # 4 s
        for listener in listeners:
            listener.send_rtcp(pli(0x71DE0))
        camera.frame()
        clock.turn(after_ms=20)
        asked += read_feedback(publisher.read().rtcp).datagrams_with_pli
    assert 7 <= asked <= 9
    assert plane.counters()["rtcp_plis"] == 1000


def test_a_request_that_brings_nothing_is_made_again_while_somebody_waits(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    track, slot = publisher.add_video_track(), listener.add_video_slot()
    camera = Camera(publisher, 1)
    plane.set_slot_source(slot, track)
    asked = 0
    for _ in range(100):  # 2 s
        camera.frame()
        clock.turn(after_ms=20)
        asked += len(read_feedback(publisher.read().rtcp).plis)
    assert asked == 4
    plane.set_slot_source(slot, 0)
    for _ in range(100):
        camera.frame()
        clock.turn(after_ms=20)
    assert read_feedback(publisher.read().rtcp).plis == []


def test_extensions_take_the_ids_of_each_end(plane, clock, connect):
    """Two-byte form in, one-byte form out and the reverse; unknown ones stay behind."""
    publisher = connect("publisher")
    narrow, wide = connect("narrow"), connect("wide")
    theirs = {
        Extension.ABS_SEND_TIME: 5, Extension.TRANSPORT_CC: 6, Extension.VIDEO_ORIENTATION: 7,
        Extension.PLAYOUT_DELAY: 8, Extension.ABS_CAPTURE_TIME: 20,
    }  # fmt: skip
    track = publisher.add_video_track(extensions=theirs)
    slots = [
        narrow.add_video_slot(
            extensions={
                Extension.VIDEO_ORIENTATION: 2,
                Extension.ABS_CAPTURE_TIME: 3,
                Extension.TRANSPORT_CC: 4,
                Extension.ABS_SEND_TIME: 9,
            }
        ),
        wide.add_video_slot(extensions={Extension.PLAYOUT_DELAY: 40, Extension.TRANSPORT_CC: 7}),
    ]
    for slot in slots:
        plane.set_slot_source(slot, track)
    camera = Camera(publisher, 1)
    sent = {
        5: b"abc", 6: b"\xff\xff", 7: b"\3", 8: b"xyz", 20: bytes(range(16)), 11: b"unknown",
    }  # fmt: skip
    camera.frame(key=True, extensions=sent)
    clock.turn(after_ms=1)
    now_618 = (clock.now_ns << 18) // 10**9 & 0xFFFFFF
    packets = narrow.read().rtp
    shared = {1: b"s1", 2: b"\3", 3: bytes(range(16)), 9: now_618.to_bytes(3, "big")}
    assert [packet.extensions for packet in packets] == [
        shared | {4: struct.pack("!H", i)} for i in range(2)
    ]
    packets = wide.read().rtp
    assert [packet.extensions for packet in packets] == [
        {1: b"s1", 40: b"xyz", 7: struct.pack("!H", i)} for i in range(2)
    ]


def test_frame_numbers_of_the_dependency_descriptor_go_on(plane, clock, connect):
    first, second, listener = connect("first"), connect("second"), connect("listener")
    ids = {Extension.DEPENDENCY_DESCRIPTOR: 12}
    tracks = [client.add_video_track(codec=MediaCodec.AV1, extensions=ids) for client in
              (first, second)]  # fmt: skip
    slot = listener.add_video_slot(codecs=(MediaCodec.AV1,), extensions=ids)
    numbers = []

    def send(client, ssrc: int, sequence: int, frame: int, *, key: bool) -> None:
        descriptor = (
            bytes([0xC0]) + struct.pack("!H", frame) + (b"\x80" + bytes(20) if key else b"")
        )
        client.send_rtp(
            bytes([0x10, 1, 2]), sequence=sequence, timestamp=sequence * 3000, ssrc=ssrc,
            payload_type=96, marker=True, mid=b"v", extensions={12: descriptor},
        )  # fmt: skip
        clock.turn(after_ms=33)
        for packet in listener.read().rtp:
            assert packet.payload == bytes([0x10, 1, 2])
            assert packet.extensions[12][3:] == descriptor[3:]
            numbers.append(struct.unpack_from("!H", packet.extensions[12], 1)[0])

    plane.set_slot_source(slot, tracks[0])
    for i in range(3):
        send(first, 1, 10 + i, 0xFFFE + i & 0xFFFF, key=i == 0)
    send(second, 2, 5, 100, key=True)
    plane.set_slot_source(slot, tracks[1])
    for i in range(3):
        send(second, 2, 10 + i, 200 + i, key=i == 0)
    assert numbers == [0xFFFE, 0xFFFF, 0, 1, 2, 3]


def test_a_codec_the_listener_cannot_receive_is_not_sent(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    track = publisher.add_video_track()
    plane.set_slot_source(listener.add_video_slot(codecs=(MediaCodec.H264,)), track)
    Camera(publisher, 1).frame(key=True)
    clock.turn()
    assert listener.read().rtp == []
    assert plane.counters()["rtp_unreceivable"] == 2


def test_a_bye_ends_the_track_at_once(plane, clock, connect):
    publisher = connect("publisher")
    track = publisher.add_video_track()
    Camera(publisher, 7).frame(key=True)
    clock.turn()
    plane.poll()
    publisher.send_rtcp(struct.pack("!BBHI", 0x81, 203, 1, 7))
    clock.turn(after_ms=1)
    assert plane.poll() == [TrackStalled(track)]


@pytest.mark.parametrize("what", ["sequence", "ssrc", "bye"])
def test_a_stream_that_begins_anew_is_shown_from_its_next_key_frame(plane, clock, connect, what):
    publisher, listener = connect("publisher"), connect("listener")
    plane.set_slot_source(listener.add_video_slot(), publisher.add_video_track())
    camera = Camera(publisher, 1, sequence=40000)
    camera.frame(key=True)
    camera.frame()
    clock.turn(after_ms=33)
    clock.turn(after_ms=600)
    publisher.read()
    if what == "bye":
        publisher.send_rtcp(struct.pack("!BBHI", 0x81, 203, 1, 1))
    fresh = Camera(publisher, 1 if what == "sequence" else 2, sequence=60000, picture=7)
    fresh.frame()
    clock.turn(after_ms=33)
    assert read_feedback(publisher.read().rtcp).plis == [fresh.ssrc]
    fresh.frame(key=True)
    fresh.frame()
    clock.turn(after_ms=33)
    heard = listener.read().rtp
    assert len(heard) == 8
    assert_continuous(heard)


def test_padding_takes_no_number_from_the_listener(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    plane.set_slot_source(listener.add_video_slot(), publisher.add_video_track())
    camera = Camera(publisher, 1)
    camera.frame(key=True)
    for _ in range(3):
        publisher.send_rtp(
            b"", sequence=camera.sequence, timestamp=1, ssrc=1, payload_type=96, mid=b"v"
        )
        camera.sequence += 1
    camera.frame()
    clock.turn(after_ms=33)
    assert_continuous(listener.read().rtp)
    clock.run(200)
    assert read_feedback(publisher.read().rtcp).nacks == []


@pytest.mark.parametrize(
    ("codec", "payload", "expected"),
    [
        (MediaCodec.VP8, b"\x10\0", (True, None, None)),
        (MediaCodec.VP8, b"\x10\1", (False, None, None)),
        (MediaCodec.VP8, b"\0\0", (False, None, None)),  # not the first packet
        (MediaCodec.VP8, b"\x90\xe0\x81\x02\x07\0\0", (True, 0x102, 7)),
        (MediaCodec.VP8, b"\x90\x80\x55\0", (True, 0x55, None)),
        (MediaCodec.VP8, b"\x90\xc0\x81", (False, None, None)),  # cut
        (MediaCodec.H264, b"\x67\x42", (True, None, None)),
        (MediaCodec.H264, b"\x65\x88", (True, None, None)),
        (MediaCodec.H264, b"\x65\x08", (False, None, None)),  # a later slice
        (MediaCodec.H264, b"\x41\x88", (False, None, None)),
        (MediaCodec.H264, b"\x78\0\2\x09\x10\0\2\x67\x42", (True, None, None)),
        (MediaCodec.H264, b"\x78\0\2\x09\x10\xff\xff\x67", (False, None, None)),
        (MediaCodec.H264, b"\x7c\x85\x88", (True, None, None)),
        (MediaCodec.H264, b"\x7c\x05\x88", (False, None, None)),
        (MediaCodec.VP9, b"\x88\x21\0", (True, 0x21, None)),
        (MediaCodec.VP9, b"\xc8\x21\0", (False, 0x21, None)),
        (MediaCodec.VP9, b"\xa8\x80\x21\0\x09\0", (True, 0x21, 9)),
        (MediaCodec.VP9, b"\xa8\x80\x21\2\x09\0", (False, 0x21, 9)),  # spatial layer 1
        (MediaCodec.AV1, b"\x18\x0a", (True, None, None)),
        (MediaCodec.AV1, b"\x98\x0a", (False, None, None)),
        (MediaCodec.AV1, b"\x10\x0a", (False, None, None)),
    ],
)  # fmt: skip
def test_key_frames_and_counters_are_read_from_the_payload(codec, payload, expected):
    assert _plane.read_frame(codec, payload) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="UDP_SEGMENT is Linux's")
def test_the_packets_of_a_picture_go_to_each_of_many_viewers_in_one_message(plane, clock, connect):
    """Sixty viewers get each packet in turn: almost a batch apart."""
    publisher = connect("publisher")
    track = publisher.add_video_track()
    viewers = [connect(f"viewer-{i}") for i in range(60)]
    for viewer in viewers:
        plane.set_slot_source(viewer.add_video_slot(), track)
    clock.turn()
    camera = Camera(publisher, 1)
    camera.frame(key=True, packets=4, size=1000)
    clock.turn()
    assert plane.counters()["datagrams_grouped"] == 240
    for viewer in viewers:
        sequences = [packet.sequence for packet in viewer.read().rtp]
        assert [number - sequences[0] for number in sequences] == [0, 1, 2, 3]
