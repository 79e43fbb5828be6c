"""The linear pass that keeps quadratic text away from the parser."""

import pytest

from kabina.sfu import sdp_limits
from kabina.sfu.errors import SdpMalformedError, SdpTooLargeError, SdpUnsupportedError

SESSION = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0"]


def section(
    kind: str = "audio", mid: str = "0", *extra: str, profile: str = "UDP/TLS/RTP/SAVPF"
) -> list[str]:
    return [f"m={kind} 9 {profile} 111", f"a=mid:{mid}", "a=rtcp-mux", *extra]


def sdp(*sections: list[str], session: list[str] | None = None) -> str:
    mids = " ".join(line[6:] for s in sections for line in s if line.startswith("a=mid:"))
    head = SESSION if session is None else session
    lines = [*head, f"a=group:BUNDLE {mids}", *(line for s in sections for line in s)]
    return "\r\n".join(lines) + "\r\n"


def test_a_data_channel_is_lifted_out_and_the_audio_stays():
    data = section("application", "1", profile="UDP/DTLS/SCTP")
    prepared = sdp_limits.prepare(sdp(section(), data))
    assert [s.lifted for s in prepared.sections] == [False, True]
    assert "application" not in prepared.text
    assert "m=audio" in prepared.text


def test_candidates_never_reach_the_parser():
    prepared = sdp_limits.prepare(
        sdp(
            section("audio", "0", "a=candidate:1 1 udp 1 a.local 5 typ host", "a=end-of-candidates")
        )
    )
    assert "candidate" not in prepared.text


@pytest.mark.parametrize(
    "text",
    [
        "v=0\r\n" + "a=x\r\n" * 1000,
        sdp(section("audio", "0", "a=" + "x" * 70_000)),
        sdp(section("audio", "0", *["a=rtpmap:111 opus/48000/2"] * 129)),
        sdp(section("audio", "0", *["a=rtcp-fb:* nack"] * 9)),
        sdp(*(section("audio", str(n)) for n in range(65))),
    ],
    ids=["lines", "bytes", "rtpmap", "wildcards", "sections"],
)
def test_over_a_cap_is_too_large(text: str):
    with pytest.raises(SdpTooLargeError):
        sdp_limits.prepare(text)


@pytest.mark.parametrize(
    "text",
    [
        sdp(section("audio", "0", *["a=rtpmap:111 opus/48000/2"] * 128)),
        sdp(section("audio", "0", *["a=rtcp-fb:* nack"] * 8)),
        sdp(*(section("audio", str(n)) for n in range(64))),
    ],
    ids=["rtpmap", "wildcards", "sections"],
)
def test_at_a_cap_passes(text: str):
    assert sdp_limits.prepare(text).sections


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "v=0\r\n",
        "v=0\r\nm=audio\r\n",
        "v=0\r\nm=audio x UDP/TLS/RTP/SAVPF 111\r\n",
        "v=0\r\nm=audio 9² UDP/TLS/RTP/SAVPF 111\r\n",
        sdp(section("audio", "a b")),
        sdp(section("audio", "m" * 17)),
        sdp(section("audio", "0"), section("audio", "0")),
        sdp(section("audio", "0", "a=x\x0ca=rtpmap:1 x/1")),
        sdp(section("audio", "0", "a=x\u2028a=rtpmap:1 x/1")),
        sdp(section()) + "\0",
    ],
)
def test_what_is_no_sdp_is_malformed(text: str):
    with pytest.raises(SdpMalformedError):
        sdp_limits.prepare(text)


@pytest.mark.parametrize(
    "text",
    [
        sdp(section(), session=[*SESSION, "a=ice-lite"]),
        sdp(["m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:0"]),
        sdp(section("audio", "0"), section("audio", "1")).replace("BUNDLE 0 1", "BUNDLE 0"),
        sdp(section("application", "0", profile="UDP/DTLS/SCTP")),
        sdp(section("audio", "0", profile="RTP/AVP")),
    ],
    ids=["two lite ends", "no rtcp-mux", "not bundled", "data only", "not encrypted"],
)
def test_what_we_cannot_carry_is_unsupported(text: str):
    with pytest.raises(SdpUnsupportedError):
        sdp_limits.prepare(text)
