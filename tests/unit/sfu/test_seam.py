"""Offers in, answers out, through aiortc's parser."""

from itertools import count
from pathlib import Path

import pytest

from kabina.sfu import negotiation, sdp_limits
from kabina.sfu.candidates import host_candidates
from kabina.sfu.errors import PeerError, SdpUnsupportedError
from kabina.sfu.negotiation import Permissions
from kabina.sfu.offer import Answer, Direction, Fingerprint, OutgoingStream, Setup
from kabina.sfu.seam.sdp import parse_offer, write_answer

CHROMIUM_LIKE = """v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
a=msid-semantic: WMS
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:4ZcD
a=ice-pwd:2/1muCWoOi3uLifh0NuRHlPz
a=ice-options:trickle
a=fingerprint:sha-256 75:74:5A:A6:A4:E5:52:F4:A7:67:4C:01:C7:EE:91:3F:21:3D:A2:E3:53:7B:6F:30:86:F2:30:AA:65:FB:04:24
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:5 http://example.org/unknown
a=recvonly
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=ice-ufrag:4ZcD
a=ice-pwd:2/1muCWoOi3uLifh0NuRHlPz
a=fingerprint:sha-256 75:74:5A:A6:A4:E5:52:F4:A7:67:4C:01:C7:EE:91:3F:21:3D:A2:E3:53:7B:6F:30:86:F2:30:AA:65:FB:04:24
a=setup:actpass
a=mid:1
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendonly
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=ssrc:1001 cname:x
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:2
a=sctp-port:5000
""".replace("\n", "\r\n")


AUDIO = Permissions(publish_audio=1, receive_audio=1)


def answer_to(text: str, permissions: Permissions) -> str:
    prepared = sdp_limits.prepare(text)
    offer = parse_offer(prepared)
    numbers = count(5000)
    sections = negotiation.answer_sections(
        offer,
        permissions,
        lambda with_rtx: OutgoingStream(
            next(numbers), next(numbers) if with_rtx else 0, "name", "stream", "track"
        ),
    )
    answer = Answer(
        sections=sections,
        ufrag="uuuu",
        password="p" * 24,
        fingerprints=(Fingerprint("sha-256", "AA:BB"),),
        setup=negotiation.choose_setup(offer.setup),
        candidates=host_candidates(["2001:db8::7", "192.0.2.7"], 4321, tcp=True),
        session_id=7,
    )
    return write_answer(answer, prepared)


def test_every_section_is_answered_in_place_and_the_data_channel_rejected():
    lines = answer_to(CHROMIUM_LIKE, AUDIO).split("\r\n")
    media = [line for line in lines if line.startswith("m=")]
    assert media == [
        "m=audio 4321 UDP/TLS/RTP/SAVPF 63 111",
        "m=audio 4321 UDP/TLS/RTP/SAVPF 111",
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
    ]
    assert "a=group:BUNDLE 0 1" in lines
    assert "a=ice-lite" in lines


def test_candidates_stand_best_first_and_name_the_passive_end_of_tcp():
    first = answer_to(CHROMIUM_LIKE, AUDIO).split("\r\nm=")[1]
    assert [line for line in first.split("\r\n") if line.startswith("a=candidate:")] == [
        "a=candidate:u1 1 udp 2130706431 192.0.2.7 4321 typ host",
        "a=candidate:u2 1 udp 2130706175 2001:db8::7 4321 typ host",
        "a=candidate:t1 1 tcp 1520435199 192.0.2.7 4321 typ host tcptype passive",
        "a=candidate:t2 1 tcp 1520434943 2001:db8::7 4321 typ host tcptype passive",
    ]
    assert "c=IN IP4 192.0.2.7" in first.split("\r\n")


def test_the_answer_sends_where_the_offer_receives_and_the_other_way_round():
    answer = answer_to(CHROMIUM_LIKE, AUDIO)
    first, second, _ = answer.split("\r\nm=")[1:]
    assert "a=sendonly" in first
    assert "a=ssrc:5000 cname:name" in first
    assert "a=recvonly" in second
    assert "a=ssrc:" not in second
    assert "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid" in first
    assert "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time" in first
    assert "unknown" not in answer
    assert "useinbandfec=1" in first
    assert "maxaveragebitrate=64000" in first


def test_redundant_audio_of_the_opus_that_is_agreed_on_stands_first():
    first, second, _ = answer_to(CHROMIUM_LIKE, AUDIO).split("\r\nm=")[1:]
    assert "a=rtpmap:63 red/48000/2" in first.split("\r\n")
    assert "a=fmtp:63 111/111" in first.split("\r\n")
    assert "red" not in second


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        ("a=fmtp:63 111/111/111", True),
        ("a=fmtp:63 111", False),
        ("a=fmtp:63 111/9", False),
        ("a=fmtp:63 9/111", False),
        ("a=fmtp:63 111/111;111/9", False),
        ("a=fmtp:63 111/²", False),
        ("a=fmtp:63 /", False),
        ("a=x-no-fmtp", False),
    ],
)
def test_redundant_audio_of_anything_else_is_not_agreed_on(offered, agreed):
    answer = answer_to(CHROMIUM_LIKE.replace("a=fmtp:63 111/111", offered), AUDIO)
    assert ("red/48000/2" in answer) == agreed
    assert (offered in answer) == agreed


def test_a_peer_that_may_not_publish_gets_an_inactive_section():
    answer = answer_to(CHROMIUM_LIKE, Permissions(receive_audio=1))
    assert "a=inactive" in answer.split("\r\nm=")[2]


def test_an_offer_with_nothing_this_session_may_do_is_refused():
    only_send = CHROMIUM_LIKE.replace("a=recvonly", "a=sendonly")
    with pytest.raises(SdpUnsupportedError):
        answer_to(only_send, Permissions(receive_audio=1))


def test_the_server_is_the_dtls_client_unless_the_other_end_insists():
    assert negotiation.choose_setup(Setup.ACTPASS) is Setup.ACTIVE
    assert negotiation.choose_setup(Setup.PASSIVE) is Setup.ACTIVE
    assert negotiation.choose_setup(Setup.ACTIVE) is Setup.PASSIVE


@pytest.mark.parametrize(
    "change",
    [
        ("a=fingerprint:sha-256 75", "a=fingerprint:sha-1 75"),
        ("a=ice-ufrag:4ZcD\r\n", ""),
        ("opus/48000/2", "speex/16000"),
        ("a=setup:actpass\r\n", ""),
    ],
)
def test_an_offer_without_what_we_need_is_refused(change: tuple[str, str]):
    with pytest.raises(SdpUnsupportedError):
        answer_to(CHROMIUM_LIKE.replace(*change), AUDIO)


@pytest.mark.parametrize(
    "change",
    [
        ("opus/48000/2", "opus/x"),
        ("a=rtpmap:111", "a=rtpmap:abc"),
        ("a=fmtp:111 ", "a=fmtp:77 "),
        ("a=ssrc:1001 cname:x", "a=ssrc:x"),
        ("111 63 9", "111 99999999999 9"),
        ("a=extmap:1 ", "a=extmap:one "),
        ("a=setup:actpass", "a=setup:sideways"),
    ],
)
def test_whatever_the_parser_stumbles_over_is_one_coded_error(change: tuple[str, str]):
    with pytest.raises(PeerError) as refusal:
        answer_to(CHROMIUM_LIKE.replace(*change), AUDIO)
    assert refusal.value.code in ("sdp.malformed", "sdp.unsupported")


def test_corpus_descriptions_are_answered_or_refused_with_a_code(corpora: Path):
    files = [*corpora.rglob("*.sdp")]
    assert len(files) > 20
    for file in files:
        text = file.read_bytes().decode("utf-8", "replace")
        try:
            answer = answer_to(text, AUDIO)
        except PeerError as error:
            assert error.code.startswith("sdp.")
        else:
            assert answer.startswith("v=0")


def test_directions_are_total():
    for sends in (True, False):
        for receives in (True, False):
            direction = Direction.of(sends=sends, receives=receives)
            assert (direction.sends, direction.receives) == (sends, receives)
