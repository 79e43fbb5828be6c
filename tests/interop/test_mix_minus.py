"""Whoever speaks hears everybody but themselves, in each channel; measured at the ear."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest

from kabina_sim.tones import tone_levels_db

if TYPE_CHECKING:
    from kabina_sim.meeting import Meeting

FULL_DB = float(20 * np.log10(0.25))
FRENCH_HZ = 1700.0
pytestmark = pytest.mark.alone


def steady_db(samples: np.ndarray, frequency_hz: float) -> float:
    """Below a voice at its own level."""
    return float(np.median(tone_levels_db(samples, frequency_hz))) - FULL_DB


async def test_three_who_speak_hear_the_two_others(meeting: Meeting):
    tones_hz = (500.0, 800.0, 1200.0)
    token = meeting.server.token("m", "speaker")
    pages = [await meeting.open_page("floor", token, tone_hz=hz) for hz in tones_hz]
    for page in pages:
        await page.ask("take_floor", language="en")
    audience = await meeting.listen("floor")
    await asyncio.sleep(1.0)
    heard = await asyncio.gather(*(one.listen_for(1.5) for one in (*pages, audience)))
    for own_hz, samples in zip((*tones_hz, None), heard, strict=True):
        levels_db = {hz: round(steady_db(samples, hz), 1) for hz in tones_hz}
        print(f"own {own_hz}: {levels_db}")
        for hz, level_db in levels_db.items():
            if hz == own_hz:
                # What Opus adds between two tones: as much at 450 and 550 Hz, where nobody is.
                assert level_db < -25
            else:
                assert level_db == pytest.approx(0.0, abs=2.0)

    # Silent again, one of them shares what everybody hears, themselves no more among it.
    await pages[0].ask("release_floor")
    await asyncio.sleep(1.0)
    samples = await pages[0].listen_for(1.0)
    assert [round(steady_db(samples, hz)) for hz in tones_hz[1:]] == [0, 0]
    operator = meeting.server.token("m", "operator")
    carriers = await meeting.carriers(operator)
    assert carriers[0] == carriers[-1] == {"channel": "floor"}


async def test_a_speaker_and_an_interpreter_hear_a_language_without_themselves(meeting: Meeting):
    speaker, interpreter = (
        meeting.server.token("m", "speaker"),
        meeting.server.token("m", "interpreter", "fr"),
    )
    first = await meeting.open_page("fr", speaker, tone_hz=500.0)
    second = await meeting.open_page("fr", speaker, tone_hz=800.0)
    booth = await meeting.open_page("fr", interpreter, tone_hz=FRENCH_HZ)
    for page in (first, second):
        await page.ask("take_floor", language="en")
    await booth.ask("join_booth", booth="fr")
    await booth.ask("take_channel")
    await asyncio.sleep(1.0)
    heard = await asyncio.gather(*(one.listen_for(1.5) for one in (first, second, booth)))
    levels_db = [[steady_db(one, hz) for hz in (500.0, 800.0, FRENCH_HZ)] for one in heard]
    print(np.round(levels_db, 1).tolist())
    own = np.eye(3, dtype=bool)
    assert np.all(np.array(levels_db)[own] < -50)
    expected = np.array([[0.0, -18.0, 0.0], [-18.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert np.array(levels_db)[~own] == pytest.approx(expected[~own], abs=2.5)


async def test_whoever_speaks_alone_is_sent_nothing(meeting: Meeting):
    page = await meeting.open_page("floor", meeting.server.token("m", "speaker"), tone_hz=500.0)
    await page.ask("take_floor", language="en")
    listener = await meeting.listen("floor")
    await listener.listen_for(0.5)
    operator = meeting.server.token("m", "operator")
    # The one slot with a source is the listener's.
    assert await meeting.carriers(operator) == [{"participant": "p-1", "what": "voice"}]
