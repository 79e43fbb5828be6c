"""Redundant audio (RFC 2198) through the plane: rewritten, unwrapped, told once."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket

from kabina.native import _plane
from kabina.native.plane import Extension, Kind, MediaCodec, PayloadType, SrtpProfile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kabina_sim.plane_client import Client, Rtp

FRAME = 960
OPUS_IN, RED_IN, OPUS_OUT, RED_OUT = 111, 63, 109, 60
TOC_20_MS, TOC_60_MS = 0x78, 0x18
COUNTED = ("red_received", "red_malformed", "red_misplaced", "red_recovered", "red_sent")


def red(
    primary: bytes, copies: Sequence[tuple[int, bytes]] = (), *, payload_type: int = OPUS_IN
) -> bytes:
    """A RED payload; copies are (ticks before, bytes), oldest first."""
    heads = b"".join(
        struct.pack("!I", 1 << 31 | payload_type << 24 | offset << 10 | len(data))
        for offset, data in copies
    )
    return heads + bytes([payload_type]) + b"".join(data for _, data in copies) + primary


def read_red(payload: bytes) -> tuple[bytes, list[tuple[int, bytes]], set[int]]:
    """(primary, copies, payload types), by a reader of the test's own."""
    heads = []
    at = 0
    while payload[at] & 0x80:
        (head,) = struct.unpack_from("!I", payload, at)
        heads.append((head >> 10 & 0x3FFF, head & 0x3FF))
        at += 4
    types = {payload[0] & 0x7F, payload[at] & 0x7F}
    at += 1
    copies = []
    for offset, size in heads:
        copies.append((offset, payload[at : at + size]))
        at += size
    return payload[at:], copies, types


@dataclass
class RedSpeaker:
    """Sends numbered 20 ms Opus packets, each with the `distance` before it."""

    client: Client
    ssrc: int
    distance: int = 1
    sequence: int = 100
    timestamp: int = 5000
    said: list[bytes] = field(default_factory=list)

    def packet(self, index: int) -> bytes:
        return bytes([TOC_20_MS]) + struct.pack("!II", self.ssrc, index) + bytes(index % 7)

    def skip(self) -> int:
        """The next packet is said, and not sent."""
        self.said.append(self.packet(len(self.said)))
        return len(self.said) - 1

    def send(self, index: int, *, level: int | None = None) -> None:
        """The packet of that number, as it was said."""
        oldest = max(0, index - self.distance)
        copies = [((index - i) * FRAME, self.said[i]) for i in range(oldest, index)]
        self.client.send_rtp(
            red(self.said[index], copies),
            sequence=(self.sequence + index) & 0xFFFF,
            timestamp=(self.timestamp + index * FRAME) & 0xFFFFFFFF,
            ssrc=self.ssrc,
            payload_type=RED_IN,
            level=level,
        )

    def speak(self) -> bytes:
        self.send(self.skip())
        return self.said[-1]


def add_track(client: Client) -> int:
    return client.plane.add_track(
        client.peer,
        kind=Kind.AUDIO,
        clock_rate=48000,
        mid="0",
        extensions={Extension.MID: 1, Extension.AUDIO_LEVEL: 2},
        payload_types=(
            PayloadType(RED_IN, MediaCodec.RED),
            PayloadType(OPUS_IN, MediaCodec.OPUS),
        ),
    )


def add_red_slot(client: Client) -> int:
    return client.plane.add_slot(
        client.peer,
        kind=Kind.AUDIO,
        ssrc=0x5107,
        payload_types=(
            PayloadType(RED_OUT, MediaCodec.RED),
            PayloadType(OPUS_OUT, MediaCodec.OPUS),
        ),
        clock_rate=48000,
        mid="s0",
        extensions={Extension.MID: 1, Extension.AUDIO_LEVEL: 2},
        cname="the-server",
    )


@pytest.fixture
def publisher(connect) -> Client:
    return connect("publisher")


@pytest.fixture
def track(publisher) -> int:
    return add_track(publisher)


@pytest.fixture
def plain(plane, connect, track) -> Client:
    """A listener without RED."""
    client = connect("plain")
    plane.set_slot_source(client.add_slot(), track)
    return client


@pytest.fixture
def redundant(plane, connect, track) -> Client:
    """A listener with RED."""
    client = connect("redundant")
    plane.set_slot_source(add_red_slot(client), track)
    return client


def counted(plane) -> dict[str, int]:
    counters = plane.counters()
    assert counters["protect_failed"] == 0
    return {name[4:]: counters[name] for name in COUNTED if counters[name]}


def advance(packets: list[Rtp]) -> list[tuple[int, int]]:
    """(sequence numbers, ticks) since the first packet."""
    first = packets[0]
    return [
        ((p.sequence - first.sequence) & 0xFFFF, (p.timestamp - first.timestamp) & 0xFFFFFFFF)
        for p in packets
    ]


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_everyone_is_sent_what_they_negotiated(plane, clock, connect, profile):
    publisher = connect("publisher", profile=profile)
    plain, redundant = connect("plain", profile=profile), connect("redundant", profile=profile)
    track = add_track(publisher)
    plane.set_slot_source(plain.add_slot(), track)
    plane.set_slot_source(add_red_slot(redundant), track)
    speaker = RedSpeaker(publisher, 0xAAAA, distance=2)
    for _ in range(10):
        speaker.skip()
        speaker.send(len(speaker.said) - 1, level=30)
        clock.turn(after_ms=20)
    heard, with_copies = plain.read().rtp, redundant.read().rtp
    steady = [(i, i * FRAME) for i in range(10)]
    assert [packet.payload for packet in heard] == speaker.said
    assert {packet.payload_type for packet in heard} == {OPUS_OUT}
    assert advance(heard) == advance(with_copies) == steady
    assert {packet.level for packet in heard + with_copies} == {30}
    assert {packet.payload_type for packet in with_copies} == {RED_OUT}
    for index, packet in enumerate(with_copies):
        primary, copies, types = read_red(packet.payload)
        assert types == {OPUS_OUT}
        assert primary == speaker.said[index]
        assert copies == [
            ((index - i) * FRAME, speaker.said[i]) for i in range(max(0, index - 2), index)
        ]
    assert counted(plane) == {"received": 10, "sent": 10}


def test_a_lost_packet_goes_on_as_the_packet_it_was(
    plane, clock, publisher, track, plain, redundant
):
    probe = _plane.BusProbe(plane.bus)
    plane.feed_mix(track, 42)
    speaker = RedSpeaker(publisher, 0xAAAA, sequence=0xFFFE, timestamp=0xFFFFFFFF)
    for index in range(6):
        if index in (2, 4):
            speaker.skip()
        else:
            speaker.speak()
        clock.turn(after_ms=20)
    heard = plain.read().rtp
    assert [packet.payload for packet in heard] == speaker.said
    assert advance(heard) == [(i, i * FRAME) for i in range(6)]
    assert [packet.marker for packet in heard] == [True] + [False] * 5
    mixed = probe.take()
    assert [payload for *_, payload in mixed] == speaker.said
    assert [sequence for _, sequence, *_ in mixed] == [0xFFFE, 0xFFFF, 0, 1, 2, 3]
    assert [(ticks + 1) & 0xFFFFFFFF for _, _, ticks, *_ in mixed] == [i * FRAME for i in range(6)]
    assert {level for *_, level, _, _, _, _ in mixed} == {0x7F}
    # Those who take copies themselves get no packet twice: theirs is in the next one.
    with_copies = redundant.read().rtp
    assert [at for at, _ in advance(with_copies)] == [0, 1, 3, 5]
    assert read_red(with_copies[2].payload)[:2] == (speaker.said[3], [(FRAME, speaker.said[2])])
    assert counted(plane) == {"received": 4, "sent": 4, "recovered": 2}


def test_the_packet_of_which_a_copy_came_first_is_news_only_to_those_who_take_copies(
    plane, clock, publisher, plain, redundant
):
    speaker = RedSpeaker(publisher, 0xAAAA)
    for index in range(7):
        speaker.skip()
        if index not in (3, 4):
            speaker.send(index)
    clock.turn()
    speaker.send(4)  # late, itself known by now, and the only one that has a copy of the third
    clock.turn()
    heard = plain.read().rtp
    order = [0, 1, 2, 4, 5, 6, 3]
    assert [packet.payload for packet in heard] == [speaker.said[i] for i in order]
    assert [at for at, _ in advance(heard)] == order
    with_copies = redundant.read().rtp
    assert [at for at, _ in advance(with_copies)] == [0, 1, 2, 5, 6, 4]
    assert plane.counters()["rtp_duplicate"] == 1
    assert counted(plane) == {"received": 6, "sent": 6, "recovered": 2}


def test_after_a_source_change_nothing_from_before_it_is_sent(
    plane, clock, connect, publisher, track
):
    """A copy of what was said before would be played in the place of the other source's last."""
    plain, redundant = connect("plain"), connect("redundant")
    plain_slot, red_slot = plain.add_slot(), add_red_slot(redundant)
    other = connect("other")
    other_track = add_track(other)
    plane.set_slot_source(plain_slot, other_track)
    plane.set_slot_source(red_slot, other_track)
    before, after = RedSpeaker(other, 1, distance=2), RedSpeaker(publisher, 2, distance=2)
    for _ in range(5):
        before.speak()
        after.speak()
        clock.turn(after_ms=20)
    plain.read(), redundant.read()
    plane.set_slot_source(plain_slot, track)
    plane.set_slot_source(red_slot, track)
    before.speak()
    after.skip()  # lost: its copy comes with the packet that changes the source
    clock.turn(after_ms=20)
    for _ in range(4):
        after.speak()
        clock.turn(after_ms=20)
    heard = plain.read().rtp
    assert [packet.payload for packet in heard] == [before.said[5], *after.said[6:]]
    assert advance(heard) == [(i, i * FRAME) for i in range(5)]
    assert [packet.marker for packet in heard] == [False, True, False, False, False]
    with_copies = redundant.read().rtp[1:]
    assert [len(read_red(packet.payload)[1]) for packet in with_copies] == [0, 1, 2, 2]
    assert read_red(with_copies[1].payload)[1] == [(FRAME, after.said[6])]


def test_a_waiting_slot_is_not_moved_by_a_copy(plane, clock, connect, publisher, track):
    """A packet lost while the slot was at its old source is the old source's time."""
    plain, other = connect("plain"), connect("other")
    slot = plain.add_slot()
    other_track = add_track(other)
    speaker, old = RedSpeaker(publisher, 2), RedSpeaker(other, 1)
    plane.set_slot_source(slot, other_track)
    old.speak()
    speaker.speak()
    clock.turn(after_ms=20)
    speaker.skip()
    old.speak()
    clock.turn(after_ms=20)
    plane.set_slot_source(slot, track)
    speaker.speak()
    clock.turn(after_ms=20)
    heard = plain.read().rtp
    assert [packet.payload for packet in heard] == [*old.said, speaker.said[2]]
    assert counted(plane)["recovered"] == 1


def test_a_slot_begins_with_a_packet_and_not_with_a_copy(plane, clock, connect, publisher, track):
    """Its first packet says when the source begins: one frame late it would stay so."""
    plain = connect("plain")
    slot = plain.add_slot()
    speaker = RedSpeaker(publisher, 2)
    speaker.speak()
    speaker.skip()
    clock.turn(after_ms=40)
    plane.set_slot_source(slot, track)
    for _ in range(2):
        speaker.speak()
        clock.turn(after_ms=20)
    assert [packet.payload for packet in plain.read().rtp] == speaker.said[2:]
    assert counted(plane)["recovered"] == 1


@pytest.mark.parametrize("distance", [1, 2, 3])
def test_whatever_order_packets_come_in_each_is_told_once(
    plane, clock, publisher, track, plain, redundant, distance
):
    rng = random.Random(distance)
    probe = _plane.BusProbe(plane.bus)
    plane.feed_mix(track, 42)
    speaker = RedSpeaker(publisher, 0xAAAA, distance=distance, sequence=65000)
    speaker.skip()
    arrivals: list[tuple[float, int]] = [(0, 0)]  # what is before the first is not told
    for index in range(1, 1500):
        speaker.skip()
        if rng.random() > 0.2:
            arrivals.append((index + (rng.random() * 8 if rng.random() < 0.2 else 0), index))
    arrivals.sort()
    heard: list[Rtp] = []
    with_copies: list[Rtp] = []
    mixed: list[bytes] = []
    for _, index in arrivals:
        speaker.send(index)
        clock.turn(after_ms=20)
        heard += plain.read().rtp
        with_copies += redundant.read().rtp
        mixed += [payload for *_, payload in probe.take()]
    came = {index for _, index in arrivals}
    told = {i for index in came for i in range(max(0, index - distance), index + 1)}
    numbers = [(at, packet.payload) for (at, _), packet in zip(advance(heard), heard, strict=True)]
    assert len(numbers) == len({at for at, _ in numbers})
    assert dict(numbers) == {i: speaker.said[i] for i in told}
    assert [ticks for _, ticks in advance(heard)] == [at * FRAME for at, _ in numbers]
    assert sorted(mixed) == sorted(speaker.said[i] for i in told)
    assert {at for at, _ in advance(with_copies)} == came
    assert len(with_copies) == len(came)
    recovered = len(told) - len(came) + plane.counters()["rtp_duplicate"]
    assert counted(plane)["recovered"] == recovered > 100
    assert plane.track_readings(track).recovered == recovered


def test_plain_packets_among_redundant_ones_are_known_too(
    plane, clock, publisher, plain, redundant
):
    speaker = RedSpeaker(publisher, 0xAAAA)
    for index in range(6):
        speaker.skip()
        if index % 2:
            speaker.send(index)
        else:
            publisher.send_rtp(
                speaker.said[index],
                sequence=100 + index,
                timestamp=5000 + index * FRAME,
                ssrc=0xAAAA,
            )
        clock.turn(after_ms=20)
    assert [packet.payload for packet in plain.read().rtp] == speaker.said
    types = [packet.payload_type for packet in redundant.read().rtp]
    assert types == [OPUS_OUT, RED_OUT] * 3
    assert "recovered" not in counted(plane)


def test_a_publisher_that_begins_anew_is_told_from_the_start(plane, clock, publisher, plain):
    speaker = RedSpeaker(publisher, 0xAAAA)
    for _ in range(3):
        speaker.speak()
        clock.turn(after_ms=20)
    clock.turn(after_ms=500)
    again = RedSpeaker(publisher, 0xBBBB, sequence=101, timestamp=0)
    again.skip()  # nothing is known of what was before the first packet
    for _ in range(3):
        again.speak()
        clock.turn(after_ms=20)
    heard = plain.read().rtp
    assert [packet.payload for packet in heard] == speaker.said + again.said[1:]
    assert "recovered" not in counted(plane)


@pytest.mark.parametrize(
    ("copies", "placed"),
    [
        ([(FRAME, b"\x78a")], True),
        ([(FRAME + 1, b"\x78a")], False),  # not a whole frame
        ([(3 * FRAME, b"\x18a")], False),  # 60 ms: it would lie over the second packet's time
        ([(0, b"\x78a")], False),
        ([(FRAME, b"")], False),
        ([(FRAME, b"\x7ba")], False),  # code 3 with 33 frames of 20 ms
        ([(FRAME, b"\x78a"), (2 * FRAME, b"\x78b")], False),  # newest first
        ([(70 * FRAME // 5, b"\x78a")], False),  # older than the stream
    ],
)
def test_a_copy_that_does_not_fit_is_left_out_and_the_packet_kept(
    plane, clock, publisher, plain, copies, placed
):
    speaker = RedSpeaker(publisher, 0xAAAA)
    speaker.speak(), speaker.speak()
    speaker.skip()
    publisher.send_rtp(
        red(b"\x78new", copies),
        sequence=103,
        timestamp=5000 + 3 * FRAME,
        ssrc=0xAAAA,
        payload_type=RED_IN,
    )
    clock.turn()
    expected = [*speaker.said[:2], *([copies[0][1]] if placed else []), b"\x78new"]
    assert [packet.payload for packet in plain.read().rtp] == expected


def test_a_pause_of_the_sender_does_not_put_a_copy_in_a_wrong_place(plane, clock, publisher, plain):
    """With DTX the packet before lies 400 ms back and has the number before: the times disagree."""
    speaker = RedSpeaker(publisher, 0xAAAA)
    for index in range(12):
        speaker.skip()
        if index != 4:
            publisher.send_rtp(
                speaker.said[index], sequence=100 + index, timestamp=index * FRAME, ssrc=0xAAAA
            )
    # Number 112 after a pause of seven frames: its copy is the twelfth packet, not the fifth.
    publisher.send_rtp(
        red(b"\x78new", [(8 * FRAME, speaker.said[11])]),
        sequence=112,
        timestamp=(11 + 8) * FRAME,
        ssrc=0xAAAA,
        payload_type=RED_IN,
    )
    clock.turn()
    heard = [packet.payload for packet in plain.read().rtp]
    assert heard == [*speaker.said[:4], *speaker.said[5:], b"\x78new"]


@pytest.mark.parametrize("jump", [3, 62, 63, 64, 70, 1000])
def test_numbers_that_jump_bring_no_copy_of_what_was_heard(plane, clock, publisher, plain, jump):
    """A sender's numbers leave some out and its time goes on: its copies seem to be of those."""
    speaker = RedSpeaker(publisher, 0xAAAA, distance=2)
    for index in range(10):
        if index == 5:
            speaker.sequence += jump
        speaker.speak()
        clock.turn(after_ms=20)
    assert [packet.payload for packet in plain.read().rtp] == speaker.said
    assert "recovered" not in counted(plane)


def test_after_an_outage_the_first_copies_are_of_what_was_lost(plane, clock, publisher, plain):
    speaker = RedSpeaker(publisher, 0xAAAA, distance=2)
    speaker.speak()
    clock.turn(after_ms=20)
    for _ in range(99):
        speaker.skip()
    speaker.speak()
    clock.turn(after_ms=2000)
    assert [packet.payload for packet in plain.read().rtp] == [speaker.said[0], *speaker.said[98:]]
    assert counted(plane)["recovered"] == 2


def test_what_is_no_redundant_audio_costs_a_counter(plane, clock, publisher, plain, redundant):
    payloads = {
        "red_malformed": [
            b"\xef",
            b"\xef\0\0\3",
            b"\xef\0\0\3\x6fab",  # less than its copy
            b"\xef\0\0\3\x6fabc",  # a copy and no packet
            b"\x6f",
            b"\xef\0\0\0" * 9 + b"\x6fa",
            b"\xef\x0f\xff\xff\x6f" + bytes(600),
        ],
        "rtp_wrong_payload_type": [b"\x00abc", b"\x3fabc", red(b"abc", payload_type=RED_IN)],
        "rtp_empty": [b""],
    }
    sequence = 1
    for name, refused in payloads.items():
        for payload in refused:
            publisher.send_rtp(
                payload, sequence=sequence, timestamp=sequence * FRAME, ssrc=1, payload_type=RED_IN
            )
            sequence += 1
        clock.turn()
        assert plane.counters()[name] == len(refused), name
    assert plain.read().rtp == redundant.read().rtp == []


def test_a_copy_of_another_type_is_left_out(plane, clock, publisher, plain, redundant):
    """A telephone event beside the voice is none of the voice's packets."""
    speaker = RedSpeaker(publisher, 0xAAAA)
    speaker.speak()
    speaker.skip()
    head = struct.pack("!I", 1 << 31 | 126 << 24 | FRAME << 10 | 2)
    publisher.send_rtp(
        head + bytes([OPUS_IN]) + b"\x78e" + b"\x78new",
        sequence=102,
        timestamp=5000 + 2 * FRAME,
        ssrc=0xAAAA,
        payload_type=RED_IN,
    )
    clock.turn()
    assert [packet.payload for packet in plain.read().rtp] == [speaker.said[0], b"\x78new"]
    assert read_red(redundant.read().rtp[1].payload) == (b"\x78new", [], {OPUS_OUT})
    assert counted(plane)["misplaced"] == 1


class Mix:
    """An injected track, as the mixer fills it."""

    def __init__(self, plane) -> None:
        self.plane = plane
        self.track = plane.add_injected_track(clock_rate=48000)
        self.probe = _plane.BusProbe(plane.bus)
        self.said: list[bytes] = []
        self.timestamp = 0

    def say(self, clock, *, bytes_more: int = 0) -> None:
        self.said.append(bytes([TOC_20_MS]) + struct.pack("!I", len(self.said)) + bytes(bytes_more))
        self.probe.put(self.track, self.said[-1], rtp_timestamp=self.timestamp, at_ns=clock.now_ns)
        self.timestamp += FRAME
        clock.turn(after_ms=20)

    def heard(self, clock, client: Client) -> tuple[bytes, list[tuple[int, bytes]]]:
        """The next packet as the client gets it, taken apart."""
        self.say(clock)
        (packet,) = client.read().rtp
        if packet.payload_type == OPUS_OUT:
            return packet.payload, []
        assert packet.payload_type == RED_OUT
        primary, copies, types = read_red(packet.payload)
        assert types == {OPUS_OUT}
        return primary, copies


def report_loss(client: Client, clock, share: float) -> None:
    block = RtcpReceiverInfo(0x5107, int(share * 256), 0, 1, 0, 0, 0)
    client.send_rtcp(bytes(RtcpRrPacket(ssrc=77, reports=[block])))
    clock.turn()


def test_a_mix_is_sent_with_copies_to_who_loses_packets_and_for_as_long(plane, clock, connect):
    mix = Mix(plane)
    lossy, well, plain = connect("lossy"), connect("well"), connect("plain")
    for slot in (add_red_slot(lossy), add_red_slot(well), plain.add_slot()):
        plane.set_slot_source(slot, mix.track)
    mix.say(clock)
    assert [packet.payload for packet in lossy.read().rtp] == mix.said
    for client in (lossy, plain):
        report_loss(client, clock, 0.05)
    assert mix.heard(clock, lossy) == (mix.said[1], [(FRAME, mix.said[0])])
    assert mix.heard(clock, lossy) == (mix.said[2], [(FRAME, mix.said[1])])
    for client in (well, plain):
        assert [packet.payload for packet in client.read().rtp] == mix.said
    for share in (0.0, 0.0, 0.015, 0.05, 0.0, 0.0):  # neither calm nor lossy, then lossy again
        report_loss(lossy, clock, share)
        assert len(mix.heard(clock, lossy)[1]) == 1
    report_loss(lossy, clock, 0.0)
    assert mix.heard(clock, lossy) == (mix.said[-1], [])
    assert counted(plane) == {"sent": 8}


def test_a_mix_has_no_copy_of_what_was_before_a_pause_or_is_too_large(plane, clock, connect):
    mix, lossy = Mix(plane), connect("lossy")
    plane.set_slot_source(add_red_slot(lossy), mix.track)
    mix.say(clock)
    report_loss(lossy, clock, 0.1)
    mix.timestamp += 5 * FRAME
    lossy.read()
    assert mix.heard(clock, lossy)[1] == []
    assert len(mix.heard(clock, lossy)[1]) == 1
    mix.say(clock, bytes_more=400)
    lossy.read()
    assert mix.heard(clock, lossy)[1] == []
    assert len(mix.heard(clock, lossy)[1]) == 1


def test_a_listener_that_loses_packets_changes_its_channel_without_an_echo(plane, clock, connect):
    first, second, lossy = Mix(plane), Mix(plane), connect("lossy")
    slot = add_red_slot(lossy)
    plane.set_slot_source(slot, first.track)
    first.say(clock)
    report_loss(lossy, clock, 0.1)
    second.say(clock)
    plane.set_slot_source(slot, second.track)
    lossy.read()
    assert second.heard(clock, lossy) == (second.said[1], [])
    assert second.heard(clock, lossy) == (second.said[2], [(FRAME, second.said[1])])
