"""Who speaks, told to pages: real publishers whose senders measure levels, one that is silent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp

from kabina_sim.socket_page import SocketPage
from kabina_sim.stock_clients import Listener

if TYPE_CHECKING:
    from collections.abc import Callable

    from kabina_sim.meeting import Meeting
    from kabina_sim.server_process import ServerProcess


async def told(page: SocketPage, participants: list[str], dominant: str | None) -> dict[str, Any]:
    """Waits for exactly this state; what comes before it is on the way to it."""
    while True:
        message = await page.wait_for("speaking")
        if (message["participants"], message["dominant"]) == (participants, dominant):
            return message


async def test_pages_are_told_who_speaks_and_who_spoke_last(meeting: Meeting):
    ana = await meeting.publish("floor", 440.0, meeting.server.token("m", "speaker", name="Ana"))
    ben = await meeting.publish("floor", 660.0, meeting.server.token("m", "speaker", name="Ben"))
    voices = [peer.pc.getSenders()[0].track for peer in (ana, ben)]
    voices[1].amplitude = 0.0
    token = meeting.server.token("m", "attendee")
    async with meeting.http.ws_connect(meeting.url("/ws")) as socket:
        page = SocketPage(socket)
        welcome = await page.ask("hello", version=1, token=token)
        speakers = welcome["meeting"]["floor"]["speakers"]
        number = {one["name"]: one["participant"] for one in speakers}
        await told(page, [number["Ana"]], number["Ana"])
        # Whoever comes later is told how it is.
        async with meeting.http.ws_connect(meeting.url("/ws")) as later:
            late = SocketPage(later)
            await late.ask("hello", version=1, token=meeting.server.token("m", "attendee"))
            await told(late, [number["Ana"]], number["Ana"])
        voices[0].amplitude, voices[1].amplitude = 0.0, 0.25
        await told(page, [number["Ben"]], number["Ben"])
        voices[1].amplitude = 0.0
        await told(page, [], number["Ben"])
        await ben.delete()
        await told(page, [], None)


async def test_who_is_measured_by_nobody_is_heard_by_the_mixer(meeting: Meeting):
    """A sender without the level extension: FFmpeg, a telephone."""
    silent = meeting.server.token("m", "speaker", name="Ana")
    publisher = await meeting.publish("floor", 440.0, silent, told_levels=False)
    assert "ssrc-audio-level" not in publisher.answer
    token = meeting.server.token("m", "attendee")
    await meeting.listen("floor")
    async with meeting.http.ws_connect(meeting.url("/ws")) as socket:
        page = SocketPage(socket)
        welcome = await page.ask("hello", version=1, token=token)
        (who,) = [one["participant"] for one in welcome["meeting"]["floor"]["speakers"]]
        await told(page, [who], who)


async def test_the_demo_speaker_is_shown_while_somebody_listens(
    start_server: Callable[..., ServerProcess],
):
    """A prepared sound has no sender that could measure it."""
    server = start_server("--demo")
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{server.url}/api/demo") as response:
            token = (await response.json())["links"][0]["url"].partition("#")[2]
        listener = await Listener(http, f"{server.url}/whep/demo/floor", token).start()
        async with http.ws_connect(f"{server.url}/ws") as socket:
            page = SocketPage(socket)
            welcome = await page.ask("hello", version=1, token=token)
            (who,) = [one["participant"] for one in welcome["meeting"]["floor"]["speakers"]]
            await told(page, [who], who)
        await listener.close()
