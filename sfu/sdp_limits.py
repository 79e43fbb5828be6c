"""The linear pass over an offer before aiortc's parser sees it.

aiortc's parser multiplies rtpmap lines with rtcp-fb and fmtp lines: 17.6 kB of them hold the loop
for 0.45 s (measured, testing.md §4). So everything is counted here first, in one pass, and sections
that aiortc need not see (data channels, kinds we do not forward yet) are lifted out and put back
into the answer at port 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from kabina.sfu.errors import SdpMalformedError, SdpTooLargeError, SdpUnsupportedError

MAX_BYTES = 64 * 1024
MAX_LINES = 1000
MAX_SECTIONS = 64
MAX_RTPMAP_PER_SECTION = 128
MAX_WILDCARD_FEEDBACK_PER_SECTION = 8
MAX_MID_BYTES = 16  # what a one-byte header extension carries (RFC 8285 §4.2)

FORWARDED_KINDS = frozenset({"audio", "video"})
MAX_LAYERS = 3  # simulcast layers a track has room for
FORWARDED_PROFILES = frozenset({"UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP"})

# Candidates never reach the parser: an ICE-lite end sends no checks, so it needs none, and
# resolving a `.local` name costs a second (web.md §10).
_DROPPED = ("a=candidate:", "a=end-of-candidates", "a=remote-candidates:")


@dataclass(frozen=True, slots=True)
class RawSection:
    """An m-section as offered; `lifted` ones are answered at port 0 and never parsed further."""

    media_line: str
    mid: str | None
    lifted: bool
    rids: tuple[str, ...] = ()  # what aiortc's parser drops: simulcast layers sent, in order
    reduced_size: bool = False


@dataclass(frozen=True, slots=True)
class PreparedOffer:
    """`text` holds the session part and the sections that are not lifted, ready for the parser."""

    text: str
    sections: tuple[RawSection, ...]


def prepare(sdp: str) -> PreparedOffer:
    """Checks the caps and lifts out what we do not forward.

    Raises SdpTooLargeError over a cap, SdpMalformedError for text that is no SDP,
    SdpUnsupportedError where BUNDLE or rtcp-mux is missing or the other end is ICE-lite too (two
    lite ends never send a check).
    """
    session, groups = _split(sdp)
    _check_session(session)
    bundled = _bundled_mids(session)
    kept_lines = list(session)
    sections: list[RawSection] = []
    seen_mids: set[str] = set()
    for group in groups:
        raw = _inspect(group)
        if raw.mid is not None:
            if raw.mid in seen_mids:
                raise SdpMalformedError(f"two sections have the mid {raw.mid!r}")
            seen_mids.add(raw.mid)
        sections.append(raw)
        if raw.lifted:
            continue
        if "a=rtcp-mux" not in group:
            raise SdpUnsupportedError("every section needs a=rtcp-mux")
        if len(groups) > 1 and raw.mid not in bundled:
            raise SdpUnsupportedError("every section must be in one BUNDLE group")
        kept_lines += group
    if all(section.lifted for section in sections):
        raise SdpUnsupportedError("the offer has no audio section over UDP/TLS/RTP/SAVPF")
    return PreparedOffer("\r\n".join(kept_lines) + "\r\n", tuple(sections))


def _split(sdp: str) -> tuple[list[str], list[list[str]]]:
    """Session lines and a list of lines per m-section, candidates dropped."""
    lines = _lines(sdp)
    session: list[str] = []
    groups: list[list[str]] = []
    for line in lines:
        if not line.strip() or line.startswith(_DROPPED):
            continue
        if line.startswith("m="):
            if len(groups) == MAX_SECTIONS:
                raise SdpTooLargeError(f"the offer has over {MAX_SECTIONS} sections")
            groups.append([line])
        else:
            (groups[-1] if groups else session).append(line.rstrip())
    if not session or session[0] != "v=0":
        raise SdpMalformedError("the offer does not begin with v=0")
    if not groups:
        raise SdpMalformedError("the offer has no media section")
    return session, groups


def _lines(sdp: str) -> list[str]:
    if len(sdp) > MAX_BYTES or len(sdp.encode("utf-8", "replace")) > MAX_BYTES:
        raise SdpTooLargeError(f"the offer is over {MAX_BYTES} bytes")
    if "\0" in sdp:
        raise SdpMalformedError("the offer contains a null byte")
    # Not str.splitlines: that also splits at form feeds and Unicode separators, aiortc's way to see
    # more lines than were counted here.
    lines = [line.rstrip("\r") for line in sdp.split("\n")]
    if len(lines) > MAX_LINES + 1:
        raise SdpTooLargeError(f"the offer is over {MAX_LINES} lines")
    if any(len(line.splitlines()) > 1 for line in lines):
        raise SdpMalformedError("a line of the offer contains another line break")
    return lines


def _check_session(session: list[str]) -> None:
    if "a=ice-lite" in session:
        raise SdpUnsupportedError("an ICE-lite end cannot join an ICE-lite server")


def _bundled_mids(session: list[str]) -> frozenset[str]:
    for line in session:
        if line.startswith("a=group:BUNDLE "):
            return frozenset(line.split()[1:])
    return frozenset()


def _inspect(group: list[str]) -> RawSection:
    rtpmaps = wildcards = 0
    mid: str | None = None
    for line in group[1:]:
        if line.startswith("a=rtpmap:"):
            rtpmaps += 1
        elif line.startswith("a=rtcp-fb:*"):
            wildcards += 1
        elif line.startswith("a=mid:"):
            mid = line[len("a=mid:") :]
            if not mid.isascii() or not mid.strip() or len(mid) > MAX_MID_BYTES or " " in mid:
                raise SdpMalformedError("a mid is empty, too long or not ASCII")
    if rtpmaps > MAX_RTPMAP_PER_SECTION:
        raise SdpTooLargeError(f"a section has over {MAX_RTPMAP_PER_SECTION} rtpmap lines")
    if wildcards > MAX_WILDCARD_FEEDBACK_PER_SECTION:
        raise SdpTooLargeError(
            f"a section has over {MAX_WILDCARD_FEEDBACK_PER_SECTION} wildcard rtcp-fb lines"
        )
    fields = group[0][2:].split(" ")
    if len(fields) < 4 or not (fields[1].isascii() and fields[1].isdigit()):
        raise SdpMalformedError("a media line is not 'm=kind port profile formats'")
    kind, port, profile = fields[0], int(fields[1]), fields[2]
    lifted = kind not in FORWARDED_KINDS or profile not in FORWARDED_PROFILES or port == 0
    return RawSection(" ".join(fields), mid, lifted, _sent_layers(group), "a=rtcp-rsize" in group)


def _sent_layers(group: list[str]) -> tuple[str, ...]:
    """The rids of `a=simulcast:send a;b;c` (RFC 8853 §5.1), the first of each alternative."""
    for line in group:
        if line.startswith("a=simulcast:"):
            words = line[len("a=simulcast:") :].split()
            if "send" not in words[:-1]:
                return ()
            layers = words[words.index("send") + 1].split(";")
            rids = [layer.split(",")[0].removeprefix("~") for layer in layers]
            if not all(rid.isascii() and rid.isalnum() and len(rid) <= 16 for rid in rids):
                raise SdpMalformedError("a simulcast layer has no proper name")
            if len(rids) > MAX_LAYERS:
                raise SdpUnsupportedError(f"over {MAX_LAYERS} simulcast layers")
            return tuple(rids)
    return ()
