"""The C parsers against aiortc's and aioice's, against the corpora, and against nonsense."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from aiortc.rtp import RtcpPacket, RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from kabina.native import _plane
from kabina_sim.plane_client import make_rtp

PARSERS = ["demux", "stun", "rtp", "rtcp", "codec", "red", "twcc", "framing"]
EMPTY, SHORT, UNKNOWN, STUN, DTLS, RTP, RTCP = range(7)


def samples(corpora: Path) -> list[bytes]:
    """Every corpus file as it is, and what Go's fuzz files and rtpdump records hold."""
    found = []
    for path in sorted(corpora.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            found += [data, *go_literals(data), *rtpdump(data)]
    return found


def go_literals(data: bytes) -> list[bytes]:
    if not data.startswith(b"go test fuzz"):
        return []
    found = []
    for line in data.decode("utf-8", "replace").splitlines()[1:]:
        text = line.partition('("')[2].rpartition('")')[0]
        found.append(
            text.encode("latin-1", "replace").decode("unicode_escape").encode("latin-1", "replace")
        )
    return found


def rtpdump(data: bytes) -> list[bytes]:
    if not data.startswith(b"#!rtpplay"):
        return []
    at = data.index(b"\n") + 1 + 16
    found = []
    while at + 8 <= len(data):
        length, size = struct.unpack_from("!HH", data, at)
        found.append(data[at + 8 : at + 8 + size])
        at += max(length, 8)
    return found


def test_every_seed_is_parsed_or_refused_whole_and_cut(corpora):
    seeds = samples(corpora)
    if not seeds:
        pytest.skip("no corpora in this tree")
    for seed in seeds:
        for parser in PARSERS:
            _plane.fuzz(parser, seed[:2000])
            if len(seed) <= 256:
                for size in range(len(seed)):
                    _plane.fuzz(parser, seed[:size])


def test_every_seed_at_a_running_plane_costs_no_session(plane, clock, connect, corpora):
    publisher, listener = connect("publisher"), connect("listener")
    plane.set_slot_source(listener.add_slot(), publisher.add_track())
    stranger = publisher.new_socket()
    seeds = samples(corpora)
    for seed in seeds:
        if len(seed) <= 1400:
            stranger.sendto(seed, ("127.0.0.1", plane.port))
            publisher.send(seed)
            # Signed by a peer that means harm: the parsers behind SRTP see it too.
            for protect in (publisher.transmit.protect, publisher.transmit.protect_rtcp):
                try:
                    publisher.send(protect(seed))
                except Exception:  # noqa: BLE001, S112 - pylibsrtp refuses some itself
                    continue
            clock.turn(after_ms=1)
    clock.turn(after_ms=300)
    listener.read()
    publisher.send_rtp(b"still here", sequence=1, timestamp=1, ssrc=0x12345678)
    clock.turn()
    assert [packet.payload for packet in listener.read().rtp] == [b"still here"]
    stranger.close()


@given(st.sampled_from(PARSERS), st.binary(max_size=300))
def test_any_bytes_give_a_value_or_a_refusal(parser, data):
    assert isinstance(_plane.fuzz(parser, data), int)


@given(
    st.binary(max_size=60),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 127),
    st.booleans(),
    st.none() | st.binary(min_size=1, max_size=16),
    st.none() | st.integers(0, 255),
)
def test_an_rtp_packet_reads_as_it_was_written(
    payload, sequence, timestamp, ssrc, payload_type, marker, mid, level
):
    packet = make_rtp(
        payload,
        sequence=sequence,
        timestamp=timestamp,
        ssrc=ssrc,
        payload_type=payload_type,
        marker=marker,
        mid=mid,
        level=level,
    )
    expected = (payload_type, marker, sequence, timestamp, ssrc, payload, mid, level)
    assert _plane.parse_rtp(packet, 1, 2) == expected


@pytest.mark.parametrize(
    ("profile", "elements", "mid", "level"),
    [
        (0xBEDE, b"\x10a\x20\x85\0\0\0\0", b"a", 0x85),
        (0xBEDE, b"\0\0\x10a", b"a", None),  # padding before
        (0xBEDE, b"\xf0a\x10a", None, None),  # id 15 ends the list
        (0xBEDE, b"\x21\x85\x85\0", None, None),  # a level of two bytes
        (0xBEDE, b"\x1fabc", None, None),  # past the end
        (0x1000, b"\1\1a\2\1\x85\0\0", b"a", 0x85),
        (0x1005, b"\1\0\2\1\x85\0\0\0", None, 0x85),  # an empty mid; appbits
        (0x1000, b"\1\x11abcdefghijklmnopq\0", None, None),  # 17 bytes
        (0x1000, b"\1\xffa\0", None, None),
        (0x1000, b"\0\0\0\1", None, None),  # an id without length
        (0x7777, b"\x10a\0\0", None, None),  # not RFC 8285
    ],
)
def test_header_extensions_of_odd_shape_are_ignored_alone(profile, elements, mid, level):
    packet = struct.pack("!BBHIIHH", 0x90, 111, 1, 2, 3, profile, len(elements) // 4)
    parsed = _plane.parse_rtp(packet + elements + b"sound", 1, 2)
    assert parsed is not None
    assert parsed[5:] == (b"sound", mid, level)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x80" + bytes(10),
        b"\x40" + bytes(20),
        b"\x8f" + bytes(20),  # 15 sources in 9 bytes
        b"\x90" + bytes(11) + b"\xbe\xde\0",
        b"\x90" + bytes(11) + b"\xbe\xde\xff\xff" + bytes(40),
        b"\xa0" + bytes(11),  # padded without a byte
        b"\xa0" + bytes(11) + b"\0",
        b"\xa0" + bytes(11) + b"ab\4",
    ],
)
def test_a_malformed_rtp_packet_is_refused(packet):
    assert _plane.parse_rtp(packet) is None


@pytest.mark.parametrize("folder", ["aiortc-bin"])
def test_rtp_seeds_read_as_aiortc_reads_them(corpora, folder):
    for name in ("rtp", "rtp_dtmf", "rtp_with_csrc", "rtp_only_padding", "rtp_with_sdes_mid"):
        path = corpora / folder / "tests" / f"{name}.bin"
        if not path.exists():
            pytest.skip("no corpora in this tree")
        data = path.read_bytes()
        theirs = RtpPacket.parse(data)
        ours = _plane.parse_rtp(data)
        assert ours is not None
        assert ours[:6] == (
            theirs.payload_type,
            bool(theirs.marker),
            theirs.sequence_number,
            theirs.timestamp,
            theirs.ssrc,
            theirs.payload,
        )


def test_rtcp_seeds_are_taken_and_refused_as_aiortc_does(corpora):
    paths = sorted((corpora / "aiortc-bin" / "tests").glob("rtcp_*.bin"))
    if not paths:
        pytest.skip("no corpora in this tree")
    for path in paths:
        data = path.read_bytes()
        try:
            expected = len(RtcpPacket.parse(data)) > 0
        except ValueError:
            expected = False
        assert (_plane.check_rtcp(data) > 0) == expected, path.name


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", EMPTY),
        (b"\0" * 19, SHORT),
        (b"\0" * 20, STUN),
        (b"\3" + bytes(19), STUN),
        (b"\4" + bytes(30), UNKNOWN),
        (b"\x13" + bytes(30), UNKNOWN),
        (b"\x14" + bytes(11), SHORT),
        (b"\x14" + bytes(12), DTLS),
        (b"\x3f" + bytes(12), DTLS),
        (b"\x40" + bytes(30), UNKNOWN),
        (b"\x7f" + bytes(30), UNKNOWN),
        (b"\x80" + bytes(20), SHORT),
        (b"\x80\x6f" + bytes(20), RTP),
        (b"\xbf\xbf" + bytes(20), RTP),
        (b"\x80\xc0" + bytes(20), RTCP),
        (b"\x80\xdf" + bytes(20), RTCP),
        (b"\x80\xe0" + bytes(20), RTP),
        (b"\xc0" + bytes(30), UNKNOWN),
    ],
)
def test_the_first_bytes_tell_the_kind(data, kind):
    assert _plane.fuzz("demux", data) == kind


@given(st.lists(st.integers(0, 3000), max_size=30), st.integers(0, 5000))
def test_a_stream_gives_its_frames_whole_or_byte_by_byte(sizes: list[int], cut: int):
    stream = b"".join(struct.pack("!H", size) + bytes(size) for size in sizes)[: cut or None]
    expected, at = 0, 0
    while at + 2 <= len(stream):
        size = int.from_bytes(stream[at : at + 2], "big")
        at += 2 + size
        expected += at <= len(stream) or size > 1500  # told of as soon as its length is known
    assert _plane.fuzz("framing", stream) == expected


def red_payload(copies: list[tuple[int, int, bytes]], primary: bytes) -> bytes:
    heads = b"".join(
        struct.pack("!I", 1 << 31 | payload_type << 24 | offset << 10 | len(data))
        for payload_type, offset, data in copies
    )
    return heads + b"\x6f" + b"".join(data for *_, data in copies) + primary


@given(
    st.lists(
        st.tuples(
            st.sampled_from([111, 111, 111, 126]),
            st.sampled_from([0, 480, 960, 1920, 2880, 0x3FFF]),
            st.sampled_from([b"", b"\x78", b"\x78ab", b"\x18abc", b"\x7b", b"\xfb\x3f"]),
        ),
        max_size=10,
    ),
    st.binary(max_size=4),
)
def test_redundant_audio_written_again_has_the_same_copies_in_the_same_places(copies, primary):
    taken = _plane.fuzz("red", red_payload(copies, primary))
    assert (taken == -1) == (len(copies) > 8 or not primary)
    assert -1 <= taken <= len(copies)
