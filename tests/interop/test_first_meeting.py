"""The meeting itself, heard by stock aiortc clients: floor 440 Hz, booth fr 880 Hz."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest

from kabina_sim.tones import RATE_HZ, longest_gap_ms, tone_levels_db

if TYPE_CHECKING:
    from kabina_sim.meeting import Meeting

FLOOR_HZ, FRENCH_HZ = 440.0, 880.0
FULL_DB = 20 * np.log10(0.25)  # a tone track's amplitude
pytestmark = pytest.mark.alone


def steady_db(samples: np.ndarray, frequency_hz: float) -> float:
    return float(np.median(tone_levels_db(samples, frequency_hz)))


async def test_an_interpreter_is_heard_over_the_lowered_floor_and_gives_it_back(
    meeting: Meeting,
):
    await meeting.publish("floor", FLOOR_HZ)
    listener = await meeting.listen("fr")
    albanian = await meeting.listen("sq")
    before = await listener.listen_for(1.5)
    passed_through_db = steady_db(before[RATE_HZ // 2 :], FLOOR_HZ)
    assert passed_through_db == pytest.approx(FULL_DB, abs=1.0)

    interpreter = await meeting.publish("fr", FRENCH_HZ)
    await asyncio.sleep(1.0)
    french, other = await asyncio.gather(listener.listen_for(1.5), albanian.listen_for(1.5))
    assert steady_db(french, FRENCH_HZ) == pytest.approx(FULL_DB, abs=1.0)
    assert passed_through_db - steady_db(french, FLOOR_HZ) == pytest.approx(18.0, abs=1.5)
    assert steady_db(other, FLOOR_HZ) == pytest.approx(FULL_DB, abs=1.0)
    assert steady_db(other, FRENCH_HZ) < FULL_DB - 50

    listening = asyncio.ensure_future(listener.listen_for(6.0))
    assert await interpreter.delete() == 200
    after = await listening
    levels = tone_levels_db(after, FLOOR_HZ, window_ms=20)
    back = np.flatnonzero(levels > passed_through_db - 1.0)
    assert len(back), levels
    # In the sound itself, from where the interpreter is heard last: how busy this machine is counts
    # for nothing.
    spoken = np.flatnonzero(tone_levels_db(after, FRENCH_HZ, window_ms=20) > FULL_DB - 20)
    climbed_s = (back[0] - spoken[-1]) * 0.02
    assert 0.8 <= climbed_s <= 3.5
    # Once the mix gives way to the voice itself, which is earlier: where two tones meet at any phase,
    # two windows may hold less of them.
    assert np.sum(levels[back[0] + 5 :] <= passed_through_db - 1.5) <= 2
    # The lowered floor alone is −30 dBFS RMS here: anything under −50 is a hole.
    assert longest_gap_ms(after, below_db=-50) <= 20
    print(f"floor back to full level {climbed_s:.2f} s after the mic went off")


async def test_nobody_interprets_and_every_language_hears_the_floor(meeting: Meeting):
    await meeting.publish("floor", FLOOR_HZ)
    listeners = await asyncio.gather(*(meeting.listen(c) for c in ("en", "fr", "sq", "floor")))
    heard = await asyncio.gather(*(listener.listen_for(1.5) for listener in listeners))
    for samples in heard:
        assert steady_db(samples[RATE_HZ // 2 :], FLOOR_HZ) == pytest.approx(FULL_DB, abs=1.0)


async def test_two_speakers_are_both_heard(meeting: Meeting):
    await meeting.publish("floor", FLOOR_HZ)
    await meeting.publish("floor", 1200.0)
    listener = await meeting.listen("floor")
    heard = (await listener.listen_for(2.0))[RATE_HZ // 2 :]
    assert steady_db(heard, FLOOR_HZ) == pytest.approx(FULL_DB, abs=1.5)
    assert steady_db(heard, 1200.0) == pytest.approx(FULL_DB, abs=1.5)


async def test_a_voice_that_is_heard_alone_is_forwarded_and_mixed_when_it_is_not(meeting: Meeting):
    """What carries a channel changes under the listeners; they hear one stream without a hole."""
    # A command for each: run while somebody listens they would hold up this process, and its ears.
    operator, guest = (meeting.server.token("m", role) for role in ("operator", "speaker"))
    speaker = await meeting.publish("floor", FLOOR_HZ)
    listener = await meeting.listen("floor")
    await listener.listen_for(0.5)
    assert await meeting.carriers(operator) == [{"participant": "p-1", "what": "voice"}]

    listening = asyncio.ensure_future(listener.listen_for(8.0))
    second = await meeting.publish("floor", 1200.0, token=guest)
    async with asyncio.timeout(30):
        while await meeting.carriers(operator) != [{"channel": "floor"}]:
            await asyncio.sleep(0.1)
    await asyncio.sleep(1.0)  # both are heard
    assert await second.delete() == 200
    samples = await listening
    assert longest_gap_ms(samples[RATE_HZ // 2 :], below_db=-30) <= 20
    assert np.max(tone_levels_db(samples, 1200.0)) == pytest.approx(FULL_DB, abs=1.5)
    async with asyncio.timeout(30):
        while await meeting.carriers(operator) != [{"participant": "p-1", "what": "voice"}]:
            await asyncio.sleep(0.1)
    await speaker.delete()
