"""The HTTP contract: statuses, headers, refusals."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import aiohttp
import jwt
import numpy as np
import pytest
from aiortc import RTCPeerConnection
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from kabina.interpretation.ids import Role
from kabina.signaling.tokens import TokenIssuer
from kabina_sim.stock_clients import RefusedError
from kabina_sim.tones import tone_levels_db

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kabina_sim.meeting import Meeting
    from kabina_sim.server_process import ServerProcess

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


async def test_a_session_has_a_location_that_can_be_deleted(
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
    async with asyncio.timeout(30):
        while meeting.server.metric("kabina_peers"):
            await asyncio.sleep(0.05)
    view = await meeting.view()
    assert view["channels"][1]["state"] == "passthrough"
    assert view["channels"][1]["listeners"] == 0


FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
TRICKLE = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 1 1.2.3.4 5 typ host\r\n"
RESTART = f"a=ice-ufrag:newU\r\na=ice-pwd:{'p' * 24}\r\n{TRICKLE}"


async def test_trickled_candidates_are_taken_note_of_and_credentials_restart_ice(meeting: Meeting):
    listener = await meeting.listen("fr")
    url, auth = meeting.url(listener.location), listener._headers
    etag = listener.etag

    async def patch(body: str, **headers: str) -> tuple[int, str, str | None]:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        async with meeting.http.patch(
            url, data=body, headers={**FRAGMENT, **auth, **given}
        ) as response:
            return response.status, await response.text(), response.headers.get("ETag")

    assert (await patch(TRICKLE))[0] == 428
    assert (await patch(TRICKLE, If_Match='"another"'))[0] == 412
    assert (await patch(TRICKLE, If_Match=etag))[0] == 204
    for bad in ("", "nonsense", "a=ice-ufrag:newU\r\n", RESTART.replace("newU", "no")):
        assert (await patch(bad, If_Match="*"))[0] == 400
    status, answer, renewed = await patch(RESTART, If_Match="*")
    assert status == 200
    assert renewed not in (None, etag)
    for line in ("a=ice-ufrag:", "a=ice-pwd:", "a=end-of-candidates"):
        assert line in answer
    candidates = [line for line in listener.answer.splitlines() if line.startswith("a=candidate:")]
    assert [line for line in answer.splitlines() if line.startswith("a=candidate:")] == candidates
    assert listener.answer.split("a=ice-ufrag:")[1].split()[0] not in answer
    # The same credentials again are no restart, the first ETag no longer counts.
    assert (await patch(RESTART, If_Match="*"))[0] == 204
    assert (await patch(TRICKLE, If_Match=etag))[0] == 412
    # Until the new credentials are used the old path goes on.
    assert (await listener.listen_for(0.5)).size
    async with meeting.http.patch(url, data="{}", headers=auth) as response:
        assert response.status == 415
        assert response.headers["Accept-Patch"] == FRAGMENT["Content-Type"]


async def test_options_and_refusals_say_what_can_be_done(meeting: Meeting):
    async with meeting.http.options(meeting.url("/whip/m/fr")) as response:
        assert response.status == 204
        assert response.headers["Accept-Post"] == "application/sdp"
        assert response.headers["Allow"] == "OPTIONS, POST"
    async with meeting.http.options(meeting.url("/whep/m/fr/x")) as response:
        assert response.headers["Accept-Patch"] == FRAGMENT["Content-Type"]
    for method in ("GET", "PUT", "DELETE"):
        async with meeting.http.request(method, meeting.url("/whip/m/fr")) as response:
            assert response.status == 405
            assert set(response.headers["Allow"].split(",")) == {"OPTIONS", "POST"}


async def test_pages_of_named_origins_may_use_whep_and_others_may_not(
    start_server: Callable[..., ServerProcess], tmp_path: Path
):
    settings = tmp_path / "kabina.toml"
    settings.write_text('allowed_origins = ["https://player.example"]\n')
    server = start_server("--config", str(settings))
    server.kabina("meeting", "create", "m", "--floor", "en", "--languages", "fr")
    token = server.token("m", "attendee")
    url = f"{server.url}/whep/m/fr"
    friend, stranger = {"Origin": "https://player.example"}, {"Origin": "https://else.example"}
    async with aiohttp.ClientSession() as http:
        asks = {"Access-Control-Request-Method": "POST"}
        async with http.options(url, headers={**friend, **asks}) as response:
            assert response.headers["Access-Control-Allow-Origin"] == friend["Origin"]
            assert "POST" in response.headers["Access-Control-Allow-Methods"]
            assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
        async with http.options(url, headers={**stranger, **asks}) as response:
            assert "Access-Control-Allow-Origin" not in response.headers
        sent = {**bearer(token), **SDP}
        async with http.post(url, data=await offer(), headers={**sent, **friend}) as response:
            assert response.status == 201
            exposed = response.headers["Access-Control-Expose-Headers"]
            assert {"Location", "ETag", "Link"} <= set(exposed.split(", "))
        async with http.post(url, data="nonsense", headers={**sent, **friend}) as response:
            assert response.status == 400
            assert response.headers["Access-Control-Allow-Origin"] == friend["Origin"]
        async with http.post(url, data=await offer(), headers={**sent, **stranger}) as response:
            assert response.status == 403
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_an_expired_token_ends_its_own_session_and_does_nothing_else(meeting: Meeting):
    issuer = TokenIssuer.open(meeting.server.data_dir)
    rights = {"meeting": "m", "role": Role.ATTENDEE}
    token = issuer.issue(**rights, valid_for=timedelta(hours=1))
    other = issuer.issue(**rights, valid_for=timedelta(hours=-1))
    expired = expire(token, meeting.server.data_dir)
    async with meeting.http.post(
        meeting.url("/whep/m/fr"), data=await offer(), headers={**bearer(token), **SDP}
    ) as response:
        location = meeting.url(response.headers["Location"])
    async with meeting.http.post(
        meeting.url("/whep/m/fr"), data=await offer(), headers={**bearer(expired), **SDP}
    ) as response:
        assert response.status == 401
    async with meeting.http.delete(location, headers=bearer(other)) as response:
        assert response.status == 404
    async with meeting.http.patch(
        location, data=TRICKLE, headers={**bearer(expired), **FRAGMENT, "If-Match": "*"}
    ) as response:
        assert response.status == 401
    async with meeting.http.delete(location, headers=bearer(expired)) as response:
        assert response.status == 200


def expire(token: str, data_dir: Path) -> str:
    """The same token, as it would be if its time were over."""
    key = load_pem_private_key((data_dir / "signing-key.pem").read_bytes(), password=None)
    claims = jwt.decode(token, options={"verify_signature": False})
    headers = jwt.get_unverified_header(token)
    past = {**claims, "exp": claims["iat"] - 60}
    return jwt.encode(past, key, algorithm="EdDSA", headers={"kid": headers["kid"]})


async def test_a_publisher_that_posts_again_takes_over_from_its_own_silent_session(
    meeting: Meeting,
):
    token = meeting.server.token("m", "interpreter", "fr")
    listener = await meeting.listen("fr")
    first = await meeting.publish("fr", 880.0, token)
    async with asyncio.timeout(30):
        while np.median(tone_levels_db(await listener.listen_for(0.2), 880.0)) < -20:
            pass
    with pytest.raises(RefusedError) as refusal:
        await meeting.publish("fr", 880.0, token)
    assert refusal.value.body["code"] == "channel.held"
    first.vanish()
    async with asyncio.timeout(30):
        while True:
            try:
                await meeting.publish("fr", 880.0, token)
                break
            except RefusedError as refusal_again:
                assert refusal_again.body["code"] == "channel.held"
                await asyncio.sleep(0.3)  # so long without packets is silence
    view = await meeting.view()
    assert [desk["state"] for desk in view["booths"][0]["desks"]] == ["active"]
    # The listener's and the new one's: after 5 s the channel would be free, and the old one there.
    assert meeting.server.metric("kabina_peers") == 2
