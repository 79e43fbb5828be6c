"""SDP text ↔ values, by aiortc's parser and writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters
from aiortc.rtcicetransport import RTCIceCandidate, RTCIceParameters
from aiortc.rtcrtpparameters import (
    RTCRtcpFeedback,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
)
from aiortc.sdp import GroupDescription, MediaDescription, SessionDescription, SsrcDescription

from kabina.sfu.errors import SdpMalformedError, SdpUnsupportedError
from kabina.sfu.offer import (
    EXTENSIONS,
    Answer,
    AnsweredCodec,
    AnswerSection,
    Codec,
    Direction,
    Fingerprint,
    Offer,
    OutgoingStream,
    Section,
    Setup,
)

if TYPE_CHECKING:
    from kabina.sfu.sdp_limits import PreparedOffer, RawSection

# Three simulcast layers and their RTX are six; the plane's track has room for eight.
MAX_SSRCS_PER_SECTION: Final = 8
_FINGERPRINT_ALGORITHMS: Final = frozenset({"sha-256", "sha-384", "sha-512"})


def parse_offer(prepared: PreparedOffer) -> Offer:
    """Runs aiortc's parser over a prepared offer.

    Every exception of the parser becomes SdpMalformedError: it asserts, indexes and calls int() on
    what the other end wrote, and a StopIteration out of it would turn into a RuntimeError in a
    coroutine. A missing or weak fingerprint and missing ICE credentials raise SdpUnsupportedError.
    """
    try:
        description = SessionDescription.parse(prepared.text)
        usable = [section for section in prepared.sections if not section.lifted]
        return _offer_of(description, usable)
    except SdpUnsupportedError:
        raise
    except Exception as error:  # noqa: BLE001 - see the docstring
        raise SdpMalformedError(f"the offer cannot be parsed ({type(error).__name__})") from None


def _offer_of(description: SessionDescription, raw: list[RawSection]) -> Offer:
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
        sections=tuple(
            _section_of(media, known) for media, known in zip(description.media, raw, strict=True)
        ),
        ufrag=ice.usernameFragment,
        fingerprints=fingerprints,
        setup=role,
    )


def _section_of(media: MediaDescription, raw: RawSection) -> Section:
    ssrcs = tuple(description.ssrc for description in media.ssrc)
    pairs = [group.items for group in media.ssrc_group if group.semantic == "FID"]
    rtx_ssrcs = {int(pair[0]): int(pair[1]) for pair in pairs if len(pair) == 2}
    return Section(
        kind=media.kind,
        mid=media.rtp.muxId,
        direction=Direction(media.direction or "sendrecv"),
        codecs=tuple(_codec_of(c) for c in media.rtp.codecs if c.payloadType in media.fmt),
        extensions={
            extension.uri: extension.id
            for extension in media.rtp.headerExtensions
            if extension.uri in EXTENSIONS and 0 < extension.id < 15
        },
        ssrcs=tuple(s for s in ssrcs if s not in rtx_ssrcs.values())[:MAX_SSRCS_PER_SECTION],
        rtx_ssrcs=rtx_ssrcs,
        rids=raw.rids,
        reduced_size=raw.reduced_size,
    )


def _codec_of(codec: RTCRtpCodecParameters) -> Codec:
    return Codec(
        codec.name,
        cast(int, codec.payloadType),
        codec.clockRate,
        codec.channels,
        parameters=codec.parameters,
        feedback=frozenset(f"{f.type} {f.parameter or ''}".strip() for f in codec.rtcpFeedback),
    )


def write_answer(answer: Answer, prepared: PreparedOffer) -> str:
    """The answer's text: our sections, with the lifted ones rejected at port 0 in their places."""
    taken = [section for section in answer.sections if not section.is_rejected]
    description = SessionDescription()
    description.origin = f"- {answer.session_id} 2 IN IP4 127.0.0.1"
    description.name = "kabina"
    description.group = [GroupDescription(semantic="BUNDLE", items=[s.section.mid for s in taken])]
    description.msid_semantic = [GroupDescription(semantic="WMS", items=["*"])]
    # Written without media and then section by section, so that rejected ones keep their places.
    ice_lite = "a=ice-lite\r\n"
    parts = [str(description) + ice_lite]
    sections = iter(answer.sections)
    for raw in prepared.sections:
        answered = None if raw.lifted else next(sections)
        if answered is None or answered.is_rejected:
            parts.append(_rejected(raw))
        else:
            parts.append(str(_media_of(answered, answer)) + _more_lines(answered))
    return "".join(parts)


def _rejected(raw: RawSection) -> str:
    kind, _, profile, *formats = raw.media_line.split(" ")
    lines = [f"m={kind} 0 {profile} {' '.join(formats)}", "c=IN IP4 0.0.0.0", "a=inactive"]
    if raw.mid is not None:
        lines.append(f"a=mid:{raw.mid}")
    return "".join(f"{line}\r\n" for line in lines)


def _more_lines(answered: AnswerSection) -> str:
    """What aiortc's writer does not know: simulcast layers we take, RTCP of reduced size."""
    lines = ["a=rtcp-rsize"] if answered.section.reduced_size else []
    if answered.section.rids and answered.direction.receives:
        lines += [f"a=rid:{rid} recv" for rid in answered.section.rids]
        lines.append(f"a=simulcast:recv {';'.join(answered.section.rids)}")
    return "".join(f"{line}\r\n" for line in lines)


def _media_of(answered: AnswerSection, answer: Answer) -> MediaDescription:
    section = answered.section
    first = answer.candidates[0]
    codecs = [parameters for codec in answered.codecs for parameters in _codecs_of(section, codec)]
    media = MediaDescription(
        kind=section.kind,
        port=first.port,
        profile="UDP/TLS/RTP/SAVPF",
        fmt=[codec.payloadType for codec in codecs],
    )
    media.host = first.ip
    media.direction = answered.direction.value
    # RFC 8839 §4.2.1 wants the discard port beside rtcp-mux.
    media.rtcp_port, media.rtcp_host, media.rtcp_mux = 9, "0.0.0.0", True  # noqa: S104
    media.rtp.muxId = section.mid
    media.rtp.headerExtensions = [
        RTCRtpHeaderExtensionParameters(id=number, uri=uri)
        for uri, number in section.extensions.items()
    ]
    media.rtp.codecs = codecs
    if answered.stream is not None:
        _announce(media, answered.stream)
    media.ice = RTCIceParameters(
        usernameFragment=answer.ufrag, password=answer.password, iceLite=True
    )
    media.ice_candidates = [
        RTCIceCandidate(
            component=1,
            foundation=candidate.foundation,
            ip=candidate.ip,
            port=candidate.port,
            priority=candidate.priority,
            protocol=candidate.protocol,
            type="host",
            tcpType="passive" if candidate.protocol == "tcp" else None,
        )
        for candidate in answer.candidates
    ]
    media.ice_candidates_complete = True
    media.dtls = RTCDtlsParameters(
        fingerprints=[
            RTCDtlsFingerprint(algorithm=f.algorithm, value=f.value) for f in answer.fingerprints
        ],
        role={Setup.ACTIVE: "client", Setup.PASSIVE: "server"}[answer.setup],
    )
    return media


def _codecs_of(section: Section, answered: AnsweredCodec) -> list[RTCRtpCodecParameters]:
    codec = answered.codec
    parameters = [
        RTCRtpCodecParameters(
            mimeType=f"{section.kind}/{codec.name}",
            clockRate=codec.clock_rate,
            channels=codec.channels,
            payloadType=codec.payload_type,
            rtcpFeedback=[_feedback_of(feedback) for feedback in sorted(codec.feedback)],
            parameters=dict(codec.parameters),
        )
    ]
    if answered.rtx:
        parameters.append(
            RTCRtpCodecParameters(
                mimeType=f"{section.kind}/rtx",
                clockRate=codec.clock_rate,
                payloadType=answered.rtx,
                parameters={"apt": codec.payload_type},
            )
        )
    return parameters


def _feedback_of(feedback: str) -> RTCRtcpFeedback:
    kind, _, parameter = feedback.partition(" ")
    return RTCRtcpFeedback(type=kind, parameter=parameter or None)


def _announce(media: MediaDescription, stream: OutgoingStream) -> None:
    media.msid = f"{stream.stream_id} {stream.track_id}"
    ssrcs = [ssrc for ssrc in (stream.ssrc, stream.rtx_ssrc) if ssrc]
    media.ssrc = [SsrcDescription(ssrc=s, cname=stream.cname, msid=media.msid) for s in ssrcs]
    if stream.rtx_ssrc:
        media.ssrc_group = [GroupDescription(semantic="FID", items=list[int | str](ssrcs))]
