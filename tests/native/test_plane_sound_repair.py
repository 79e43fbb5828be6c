"""Lost sound: asked for where its publisher offers that, and told in its place when it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiortc.rtp import RtcpPacket, RtcpReceiverInfo, RtcpRrPacket, RtcpSrPacket

from kabina.native import _plane
from kabina.native.plane import Extension, Kind, MediaCodec, PayloadType
from kabina_sim.plane_client import Clock, read_feedback

if TYPE_CHECKING:
    from kabina.native.plane import Plane
    from kabina_sim.plane_client import Client

SSRC, FRAME = 0xAAAA, 960
FIRST_SEQUENCE, FIRST_TIMESTAMP = 65530, 5000


class Voice:
    """A publisher whose packets are lost unless they are sent; each has one copy with `red`."""

    def __init__(self, client: Client, *, nack: bool = True, red: bool = False) -> None:
        types = [PayloadType(63, MediaCodec.RED)] if red else []
        self.client, self.red = client, red
        self.track = client.plane.add_track(
            client.peer,
            kind=Kind.AUDIO,
            clock_rate=48000,
            mid="0",
            extensions={Extension.MID: 1},
            payload_types=[*types, PayloadType(111, MediaCodec.OPUS)],
            nack=nack,
        )

    @staticmethod
    def said(index: int) -> bytes:
        return b"\x78" + index.to_bytes(4, "big")

    def send(self, *indices: int) -> None:
        for index in indices:
            payload, copy = self.said(index), self.said(index - 1) if index else b""
            head = (1 << 31 | 111 << 24 | FRAME << 10 | len(copy)).to_bytes(4, "big")
            self.client.send_rtp(
                (head if copy else b"") + b"\x6f" + copy + payload if self.red else payload,
                sequence=FIRST_SEQUENCE + index,
                timestamp=FIRST_TIMESTAMP + index * FRAME,
                ssrc=SSRC,
                payload_type=63 if self.red else 111,
            )

    def asked_for(self) -> list[int]:
        """Packets that the plane has asked for since the last time."""
        nacks = read_feedback(self.client.read().rtcp).nacks
        assert {ssrc for ssrc, _ in nacks} <= {SSRC}
        return [(sequence - FIRST_SEQUENCE) & 0xFFFF for _, sequence in nacks]


def round_trip(plane: Plane, clock: Clock, client: Client, rtt_ms: float) -> None:
    """The client hears something, too, and reports about it: so the plane knows how far it is."""
    slot = client.add_slot()
    source = plane.add_injected_track(clock_rate=48000)
    plane.set_slot_source(slot, source)
    probe = _plane.BusProbe(plane.bus)
    probe.put(source, b"\x78mix", rtp_timestamp=0, at_ns=clock.now_ns)
    clock.turn()
    packets = [one for datagram in client.read().rtcp for one in RtcpPacket.parse(datagram)]
    (sent,) = (packet for packet in packets if isinstance(packet, RtcpSrPacket))
    middle = (sent.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF
    block = RtcpReceiverInfo(0x5107, 0, 0, 1, 0, middle, 0)
    client.send_rtcp(bytes(RtcpRrPacket(ssrc=77, reports=[block])))
    clock.turn(after_ms=rtt_ms)
    assert plane.slot_readings(slot).rtt_ms == pytest.approx(rtt_ms, abs=0.1)


def asked(voice: Voice, clock: Clock, sent: range, lost: set[int]) -> list[tuple[int, int]]:
    """(packet that had just come, packet asked for) while all but the lost ones are sent."""
    found = []
    for index in sent:
        if index not in lost:
            voice.send(index)
        clock.turn(after_ms=20)
        found += [(index, one) for one in voice.asked_for()]
    return found


def test_what_is_missing_is_asked_for_when_the_next_one_comes_and_once_more(plane, clock, connect):
    voice = Voice(connect("publisher"))
    round_trip(plane, clock, voice.client, 40)
    burst = [3, 4, 5, 6, 7]
    # A round trip is two packets, and one is the answer's own.
    expected = [(8, one) for one in burst] + [(11, one) for one in burst] + [(16, 15), (19, 15)]
    assert asked(voice, clock, range(40), {*burst, 15}) == expected
    assert plane.counters()["nacks_sent"] == 4


def test_what_comes_back_is_told_in_its_place_and_not_asked_for_again(plane, clock, connect):
    voice, listener = Voice(connect("publisher")), connect("listener")
    plane.set_slot_source(listener.add_slot(), voice.track)
    plane.feed_mix(voice.track, 42)
    probe = _plane.BusProbe(plane.bus)
    round_trip(plane, clock, voice.client, 20)
    assert asked(voice, clock, range(6), {2, 3}) == [(4, 2), (4, 3)]
    voice.send(3, 2)
    assert asked(voice, clock, range(6, 20), set()) == []
    order = [0, 1, 4, 5, 3, 2, *range(6, 20)]
    heard = listener.read().rtp
    assert [packet.payload for packet in heard] == [voice.said(i) for i in order]
    assert [(p.sequence - heard[0].sequence) & 0xFFFF for p in heard] == order
    assert [(p.timestamp - heard[0].timestamp) & 0xFFFFFFFF for p in heard] == [
        i * FRAME for i in order
    ]
    mixed = [(sequence, payload) for _, sequence, *_, payload in probe.take()]
    assert mixed == [((FIRST_SEQUENCE + i) & 0xFFFF, voice.said(i)) for i in order]
    assert plane.counters()["protect_failed"] == 0


def test_what_comes_as_a_copy_is_not_asked_for(plane, clock, connect):
    voice = Voice(connect("publisher"), red=True)
    round_trip(plane, clock, voice.client, 40)
    # Of two in a row the second is copied, of three the last: the packet after it shows that.
    assert asked(voice, clock, range(30), {4, 10, 11, 20, 21, 22}) == [
        (12, 10),
        (15, 10),
        (23, 20),
        (23, 21),
        (26, 20),
        (26, 21),
    ]
    assert plane.counters()["red_recovered"] == 3


@pytest.mark.parametrize(("rtt_ms", "is_asked"), [(None, True), (150, True), (151, False)])
def test_over_a_long_path_nothing_is_asked_for(plane, clock, connect, rtt_ms, is_asked):
    """What comes back too late to be played is a packet more on a path that loses them."""
    voice = Voice(connect("publisher"))
    if rtt_ms is not None:
        round_trip(plane, clock, voice.client, rtt_ms)
    assert bool(asked(voice, clock, range(10), {5})) == is_asked


def test_what_is_too_old_to_be_played_is_not_asked_for(plane, clock, connect):
    voice = Voice(connect("publisher"))
    round_trip(plane, clock, voice.client, 100)
    lost = set(range(5, 30))
    # 300 ms from its turn on, a round trip of that for the answer: ten packets back.
    assert asked(voice, clock, range(31), lost) == [(30, one) for one in range(20, 30)]


def test_who_does_not_offer_it_is_not_asked(plane, clock, connect):
    voice = Voice(connect("publisher"), nack=False)
    round_trip(plane, clock, voice.client, 20)
    assert asked(voice, clock, range(30), {5, 6, 20}) == []


def test_probes_without_sound_are_not_missed_by_anybody(plane, clock, connect):
    voice, listener = Voice(connect("publisher"), red=True), connect("listener")
    plane.set_slot_source(listener.add_slot(), voice.track)
    voice.send(0, 1)
    voice.client.send_rtp(
        b"",
        sequence=FIRST_SEQUENCE + 2,
        timestamp=FIRST_TIMESTAMP + FRAME,
        ssrc=SSRC,
        payload_type=63,
    )
    clock.turn()
    assert asked(voice, clock, range(3, 8), set()) == []
    heard = listener.read().rtp
    assert [packet.payload for packet in heard] == [voice.said(i) for i in (0, 1, 3, 4, 5, 6, 7)]
    assert [(p.sequence - heard[0].sequence) & 0xFFFF for p in heard] == list(range(7))
