"""The one module that knows aiortc: its SDP parser and writer, and its DTLS transport.

Neither touches the network here. Two things are used and nothing else (decision 002):

- `aiortc.sdp` turns text into values and back;
- `RTCDtlsTransport` runs the handshake over an object of ours that has its `role`, `_recv` and
  `_send`. Our subclass exports the SRTP keys to the caller and never builds aiortc's own SRTP
  sessions, so no packet can reach its RTP, RTCP and SCTP code.

No module global of aiortc is swapped: a stock aiortc peer works in the same process. The private
names used are asserted by tests/interop/test_seam_contract.py.
"""

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
from aiortc.rtcicetransport import RTCIceCandidate, RTCIceParameters
from aiortc.rtcrtpparameters import (
    RTCRtcpFeedback,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
)
from aiortc.sdp import GroupDescription, MediaDescription, SessionDescription, SsrcDescription
from OpenSSL import SSL

from kabina.native.plane import SrtpProfile
from kabina.sfu.dtls_filter import may_enter_handshake
from kabina.sfu.errors import SdpMalformedError, SdpUnsupportedError
from kabina.sfu.offer import (
    KNOWN_EXTENSIONS,
    Answer,
    AnswerSection,
    Codec,
    Direction,
    Fingerprint,
    Offer,
    Section,
    Setup,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from kabina.sfu.sdp_limits import PreparedOffer

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

_PROFILES: Final[dict[bytes, tuple[SRTPProtectionProfile, SrtpProfile]]] = {
    SRTP_AEAD_AES_128_GCM.openssl_profile: (SRTP_AEAD_AES_128_GCM, SrtpProfile.AEAD_AES_128_GCM),
    SRTP_AES128_CM_SHA1_80.openssl_profile: (
        SRTP_AES128_CM_SHA1_80,
        SrtpProfile.AES_128_CM_SHA1_80,
    ),
}
# Three simulcast layers and their RTX are six; the plane's track has room for eight.
MAX_SSRCS_PER_SECTION: Final = 8
_FINGERPRINT_ALGORITHMS: Final = frozenset({"sha-256", "sha-384", "sha-512"})
# The FEC of a lost packet rides in the next one, so audio needs no retransmission yet: no feedback
# is answered.
_AUDIO_FEEDBACK: Final[list[RTCRtcpFeedback]] = []


# --- SDP ---


def parse_offer(prepared: PreparedOffer) -> Offer:
    """Runs aiortc's parser over a prepared offer.

    Every exception of the parser becomes SdpMalformedError: it asserts, indexes and calls int() on
    what the other end wrote, and a StopIteration out of it would turn into a RuntimeError in a
    coroutine. A missing or weak fingerprint and missing ICE credentials raise SdpUnsupportedError.
    """
    try:
        description = SessionDescription.parse(prepared.text)
        return _offer_of(description)
    except SdpUnsupportedError:
        raise
    except Exception as error:  # noqa: BLE001 - see the docstring
        raise SdpMalformedError(f"the offer cannot be parsed ({type(error).__name__})") from None


def _offer_of(description: SessionDescription) -> Offer:
    first = description.media[0]
    if first.dtls is None or not first.dtls.fingerprints:
        raise SdpUnsupportedError("the offer has no DTLS fingerprint or setup")
    fingerprints = tuple(Fingerprint(f.algorithm.lower(), f.value) for f in first.dtls.fingerprints)
    if not any(f.algorithm in _FINGERPRINT_ALGORITHMS for f in fingerprints):
        raise SdpUnsupportedError("the fingerprint must be sha-256 or stronger")
    ice = first.ice
    if ice is None or not ice.usernameFragment or not ice.password:
        raise SdpUnsupportedError("the offer has no ICE credentials")
    role = {"auto": Setup.ACTPASS, "client": Setup.ACTIVE, "server": Setup.PASSIVE}[first.dtls.role]
    return Offer(
        sections=tuple(_section_of(media) for media in description.media),
        ufrag=ice.usernameFragment,
        fingerprints=fingerprints,
        setup=role,
    )


def _section_of(media: MediaDescription) -> Section:
    return Section(
        kind=media.kind,
        mid=media.rtp.muxId,
        direction=Direction(media.direction or "sendrecv"),
        codecs=tuple(
            Codec(codec.name, cast(int, codec.payloadType), codec.clockRate, codec.channels)
            for codec in media.rtp.codecs
            if codec.payloadType in media.fmt
        ),
        extensions={
            extension.uri: extension.id
            for extension in media.rtp.headerExtensions
            if extension.uri in KNOWN_EXTENSIONS and 0 < extension.id < 15
        },
        ssrcs=tuple(description.ssrc for description in media.ssrc)[:MAX_SSRCS_PER_SECTION],
    )


def write_answer(answer: Answer, prepared: PreparedOffer) -> str:
    """The answer's text: our sections, with the lifted ones rejected at port 0 in their places."""
    description = SessionDescription()
    description.origin = f"- {answer.session_id} 2 IN IP4 127.0.0.1"
    description.name = "kabina"
    description.group = [
        GroupDescription(semantic="BUNDLE", items=[s.section.mid for s in answer.sections])
    ]
    description.msid_semantic = [GroupDescription(semantic="WMS", items=["*"])]
    description.media = [_media_of(section, answer) for section in answer.sections]
    text = str(description)
    head, *media = ["m=" + part if i else part for i, part in enumerate(text.split("\r\nm="))]
    written = iter(media)
    parts = [head]
    for raw in prepared.sections:
        if raw.lifted:
            parts.append(_rejected(raw.media_line, raw.mid))
        else:
            parts.append(next(written).rstrip("\r\n"))
    return "\r\n".join(parts) + "\r\n"


def _rejected(media_line: str, mid: str | None) -> str:
    kind, _, profile, *formats = media_line.split(" ")
    lines = [f"m={kind} 0 {profile} {' '.join(formats)}", "c=IN IP4 0.0.0.0", "a=inactive"]
    if mid is not None:
        lines.append(f"a=mid:{mid}")
    return "\r\n".join(lines)


def _media_of(answered: AnswerSection, answer: Answer) -> MediaDescription:
    section, codec = answered.section, answered.codec
    media = MediaDescription(
        kind=section.kind,
        port=answer.candidate_port,
        profile="UDP/TLS/RTP/SAVPF",
        fmt=[codec.payload_type],
    )
    media.host = answer.candidate_ip
    media.direction = answered.direction.value
    # RFC 8839 §4.2.1 wants the discard port beside rtcp-mux.
    media.rtcp_port, media.rtcp_host, media.rtcp_mux = 9, "0.0.0.0", True  # noqa: S104
    media.rtp.muxId = section.mid
    media.rtp.headerExtensions = [
        RTCRtpHeaderExtensionParameters(id=number, uri=uri)
        for uri, number in section.extensions.items()
    ]
    media.rtp.codecs = [
        RTCRtpCodecParameters(
            mimeType=f"{section.kind}/{codec.name}",
            clockRate=codec.clock_rate,
            channels=codec.channels,
            payloadType=codec.payload_type,
            rtcpFeedback=_AUDIO_FEEDBACK,
            parameters=dict(answer.parameters),
        )
    ]
    if answered.stream is not None:
        stream = answered.stream
        media.msid = f"{stream.stream_id} {stream.track_id}"
        media.ssrc = [SsrcDescription(ssrc=stream.ssrc, cname=stream.cname, msid=media.msid)]
    media.ice = RTCIceParameters(
        usernameFragment=answer.ufrag, password=answer.password, iceLite=True
    )
    media.ice_candidates = [
        RTCIceCandidate(
            component=1,
            foundation="1",
            ip=answer.candidate_ip,
            port=answer.candidate_port,
            priority=2130706431,  # RFC 8445 §5.1.2.1: a host, preference 65535, component 1
            protocol="udp",
            type="host",
        )
    ]
    media.ice_candidates_complete = True
    media.dtls = RTCDtlsParameters(
        fingerprints=[
            RTCDtlsFingerprint(algorithm=f.algorithm, value=f.value) for f in answer.fingerprints
        ],
        role={Setup.ACTIVE: "client", Setup.PASSIVE: "server"}[answer.setup],
    )
    return media


# --- DTLS ---


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

    async def close(self) -> None:
        """Sends close_notify and ends the pump; always within STOP_TIMEOUT_S."""
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self.stop()
        except (TimeoutError, SSL.Error):
            _log.warning("dtls did not stop in time")

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
