"""Offer → answer, as values. Pure: identifiers come from the caller, text from the seam."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kabina.sfu.errors import SdpUnsupportedError
from kabina.sfu.offer import (
    TRANSPORT_CC,
    AnsweredCodec,
    AnswerSection,
    Codec,
    Direction,
    Section,
    Setup,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kabina.sfu.offer import Offer, OutgoingStream

# The answer governs Chromium's encoder: with maxaveragebitrate=64000 it sends 62.4 kbit/s instead
# of 28.6 (web.md §9); in-band FEC is what the mixer conceals single losses with.
OPUS_PARAMETERS: Final[Mapping[str, int | str | None]] = {
    "minptime": 10,
    "useinbandfec": 1,
    "maxaveragebitrate": 64000,
}

# Music, a played video: only who offers it gets it, voices stay mono. At 96 kbit/s of two channels
# Opus has no in-band FEC (audio-engine.md §3): a lost packet is concealed.
STEREO_BITRATE_BPS: Final = 96_000

# In the order in which a publisher's codec is taken when several are offered first: the offer's.
FORWARDED_VIDEO: Final = frozenset({"VP8", "H264", "VP9", "AV1"})

# What the plane answers; everything else that is offered is not agreed on.
_VIDEO_FEEDBACK: Final = frozenset({"nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"})
# `nack` for what we receive: what we send has no RTX (docs/decisions/006).
_AUDIO_SENT_FEEDBACK: Final = frozenset({"transport-cc"})
_AUDIO_RECEIVED_FEEDBACK: Final = _AUDIO_SENT_FEEDBACK | {"nack"}


@dataclass(frozen=True, slots=True)
class Permissions:
    """How many sections the peer may use per kind and direction; more are answered inactive."""

    publish_audio: int = 0
    receive_audio: int = 0
    publish_video: int = 0
    receive_video: int = 0


def choose_setup(offered: Setup) -> Setup:
    """We are the DTLS client unless the other end insists: no ClientHello to accept."""
    return Setup.PASSIVE if offered is Setup.ACTIVE else Setup.ACTIVE


def answer_sections(
    offer: Offer, permissions: Permissions, new_stream: Callable[[bool], OutgoingStream]
) -> tuple[AnswerSection, ...]:
    """Our direction, codecs and stream for every usable section, in the offer's order.

    `new_stream(with_rtx)` is called once per section in which we send. Raises SdpUnsupportedError
    if an audio section has no Opus, or no section can carry anything the peer may do.
    """
    publish = {"audio": permissions.publish_audio, "video": permissions.publish_video}
    receive = {"audio": permissions.receive_audio, "video": permissions.receive_video}
    sections = []
    for section in offer.sections:
        receives = section.direction.sends and publish[section.kind] > 0
        sends = section.direction.receives and receive[section.kind] > 0
        codecs = _codecs(section, sends=sends)
        if not codecs and section.kind == "audio":
            raise SdpUnsupportedError(f"section {section.mid!r} offers no Opus at 48 kHz")
        sends, receives = sends and bool(codecs), receives and bool(codecs)
        publish[section.kind] -= receives
        receive[section.kind] -= sends
        with_rtx = any(answered.rtx for answered in codecs)
        sections.append(
            AnswerSection(
                section,
                codecs,
                Direction.of(sends=sends, receives=receives),
                new_stream(with_rtx) if sends else None,
            )
        )
    if all(section.direction is Direction.INACTIVE for section in sections):
        raise SdpUnsupportedError("no section has a direction this session may use")
    has_pictures = any(
        section.section.kind == "video" and section.direction is not Direction.INACTIVE
        for section in sections
    )
    return tuple(
        section if has_pictures and _is_estimated(section) else _without_transport_cc(section)
        for section in sections
    )


def _is_estimated(answered: AnswerSection) -> bool:
    """Whether the section's packets count in transport-wide feedback.

    Not a microphone's: where they do, libwebrtc takes from the voice what the camera lacks.
    Without pictures there is nothing to decide by it, and a listener is spared the feedback.
    """
    return "transport-cc" in answered.feedback and (
        answered.section.kind == "video" or answered.direction is Direction.SENDONLY
    )


def _without_transport_cc(answered: AnswerSection) -> AnswerSection:
    # The extension alone is enough for Chromium to send feedback.
    extensions = {
        uri: number for uri, number in answered.section.extensions.items() if uri != TRANSPORT_CC
    }
    codecs = tuple(
        replace(one, codec=replace(one.codec, feedback=one.codec.feedback - {"transport-cc"}))
        for one in answered.codecs
    )
    return replace(
        answered, section=replace(answered.section, extensions=extensions), codecs=codecs
    )


def _codecs(section: Section, *, sends: bool) -> tuple[AnsweredCodec, ...]:
    """Opus for audio, RED of it before it. For video the first we forward; all of them where we
    send, one each, since what flows in a slot depends on whose picture it is.
    """
    if section.kind == "audio":
        opus = next(
            (c for c in section.codecs if c.name.lower() == "opus" and c.clock_rate == 48000), None
        )
        if opus is None:
            return ()
        # RED first: Chromium sends the first codec of the answer.
        feedback = _AUDIO_SENT_FEEDBACK if sends else _AUDIO_RECEIVED_FEEDBACK
        red = [c for c in section.codecs if _is_red_of(c, opus)][:1]
        return (
            *(AnsweredCodec(_agreed(c, feedback, c.parameters)) for c in red),
            AnsweredCodec(_agreed(opus, feedback, _opus_parameters(section, opus))),
        )
    chosen = tuple(_video(section))
    return chosen if sends else chosen[:1]


def _is_red_of(codec: Codec, opus: Codec) -> bool:
    """Redundant audio (RFC 2198) of this Opus and nothing else: its fmtp is "111/111"."""
    if codec.name.lower() != "red" or (codec.clock_rate, codec.channels) != (48000, 2):
        return False
    blocks = [text.split("/") for text in codec.parameters]
    return len(blocks) == 1 and len(blocks[0]) > 1 and set(blocks[0]) == {str(opus.payload_type)}


def _opus_parameters(section: Section, opus: Codec) -> Mapping[str, int | str | None]:
    """Ours, with stereo where the offer has it (RFC 7587 §6.1, §7.1).

    Both parameters are declarations of whoever writes them: the offer's `sprop-stereo` makes us say
    that we like to get stereo, its `stereo` that we may send it. Firefox likes to get stereo in
    every section, its microphone's too: that alone makes no voice a stereo source.
    """
    parameters = dict(OPUS_PARAMETERS)
    if section.direction.sends and _is_set(opus, "sprop-stereo"):
        parameters |= {"stereo": 1, "maxaveragebitrate": STEREO_BITRATE_BPS}
    if section.direction.receives and _is_set(opus, "stereo"):
        parameters |= {"sprop-stereo": 1}
    return parameters


def _is_set(codec: Codec, parameter: str) -> bool:
    return str(codec.parameters.get(parameter, 0)) == "1"


def _video(section: Section) -> Iterator[AnsweredCodec]:
    rtx = {
        codec.parameters.get("apt"): codec.payload_type
        for codec in section.codecs
        if codec.name.lower() == "rtx"
    }
    seen: set[str] = set()
    for codec in section.codecs:
        name = codec.name.upper()
        if name not in FORWARDED_VIDEO or name in seen or not _is_usual(codec):
            continue
        seen.add(name)
        agreed = _agreed(codec, _VIDEO_FEEDBACK, dict(codec.parameters))
        yield AnsweredCodec(agreed, rtx.get(codec.payload_type, 0))


def _is_usual(codec: Codec) -> bool:
    """One profile per codec is forwarded: what every browser decodes."""
    if codec.name.upper() == "H264":
        return str(codec.parameters.get("packetization-mode", "0")) == "1"
    if codec.name.upper() in ("VP9", "AV1"):
        return str(codec.parameters.get("profile-id", codec.parameters.get("profile", "0"))) == "0"
    return True


def _agreed(
    codec: Codec, feedback: frozenset[str], parameters: Mapping[str, int | str | None]
) -> Codec:
    return replace(codec, feedback=codec.feedback & feedback, parameters=parameters)
