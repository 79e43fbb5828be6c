"""A listener on a lossy path, and what the server makes of the reports."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kabina.benchmarks.relay import Impairment, Random

if TYPE_CHECKING:
    from kabina_sim.meeting import Meeting

pytestmark = pytest.mark.alone


async def test_reported_losses_raise_the_fec_of_that_channel_and_of_no_other(meeting: Meeting):
    await meeting.publish("floor", 440.0)
    await meeting.publish("fr", 880.0)
    token = meeting.server.token("m", "attendee")
    with meeting.server.relay(down=Impairment(loss=Random(0.15)), seed=1) as relay:
        await meeting.listen("fr", token, relay=relay)
        await meeting.listen("sq", token)

        def expected(channel: str) -> float:
            return meeting.server.metric(
                f'kabina_expected_loss_percent{{channel="{channel}",meeting="m"}}'
            )

        assert (expected("fr"), expected("sq")) == (5, 5)
        async with asyncio.timeout(60):
            while expected("fr") < 8:
                await asyncio.sleep(0.5)
        assert 8 <= expected("fr") <= 20
        assert expected("sq") == 5
