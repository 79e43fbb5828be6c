"""What waits of a picture for its turn: order, numbers, and when it is dropped."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest

from kabina_sim.plane_client import (
    Camera,
    Client,
    Clock,
    Rtp,
    assert_whole,
    nack,
    picture_of,
    read_feedback,
    remb,
)

RIDS = ("q", "h")
CAMERA, MEDIA = 0x10, 0x71DE0


@dataclass
class Narrow:
    """A camera and one who watches it, who says that the path carries 300 kb/s: 94 B per ms."""

    plane: object
    clock: Clock
    publisher: Client
    listener: Client
    slot: int
    track: int
    camera: Camera
    heard: list[Rtp] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)

    def picture(self, packets: int = 1, *, key: bool = False, lose: tuple[int, ...] = ()) -> None:
        self.sent += self.camera.frame(key=key, packets=packets, size=1000, lose=lose)
        self.turn(33)

    def turn(self, duration_ms: int) -> None:
        for _ in range(duration_ms // 3):
            self.clock.turn(after_ms=3)
            self.heard += self.listener.read().rtp

    @property
    def payloads(self) -> list[bytes]:
        return [packet.payload for packet in self.heard]

    def count(self, name: str) -> int:
        return self.plane.counters()[name]


@pytest.fixture
def narrow(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    slot, track = listener.add_video_slot(), publisher.add_video_track()
    plane.set_slot_source(slot, track)
    camera = Camera(publisher, CAMERA, sequence=65530, rtx_ssrc=0x99)
    made = Narrow(plane, clock, publisher, listener, slot, track, camera)
    listener.send_rtcp(remb(300_000, MEDIA))
    made.picture(key=True)
    assert len(made.heard) == 1
    return made


def numbers(payloads: list[bytes]) -> list[tuple[int, ...]]:
    """(camera, number of the packet): what stays when the counters go on."""
    return [picture_of(payload)[2:] for payload in payloads]


def assert_goes_on(packets: list[Rtp]) -> None:
    for before, after in itertools.pairwise(packets):
        assert (after.sequence - before.sequence) & 0xFFFF == 1
        assert (after.timestamp - before.timestamp) & 0xFFFFFFFF < 3 * 90000


def test_what_waits_comes_whole_with_the_numbers_it_would_have_had(narrow):
    narrow.picture(12, key=True)
    assert 4 <= len(narrow.heard) <= 8
    for _ in range(6):
        narrow.picture()
    assert narrow.payloads == narrow.sent
    assert_whole(narrow.heard)
    times = sorted({packet.timestamp for packet in narrow.heard})
    assert {after - before for before, after in itertools.pairwise(times)} == {33 * 90}
    # What fits goes at once again.
    narrow.sent += narrow.camera.frame(size=1000)
    narrow.clock.turn(after_ms=1)
    assert [packet.payload for packet in narrow.listener.read().rtp] == narrow.sent[-2:]
    assert narrow.count("video_held") == 1
    assert narrow.count("video_dropped") == 0


def test_a_packet_repaired_while_its_place_waits_comes_in_order_and_a_later_one_at_once(narrow):
    begins = narrow.camera.timestamp
    first = narrow.camera.sequence
    narrow.picture(12, key=True, lose=(1, 10))
    narrow.camera.repair((first + 10) & 0xFFFF, timestamp=begins)
    narrow.turn(150)
    assert narrow.payloads == narrow.sent[:2] + narrow.sent[3:]
    narrow.camera.repair((first + 1) & 0xFFFF, timestamp=begins)
    narrow.clock.turn(after_ms=1)
    late = narrow.listener.read().rtp
    assert [packet.payload for packet in late] == narrow.sent[2:3]
    assert_goes_on(sorted(narrow.heard + late, key=lambda packet: packet.sequence - 65529 & 0xFFFF))


def test_padding_among_what_waits_takes_no_number(narrow):
    narrow.picture(8, key=True)
    for _ in range(3):
        narrow.publisher.send_rtp(
            b"", sequence=narrow.camera.sequence, timestamp=1, ssrc=CAMERA, payload_type=96, mid=b"v"
        )  # fmt: skip
        narrow.camera.sequence = (narrow.camera.sequence + 1) & 0xFFFF
    for _ in range(6):
        narrow.picture()
    assert narrow.payloads == narrow.sent
    assert_whole(narrow.heard)


def test_late_pictures_that_none_needs_are_left_out_and_the_numbers_close_up(narrow):
    narrow.picture(30, key=True)
    needed = list(narrow.sent)
    for frame in range(12):
        sent = narrow.camera.frame(packets=2, size=400, optional=bool(frame % 2))
        needed += [] if frame % 2 else sent
        narrow.sent += sent
        narrow.turn(33)
    thinned = narrow.count("video_thinned")
    assert 2 <= thinned < 6  # the last ones are not late any more
    assert_goes_on(narrow.heard)
    heard = numbers(narrow.payloads)
    assert [number for number in numbers(needed) if number not in heard] == []
    assert len(heard) == len(narrow.sent) - 2 * thinned
    pictures = [picture_of(payload)[0] for payload in narrow.payloads]
    assert all((after - before) & 0x7FFF <= 1 for before, after in itertools.pairwise(pictures))
    # The last of what was sent can be had again under its new number.
    narrow.listener.send_rtcp(nack(MEDIA, [narrow.heard[-1].sequence]))
    narrow.clock.turn(after_ms=50)
    assert [packet.payload[2:] for packet in narrow.listener.read().rtp] == narrow.payloads[-1:]


def test_nothing_is_left_out_while_a_packet_before_it_may_still_come(narrow):
    begins, first = narrow.camera.timestamp, narrow.camera.sequence
    narrow.picture(20, key=True, lose=(3,))
    for frame in range(8):
        narrow.sent += narrow.camera.frame(packets=2, size=400, optional=bool(frame % 2))
        narrow.turn(33)
    narrow.camera.repair((first + 3) & 0xFFFF, timestamp=begins)
    narrow.turn(60)
    assert narrow.count("video_thinned") == 0
    assert sorted(numbers(narrow.payloads)) == numbers(narrow.sent)
    assert_goes_on(sorted(narrow.heard, key=lambda packet: packet.sequence - 65529 & 0xFFFF))


def test_what_waits_is_dropped_by_a_pause(narrow, plane):
    narrow.picture(12, key=True)
    before = len(narrow.heard)
    plane.limit_slot(narrow.slot, layer=255, paused=True)
    narrow.turn(300)
    assert len(narrow.heard) == before
    assert narrow.count("video_dropped") == 13 - before
    plane.limit_slot(narrow.slot, layer=255, paused=False)
    narrow.picture(2, key=True)
    narrow.turn(60)
    assert numbers(narrow.payloads[before:]) == numbers(narrow.sent[-2:])
    assert_goes_on(narrow.heard)


def test_another_camera_does_not_wait_for_the_rest_of_the_last_one(narrow, plane, connect):
    other = connect("other")
    second = Camera(other, 0x77, picture=5)
    narrow.picture(12, key=True)
    track = other.add_video_track()
    second.frame(key=True)
    narrow.turn(3)
    plane.set_slot_source(narrow.slot, track)
    before = len(narrow.heard)
    sent = second.frame(key=True, packets=3, size=1000)
    narrow.turn(99)
    assert numbers(narrow.payloads[before:]) == numbers(sent)
    assert_goes_on(narrow.heard)
    assert narrow.count("video_dropped") == 13 - before


def test_two_pictures_take_turns(narrow, plane, connect):
    other = connect("other")
    face = Camera(other, 0x77)
    slot = narrow.listener.add_video_slot(ssrc=0xFACE, rtx_ssrc=0xFACF, mid="s2")
    track = other.add_video_track()
    face.frame(key=True, size=300)
    narrow.turn(3)
    plane.set_slot_source(slot, track)
    face.frame(key=True, size=300)
    narrow.turn(60)
    narrow.heard.clear()
    narrow.sent += narrow.camera.frame(key=True, packets=12, size=1000)
    shown = []
    for _ in range(10):
        shown += face.frame(packets=1, size=300)
        narrow.turn(33)
    faces = [i for i, packet in enumerate(narrow.heard) if packet.ssrc == 0xFACE]
    assert [narrow.heard[i].payload for i in faces] == shown
    assert [p.payload for p in narrow.heard if p.ssrc == MEDIA] == narrow.sent[1:]
    assert faces[2] < 12


def test_a_source_that_outruns_what_is_kept_is_shown_from_its_next_key_frame(narrow):
    narrow.publisher.read()
    narrow.clock.turn(after_ms=1000)
    for _ in range(9):
        narrow.sent += narrow.camera.frame(packets=64, size=200)
        narrow.turn(6)
    narrow.turn(60)
    assert narrow.count("video_overrun") == 1
    assert narrow.plane.slot_readings(narrow.slot).layer is None
    assert read_feedback(narrow.publisher.read().rtcp).plis == [CAMERA]
    before = len(narrow.heard)
    assert narrow.payloads == narrow.sent[:before]
    narrow.picture(2, key=True)
    narrow.turn(60)
    assert numbers(narrow.payloads[before:]) == numbers(narrow.sent[-2:])
    assert_goes_on(narrow.heard)


def test_a_layer_far_beyond_the_path_stops_and_so_does_what_waits_of_it(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    cameras = [Camera(publisher, CAMERA + i, rid=rid.encode()) for i, rid in enumerate(RIDS)]
    slot = listener.add_video_slot()
    plane.set_slot_source(slot, publisher.add_video_track(rids=RIDS))
    heard: list[Rtp] = []
    layers = []

    def film(seconds: float, packets: int, *, keys: tuple[int, ...] = ()) -> None:
        for frame in range(int(seconds * 30)):
            for layer, camera in enumerate(cameras):
                camera.frame(
                    key=not frame and layer in keys,
                    packets=packets if layer else 1,
                    size=1000 if layer else 100,
                )
            for _ in range(11):
                clock.turn(after_ms=3)
                heard.extend(listener.read().rtp)
            if frame % 15 == 0:
                listener.send_rtcp(remb(1_000_000, MEDIA))
            layers.append(plane.slot_readings(slot).layer)

    film(3, 1, keys=(0, 1))
    assert layers[-1] == 1
    film(1.4, 30)  # 7 Mb/s
    assert layers[-1] is None
    assert plane.counters()["video_dropped"] > 100
    film(1, 1, keys=(0, 1))
    assert set(layers[-25:]) == {0}
    assert_goes_on(heard)
