"""The demo meeting plays by itself, and people take its robots' places."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import numpy as np
import pytest

from kabina_sim.stock_clients import Listener, Publisher, ToneTrack
from kabina_sim.tones import RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Callable

    from kabina_sim.server_process import ServerProcess


async def view_of(http: aiohttp.ClientSession, server: ServerProcess) -> dict:
    async with http.get(f"{server.url}/api/meetings/demo") as response:
        return await response.json()


async def wait_until(look: Callable, *, seconds: float = 3.0) -> dict:
    async with asyncio.timeout(seconds):
        while True:
            value = await look()
            if value:
                return value
            await asyncio.sleep(0.05)


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


async def test_a_person_takes_the_floor_and_the_robot_yields_and_comes_back(
    start_server: Callable[..., ServerProcess],
):
    server = start_server("--demo")
    token = server.token("demo", "speaker")
    async with aiohttp.ClientSession() as http:
        person = Publisher(http, f"{server.url}/whip/demo/floor", token)
        await person.start(ToneTrack(440.0))

        async def one_speaker() -> bool:
            view = await view_of(http, server)
            return len(view["floor"]["speakers"]) == 1 and all(
                channel["state"] != "interpreted" for channel in view["channels"]
            )

        await wait_until(one_speaker)
        await person.delete()
        await person.close()

        async def robot_back() -> bool:
            return bool((await view_of(http, server))["floor"]["speakers"])

        await wait_until(robot_back)


async def test_a_robot_leaves_its_desk_to_a_person(start_server: Callable[..., ServerProcess]):
    server = start_server("--demo")
    token = server.token("demo", "interpreter", "fr")
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{server.url}/ws") as socket:
        await socket.send_json({"type": "hello", "id": 1, "version": 1, "token": token})
        await socket.send_json({"type": "join_booth", "id": 2, "booth": "fr"})

        async def alone() -> bool:
            view = await view_of(http, server)
            return len(view["booths"][0]["desks"]) == 1

        await wait_until(alone)
        await socket.send_json({"type": "take_channel", "id": 3})
        async for frame in socket:
            message = frame.json()
            if message.get("re") == 3:
                assert message["type"] == "done"
                break
