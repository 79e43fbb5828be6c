"""SDP fragments for trickle ICE (RFC 8840), as WHIP's PATCH carries them: credentials only.

An ICE-lite end sends no checks, so a client's candidates are of no use to it and are not read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kabina.sfu.errors import SdpMalformedError

if TYPE_CHECKING:
    from kabina.sfu.candidates import Candidate
    from kabina.sfu.offer import Answer

# RFC 8839 §5.4: ice-char, 4 to 256 of them; 22 to 256 in a password.
_UFRAG: Final = re.compile(r"a=ice-ufrag:([A-Za-z0-9+/]{4,256})")
_PASSWORD: Final = re.compile(r"a=ice-pwd:[A-Za-z0-9+/]{22,256}")
_LINE: Final = re.compile(r"[a-z]=[^\x00\r\n]*")
MAX_LINES: Final = 1000


@dataclass(frozen=True, slots=True)
class IceFragment:
    """What a fragment says of its sender; None: nothing new, it only trickles."""

    ufrag: str | None


def read_fragment(text: str) -> IceFragment:
    """SdpMalformedError for what is no fragment, or has half a pair of credentials."""
    lines = text.splitlines()
    if not lines or len(lines) > MAX_LINES or not all(_LINE.fullmatch(line) for line in lines):
        raise SdpMalformedError("not an SDP fragment")
    ufrags = [line for line in lines if line.startswith("a=ice-ufrag:")]
    passwords = [line for line in lines if line.startswith("a=ice-pwd:")]
    if bool(ufrags) != bool(passwords):
        raise SdpMalformedError("a user fragment and a password belong together")
    matches = [_UFRAG.fullmatch(line) for line in ufrags]
    if not all(matches) or not all(_PASSWORD.fullmatch(line) for line in passwords):
        raise SdpMalformedError("the ICE credentials are not well formed")
    named = {match.group(1) for match in matches if match is not None}
    if len(named) > 1:
        raise SdpMalformedError("one bundle has one pair of ICE credentials")
    return IceFragment(next(iter(named), None))


def write_fragment(answer: Answer) -> str:
    """The credentials and the candidates of an answer, for every section of its bundle."""
    first = next(one for one in answer.sections if not one.is_rejected)
    lines = [
        "a=ice-lite",
        f"a=ice-ufrag:{answer.ufrag}",
        f"a=ice-pwd:{answer.password}",
        f"m={first.section.kind} 9 UDP/TLS/RTP/SAVPF 0",
        f"a=mid:{first.section.mid}",
        *(_line_of(candidate) for candidate in answer.candidates),
        "a=end-of-candidates",
    ]
    return "".join(f"{line}\r\n" for line in lines)


def _line_of(candidate: Candidate) -> str:
    transport = " tcptype passive" if candidate.protocol == "tcp" else ""
    return (
        f"a=candidate:{candidate.foundation} 1 {candidate.protocol} {candidate.priority} "
        f"{candidate.ip} {candidate.port} typ host{transport}"
    )
