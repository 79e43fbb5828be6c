"""A subscriber's pictures on a narrow path, in virtual time: key frames wait, sound does not."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import pytest

from kabina.benchmarks.impairment import DOWN, Impairment, VirtualPath
from kabina.native.plane import Extension, Kind, MediaCodec, PayloadType
from kabina_sim.plane_client import (
    MS,
    Camera,
    Client,
    Clock,
    Rtp,
    assert_whole,
    picture_of,
    read_feedback,
    transport_feedback,
)
from kabina_sim.virtual_network import VirtualSocket

RIDS = ("q", "h", "f")
CAMERA, VOICE = 0x10, 0xA0
MEDIA, REPEATED, SOUND = 0x71DE0, 0x7E57, 0x5107
TWCC_ID, STEP_MS, FRAME_MS, SOUND_MS, FEEDBACK_MS = 6, 2, 32, 20, 50
PER_FRAME = ((1, 500), (2, 1000), (6, 1100))  # 0.13, 0.5 and 1.7 Mb/s
SHORT = Impairment(rate_bps=1_500_000, queue_ms=60, delay_ms=20)


@dataclass
class Viewer:
    """Tells what arrived when, if it counts; asks for nothing again."""

    client: Client
    clock: Clock
    counts: bool
    media: list[Rtp] = field(default_factory=list)
    media_ms: list[float] = field(default_factory=list)  # when each came
    sound_ms: dict[int, float] = field(default_factory=dict)  # when, by the voice's number
    unsaid: dict[int, float] = field(default_factory=dict)
    told: int = 0
    next_number: int | None = None

    def turn(self) -> None:
        now_ms = self.clock.now_ns / MS
        for packet in self.client.read().rtp:
            if packet.ssrc == MEDIA:
                self.media.append(packet)
                self.media_ms.append(now_ms)
            elif packet.ssrc == SOUND:
                self.sound_ms[struct.unpack_from("!I", packet.payload)[0]] = now_ms
            if TWCC_ID in packet.extensions:
                self.unsaid[struct.unpack("!H", packet.extensions[TWCC_ID])[0]] = now_ms

    def report(self) -> None:
        if not self.counts or not self.unsaid:
            return
        some = next(iter(self.unsaid))
        ahead = {number - some + 0x8000 & 0xFFFF: at for number, at in self.unsaid.items()}
        first = min(ahead) if self.next_number is None else self.next_number - some + 0x8000
        first &= 0xFFFF
        arrivals = [ahead.get(at) for at in range(first, max(ahead) + 1)]
        base = some - 0x8000
        # It opens with one that arrived: the time of the first is what the rest refers to.
        self.client.send_rtcp(transport_feedback(base + first, arrivals, number=self.told))
        self.next_number = base + max(ahead) + 1 & 0xFFFF
        self.told += 1
        self.unsaid.clear()


@dataclass
class Show:
    """A camera in three layers and a voice, and one who watches them over a path."""

    plane: object
    clock: Clock
    publisher: Client
    viewer: Viewer
    network: VirtualSocket
    cameras: list[Camera]
    slot: int
    per_frame: tuple[tuple[int, int], ...] = PER_FRAME  # packets and their bytes, by layer
    thins: bool = False  # every other picture is needed by none
    at_ms: int = 0
    filmed_ms: list[float] = field(default_factory=list)
    keys: int = 0
    said_ms: list[float] = field(default_factory=list)
    waiting: set[int] = field(default_factory=lambda: {0, 1, 2})
    layers: list[int | None] = field(default_factory=list)

    def run(self, duration_ms: int, *, key_packets: int = 0, key_layer: int = -1) -> None:
        """Films; with `key_packets` the next picture of `key_layer` is a key frame of so many."""
        for _ in range(0, duration_ms, STEP_MS):
            if self.at_ms % FRAME_MS == 0:
                self.filmed_ms.append(self.clock.now_ns / MS)
                for layer, camera in enumerate(self.cameras):
                    packets, size = self.per_frame[layer]
                    large = key_packets and layer == key_layer
                    self.keys += layer in self.waiting or bool(large)
                    camera.frame(
                        key=layer in self.waiting or bool(large),
                        packets=key_packets if large else packets,
                        size=size,
                        optional=self.thins and len(self.filmed_ms) % 2 == 0,
                        elapsed_ms=FRAME_MS,
                    )
                self.waiting.clear()
                key_packets = 0
            if self.at_ms % SOUND_MS == 0:
                number = len(self.said_ms)
                self.said_ms.append(self.clock.now_ns / MS)
                self.publisher.send_rtp(
                    struct.pack("!I", number) + bytes(156), sequence=number,
                    timestamp=960 * number, ssrc=VOICE, mid=b"0",
                )  # fmt: skip
            self.clock.turn(after_ms=STEP_MS)
            self.at_ms += STEP_MS
            self.network.turn()
            self.viewer.turn()
            if self.at_ms % FEEDBACK_MS == 0:
                self.viewer.report()
            if self.at_ms % 1000 == 0:
                self.viewer.client.send(bytes(self.viewer.client.check()))
            for ssrc in read_feedback(self.publisher.read().rtcp).plis:
                self.waiting.add(ssrc - CAMERA)
            self.layers.append(self.plane.slot_readings(self.slot).layer)

    def sound_delays_ms(self, since: int) -> list[float]:
        """Of the voice's packets from number `since` on; those that are lost are infinite."""
        heard = self.viewer.sound_ms
        return [
            heard.get(number, float("inf")) - self.said_ms[number]
            for number in range(since, len(self.said_ms) - 10)
        ]


@pytest.fixture
def show(plane, clock, connect):
    def make(path: Impairment, *, counts: bool = True, per_frame=PER_FRAME, thins=False) -> Show:
        publisher, client = connect("publisher"), connect("viewer")
        extensions = {Extension.TRANSPORT_CC: TWCC_ID} if counts else {}
        video = client.add_video_slot(extensions=extensions)
        sound = plane.add_slot(
            client.peer, kind=Kind.AUDIO, ssrc=SOUND, clock_rate=48000, mid="s0", cname="c",
            payload_types=(PayloadType(109, MediaCodec.OPUS),),
            extensions={Extension.MID: 1} | extensions,
        )  # fmt: skip
        network = VirtualSocket.between(client, clock, VirtualPath(seed=5, down=path))
        plane.set_slot_source(sound, publisher.add_track())
        rids = RIDS[: len(per_frame)]
        plane.set_slot_source(video, publisher.add_video_track(rids=rids))
        cameras = [Camera(publisher, CAMERA + i, rid=rid.encode()) for i, rid in enumerate(rids)]
        if not counts:
            plane.limit_slot(video, layer=1)
        viewer = Viewer(client, clock, counts)
        return Show(plane, clock, publisher, viewer, network, cameras, video, per_frame, thins)

    return make


def test_a_key_frame_loses_packets_in_a_short_queue_when_nothing_is_known_of_the_path(show):
    one = show(SHORT, counts=False)
    one.run(3000)
    assert one.layers[-1] == 1
    before, since = one.network.path.counters(DOWN).queue_drops, len(one.said_ms)
    one.run(1000, key_packets=60, key_layer=1)
    assert one.network.path.counters(DOWN).queue_drops - before >= 40
    assert max(one.sound_delays_ms(since)) >= 70


def test_a_key_frame_is_paced_into_a_short_queue_and_sound_passes_it(show, plane):
    one = show(SHORT)
    one.run(9000)
    assert one.layers[-1] == 1
    before, since = one.network.path.counters(DOWN), len(one.said_ms)
    held, heard = plane.counters()["video_held"], len(one.viewer.media)
    one.run(1600, key_packets=60, key_layer=1)
    assert set(one.layers[-800:]) == {1}
    after = one.network.path.counters(DOWN)
    assert after.queue_drops == before.queue_drops
    assert plane.counters()["video_held"] > held
    delays_ms = one.sound_delays_ms(since)
    print(f"sound: {min(delays_ms):.0f} to {max(delays_ms):.0f} ms")
    assert max(delays_ms) <= 50
    # All of it came: the key frame and the pictures behind it.
    assert_whole(one.viewer.media[heard:])
    newest = picture_of(one.viewer.media[-1].payload)[3]
    assert one.cameras[1].count - 1 - newest <= 8


FULL = Impairment(rate_bps=400_000, queue_ms=300, delay_ms=20)
TOO_MUCH = ((2, 700),)  # 400 kb/s with headers; sound takes 95


def test_a_path_a_little_too_narrow_costs_pictures_that_none_needs_and_no_others(show, plane):
    one = show(FULL, per_frame=TOO_MUCH, thins=True)
    one.run(10_000)
    since, said = len(one.filmed_ms), len(one.said_ms)
    drops = one.network.path.counters(DOWN).queue_drops
    one.run(10_000)
    came_ms = {
        picture_of(packet.payload)[3]: at_ms
        for packet, at_ms in zip(one.viewer.media, one.viewer.media_ms, strict=True)
    }
    late_ms = [
        came_ms.get(2 * frame + part, float("inf")) - one.filmed_ms[frame]
        for frame in range(since, len(one.filmed_ms) - 20)
        for part in range(2)
        if frame % 2 == 0
    ]
    sound_ms = max(one.sound_delays_ms(said))
    thinned = plane.counters()["video_thinned"]
    print(f"{thinned} left out; pictures {max(late_ms):.0f} ms late at most, sound {sound_ms:.0f}")
    assert max(late_ms) <= 250
    assert sound_ms <= 80
    assert one.network.path.counters(DOWN).queue_drops == drops
    assert thinned >= 50


def test_a_path_that_widens_is_found_out_by_what_waits(show, plane):
    """One layer: there is nothing to probe for."""
    one = show(FULL, per_frame=TOO_MUCH, thins=True)
    one.run(8_000)
    thinned = plane.counters()["video_thinned"]
    assert thinned >= 30
    one.network.path.set(DOWN, Impairment(rate_bps=3_000_000, queue_ms=300, delay_ms=20))
    one.run(20_000)
    thinned, heard = plane.counters()["video_thinned"], len(one.viewer.media)
    one.run(3_000)
    assert plane.counters()["video_thinned"] == thinned
    assert len(one.viewer.media) - heard >= 2 * (3_000 // FRAME_MS - 1)


def test_sound_is_not_lost_to_a_picture_that_does_not_fit(show, plane):
    one = show(FULL, per_frame=TOO_MUCH)
    one.run(10_000)
    said, drops = len(one.said_ms), one.network.path.counters(DOWN).queue_drops
    given_up, heard = plane.counters()["video_given_up"], len(one.viewer.media)
    one.run(10_000)
    given_up = plane.counters()["video_given_up"] - given_up
    sound_ms = max(one.sound_delays_ms(said))
    shown = len(one.viewer.media) - heard
    print(f"{given_up} times to the next key frame, {shown} packets, sound {sound_ms:.0f} ms")
    assert 1 <= given_up <= 5
    assert shown >= 300
    assert sound_ms <= 100
    assert one.network.path.counters(DOWN).queue_drops == drops


def test_what_comes_behind_a_key_frame_that_took_long_catches_up(show, plane):
    """130 kB into 500 kb/s, two seconds, with 100 kb/s behind it."""
    path = Impairment(rate_bps=500_000, queue_ms=100, delay_ms=20)
    one = show(path, per_frame=((1, 400),))
    one.run(2_000, key_packets=60, key_layer=0)  # shows what the path carries
    one.run(3_000)
    keys, heard = one.keys, len(one.viewer.media)
    drops = one.network.path.counters(DOWN).queue_drops
    one.run(8_000, key_packets=120, key_layer=0)
    assert one.keys == keys + 1
    assert one.network.path.counters(DOWN).queue_drops == drops
    assert_whole(one.viewer.media[heard:])
    newest = picture_of(one.viewer.media[-1].payload)[3]
    assert one.cameras[0].count - 1 - newest <= 8
