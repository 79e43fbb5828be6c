"""One address, or one token, does not take the server from the others."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

from aiohttp import WSMsgType

if TYPE_CHECKING:
    from kabina_sim.meeting import Meeting

CAP = 20


def is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


async def test_of_many_silent_connections_the_oldest_go_and_requests_are_served(meeting: Meeting):
    with ExitStack() as opened:
        silent = [
            opened.enter_context(socket.create_connection(("127.0.0.1", meeting.server.port)))
            for _ in range(CAP + 10)
        ]
        async with asyncio.timeout(3):
            while sum(map(is_open, silent)) > CAP:
                await asyncio.sleep(0.02)
        assert [is_open(one) for one in silent] == [False] * 10 + [True] * CAP
        await meeting.view()


async def test_of_many_sockets_without_hello_the_oldest_go_and_pages_come_in(meeting: Meeting):
    token = meeting.server.token("m", "attendee")
    mute = [await meeting.http.ws_connect(meeting.url("/ws")) for _ in range(CAP + 1)]
    frame = await asyncio.wait_for(mute[0].receive(), 3)
    assert frame.type in (WSMsgType.CLOSED, WSMsgType.ERROR)
    # Elsewhere, by the word of the proxy on this machine, nobody waits.
    headers = {"X-Forwarded-For": "1.2.3.4, 192.0.2.7"}
    other = await meeting.http.ws_connect(meeting.url("/ws"), headers=headers)
    for socket_ in (mute[-1], other):
        await socket_.send_json({"type": "hello", "id": 1, "version": 1, "token": token})
        assert (await socket_.receive_json())["type"] == "welcome"
    # Who is in no longer waits: the next newcomer drops the oldest of those who still do.
    late = await meeting.http.ws_connect(meeting.url("/ws"))
    await late.send_json({"type": "hello", "id": 1, "version": 1, "token": token})
    assert (await late.receive_json())["type"] == "welcome"
    assert meeting.server.metric("kabina_page_connections") == CAP + 2
    for socket_ in (*mute, other, late):
        await socket_.close()


async def test_a_token_that_posts_too_often_is_told_when_to_come_again(meeting: Meeting):
    hasty, other = (meeting.server.token("m", "speaker") for _ in range(2))
    url = meeting.url("/whip/m/floor")

    async def post(token: str) -> tuple[int, dict, str | None]:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
        async with meeting.http.post(url, data="nonsense", headers=headers) as response:
            return response.status, await response.json(), response.headers.get("Retry-After")

    answers = [await post(hasty) for _ in range(40)]
    assert [status for status, _, _ in answers[:20]] == [400] * 20
    status, body, retry_after = answers[-1]
    assert (status, body["code"], retry_after) == (429, "message.rate", "1")
    assert (await post(other))[0] == 400
    await asyncio.sleep(float(retry_after))
    assert (await post(hasty))[0] == 400
