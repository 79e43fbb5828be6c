"""One viewer asks for far too much, over real sockets: neither the camera nor its link pays for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest

from kabina.benchmarks.video_load import camera
from kabina_sim.plane_client import nack, pli
from kabina_sim.video_viewer import MEDIA, RTX, Pictures, VideoViewer

if TYPE_CHECKING:
    from kabina_sim.meeting import Meeting

STORM_S = 5.0


@pytest.mark.parametrize("storm", ["nack", "pli"])
async def test_a_storm_costs_neither_the_link_nor_the_camera(meeting: Meeting, storm: str):
    token = meeting.server.token("m", "attendee")
    async with camera(
        meeting.http, meeting.url("/whip/m/floor"), meeting.server.token("m", "speaker")
    ) as publisher:
        greedy, other = VideoViewer(), VideoViewer()
        try:
            for viewer in (greedy, other):
                await viewer.start(meeting.http, meeting.url("/whep/m/floor"), token)
            async with asyncio.timeout(60):
                while not greedy.seen.sequences or not other.seen.sequences:
                    await asyncio.sleep(0.05)
            await asyncio.sleep(1.0)
            greedy.seen, other.seen = Pictures(), Pictures()
            before = publisher.figures()
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            asked = 0
            while loop.time() < began_s + STORM_S:
                if storm == "nack":
                    known = greedy.seen.sequences[-150:]
                    asked += len(known)
                    greedy.send_rtcp(nack(greedy.media_ssrc, known))
                else:
                    asked += 1
                    greedy.send_rtcp(pli(greedy.media_ssrc))
                await asyncio.sleep(0.01)
            after = publisher.figures()
            took_s = loop.time() - began_s
        finally:
            greedy.close()
            other.close()
    media, repeated = greedy.seen.bytes[MEDIA], greedy.seen.bytes[RTX]
    plis = after["plis"] - before["plis"]
    print(
        f"{asked} asked for: {media + repeated} bytes sent for {media} of the stream, {plis} PLI "
        f"and {after['key_frames'] - before['key_frames']} key frames of the camera"
    )
    # The budget looks back a second: a key frame of the second before may be repeated in this.
    assert media + repeated <= 2.05 * media
    assert plis <= 2 * took_s + 1  # one may be due when it begins
    if storm == "nack":
        assert asked > 10 * greedy.seen.packets[MEDIA]
        assert greedy.seen.packets[RTX] > 50
        assert meeting.server.metric("kabina_plane_resends_over_budget_total") > 0
        assert plis <= 1
    else:
        assert asked > 5 * plis
        assert plis >= 2  # it is heard, though
    assert np.all(np.diff(other.seen.sequences) % 65536 == 1)
    assert other.seen.packets[RTX] == 0
