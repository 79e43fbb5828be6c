"""The HTTP contract: statuses, headers, refusals."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest
from aiortc import RTCPeerConnection

from kabina_sim.stock_clients import RefusedError

if TYPE_CHECKING:
    from kabina_sim.meeting import Meeting

SDP = {"Content-Type": "application/sdp"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def offer(*, data_channel: bool = False) -> str:
    pc = RTCPeerConnection()
    pc.addTransceiver("audio", direction="recvonly")
    if data_channel:
        pc.createDataChannel("x")
    await pc.setLocalDescription(await pc.createOffer())
    text = pc.localDescription.sdp
    await pc.close()
    return text


async def test_a_session_has_a_location_that_can_be_deleted_and_not_patched(
    meeting: Meeting,
):
    token = meeting.server.token("m", "attendee")
    async with meeting.http.post(
        meeting.url("/whep/m/fr"),
        data=await offer(data_channel=True),
        headers={**bearer(token), **SDP},
    ) as response:
        answer = await response.text()
        assert response.status == 201
        assert response.content_type == "application/sdp"
        assert response.headers["ETag"]
        location = response.headers["Location"]
    assert "a=ice-lite" in answer
    assert "m=application 0 " in answer
    protocols = re.findall(r"a=candidate:\S+ 1 (\w+) ", answer)
    assert protocols == ["udp", "tcp"]
    async with meeting.http.patch(meeting.url(location), headers=bearer(token)) as response:
        assert response.status == 405
    async with meeting.http.delete(meeting.url(location)) as response:
        assert response.status == 401
    stranger = meeting.server.token("m", "attendee")
    async with meeting.http.delete(meeting.url(location), headers=bearer(stranger)) as response:
        assert response.status == 404
    async with meeting.http.delete(meeting.url(location), headers=bearer(token)) as response:
        assert response.status == 200
    async with meeting.http.delete(meeting.url(location), headers=bearer(token)) as response:
        assert response.status == 404


async def test_a_taken_channel_is_a_409_that_names_who_is_on_air(meeting: Meeting):
    token = meeting.server.token("m", "interpreter", "fr", name="Ana")
    first = await meeting.publish("fr", 880.0, token)
    with pytest.raises(RefusedError) as refusal:
        await meeting.publish("fr", 990.0)
    assert refusal.value.status == 409
    assert refusal.value.body["code"] == "channel.held"
    assert refusal.value.body["holder"] == "Ana"
    view = await meeting.view()
    assert [c["state"] for c in view["channels"]] == ["spoken", "interpreted", "passthrough"]
    assert view["channels"][1]["on_air"][0]["name"] == ""
    await first.delete()
    second = await meeting.publish("fr", 990.0)
    assert await second.delete() == 200


async def test_who_may_not_is_told_so(meeting: Meeting):
    tokens = {
        role: meeting.server.token("m", role, *(["fr"] if role == "interpreter" else []))
        for role in ("attendee", "speaker", "interpreter")
    }
    text = await offer()
    sends = text.replace("a=recvonly", "a=sendonly")
    expected = [
        ("/whip/m/floor", tokens["attendee"], sends, 403),
        ("/whip/m/floor", tokens["interpreter"], sends, 403),
        ("/whip/m/fr", tokens["speaker"], sends, 403),
        ("/whip/m/sq", tokens["interpreter"], sends, 403),
        ("/whip/m/xx", tokens["interpreter"], sends, 404),
        ("/whep/m/xx", tokens["attendee"], text, 404),
        ("/whep/other/fr", tokens["attendee"], text, 404),
        ("/whep/m/fr", "nonsense", text, 401),
        ("/whep/m/fr", tokens["attendee"], "nonsense", 400),
        ("/whep/m/fr", tokens["attendee"], sends, 422),
        ("/whep/m/fr", tokens["attendee"], text + "a=x\r\n" * 1000, 413),
        ("/whep/m/fr", tokens["attendee"], "v=0\r\n" + "x" * 70_000, 413),
    ]
    for path, token, body, status in expected:
        async with meeting.http.post(
            meeting.url(path), data=body, headers={**bearer(token), **SDP}
        ) as response:
            assert response.status == status, (path, await response.text())
            assert set(await response.json()) >= {"code", "message"}
    async with meeting.http.post(meeting.url("/whep/m/fr"), data=text, headers=SDP) as response:
        assert response.status == 401
    async with meeting.http.post(
        meeting.url("/whep/m/fr"), json={}, headers=bearer(tokens["attendee"])
    ) as response:
        assert response.status == 415
    async with meeting.http.get(meeting.url("/whep/m/fr")) as response:
        assert response.status == 405
    # A refused session leaves nobody behind.
    view = await meeting.view()
    assert view["floor"]["speakers"] == []
    assert all(not booth["desks"] for booth in view["booths"])
    assert meeting.server.metric("kabina_peers") == 0


async def test_a_token_of_another_meeting_does_not_open_this_one(meeting: Meeting):
    meeting.server.kabina("meeting", "create", "n", "--floor", "en", "--languages", "fr")
    token = meeting.server.token("n", "attendee")
    async with meeting.http.post(
        meeting.url("/whep/m/fr"), data=await offer(), headers={**bearer(token), **SDP}
    ) as response:
        assert response.status == 403


async def test_health_names_the_libraries(meeting: Meeting):
    async with meeting.http.get(meeting.url("/api/health")) as response:
        health = await response.json()
    assert health["status"] == "ok"
    assert health["version"]
    assert {"opus", "srtp"} <= set(health["libraries"])


async def test_looking_at_a_meeting_opens_no_room(meeting: Meeting):
    assert [one["id"] for one in (await meeting.view())["channels"]] == ["en", "fr", "sq"]
    async with meeting.http.get(meeting.url("/api/meetings/nowhere")) as response:
        assert (response.status, (await response.json())["code"]) == (404, "meeting.unknown")
    assert meeting.server.metric("kabina_rooms") == 0


async def test_a_closed_client_gives_its_channel_back(meeting: Meeting):
    publisher = await meeting.publish("fr", 880.0)
    listener = await meeting.listen("fr")
    assert (await meeting.view())["channels"][1]["listeners"] == 1
    await publisher.close()
    await listener.close()
    async with asyncio.timeout(5):
        while meeting.server.metric("kabina_peers"):
            await asyncio.sleep(0.05)
    view = await meeting.view()
    assert view["channels"][1]["state"] == "passthrough"
    assert view["channels"][1]["listeners"] == 0
