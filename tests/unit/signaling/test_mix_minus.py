"""Nobody hears themselves, whatever people do; played against a real plane and mixer."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from kabina.interpretation.commands import (
    JoinBooth,
    LeaveBooth,
    ReleaseChannel,
    ReleaseFloor,
    Show,
    TakeChannel,
    TakeFloor,
)
from kabina.interpretation.hearing import ORIGINAL_LEVELS_DB
from kabina.interpretation.ids import BoothId, ChannelId, Role
from kabina.interpretation.stage import Visual
from kabina.signaling.errors import CodedError

if TYPE_CHECKING:
    from conftest import House

    from kabina.mixer.rows import MixRow

FLOOR = ChannelId("floor")


def sources(row: MixRow) -> set[int]:
    return {*row.floor, *row.interpreters}


async def test_talkers_who_listen_have_a_row_each_and_the_silent_share_one(house: House):
    talkers = [house.speaker() for _ in range(3)]
    silent = [house.listener("floor") for _ in range(5)]
    for who in talkers:
        house.room.listen(who, FLOOR)
    voices = house.room.sound.voices
    for who in talkers:
        others = {voices[one].source for one in talkers if one != who}
        assert sources(house.planned[house.room.heard_by(who)]) == others
    assert len({house.room.heard_by(who) for who in silent}) == 1
    assert len({house.room.heard_by(who) for who in (*talkers, *silent)}) == 4
    house.room.execute(ReleaseFloor(talkers[0]))
    assert house.room.heard_by(talkers[0]) == house.room.heard_by(silent[0])


async def test_of_two_who_speak_each_gets_the_other_as_they_came(house: House):
    tracks = [house.track(), house.track()]
    talkers = [house.speaker(track=track) for track in tracks]
    for who in talkers:
        house.room.listen(who, FLOOR)
    assert [house.room.heard_by(who) for who in talkers] == tracks[::-1]
    house.play(100)
    assert house.mixer.engine.counters()["encodes"] == 0


async def test_whoever_speaks_alone_hears_nothing(house: House):
    who = house.speaker(track=house.track())
    house.room.listen(who, FLOOR)
    assert house.room.heard_by(who) == 0
    house.speaker()
    assert house.room.heard_by(who) != 0


async def test_whoever_shows_a_screen_does_not_hear_its_sound(house: House):
    presenter, speaker = house.enter(Role.SPEAKER), house.speaker()
    sound = house.room.sound.open_screen(presenter, house.track())
    house.room.execute(Show(presenter, Visual.SCREEN, on=True))
    house.room.sound.screen_flowed(presenter, flows=True)
    house.room.listen(presenter, FLOOR)
    listener = house.listener("floor")
    voice = house.room.sound.voices[speaker].source
    assert sources(house.planned[house.room.heard_by(listener)]) == {voice, sound}
    assert sources(house.planned[house.room.heard_by(presenter)]) == {voice}


async def test_without_a_free_row_a_talker_hears_silence_rather_than_themselves(house: House):
    for _ in range(2):
        house.speaker()
    third = house.enter(Role.SPEAKER)
    house.voice_of(third)
    house.room.listen(third, FLOOR)
    assert house.room.heard_by(third) != 0
    track = house.track()
    with suppress(BufferError):
        while True:
            house.mixer.engine.add_row(track)
    house.room.execute(TakeFloor(third, "en"))
    assert house.room.heard_by(third) == 0


@pytest.mark.parametrize("seed", range(12))
async def test_in_random_meetings_nobody_hears_themselves_and_everybody_all_others(
    house: House, seed: int
):
    draw = random.Random(seed)
    room = house.room
    people = [house.enter(Role.SPEAKER) for _ in range(4)]
    interpreters = [house.enter(Role.INTERPRETER, "fr", "sq") for _ in range(3)]
    screens = {}
    for number, who in enumerate((*people, *interpreters)):
        # Some came by a track, which may be forwarded; others are prepared sounds.
        house.voice_of(who, track=house.track() if number % 2 else 0)
        screens[who] = room.sound.open_screen(who, house.track())
    everybody = [*people, *interpreters, house.enter(), house.enter()]
    channels = [ChannelId(one) for one in ("floor", "en", "fr", "sq")]
    deeds = [
        lambda: room.listen(
            draw.choice(everybody),
            draw.choice([*channels, None]),
            draw.choice(ORIGINAL_LEVELS_DB),
        ),
        lambda: room.execute(TakeFloor(draw.choice(people), "en")),
        lambda: room.execute(ReleaseFloor(draw.choice(people))),
        lambda: room.execute(JoinBooth(draw.choice(interpreters), BoothId("fr"))),
        lambda: room.execute(JoinBooth(draw.choice(interpreters), BoothId("sq"))),
        lambda: room.execute(LeaveBooth(draw.choice(interpreters))),
        lambda: room.execute(TakeChannel(draw.choice(interpreters))),
        lambda: room.execute(ReleaseChannel(draw.choice(interpreters))),
        lambda: room.execute(Show(draw.choice(people), Visual.SCREEN, on=draw.random() < 0.7)),
        lambda: room.sound.screen_flowed(draw.choice(people), flows=draw.random() < 0.7),
    ]
    heard = 0
    for _ in range(150):
        try:
            draw.choice([deeds[0], *deeds])()
        except CodedError:
            continue  # refused: nothing has changed
        voices = room.sound.voices
        on_air = [who for who in interpreters if room.is_on_air(who)]
        for who in everybody:
            track = room.heard_by(who)
            if track == 0:
                continue
            heard += 1
            own = {voices[who].source, screens[who]} if who in voices else set()
            if track in house.planned:
                assert not own & sources(house.planned[track]), who
                # And nobody else is missing of those who speak.
                floor = {voices[one].source for one in people if room.is_on_air(one)} - own
                if not on_air:
                    assert floor <= sources(house.planned[track]), who
            else:
                assert track != voices[who].track if who in voices else True
                assert room.sound.whose(track)[0] != who
    assert heard > 100
