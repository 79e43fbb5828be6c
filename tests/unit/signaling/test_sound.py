"""How a room sounds: which rows there are, who shares one, and what flows without any."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from kabina.interpretation.commands import LeaveMeeting, ReleaseChannel, TakeChannel
from kabina.interpretation.hearing import ORIGINAL_LEVELS_DB
from kabina.interpretation.ids import ChannelId
from kabina.signaling import sound_rows
from kabina.signaling.errors import CodedError

if TYPE_CHECKING:
    from conftest import House

FR = ChannelId("fr")


def rows(house: House) -> int:
    return len(house.room.sound.open_rows)


async def test_a_level_has_a_row_from_its_first_listener_on(house: House):
    before = rows(house)
    first = house.listener("fr", -24.0)
    assert rows(house) == before + 1
    second = house.listener("fr", -24.0)
    assert rows(house) == before + 1
    assert house.room.heard_by(first) == house.room.heard_by(second)


async def test_the_usual_level_and_the_original_alone_have_the_channels_own_rows(house: House):
    before = rows(house)
    usual = house.listener("fr")
    alone = [house.listener("floor", level) for level in ORIGINAL_LEVELS_DB]
    assert rows(house) == before
    assert len({house.room.heard_by(who) for who in alone}) == 1
    assert house.room.heard_by(usual) != house.room.heard_by(alone[0])


async def test_every_level_is_as_deep_as_it_says_from_its_first_frame_on(house: House):
    house.speaker()
    house.on_air("fr")
    house.play(1000)
    for level in ORIGINAL_LEVELS_DB:
        who = house.listener("fr", level)
        house.play(20)
        assert house.readings(who).duck_db == pytest.approx(max(level, -90.0)), level


async def test_a_level_that_was_left_for_a_while_does_not_begin_with_the_original(house: House):
    house.speaker()
    house.on_air("fr")
    who = house.listener("fr", -24.0)
    house.play(1000)
    house.room.listen(who, FR)
    house.play(5000)  # longer than the original takes to rise
    house.room.listen(who, FR, -24.0)
    house.play(20)
    assert house.readings(who).duck_db == pytest.approx(-24.0)


async def test_levels_are_one_mix_when_nobody_interprets(house: House):
    house.speaker()
    interpreter = house.on_air("fr")
    listeners = [house.listener("fr", level) for level in ORIGINAL_LEVELS_DB]
    listeners.append(house.listener("sq"))
    house.play(500)
    encodes = house.mixer.engine.counters()["encodes"]
    house.play(20)
    assert house.mixer.engine.counters()["encodes"] - encodes == len(listeners)

    house.room.execute(ReleaseChannel(interpreter))
    house.play(2500 + 800 + 1100 + 200)  # hold, release, and the limiter back where it was
    encodes = house.mixer.engine.counters()["encodes"]
    house.play(20)
    assert house.mixer.engine.counters()["encodes"] - encodes == 1
    assert sum(house.readings(who).shared for who in listeners) == len(listeners) - 1


async def test_a_row_is_closed_a_while_after_its_last_listener_left(house: House, monkeypatch):
    before = rows(house)
    who = house.listener("fr", 0.0)
    house.room.listen(who, FR, -12.0)
    house.room.execute(LeaveMeeting(who))
    assert rows(house) == before + 2  # they may come back
    monkeypatch.setattr(sound_rows, "LINGERS_S", 0.0)
    house.listener("sq")  # anything that is looked at
    assert rows(house) == before


async def test_a_row_that_is_heard_again_in_time_stays(house: House, monkeypatch):
    who = house.listener("fr", 0.0)
    before = house.room.heard_by(who)
    house.room.listen(who, FR, -18.0)
    house.room.listen(who, FR, 0.0)
    monkeypatch.setattr(sound_rows, "LINGERS_S", 0.0)
    house.listener("sq")
    assert house.room.heard_by(who) == before


async def test_without_a_free_row_the_order_is_refused_and_nothing_changes(house: House):
    who = house.listener("fr")
    track = house.track()
    taken = []
    with suppress(BufferError):
        while True:
            taken.append(house.mixer.engine.add_row(track))
    before = house.room.heard_by(who), house.room.view()
    with pytest.raises(CodedError) as refusal:
        house.room.listen(who, FR, -24.0)
    assert refusal.value.code == "server.full"
    assert (house.room.heard_by(who), house.room.view()) == before
    house.mixer.engine.remove_row(taken.pop())
    house.play(20)
    house.room.listen(who, FR, -24.0)
    assert house.room.heard_by(who) != before[0]


async def test_what_the_meeting_refuses_opens_no_row(house: House):
    who, before = house.listener("fr"), rows(house)
    for channel, level in (("de", -24.0), ("fr", -17.0), ("fr", math.nan)):
        with pytest.raises(CodedError):
            house.room.listen(who, ChannelId(channel), level)
    assert rows(house) == before


async def test_one_voice_is_forwarded_to_every_level_and_mixed_under_an_interpreter(house: House):
    track = house.track()
    house.speaker(track=track)
    interpreter = house.interpreter("fr")
    listeners = [house.listener("fr", level) for level in ORIGINAL_LEVELS_DB]
    assert {house.room.heard_by(who) for who in listeners} == {track}
    house.room.execute(TakeChannel(interpreter))
    tracks = {house.room.heard_by(who) for who in listeners}
    assert len(tracks) == len(ORIGINAL_LEVELS_DB)
    assert track not in tracks


async def test_hearers_are_told_when_another_track_carries_what_they_hear(house: House):
    class Hearer:
        told = 0

        def sound_changed(self) -> None:
            self.told += 1

    hearer = Hearer()
    house.room.add_hearer(hearer)
    house.speaker(track=house.track())
    assert hearer.told == 1
    house.speaker(track=house.track())
    assert hearer.told == 2


async def test_one_more_listener_of_what_is_heard_already_tells_the_mixer_nothing(house: House):
    house.speaker()
    house.listener("fr")
    told = house.planned
    house.listener("fr")
    assert house.planned is told
    house.listener("sq")
    assert house.planned is not told
