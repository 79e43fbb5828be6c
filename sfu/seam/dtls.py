"""The DTLS handshake, by aiortc's transport over datagrams that the plane hands up."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from aiortc.rtcdtlstransport import (
    SRTP_AEAD_AES_128_GCM,
    SRTP_AES128_CM_SHA1_80,
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    SRTPProtectionProfile,
    State,
)
from OpenSSL import SSL

from kabina.native.plane import SrtpProfile
from kabina.sfu.dtls_filter import may_enter_handshake
from kabina.sfu.offer import Fingerprint, Setup

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT_S: Final = 10.0
STOP_TIMEOUT_S: Final = 1.5

# One P-256 certificate serves the process, so as a server only the ECDSA suites can be chosen. As a
# client we also meet ends with RSA certificates (FFmpeg's default, old gateways): aiortc's own list
# lacks those suites.
_CIPHERS: Final = b":".join(
    (
        b"ECDHE-ECDSA-AES128-GCM-SHA256",
        b"ECDHE-ECDSA-CHACHA20-POLY1305",
        b"ECDHE-RSA-AES128-GCM-SHA256",
        b"ECDHE-RSA-CHACHA20-POLY1305",
        b"ECDHE-ECDSA-AES128-SHA",
        b"ECDHE-RSA-AES128-SHA",
    )
)
_DTLS_1_2: Final = 0xFEFD
_DATAGRAM_BYTES: Final = 1500

_PROFILES: Final[dict[bytes, tuple[SRTPProtectionProfile, SrtpProfile]]] = {
    SRTP_AEAD_AES_128_GCM.openssl_profile: (SRTP_AEAD_AES_128_GCM, SrtpProfile.AEAD_AES_128_GCM),
    SRTP_AES128_CM_SHA1_80.openssl_profile: (
        SRTP_AES128_CM_SHA1_80,
        SrtpProfile.AES_128_CM_SHA1_80,
    ),
}


class Certificate(RTCCertificate):
    """One P-256 certificate per process, its SSL context built once: 0.9 ms of every join."""

    _context: SSL.Context | None = None

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        if self._context is None:
            self._context = super()._create_ssl_context(srtp_profiles)
            self._context.set_cipher_list(_CIPHERS)
            self._context.set_min_proto_version(_DTLS_1_2)
        return self._context

    @property
    def sha256(self) -> Fingerprint:
        fingerprint = next(f for f in self.getFingerprints() if f.algorithm == "sha-256")
        return Fingerprint(fingerprint.algorithm, fingerprint.value)


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """What the plane needs: key ‖ salt for each direction."""

    profile: SrtpProfile
    transmit: bytes
    receive: bytes


class DtlsEnd:
    """The datagram side aiortc's transport talks to: a queue in, a function out, no socket."""

    # Junk is dropped before it gets here; a handshake flight is ≤ 6 datagrams, so 32 is two
    # retransmissions.
    QUEUE_DATAGRAMS: Final = 32

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.role = "controlled"
        self._send_datagram = send
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(self.QUEUE_DATAGRAMS)

    def feed(self, datagram: bytes) -> None:
        """A datagram from a validated address; over a full queue it is dropped, DTLS repeats."""
        if not self._queue.full():
            self._queue.put_nowait(datagram)

    def close(self) -> None:
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def _recv(self) -> bytes:
        datagram = await self._queue.get()
        if datagram is None:
            raise ConnectionError
        return datagram

    async def _send(self, data: bytes) -> None:
        self._send_datagram(data)


class DtlsTransport(RTCDtlsTransport):
    """aiortc's DTLS with our guards: keys go to the caller, junk does not reach the handshake."""

    def __init__(self, end: DtlsEnd, certificate: Certificate, setup: Setup) -> None:
        super().__init__(cast(Any, end), [certificate])
        self._srtp_profiles = [SRTP_AEAD_AES_128_GCM, SRTP_AES128_CM_SHA1_80]
        self._set_role("client" if setup is Setup.ACTIVE else "server")
        self._end = end
        self._keys: SrtpKeys | None = None

    async def connect(self, fingerprints: tuple[Fingerprint, ...]) -> SrtpKeys | None:
        """Runs the handshake; None when it fails or takes over HANDSHAKE_TIMEOUT_S."""
        remote = RTCDtlsParameters(
            fingerprints=[
                RTCDtlsFingerprint(algorithm=f.algorithm, value=f.value) for f in fingerprints
            ]
        )
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
                await self.start(remote)
        except TimeoutError:
            return None
        except SSL.Error:
            return None
        return self._keys

    def let_go(self) -> bytes | None:
        """Ends this side without a word and returns our close_notify, to be sent when it is time.

        OpenSSL's connection is 60 of the 93 kB that a listener weighed (decision 004). None while
        there is no finished handshake.
        """
        ssl = self._ssl
        if ssl is None or self._state is not State.CONNECTED:
            return None
        try:
            ssl.shutdown()
            goodbye = bytes(ssl.bio_read(_DATAGRAM_BYTES))
        except SSL.Error:
            return None
        self.remove_all_listeners()
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._ssl = None
        return goodbye

    async def close(self) -> None:
        """Sends close_notify and ends the pump; always within STOP_TIMEOUT_S."""
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self.stop()
        except (TimeoutError, SSL.Error):
            _log.warning("dtls did not stop in time")
        finally:
            self._end.close()

    @property
    def is_closed(self) -> bool:
        return self._state in (State.CLOSED, State.FAILED)

    def receive(self, datagram: bytes) -> bool:
        """Takes a DTLS datagram; False if the handshake must not see it."""
        if not self.encrypted and not may_enter_handshake(
            datagram, is_client=self._role == "client"
        ):
            return False
        self._end.feed(datagram)
        return True

    def _setup_srtp(self) -> None:
        # Not calling super: without its SRTP sessions aiortc's RTP branch is dead, the plane owns
        # the keys.
        ssl = self._ssl
        chosen = _PROFILES.get(ssl.get_selected_srtp_profile()) if ssl is not None else None
        if ssl is None or chosen is None:
            self._set_state(State.FAILED)
            return
        theirs, ours = chosen
        material = ssl.export_keying_material(
            b"EXTRACTOR-dtls_srtp", 2 * (theirs.key_length + theirs.salt_length)
        )
        transmit, receive = (1, 0) if self._role == "server" else (0, 1)  # RFC 5764 §4.2
        self._keys = SrtpKeys(
            ours,
            transmit=theirs.get_key_and_salt(material, transmit),
            receive=theirs.get_key_and_salt(material, receive),
        )
