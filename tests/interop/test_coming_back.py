"""A page whose socket is lost, or that is loaded anew, finds everything as it was."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

import numpy as np
from aiohttp import ClientWebSocketResponse, WSMsgType
from aiortc import RTCPeerConnection, RTCSessionDescription

from kabina_sim.socket_page import SocketPage
from kabina_sim.stock_clients import ToneTrack

if TYPE_CHECKING:
    from kabina_sim.meeting import Meeting

RATE_HZ = 48_000


class Desk:
    """An interpreter's page with media of its own, as it is before and after a reload."""

    def __init__(self, meeting: Meeting, token: str, instance: str | None) -> None:
        self.meeting = meeting
        self.token = token
        self.instance = instance
        self.pc: RTCPeerConnection | None = None
        self.sockets: list[ClientWebSocketResponse] = []
        meeting.peers.append(self)  # it ends with the test

    async def dial(self) -> dict[str, Any]:
        socket = await self.meeting.http.ws_connect(self.meeting.url("/ws"))
        self.sockets.append(socket)
        self.page = SocketPage(socket)
        named = {} if self.instance is None else {"instance": self.instance}
        return await self.page.ask("hello", version=1, token=self.token, **named)

    def break_off(self) -> None:
        """The socket dies without a close frame; media do not notice."""
        self.page.socket._writer.transport.abort()

    async def offer(self, tone_hz: float) -> None:
        self.pc = RTCPeerConnection()
        self.pc.addTransceiver("audio", direction="recvonly")
        self.pc.addTransceiver(ToneTrack(tone_hz), direction="sendonly")
        await self.pc.setLocalDescription(await self.pc.createOffer())
        answer = await self.page.ask("offer", sdp=self.pc.localDescription.sdp, listen="floor")
        assert answer["type"] == "answer", answer
        await self.pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))

    async def go_on_air(self, tone_hz: float) -> None:
        await self.offer(tone_hz)
        assert (await self.page.ask("join_booth", booth="fr"))["type"] == "done"
        assert (await self.page.ask("take_channel"))["type"] == "done"
        while (await self.page.wait_for("media"))["state"] != "connected":
            pass

    async def close(self) -> None:
        for socket in self.sockets:
            # Those that broke, too: aiohttp warns of what is dropped open, in whichever test runs
            # when it is collected.
            socket._response.close()
        if self.pc is not None:
            await self.pc.close()


def desk(meeting: Meeting, *, named: bool = True) -> Desk:
    token = meeting.server.token("m", "interpreter", "fr", name="Ana")
    return Desk(meeting, token, secrets.token_urlsafe(16) if named else None)


async def seats(meeting: Meeting) -> list[str]:
    return [one["state"] for booth in (await meeting.view())["booths"] for one in booth["desks"]]


def silent_ms(samples: np.ndarray, tone_hz: float) -> int:
    """How long, in pieces of 20 ms, the tone was not there."""
    pieces = samples[: len(samples) // 960 * 960].reshape(-1, 960)
    wave = np.exp(-2j * np.pi * tone_hz * np.arange(960) / RATE_HZ)
    return 20 * int(np.sum(np.abs(pieces @ wave) / 480 < 0.05))


async def test_a_lost_socket_is_taken_up_on_air_and_no_listener_hears_it(meeting: Meeting):
    ana = desk(meeting)
    first = await ana.dial()
    assert "resumed" not in first
    await ana.go_on_air(1000.0)
    listener = await meeting.listen("fr")
    await listener.listen_for(1.0)
    listening = asyncio.ensure_future(listener.listen_for(4.0))
    ana.break_off()
    loop = asyncio.get_running_loop()
    broken_s = loop.time()
    async with asyncio.timeout(30):
        while meeting.server.metric("kabina_page_connections"):
            await asyncio.sleep(0.02)
    assert await seats(meeting) == ["active"]
    await asyncio.sleep(0.5)
    again = await ana.dial()
    away_ms = 1000 * (loop.time() - broken_s)
    assert again["participant"] == first["participant"]
    assert (again["resumed"], again["media"], again["listen"]) == (True, "connected", "floor")
    assert again["meeting"]["channels"][1]["on_air"][0]["participant"] == first["participant"]
    assert (await ana.page.ask("take_channel"))["type"] == "done"
    # Off the air the channel would be silent for as long; a test process that stumbles is not.
    assert silent_ms(await listening, 1000.0) < away_ms / 2
    assert (await ana.page.ask("release_channel"))["type"] == "done"


async def test_a_page_that_is_loaded_anew_takes_its_channel_over_with_new_media(meeting: Meeting):
    ana = desk(meeting)
    first = await ana.dial()
    await ana.go_on_air(1000.0)
    listener = await meeting.listen("fr")
    await listener.listen_for(1.0)
    listening = asyncio.ensure_future(listener.listen_for(5.0))
    old_pc, started = ana.pc, asyncio.get_running_loop().time()
    ana.break_off()
    await old_pc.close()
    again = await ana.dial()
    assert again["participant"] == first["participant"]
    await ana.offer(1000.0)
    while (await ana.page.wait_for("media"))["state"] != "connected":
        pass
    took_ms = 1000 * (asyncio.get_running_loop().time() - started)
    assert await seats(meeting) == ["active"]
    gap_ms = silent_ms(await listening, 1000.0)
    print(f"media were back after {took_ms:.0f} ms, the listener missed {gap_ms} ms")
    # The first packets of a new stream wait in the mixer's buffer: about 100 ms. A channel that was
    # given back would be silent to the end.
    assert gap_ms <= took_ms + 1000
    assert meeting.server.metric("kabina_peers") == 2


async def test_a_second_socket_of_a_page_ends_the_first_with_4409(meeting: Meeting):
    ana = desk(meeting)
    await ana.dial()
    old = ana.page
    assert (await old.ask("join_booth", booth="fr"))["type"] == "done"
    await ana.dial()
    goodbye = await old.wait_for("goodbye")
    assert goodbye["code"] == "session.replaced"
    while (await old.socket.receive()).type is WSMsgType.TEXT:
        pass
    assert old.socket.close_code == 4409
    assert await seats(meeting) == ["standby"]
    assert (await ana.page.ask("leave_booth"))["type"] == "done"
    assert await seats(meeting) == []


async def test_who_does_not_come_back_is_gone_after_eight_seconds_and_not_before(meeting: Meeting):
    ana = desk(meeting)
    await ana.dial()
    assert (await ana.page.ask("join_booth", booth="fr"))["type"] == "done"
    loop = asyncio.get_running_loop()
    ana.break_off()
    broken_s = loop.time()
    async with asyncio.timeout(60):
        while await seats(meeting):
            await asyncio.sleep(0.05)
    took_s = loop.time() - broken_s
    assert took_s >= 7.5
    assert "resumed" not in await ana.dial()


async def test_bye_ends_at_once_and_so_does_a_page_without_a_name(meeting: Meeting):
    ana, nameless = desk(meeting), desk(meeting, named=False)
    for one in (ana, nameless):
        await one.dial()
        assert (await one.page.ask("join_booth", booth="fr"))["type"] == "done"
    assert await seats(meeting) == ["standby", "standby"]
    await ana.page.socket.send_json({"type": "bye"})
    nameless.break_off()
    # Long before the eight seconds of those who may come back.
    async with asyncio.timeout(6):
        while await seats(meeting):
            await asyncio.sleep(0.02)


async def test_a_name_is_worth_nothing_without_the_same_rights(meeting: Meeting):
    ana = desk(meeting)
    first = await ana.dial()
    ana.break_off()
    thief = Desk(meeting, meeting.server.token("m", "interpreter", "fr"), ana.instance)
    stolen = await thief.dial()
    assert stolen["participant"] != first["participant"]
    assert (await ana.dial())["participant"] == first["participant"]
    for weak in ("", "short", "a" * 65, "has a space in it, and is long enough"):
        guess = Desk(meeting, ana.token, weak)
        assert (await guess.dial())["code"] == "message.malformed"
