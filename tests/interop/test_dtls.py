"""Both DTLS roles, and certificates of both kinds."""

from __future__ import annotations

import asyncio
import datetime
from typing import TYPE_CHECKING

import pytest
from aiortc.rtcdtlstransport import RTCCertificate
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from kabina_sim.light_client import LightListener

if TYPE_CHECKING:
    from OpenSSL import SSL

    from kabina_sim.meeting import Meeting


class RsaCertificate(RTCCertificate):
    """What old gateways and FFmpeg's default bring; aiortc's own list has no suite for it."""

    @classmethod
    def make(cls) -> RsaCertificate:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "t")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(7)
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        return cls(key=key, cert=certificate)

    def _create_ssl_context(self, srtp_profiles: list) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256")
        return context


@pytest.mark.parametrize("setup", ["actpass", "active", "passive"])
@pytest.mark.parametrize("kind", ["P-256", "RSA"])
async def test_a_client_connects_in_any_role_with_any_certificate(
    meeting: Meeting, setup: str, kind: str
):
    certificate = RsaCertificate.make() if kind == "RSA" else None
    listener = LightListener(
        meeting.http,
        meeting.url("/whep/m/fr"),
        meeting.server.token("m", "attendee"),
        setup=setup,
        certificate=certificate,
    )
    meeting.peers.append(await listener.start())
    async with asyncio.timeout(30):
        while listener.packets < 10:
            await asyncio.sleep(0.02)


async def test_a_certificate_that_is_not_the_offered_one_is_refused(meeting: Meeting):
    listener = LightListener(
        meeting.http, meeting.url("/whep/m/fr"), meeting.server.token("m", "attendee")
    )
    offer = listener.offer

    def lie() -> str:
        text = offer()
        digest = text.partition("sha-256 ")[2].partition("\r\n")[0]
        return text.replace(digest, digest[3:] + ":00")

    listener.offer = lie  # type: ignore[method-assign]
    starting = asyncio.create_task(listener.start())
    async with asyncio.timeout(60):
        while meeting.server.metric("kabina_plane_nominations_total") == 0:
            await asyncio.sleep(0.02)
        while meeting.server.metric("kabina_peers"):
            await asyncio.sleep(0.02)
    assert listener.packets == 0
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    listener.close()


async def until_peers(meeting: Meeting, count: int, timeout_s: float) -> None:
    async with asyncio.timeout(timeout_s):
        while meeting.server.metric("kabina_peers") != count:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("setup", ["actpass", "active"])
async def test_a_listener_that_closes_is_gone_long_before_its_silence_would_tell(
    meeting: Meeting, setup: str
):
    """Its DTLS connection is not kept: what looks like a goodbye counts once it is silent."""
    listener = LightListener(
        meeting.http,
        meeting.url("/whep/m/fr"),
        meeting.server.token("m", "attendee"),
        setup=setup,
    )
    await listener.start()
    await until_peers(meeting, 1, 30)
    assert listener._dtls is not None
    await listener._dtls.close()
    listener.close()
    await until_peers(meeting, 0, 7)


async def test_a_forged_goodbye_ends_nobody(meeting: Meeting):
    """From the listener's own address, as a spoofer would: an encrypted alert of no connection."""
    token = meeting.server.token("m", "attendee")
    listener = await meeting.listen_lightly("fr", token)
    received = meeting.server.metric("kabina_plane_dtls_received_total")
    forged = bytes([21, 0xFE, 0xFD, 0, 1, 0, 0, 0, 0, 0, 1, 0, 26]) + bytes(26)
    assert listener._transport is not None
    listener._transport.sendto(forged)
    async with asyncio.timeout(30):
        while meeting.server.metric("kabina_plane_dtls_received_total") == received:
            await asyncio.sleep(0.05)
    await asyncio.sleep(5.0)  # longer than a true one is doubted
    assert meeting.server.metric("kabina_peers") == 1
    before = listener.packets
    async with asyncio.timeout(30):
        while listener.packets < before + 10:
            await asyncio.sleep(0.02)


async def test_a_listener_that_is_ended_is_told_by_a_close_notify(meeting: Meeting):
    listener = await meeting.listen("fr")
    await listener.listen_for(0.2)
    closed = asyncio.Event()
    (transport,) = {receiver.transport for receiver in listener.pc.getReceivers()}
    transport.on("statechange", lambda: transport.state == "closed" and closed.set())
    await listener.delete()
    async with asyncio.timeout(30):
        await closed.wait()
