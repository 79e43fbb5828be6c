"""What an interpreter hears at the desk, measured at the ear: floor 500 Hz, booth sq 1700 Hz."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest

from kabina_sim.tones import longest_gap_ms, tone_levels_db

if TYPE_CHECKING:
    from kabina_sim.meeting import Meeting

FULL_DB = float(20 * np.log10(0.25))
FLOOR_HZ, ALBANIAN_HZ = 500.0, 1700.0
pytestmark = pytest.mark.alone


def levels_db(samples: np.ndarray) -> list[float]:
    """Of the floor and of the Albanian booth, below their own."""
    tones = (tone_levels_db(samples, hz) for hz in (FLOOR_HZ, ALBANIAN_HZ))
    return [float(np.median(tone)) - FULL_DB for tone in tones]


def is_guarded(level_db: float) -> bool:
    """As loud as it was sent, but for what the hearing guard takes off: these steady tones have
    −15 to −12 LUFS, and a desk gets no more than −15."""
    return -4.0 < level_db < 1.0


async def test_a_desk_hears_the_original_and_by_relay_another_interpreter_alone(meeting: Meeting):
    tokens = {
        who: meeting.server.token("m", *who.split())
        for who in ("speaker", "operator", "interpreter fr", "interpreter sq")
    }
    await meeting.publish("floor", FLOOR_HZ, token=tokens["speaker"])
    pivot = await meeting.publish("sq", ALBANIAN_HZ, token=tokens["interpreter sq"])
    desk = await meeting.open_page("floor", tokens["interpreter fr"], tone_hz=2300.0)
    await desk.ask("join_booth", booth="fr")
    await asyncio.sleep(1.0)
    floor_db, albanian_db = levels_db(await desk.listen_for(1.0))
    assert is_guarded(floor_db)
    assert albanian_db < -50
    assert {"channel": "floor", "feed": "booth"} in await meeting.carriers(tokens["operator"])

    # From the original to the relay without a hole, and back when nobody is on air any more.
    listening = asyncio.ensure_future(desk.listen_for(2.0))
    await asyncio.sleep(0.5)
    await desk.ask("listen", channel="sq")
    assert longest_gap_ms(await listening, below_db=-40) == 0
    floor_db, albanian_db = levels_db(await desk.listen_for(1.0))
    assert floor_db < -50
    assert is_guarded(albanian_db)
    assert {"channel": "sq", "feed": "relay"} in await meeting.carriers(tokens["operator"])
    assert await pivot.delete() == 200
    await asyncio.sleep(0.5)
    floor_db, albanian_db = levels_db(await desk.listen_for(1.0))
    assert is_guarded(floor_db)
    assert albanian_db < -50
