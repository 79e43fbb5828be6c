"""The demo meeting plays by itself, and people take its robots' places."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import numpy as np
import pytest

from kabina_sim.socket_page import SocketPage
from kabina_sim.stock_clients import Listener, Publisher, RefusedError, ToneTrack
from kabina_sim.tones import RATE_HZ

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from kabina_sim.server_process import ServerProcess


class Watcher:
    """An attendee's page that follows the views of the meeting, as they come."""

    def __init__(self, page: SocketPage, first: dict[str, Any]) -> None:
        self._page = page
        self.view = first

    async def until(self, look: Callable[[dict[str, Any]], Any]) -> Any:
        """What `look` finds in the view, this one or a later one."""
        async with asyncio.timeout(60):
            while not (found := look(self.view)):
                message = await self._page.socket.receive_json()
                if message["type"] == "meeting":
                    self.view = message["meeting"]
            return found


@asynccontextmanager
async def joined(
    http: aiohttp.ClientSession, server: ServerProcess, role: str, *languages: str
) -> AsyncIterator[tuple[SocketPage, dict[str, Any]]]:
    async with http.ws_connect(f"{server.url}/ws") as socket:
        page = SocketPage(socket)
        token = server.token("demo", role, *languages)
        welcome = await page.ask("hello", version=1, token=token)
        yield page, welcome


@asynccontextmanager
async def watching(http: aiohttp.ClientSession, server: ServerProcess) -> AsyncIterator[Watcher]:
    async with joined(http, server, "attendee") as (page, welcome):
        yield Watcher(page, welcome["meeting"])


def speakers(view: dict[str, Any]) -> list[str]:
    return [one["name"] for one in view["floor"]["speakers"]]


def on_air(view: dict[str, Any], booth: str) -> list[str]:
    channel = next(one for one in view["channels"] if one["id"] == booth)
    return [one["name"] for one in channel["on_air"]]


def seated(view: dict[str, Any], booth: str) -> list[str]:
    desks = next(one for one in view["booths"] if one["id"] == booth)["desks"]
    return [desk["name"] for desk in desks]


def robot(booth: str) -> list[str]:
    return [f"Demo interpreter ({booth})"]


def busy_booth(view: dict[str, Any]) -> str | None:
    """A booth whose robot is on air."""
    return next((booth for booth in ("fr", "sq") if on_air(view, booth) == robot(booth)), None)


def loudness_db(samples: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(samples**2)) + 1e-9))


@pytest.mark.alone
async def test_the_robots_talk_and_the_links_open_the_pages(
    start_server: Callable[..., ServerProcess],
):
    server = start_server("--demo")
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{server.url}/api/demo") as response:
            links = (await response.json())["links"]
        assert [link["page"] for link in links] == ["attend", "booth", "booth", "speak"]
        token = links[0]["url"].partition("#")[2]
        listeners = [
            await Listener(http, f"{server.url}/whep/demo/{channel}", token).start()
            for channel in ("floor", "fr")
        ]
        floor, french = await asyncio.gather(*(one.listen_for(6.0) for one in listeners))
        assert loudness_db(floor) == pytest.approx(-22, abs=4)
        assert loudness_db(french) == pytest.approx(-22, abs=5)
        # Two different voices, not one channel twice.
        size = min(len(floor), len(french)) - RATE_HZ
        alike = np.corrcoef(np.abs(floor[:size]), np.abs(french[:size]))[0, 1]
        assert alike < 0.8
        for listener in listeners:
            await listener.close()


async def test_the_floor_is_a_persons_at_once_and_the_robots_come_back(
    start_server: Callable[..., ServerProcess],
):
    server = start_server("--demo")
    async with aiohttp.ClientSession() as http, watching(http, server) as meeting:
        await meeting.until(busy_booth)
        person = Publisher(http, f"{server.url}/whip/demo/floor", server.token("demo", "speaker"))
        await person.start(ToneTrack(440.0))
        await meeting.until(lambda view: speakers(view) not in ([], ["Demo speaker"]))
        # In the very view that has the person: nobody else speaks, nobody interprets what is over.
        assert len(speakers(meeting.view)) == 1
        assert all(one["state"] != "interpreted" for one in meeting.view["channels"])
        await person.delete()
        await person.close()
        # Some seconds nobody speaks (tests/unit/signaling/test_demo_courtesy.py).
        await meeting.until(lambda view: not speakers(view))
        await meeting.until(lambda view: speakers(view) == ["Demo speaker"])
        await meeting.until(busy_booth)


async def test_a_whip_interpreter_gets_the_channel_while_the_robot_is_on_air(
    start_server: Callable[..., ServerProcess],
):
    server = start_server("--demo")
    async with aiohttp.ClientSession() as http, watching(http, server) as meeting:
        booth = await meeting.until(busy_booth)
        token = server.token("demo", "interpreter", booth, name="Zana")
        person = Publisher(http, f"{server.url}/whip/demo/{booth}", token)
        # Not 409: the first POST is answered with 201.
        await person.start(ToneTrack(440.0))
        await meeting.until(lambda view: on_air(view, booth) == ["Zana"])
        assert seated(meeting.view, booth) == ["Zana"]
        await person.delete()
        await person.close()
        await meeting.until(lambda view: seated(view, booth) == [])
        await meeting.until(lambda view: seated(view, booth) == robot(booth))


async def test_a_page_gets_desk_and_channel_in_one_breath_and_a_second_person_does_not(
    start_server: Callable[..., ServerProcess],
):
    server = start_server("--demo")
    async with aiohttp.ClientSession() as http, watching(http, server) as meeting:
        booth = await meeting.until(busy_booth)
        async with joined(http, server, "interpreter", booth) as (page, _):
            await page.socket.send_json({"type": "join_booth", "id": 101, "booth": booth})
            await page.socket.send_json({"type": "take_channel", "id": 102})
            replies: dict[int, str] = {}
            async with asyncio.timeout(30):
                while len(replies) < 2:
                    message = await page.socket.receive_json()
                    if message.get("re") in (101, 102):
                        replies[message["re"]] = message["type"]
            assert replies == {101: "done", 102: "done"}
            # People do not make way: the interlock is theirs as in any meeting.
            token = server.token("demo", "interpreter", booth)
            second = Publisher(http, f"{server.url}/whip/demo/{booth}", token)
            with pytest.raises(RefusedError) as refusal:
                await second.start(ToneTrack(440.0))
            assert (refusal.value.status, refusal.value.body["code"]) == (409, "channel.held")
            await page.socket.send_json({"type": "bye"})
        await meeting.until(lambda view: seated(view, booth) == robot(booth))
