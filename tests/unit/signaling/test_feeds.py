"""What interpreters hear at their desks: the original, or another booth by relay."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from kabina.interpretation.commands import JoinBooth, ReleaseChannel, Show, TakeChannel
from kabina.interpretation.ids import BoothId, ChannelId, Role
from kabina.interpretation.stage import Visual
from kabina.mixer.policy import RowKind

if TYPE_CHECKING:
    from conftest import House

    from kabina.interpretation.ids import ParticipantId

FLOOR, SQ = ChannelId("floor"), ChannelId("sq")


def kind(house: House, who: ParticipantId) -> RowKind:
    hearing = house.room.sound.hearing_of(house.room.heard_by(who))
    assert hearing is not None
    return house.room.sound.open_rows[hearing].kind


async def test_desks_share_a_feed_of_the_original_that_passes_the_engine(house: House):
    house.speaker(track=house.track())
    first, second = house.interpreter("fr"), house.interpreter("sq")
    for who in (first, second):
        house.room.listen(who, FLOOR)
    assert kind(house, first) is RowKind.BOOTH
    assert house.room.heard_by(first) == house.room.heard_by(second)
    # Others get the same voice untouched.
    listener = house.listener("floor")
    assert house.room.sound.whose(house.room.heard_by(listener)) is not None


async def test_a_relay_is_the_interpreter_alone_and_the_original_undimmed_in_the_gaps(house: House):
    house.speaker()
    desk, pivot = house.interpreter("fr"), house.on_air("sq")
    house.room.listen(desk, SQ)
    assert kind(house, desk) is RowKind.RELAY
    house.play(200)
    assert house.readings(desk).interpreter_db == pytest.approx(-15.0, abs=1.0)
    assert house.readings(desk).original_db == -127.0
    track = house.room.heard_by(desk)
    house.room.execute(ReleaseChannel(pivot))
    house.play(60)
    assert house.readings(desk).interpreter_db == -127.0
    assert house.readings(desk).original_db == pytest.approx(-15.0, abs=1.0)
    house.room.execute(TakeChannel(pivot))
    house.play(60)
    assert house.readings(desk).original_db == -127.0
    assert house.room.heard_by(desk) == track


async def test_the_sound_of_the_stage_is_the_floors_and_not_the_relays(house: House):
    presenter = house.enter(Role.SPEAKER)
    house.room.sound.open_screen(presenter, house.track())
    house.room.execute(Show(presenter, Visual.SCREEN, on=True))
    house.room.sound.screen_flowed(presenter, flows=True)
    desk, pivot = house.interpreter("fr"), house.on_air("sq")
    house.room.listen(desk, SQ)
    assert floor_of(house, desk) == ()
    house.room.execute(ReleaseChannel(pivot))
    assert len(floor_of(house, desk)) == 1


async def test_without_a_free_row_a_desk_hears_what_the_audience_hears(house: House):
    for _ in range(2):
        house.speaker()
    desk = house.enter(Role.INTERPRETER, "fr")
    house.room.listen(desk, FLOOR)
    track = house.track()
    with suppress(BufferError):
        while True:
            house.mixer.engine.add_row(track)
    house.room.execute(JoinBooth(desk, BoothId("fr")))
    assert kind(house, desk) is RowKind.FLOOR
    assert house.planned[house.room.heard_by(desk)].heard


def floor_of(house: House, who: ParticipantId) -> tuple[int, ...]:
    return house.planned[house.room.heard_by(who)].floor
