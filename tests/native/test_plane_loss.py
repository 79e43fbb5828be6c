"""Packets that get lost on the way to the plane and on the way from it, asked for and sent again."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from kabina.native import _plane
from kabina_sim.plane_client import MS, Camera, Client, Rtp, nack, picture_of, read_feedback

MEDIA, RTX = 0x71DE0, 0x7E57


def original(packet: Rtp) -> tuple[int, bytes]:
    """Sequence number and payload of what an RTX packet repeats (RFC 4588)."""
    return struct.unpack_from("!H", packet.payload)[0], packet.payload[2:]


def test_a_lost_packet_is_sent_again_as_it_was_in_a_stream_of_its_own(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    camera = Camera(publisher, 1)
    slot = listener.add_video_slot()
    plane.set_slot_source(slot, publisher.add_video_track())
    camera.frame(key=True, packets=5)
    clock.turn(after_ms=33)
    sent = listener.read().rtp
    listener.send_rtcp(nack(MEDIA, [sent[1].sequence, sent[3].sequence]))
    clock.turn(after_ms=50)
    again = listener.read().rtp
    assert [original(packet) for packet in again] == [
        (packet.sequence, packet.payload) for packet in (sent[1], sent[3])
    ]
    assert {(packet.ssrc, packet.payload_type, packet.mid) for packet in again} == {
        (RTX, 101, b"s1")
    }
    assert [packet.timestamp for packet in again] == [sent[1].timestamp, sent[3].timestamp]
    assert again[1].sequence == again[0].sequence + 1
    assert again[0].sequence < 32768
    assert plane.slot_readings(slot).retransmitted == 2


def test_a_layer_that_was_left_is_not_repeated_and_the_present_one_with_its_numbers(
    plane, clock, connect
):
    publisher, listener = connect("publisher"), connect("listener")
    low = Camera(publisher, 1, rid=b"q", picture=5, sequence=40)
    high = Camera(publisher, 2, rid=b"f", picture=900, sequence=60000)
    track = publisher.add_video_track(rids=("q", "f"))
    slot = listener.add_video_slot()
    plane.limit_slot(slot, layer=0)
    plane.set_slot_source(slot, track)
    for step in range(6):
        if step == 3:
            plane.limit_slot(slot, layer=1)
        for camera in (low, high):
            camera.frame(key=step in (0, 4))
        clock.turn(after_ms=33)
    sent = listener.read().rtp
    assert {picture_of(packet.payload)[2] for packet in sent} == {1, 2}
    asked = sent[::2]  # all of them would be over the budget, by RTX's two bytes each
    listener.send_rtcp(nack(MEDIA, [packet.sequence for packet in asked]))
    clock.turn(after_ms=50)
    again = listener.read().rtp
    present = [packet for packet in asked if picture_of(packet.payload)[2] == 2]
    assert 0 < len(present) < len(asked)
    assert [original(packet) for packet in again] == [(p.sequence, p.payload) for p in present]
    assert plane.counters()["resends_left"] == len(asked) - len(present)


def test_the_same_request_is_served_once_within_a_round_trip(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    camera = Camera(publisher, 1)
    plane.set_slot_source(listener.add_video_slot(), publisher.add_video_track())
    camera.frame(key=True, packets=8)
    clock.turn(after_ms=33)
    lost = listener.read().rtp[2].sequence
    for _ in range(20):
        listener.send_rtcp(nack(MEDIA, [lost] * 50))
    clock.turn(after_ms=1)
    assert len(listener.read().rtp) == 1
    clock.turn(after_ms=41)
    listener.send_rtcp(nack(MEDIA, [lost]))
    clock.turn(after_ms=1)
    assert len(listener.read().rtp) == 1


def test_nothing_is_repeated_that_is_older_than_a_second_or_never_was(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    camera = Camera(publisher, 1)
    plane.set_slot_source(listener.add_video_slot(), publisher.add_video_track())
    camera.frame(key=True)
    clock.turn(after_ms=33)
    sent = listener.read().rtp
    listener.send_rtcp(nack(MEDIA, [sent[-1].sequence + 1, sent[0].sequence - 1]))
    listener.send_rtcp(nack(RTX, [sent[0].sequence]))  # not a stream that is repeated
    listener.send_rtcp(nack(0xBAD, [sent[0].sequence]))
    clock.turn(after_ms=1001)
    listener.send_rtcp(nack(MEDIA, [packet.sequence for packet in sent]))
    clock.turn(after_ms=1)
    assert listener.read().rtp == []


def test_a_storm_of_requests_makes_the_server_send_at_most_twice_the_stream(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    camera = Camera(publisher, 1)
    plane.set_slot_source(listener.add_video_slot(), publisher.add_video_track())
    known: list[int] = []
    media = repeated = 0
    for step in range(180):  # 6 s
        camera.frame(key=step == 0, packets=4, size=1000)
        clock.turn(after_ms=33)
        for packet in listener.read().rtp:
            size = len(packet.payload)
            if packet.ssrc == MEDIA:
                media += size
                known.append(packet.sequence)
            else:
                repeated += size
        for _ in range(3):
            listener.send_rtcp(nack(MEDIA, known[-200:]))
    assert 0.5 * media < repeated <= media
    counters = plane.counters()
    assert counters["resends_over_budget"] > 0
    assert counters["resends_too_soon"] > 0
    assert counters["protect_failed"] == 0


def test_a_publisher_is_asked_for_what_it_lost_and_the_repair_is_forwarded(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    camera = Camera(publisher, 1, rtx_ssrc=99)
    track = publisher.add_video_track(ssrcs=(1,), rtx_ssrcs={1: 99})
    plane.set_slot_source(listener.add_video_slot(), track)
    camera.frame(key=True)
    clock.turn(after_ms=33)
    timestamp = camera.timestamp
    sent = camera.frame(packets=4, lose=(1, 2))
    lost = sorted(camera.lost)
    clock.turn(after_ms=33)
    assert read_feedback(publisher.read().rtcp).nacks == [(1, sequence) for sequence in lost]
    clock.turn(after_ms=20)
    assert read_feedback(publisher.read().rtcp).nacks == []  # a round trip has not passed
    for sequence in lost:
        camera.repair(sequence, timestamp=timestamp)
    clock.turn(after_ms=33)
    heard = {packet.sequence: packet for packet in listener.read().rtp}
    assert [heard[number].payload for number in sorted(heard)][2:] == sent
    assert len({packet.timestamp for packet in heard.values()}) == 2
    assert len(heard) == 6
    clock.run(1000)
    assert read_feedback(publisher.read().rtcp).nacks == []
    readings = plane.track_readings(track).layers[0]
    assert (readings.nacks, readings.recovered) == (2, 2)


def test_a_repair_that_comes_twice_is_forwarded_once(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    camera = Camera(publisher, 1, rtx_ssrc=99, rid=b"f")
    plane.set_slot_source(listener.add_video_slot(), publisher.add_video_track(rids=("q", "f")))
    camera.frame(key=True)
    timestamp = camera.timestamp
    camera.frame(packets=3, lose=(1,))
    clock.turn(after_ms=33)
    listener.read()
    sequence, payload = next(iter(camera.lost.items()))
    for _ in range(2):
        camera.lost[sequence] = payload
        camera.repair(sequence, timestamp=timestamp)
    publisher.send_rtp(
        payload, sequence=sequence, timestamp=timestamp, ssrc=1, payload_type=96, mid=b"v"
    )
    clock.turn(after_ms=33)
    assert [packet.payload[12:] for packet in listener.read().rtp] == [payload[12:]]
    assert plane.counters()["rtp_duplicate"] == 2
    assert plane.counters()["protect_failed"] == 0


def test_a_publisher_that_repairs_nothing_is_asked_ten_times_and_then_for_a_key_frame(
    plane, clock, connect
):
    publisher, listener = connect("publisher"), connect("listener")
    camera = Camera(publisher, 1)
    plane.set_slot_source(listener.add_video_slot(), publisher.add_video_track())
    camera.frame(key=True)
    clock.turn(after_ms=600)
    camera.frame(packets=3, lose=(1,))
    asked, plis = 0, 0
    publisher.read()
    for _ in range(100):
        clock.turn(after_ms=20)
        feedback = read_feedback(publisher.read().rtcp)
        asked += len(feedback.nacks)
        plis += len(feedback.plis)
    assert asked == 10
    assert plis >= 1


ROUND_TRIP = 5  # steps of 20 ms


@dataclass
class LossyListener:
    """Loses packets by chance and asks for them again, a round trip late."""

    client: Client
    rng: random.Random
    got: dict[int, bytes] = field(default_factory=dict)  # by sequence number
    missing: dict[int, int] = field(default_factory=dict)  # sequence number → step to ask in
    requests: list[tuple[int, list[int]]] = field(default_factory=list)  # (step, numbers), sent
    highest: int | None = None

    def turn(self, step: int) -> None:
        for packet in self.client.read().rtp:
            if self.got and self.rng.random() < 0.05:
                continue
            again = packet.ssrc == RTX
            self.take(step, *original(packet) if again else (packet.sequence, packet.payload))
        due = [number for number, when in self.missing.items() if when <= step]
        self.missing.update(dict.fromkeys(due, step + ROUND_TRIP))
        self.requests.append((step + ROUND_TRIP, due))
        while self.requests[0][0] <= step:
            for number in self.requests.pop(0)[1]:
                self.client.send_rtcp(nack(MEDIA, [number]))

    def take(self, step: int, number: int, payload: bytes) -> None:
        assert self.got.setdefault(number, payload) == payload
        self.missing.pop(number, None)
        highest = number - 1 & 0xFFFF if self.highest is None else self.highest
        ahead = (number - highest) & 0xFFFF
        if 0 < ahead < 1000:
            self.missing.update({(highest + gap) & 0xFFFF: step for gap in range(1, ahead)})
            self.highest = number


def test_five_percent_of_loss_both_ways_costs_no_frame(plane, clock, connect):
    """100 ms of round trip on either side; what is lost is lost with its repairs alike."""
    rng = random.Random(20)
    publisher = connect("publisher")
    listener = LossyListener(connect("listener"), rng)
    camera = Camera(publisher, 1, rtx_ssrc=99)
    track = publisher.add_video_track(ssrcs=(1,), rtx_ssrcs={1: 99})
    plane.set_slot_source(listener.client.add_video_slot(), track)
    repairs: list[tuple[int, int]] = []  # (step, sequence number)
    stamps: dict[int, int] = {}
    frames, packets = 500, 3
    for step in range(frames + 100):
        if step < frames:
            lose = tuple(i for i in range(packets) if step and rng.random() < 0.05)
            stamps.update(
                {(camera.sequence + i) & 0xFFFF: camera.timestamp for i in range(packets)}
            )
            camera.frame(key=step == 0, packets=packets, lose=lose, size=1000, elapsed_ms=20)
        clock.turn(after_ms=20)
        asked = read_feedback(publisher.read().rtcp).nacks
        repairs += [(step + ROUND_TRIP, sequence) for _, sequence in asked]
        while repairs and repairs[0][0] <= step:
            _, sequence = repairs.pop(0)
            if sequence in camera.lost and rng.random() >= 0.05:
                camera.repair(sequence, timestamp=stamps[sequence])
        listener.turn(step)
    arrived = {picture_of(payload)[3] for payload in listener.got.values()}
    assert len(listener.got) == len(arrived)
    assert len(arrived) >= (1 - 0.002) * frames * packets


@given(st.data())
def test_the_loss_list_knows_what_is_missing_and_nothing_else(data):
    loss = _plane.Loss()
    start = data.draw(st.integers(0, 0xFFFF))
    count = data.draw(st.integers(2, 300))
    lost = data.draw(st.sets(st.integers(1, count - 2))) if count > 2 else set()
    order = [i for i in range(count) if i not in lost]
    for i in order:
        assert loss.receive((start + i) & 0xFFFF)
    due, gave_up = loss.due(0)
    assert due == [(start + i) & 0xFFFF for i in sorted(lost)]
    assert not gave_up
    assert loss.due(39 * MS) == ([], False)
    assert loss.due(41 * MS, 50 * MS) == ([], False)
    for i in sorted(lost)[::2]:
        assert loss.receive((start + i) & 0xFFFF)
        assert not loss.receive((start + i) & 0xFFFF)
    now_ns = 0
    for _ in range(9):
        now_ns += 50 * MS
        due, gave_up = loss.due(now_ns)
        assert due == [(start + i) & 0xFFFF for i in sorted(lost)[1::2]]
    assert loss.due(now_ns + 50 * MS) == ([], bool(due))


def test_the_loss_list_gives_up_on_what_is_too_much():
    loss = _plane.Loss()
    loss.receive(0)
    loss.receive(1002)
    assert loss.due(0) == ([], True)
    loss.receive(1010)
    loss.receive(1020, key=True)  # what was before it is not missed any more
    assert loss.due(0) == ([], False)
    loss.receive(9000)  # a restarted stream
    assert loss.due(0) == ([], False)
