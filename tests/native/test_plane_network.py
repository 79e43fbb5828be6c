"""A viewer behind a bad network, in virtual time: what of a camera's frames arrives, and how late."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import pytest

from kabina.benchmarks.impairment import DOWN, GilbertElliott, Impairment, Random, VirtualPath
from kabina_sim.plane_client import MS, Camera, Client, Clock, nack, picture_of
from kabina_sim.virtual_network import VirtualSocket

MEDIA = 0x71DE0
STEP_MS, FRAME_MS, PACKETS = 10, 30, 4
DELAY_MS = 50.0  # each way
RETRY_MS, TRIES = 110, 10  # libwebrtc's: a round trip apart, ten times
SECONDS = 60


@dataclass
class Viewer:
    """Asks for what is missing, once at once and again every round trip."""

    client: Client
    clock: Clock
    arrived_ms: dict[int, int] = field(default_factory=dict)  # by packet number of the camera
    missing: dict[int, tuple[int, int]] = field(default_factory=dict)  # (asked at, tries left)
    highest: int | None = None
    repeated: int = 0

    def turn(self) -> None:
        now_ms = self.clock.now_ns // MS
        for packet in self.client.read().rtp:
            number, payload = packet.sequence, packet.payload
            if packet.ssrc != MEDIA:
                number, payload = struct.unpack_from("!H", payload)[0], payload[2:]
                self.repeated += 1
            self.arrived_ms.setdefault(picture_of(payload)[3], now_ms)
            self.missing.pop(number, None)
            ahead = 1 if self.highest is None else (number - self.highest) & 0xFFFF
            if ahead < 0x8000:
                for gap in range(1, ahead):
                    self.missing[(number - gap) & 0xFFFF] = (0, TRIES)
                self.highest = number
        due = [
            n for n, (asked, left) in self.missing.items() if left and now_ms >= asked + RETRY_MS
        ]
        for number in due:
            self.missing[number] = (now_ms, self.missing[number][1] - 1)
        if due:
            self.client.send_rtcp(nack(MEDIA, sorted(due)))


@pytest.mark.parametrize(
    ("loss", "frames_within_ms"),
    [
        # A lost packet is there again after a round trip, a second time lost after two.
        (Random(0.05), 600),
        (Random(0.10), 600),
        (GilbertElliott.bursts(0.05, 3), 600),
        (GilbertElliott.bursts(0.10, 5), 800),
    ],
)
def test_at_most_one_frame_in_two_hundred_is_lost_behind_retransmission(
    plane, clock, connect, loss, frames_within_ms
):
    publisher, client = connect("publisher"), connect("viewer")
    path = VirtualPath(
        seed=11,
        up=Impairment(delay_ms=DELAY_MS),
        down=Impairment(delay_ms=DELAY_MS, loss=loss),
    )
    network = VirtualSocket.between(client, clock, path)
    viewer = Viewer(client, clock)
    plane.set_slot_source(client.add_video_slot(), publisher.add_video_track())
    camera = Camera(publisher, 1)
    sent_ms: list[int] = []
    for step in range(1000 * SECONDS // STEP_MS + 100):
        if step % (FRAME_MS // STEP_MS) == 0 and step * STEP_MS < 1000 * SECONDS:
            sent_ms.append(clock.now_ns // MS)
            camera.frame(key=step == 0, packets=PACKETS, size=1000, elapsed_ms=FRAME_MS)
        clock.turn(after_ms=STEP_MS)
        network.turn()
        viewer.turn()
        if step % 100 == 0:
            client.send(bytes(client.check()))  # consent
        publisher.read()

    def lateness_ms(frame: int) -> float:
        parts = [
            viewer.arrived_ms.get(PACKETS * frame + part, float("inf")) for part in range(PACKETS)
        ]
        return max(parts) - sent_ms[frame]

    late = sorted(lateness_ms(frame) for frame in range(len(sent_ms)))
    lost = sum(each > frames_within_ms for each in late)
    counters = path.counters(DOWN)
    print(
        f"{loss}: {counters.lost} of {counters.received} packets lost, {viewer.repeated} repeated; "
        f"{lost} of {len(late)} frames lost; complete after {late[len(late) // 2]:.0f} ms (p50), "
        f"{late[int(0.95 * len(late))]:.0f} ms (p95)"
    )
    assert counters.lost > 200
    assert lost <= 0.005 * len(late)
    # What is repeated is what was lost, of media and repetitions alike.
    assert viewer.repeated <= 1.1 * counters.lost
