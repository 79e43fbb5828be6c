"""Losses that receivers report become the FEC of what they hear."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket

from kabina.interpretation.commands import ReleaseChannel
from kabina.interpretation.hearing import Hearing
from kabina.interpretation.ids import ChannelId
from kabina.mixer.policy import loss_percent
from kabina.native.plane import Plane
from kabina.signaling.losses import LossWatch
from kabina_sim.plane_client import Client, Clock, Speaker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import House

FR, SQ = Hearing(ChannelId("fr")), Hearing(ChannelId("sq"))


@pytest.mark.parametrize(
    ("losses", "percent"),
    [
        ([], 5),
        ([0.0], 5),
        ([0.072], 8),
        ([0.5], 20),
        ([0.0] * 9 + [0.5], 5),  # one bad line of ten
        ([0.0] * 8 + [0.1, 0.5], 10),
        ([0.12, 0.0, 0.11], 12),
    ],
)
def test_nine_in_ten_receivers_get_the_fec_they_need_within_bounds(losses, percent):
    assert loss_percent(losses) == percent


async def test_each_mix_expects_what_its_own_listeners_lose(house: House):
    house.speaker()
    house.on_air("fr")
    french, quiet = house.listener("fr"), house.listener("fr", -24.0)
    house.room.sound.set_losses({FR: [0.1]})
    assert house.planned[house.room.heard_by(french)].loss_percent == 10
    assert house.planned[house.room.heard_by(quiet)].loss_percent == 5
    house.room.sound.set_losses({})
    assert house.planned[house.room.heard_by(french)].loss_percent == 5


async def test_channels_that_sound_alike_are_one_mix_of_all_their_listeners(house: House):
    house.speaker()
    interpreter = house.on_air("fr")
    listeners = [house.listener("fr"), house.listener("fr", -24.0), house.listener("sq")]
    house.room.execute(ReleaseChannel(interpreter))
    house.room.sound.set_losses({FR: [0.09], SQ: [0.16]})
    percents = [house.planned[house.room.heard_by(who)].loss_percent for who in listeners]
    assert percents == [16, 16, 16]


async def test_unchanged_losses_tell_the_mixer_nothing(house: House):
    house.speaker()
    house.listener("fr")
    house.room.sound.set_losses({FR: [0.1]})
    told = house.planned
    house.room.sound.set_losses({FR: [0.095, 0.099]})
    assert house.planned is told


class Network:
    """A plane turned by hand, one who speaks, and one who reports what they lost."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.clock = Clock(plane)
        self.publisher, self.listener = Client(plane, "publisher"), Client(plane, "listener")
        for client in (self.publisher, self.listener):
            client.join(self.clock)
        self.slot = self.listener.add_slot()
        plane.set_slot_source(self.slot, self.publisher.add_track())
        self.speaker = Speaker(self.publisher, 1)

    def speak(self, packets: int) -> None:
        for _ in range(packets):
            self.speaker.speak()
            self.clock.turn(after_ms=20)
            self.listener.read()

    def report(self, lost: int) -> None:
        block = RtcpReceiverInfo(0x5107, 0, lost, 1, 0, 0, 0)
        self.listener.send_rtcp(bytes(RtcpRrPacket(ssrc=77, reports=[block])))
        self.clock.turn()


@pytest.fixture
def network() -> Iterator[Network]:
    plane = Plane(host="127.0.0.1", port=0, max_peers=4)
    made = Network(plane)
    yield made
    made.publisher.close()
    made.listener.close()
    plane.stop()


def test_what_was_lost_is_that_of_the_time_between_two_looks(network: Network):
    watch = LossWatch(network.plane)

    def look() -> float | None:
        lost = watch.look(network.slot)
        watch.end_round()
        return lost

    network.speak(100)
    assert look() is None  # no report yet
    network.report(lost=40)
    assert look() is None  # how long ago is not known
    network.speak(100)
    network.report(lost=50)
    assert look() == pytest.approx(0.1)
    network.speak(200)
    network.report(lost=48)  # some came twice
    assert look() == 0.0
    network.speak(10)
    network.report(lost=58)
    assert look() is None  # too few packets to tell


def test_a_slot_that_is_gone_is_forgotten(network: Network):
    watch = LossWatch(network.plane)
    network.speak(60)
    network.report(lost=0)
    watch.look(network.slot)
    network.plane.remove_peer(network.listener.peer)
    assert watch.look(network.slot) is None
    watch.end_round()
    watch.end_round()
    assert watch.look(network.slot) is None
