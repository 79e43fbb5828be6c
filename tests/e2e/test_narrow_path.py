"""A viewer whose path narrows to 300 kb/s and widens again, in a real browser.

How long each takes is `kabina bench narrow`'s to say: the publisher's encoder makes the key frame
that ends the freeze, and here it shares a machine with the tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kabina.benchmarks.narrow_path import join, narrowed

if TYPE_CHECKING:
    from kabina_sim.browser import Stage

pytestmark = [pytest.mark.browser, pytest.mark.alone]


async def test_a_narrow_path_costs_layers_and_a_wide_one_gives_them_back(stage: Stage):
    url, token = stage.server.url, stage.server.token
    await join(stage.browser, url, token("m", "speaker"), speaks=True)
    with stage.server.relay(seed=3) as relay:
        viewer = await join(stage.browser, url, token("m", "attendee"), relay=relay)
        await viewer.evaluate("kabinaTest.watchFrames()")
        await viewer.evaluate("kabinaTest.waitForPicture(700, 720, 20000)")
        seen = await narrowed(viewer, relay)
    assert seen.below == 1, "a layer the path does not carry was tried again"
    assert seen.longest_gap < seen.settles + 1000, "it froze again on the layer that fits"
