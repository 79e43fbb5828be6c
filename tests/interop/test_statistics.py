"""Statistics per participant over HTTP, of real clients."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from kabina_sim.meeting import Meeting


async def ask(meeting: Meeting, token: str, path: str = "m") -> tuple[int, dict[str, Any]]:
    url = meeting.url(f"/api/meetings/{path}/statistics")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with meeting.http.get(url, headers=headers) as response:
        assert response.content_type == "application/json"
        return response.status, await response.json()


async def wait_for(
    meeting: Meeting, token: str, good: Callable[[list[dict[str, Any]]], bool]
) -> list[dict[str, Any]]:
    """Reports come every few seconds: asked again until what they say is there."""
    async with asyncio.timeout(30):
        while True:
            status, body = await ask(meeting, token)
            assert (status, body["meeting"]) == (200, "m")
            if good(body["participants"]):
                return body["participants"]
            await asyncio.sleep(0.2)


async def test_an_operator_sees_what_everybody_sends_and_gets(meeting: Meeting):
    operator = meeting.server.token("m", "operator")
    assert await ask(meeting, operator) == (200, {"meeting": "m", "participants": []})
    await meeting.publish("floor", 440.0, meeting.server.token("m", "speaker", name="Ana"))
    await meeting.listen("floor")

    def reported(people: list[dict[str, Any]]) -> bool:
        return len(people) == 2 and any(
            slot["roundTripTime"] is not None for person in people for slot in person["outbound"]
        )

    ana, listener = await wait_for(meeting, operator, reported)
    assert (ana["participant"], ana["name"], ana["role"]) == ("p-1", "Ana", "speaker")
    assert (listener["participant"], listener["role"]) == ("p-2", "attendee")
    for person in (ana, listener):
        assert person["connection"]["state"] == "connected"
        assert person["connection"]["protocol"] == "udp"
        assert person["connection"]["lastPacketReceived"] < 10
    assert ana["outbound"] == []
    assert listener["inbound"] == []
    (voice,) = ana["inbound"]
    assert (voice["kind"], voice["mimeType"].lower()) == ("audio", "audio/opus")
    assert voice["packetsReceived"] > 10
    assert voice["packetsLost"] == 0
    # A tone of 0.25: its amplitude, or its RMS of 0.177, whichever the sender tells.
    assert 0.17 < voice["audioLevel"] < 0.26
    (slot,) = listener["outbound"]
    assert slot["source"] == {"participant": "p-1", "what": "voice"}
    assert slot["packetsSent"] > 10
    assert slot["fractionLost"] == 0
    assert 0 <= slot["roundTripTime"] < 5
    assert listener["connection"]["currentRoundTripTime"] == slot["roundTripTime"]


async def test_statistics_are_for_operators_of_the_meeting_alone(meeting: Meeting):
    meeting.server.kabina("meeting", "create", "n", "--floor", "en", "--languages", "fr")
    for role in ("attendee", "speaker", "interpreter"):
        languages = ("fr",) if role == "interpreter" else ()
        status, body = await ask(meeting, meeting.server.token("m", role, *languages))
        assert (status, body["code"]) == (403, "token.forbidden")
    status, body = await ask(meeting, meeting.server.token("n", "operator"))
    assert (status, body["code"]) == (403, "token.forbidden")
    status, body = await ask(meeting, "")
    assert (status, body["code"]) == (401, "token.missing")
    status, body = await ask(meeting, "nonsense")
    assert (status, body["code"]) == (401, "token.invalid")


async def test_metrics_have_sums_and_no_participants(meeting: Meeting):
    await meeting.publish("floor", 440.0, meeting.server.token("m", "speaker", name="Ana"))
    async with meeting.http.get(meeting.url("/metrics")) as response:
        text = await response.text()
    assert "kabina_plane_picture_freezes_total 0.0" in text
    assert "kabina_plane_picture_pauses_total 0.0" in text
    assert "Ana" not in text
    assert "p-1" not in text
