"""Stereo originals: in by WHIP, out by WHEP, measured; voices stay mono."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from kabina_sim.tones import tone_levels_db

if TYPE_CHECKING:
    import numpy as np

    from kabina_sim.meeting import Meeting
    from kabina_sim.stock_clients import Listener

LEFT_HZ, RIGHT_HZ, VOICE_HZ = 440.0, 1000.0, 2500.0
MIX_DB = -18.06  # of one tone of 0.25 (−12.04 dBFS) in the mean of two channels


def opus_parameters(description: str) -> str:
    (fmtp,) = re.findall(r"a=fmtp:\d+ (minptime=\S+)", description)
    return fmtp


def levels_db(both: np.ndarray, hz: float) -> tuple[float, float]:
    """Of one tone on the left and on the right, the median of 40 ms windows."""
    left, right = (float(sorted(tone_levels_db(both[:, i], hz))[12]) for i in range(2))
    return left, right


async def hear_until_stereo(listener: Listener, *, wanted: bool) -> np.ndarray:
    """A second of sound, once it is (or is not) that of two channels."""
    async with asyncio.timeout(20):
        while True:
            await listener.listen_for(1.0)
            both = listener.heard_in_stereo[:48000]
            left, right = levels_db(both, LEFT_HZ)
            if left > -40 and (left - right > 6) is wanted:
                return both


async def test_a_stereo_original_reaches_who_hears_the_original_in_stereo(meeting: Meeting):
    publisher = await meeting.publish("floor", LEFT_HZ, right_hz=RIGHT_HZ)
    assert "stereo=1" in opus_parameters(publisher.answer).split(";")
    assert "maxaveragebitrate=96000" in opus_parameters(publisher.answer).split(";")
    listener = await meeting.listen("floor", stereo=True)
    assert "sprop-stereo=1" in opus_parameters(listener.answer).split(";")
    # Nobody interprets: French hears the original, too.
    passed = await meeting.listen("fr", stereo=True)
    for one in (listener, passed):
        both = await hear_until_stereo(one, wanted=True)
        left, right = levels_db(both, LEFT_HZ)
        assert left == pytest.approx(-12.04, abs=0.5)
        assert left - right >= 30
        left, right = levels_db(both, RIGHT_HZ)
        assert right == pytest.approx(-12.04, abs=0.5)
        assert right - left >= 30


async def test_statistics_say_whose_voice_is_forwarded(meeting: Meeting):
    await meeting.publish("floor", LEFT_HZ, right_hz=RIGHT_HZ)
    listener = await meeting.listen("floor", stereo=True)
    await hear_until_stereo(listener, wanted=True)
    headers = {"Authorization": f"Bearer {meeting.server.token('m', 'operator')}"}
    url = meeting.url("/api/meetings/m/statistics")
    async with meeting.http.get(url, headers=headers) as response:
        _, heard = (await response.json())["participants"]
    assert heard["outbound"][0]["source"] == {"participant": "p-1", "what": "voice"}


async def test_where_it_is_mixed_it_is_the_mean_of_its_channels(meeting: Meeting):
    """A second voice makes a mix of it, and when that has ended the stereo is back."""
    await meeting.publish("floor", LEFT_HZ, right_hz=RIGHT_HZ)
    listener = await meeting.listen("floor", stereo=True)
    await hear_until_stereo(listener, wanted=True)
    voice = await meeting.publish("floor", VOICE_HZ)
    both = await hear_until_stereo(listener, wanted=False)
    for hz in (LEFT_HZ, RIGHT_HZ):
        for level in levels_db(both, hz):
            assert level == pytest.approx(MIX_DB, abs=1.0)
    await voice.delete()
    await hear_until_stereo(listener, wanted=True)


async def test_an_interpreter_is_heard_over_the_mean_of_it(meeting: Meeting):
    await meeting.publish("floor", LEFT_HZ, right_hz=RIGHT_HZ)
    listener = await meeting.listen("fr", stereo=True)
    await hear_until_stereo(listener, wanted=True)
    interpreter = await meeting.publish("fr", VOICE_HZ)
    async with asyncio.timeout(20):
        while True:
            await listener.listen_for(1.0)
            both = listener.heard_in_stereo[:48000]
            if min(levels_db(both, VOICE_HZ)) > -20 and levels_db(both, LEFT_HZ)[0] < -30:
                break
    left, right = levels_db(both, LEFT_HZ)
    assert left == pytest.approx(right, abs=0.5)  # mono: lowered by 18 dB on both sides
    await interpreter.delete()
    await hear_until_stereo(listener, wanted=True)


async def test_a_voice_stays_mono_whatever_the_listener_likes(meeting: Meeting):
    publisher = await meeting.publish("floor", LEFT_HZ)
    listener = await meeting.listen("floor", stereo=True)
    assert "stereo" not in opus_parameters(publisher.answer)
    both = await hear_until_stereo(listener, wanted=False)
    left, right = levels_db(both, LEFT_HZ)
    assert left == pytest.approx(right, abs=0.1)
    plain = await meeting.listen("floor")
    assert "stereo" not in opus_parameters(plain.answer)
