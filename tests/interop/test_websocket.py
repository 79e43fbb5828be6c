"""The pages' protocol over a real socket."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import WSMsgType
from aiortc import RTCPeerConnection, RTCSessionDescription

from kabina_sim.socket_page import SocketPage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kabina_sim.meeting import Meeting


@asynccontextmanager
async def page(
    meeting: Meeting, role: str, *languages: str, name: str = ""
) -> AsyncIterator[SocketPage]:
    token = meeting.server.token("m", role, *languages, name=name)
    async with meeting.http.ws_connect(meeting.url("/ws")) as socket:
        opened = SocketPage(socket)
        welcome = await opened.ask("hello", version=1, token=token)
        assert welcome["type"] == "welcome"
        yield opened


async def test_a_second_interpreter_is_refused_while_the_first_is_on_air(meeting: Meeting):
    async with (
        page(meeting, "interpreter", "fr", name="Ana") as first,
        page(meeting, "interpreter", "fr") as second,
        page(meeting, "attendee") as attendee,
    ):
        for interpreter in (first, second):
            assert (await interpreter.ask("join_booth", booth="fr"))["type"] == "done"
        assert (await first.ask("take_channel"))["type"] == "done"
        refusal = await second.ask("take_channel")
        assert (refusal["code"], refusal["holder"]) == ("channel.held", "Ana")
        while True:
            view = (await attendee.wait_for("meeting"))["meeting"]
            if view["channels"][1]["state"] == "interpreted":
                break
        assert view["channels"][1]["on_air"][0]["name"] == "Ana"
        assert (await first.ask("release_channel"))["type"] == "done"
        assert (await second.ask("take_channel"))["type"] == "done"


async def test_a_broken_message_is_answered_and_the_connection_lives(meeting: Meeting):
    async with page(meeting, "attendee") as attendee:
        for text in ("", "nonsense", '{"type":"nonsense"}', "[1]", '{"type":"listen","channel":3}'):
            await attendee.socket.send_str(text)
            assert (await attendee.wait_for("error"))["code"] == "message.malformed"
        await attendee.socket.send_bytes(b"\0")
        assert (await attendee.wait_for("error"))["code"] == "message.malformed"
        assert (await attendee.ask("listen", channel="nowhere"))["code"] == "channel.unknown"
        assert (await attendee.ask("take_floor", language="en"))["code"] == "token.forbidden"
        assert (await attendee.ask("offer", sdp="nonsense"))["code"] == "sdp.malformed"
        assert (await attendee.ask("listen", channel="fr"))["type"] == "listening"


async def test_a_flood_is_refused_and_the_connection_lives(meeting: Meeting):
    async with page(meeting, "attendee") as attendee:
        for _ in range(100):
            await attendee.socket.send_json({"type": "listen", "channel": "fr"})
        # All of them first: what still waits would use up what the bucket gains.
        replies: list[dict[str, Any]] = []
        while len(replies) < 100:
            message = await attendee.socket.receive_json()
            replies += [message] if message["type"] in ("listening", "error") else []
        refused = [one["code"] for one in replies if one["type"] == "error"]
        assert set(refused) == {"message.rate"}
        assert len(refused) <= 40  # the burst is 60
        await asyncio.sleep(0.2)
        assert (await attendee.ask("listen", channel="sq"))["type"] == "listening"


async def test_an_oversized_message_closes_only_its_own_connection(meeting: Meeting):
    async with page(meeting, "attendee") as other:
        async with page(meeting, "attendee") as attendee:
            await attendee.socket.send_str("x" * 70_000)
            frame = await attendee.socket.receive()
            while frame.type is WSMsgType.TEXT:
                frame = await attendee.socket.receive()
            assert attendee.socket.close_code == 1009
        assert (await other.ask("listen", channel="fr"))["type"] == "listening"


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ({"type": "listen", "channel": "fr"}, "protocol.order"),
        ({"type": "hello", "version": 9, "token": "x"}, "protocol.version"),
        ({"type": "hello", "version": 1, "token": "x"}, "token.invalid"),
    ],
)
async def test_a_wrong_first_message_is_told_why(
    meeting: Meeting, first: dict[str, Any], code: str
):
    async with meeting.http.ws_connect(meeting.url("/ws")) as socket:
        await socket.send_json(first)
        assert (await socket.receive_json())["code"] == code
        await socket.receive()
        assert socket.close_code == (1013 if code == "protocol.order" else 4401)


async def test_a_foreign_origin_is_refused(meeting: Meeting):
    async with meeting.http.get(
        meeting.url("/ws"), headers={"Origin": "https://elsewhere.example"}
    ) as response:
        assert response.status == 403


async def test_media_over_the_socket_connects_and_shows_levels(meeting: Meeting):
    await meeting.publish("floor", 440.0)
    async with page(meeting, "attendee") as attendee:
        pc = RTCPeerConnection()
        pc.addTransceiver("audio", direction="recvonly")
        await pc.setLocalDescription(await pc.createOffer())
        answer = await attendee.ask("offer", sdp=pc.localDescription.sdp, listen="fr")
        assert answer["listen"] == "fr"
        await pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        while (await attendee.wait_for("media"))["state"] != "connected":
            pass
        async with asyncio.timeout(30):
            while True:
                levels = await attendee.wait_for("levels")
                # A tone of amplitude 0.25 has −15.05 dBFS RMS; the first frames fade in.
                if levels["floor_db"] == pytest.approx(-15.05, abs=1.0):
                    break
        assert levels["channels"]["fr"]["interpreter_db"] is None
        await pc.close()
