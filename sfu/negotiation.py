"""Offer → answer, as values. Pure: identifiers come from the caller, text from the seam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kabina.sfu.errors import SdpUnsupportedError
from kabina.sfu.offer import AnswerSection, Codec, Direction, OutgoingStream, Section, Setup

if TYPE_CHECKING:
    from collections.abc import Callable

    from kabina.sfu.offer import Offer

# The answer governs Chromium's encoder: with maxaveragebitrate=64000 it sends 62.4 kbit/s instead
# of 28.6 (web.md §9); in-band FEC is what the mixer conceals single losses with.
OPUS_PARAMETERS = {"minptime": 10, "useinbandfec": 1, "maxaveragebitrate": 64000}


@dataclass(frozen=True, slots=True)
class Permissions:
    """How many sections the peer may use in each direction; more are answered inactive."""

    publish: int
    receive: int


def choose_setup(offered: Setup) -> Setup:
    """We are the DTLS client unless the other end insists: no ClientHello to accept."""
    return Setup.PASSIVE if offered is Setup.ACTIVE else Setup.ACTIVE


def answer_sections(
    offer: Offer, permissions: Permissions, new_stream: Callable[[], OutgoingStream]
) -> tuple[AnswerSection, ...]:
    """Our direction, codec and stream for every usable section, in the offer's order.

    `new_stream` is called once per section in which we send. Raises SdpUnsupportedError if no
    section can carry anything the peer may do.
    """
    publish, receive = permissions.publish, permissions.receive
    sections = []
    for section in offer.sections:
        codec = _choose_codec(section)
        receives = section.direction.sends and publish > 0
        sends = section.direction.receives and receive > 0
        if codec is None:
            raise SdpUnsupportedError(f"section {section.mid!r} offers no Opus at 48 kHz")
        publish -= receives
        receive -= sends
        sections.append(
            AnswerSection(
                section,
                codec,
                Direction.of(sends=sends, receives=receives),
                new_stream() if sends else None,
            )
        )
    if all(section.direction is Direction.INACTIVE for section in sections):
        raise SdpUnsupportedError("no section has a direction this session may use")
    return tuple(sections)


def _choose_codec(section: Section) -> Codec | None:
    return next(
        (c for c in section.codecs if c.name.lower() == "opus" and c.clock_rate == 48000), None
    )
