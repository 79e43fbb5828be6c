"""The benchmarks' camera: what it calls VP8 must be VP8 for the plane, at the rate it promises."""

from __future__ import annotations

import pytest

from kabina.benchmarks._video_load import Vp8Stream
from kabina.benchmarks.video_load import CAMERA
from kabina.native import _plane
from kabina.native.plane import MediaCodec


def parse(packet: bytes) -> tuple[bool, int, int, int, bytes]:
    """Marker, sequence number, timestamp, SSRC, payload."""
    parsed = _plane.parse_rtp(packet, 1, 2)
    assert parsed is not None
    payload_type, marker, sequence, timestamp, ssrc, payload, _, _ = parsed
    assert payload_type == 96
    return marker, sequence, timestamp, ssrc, payload


def test_every_frame_has_the_numbers_and_marks_of_a_camera():
    stream = Vp8Stream(CAMERA)
    sequence = picture = None
    for number in range(700):
        asked = number == 350
        packets = [parse(packet) for packet in stream.frame(key=asked)]
        assert [packet[0] for packet in packets] == [False] * (len(packets) - 1) + [True]
        assert {packet[2] for packet in packets} == {number * 3000}
        assert {packet[3] for packet in packets} == {CAMERA["ssrc"]}
        for index, (_, this, _, _, payload) in enumerate(packets):
            assert sequence is None or this == (sequence + 1) & 0xFFFF
            sequence = this
            assert len(payload) <= CAMERA["payload_bytes"]
            key, own, _ = _plane.read_frame(MediaCodec.VP8, payload)
            assert key == (index == 0 and number in (0, 300, 350, 650))
            if index == 0:
                assert picture is None or own == (picture + 1) & 0x7FFF
                picture = own
        sizes = [len(packet[4]) for packet in packets]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("rate_bps", [150_000, 1_000_000, 4_000_000])
def test_the_stream_has_the_rate_it_was_asked_for(rate_bps):
    stream = Vp8Stream({**CAMERA, "rate_bps": rate_bps})
    frames = [[parse(packet)[4] for packet in stream.frame()] for _ in range(900)]
    sizes = [sum(map(len, frame)) for frame in frames]
    assert sum(sizes) * 8 / 30 == pytest.approx(rate_bps, rel=0.02)
    key, others = sizes[300], sizes[301:600]
    assert key == pytest.approx(5 * sum(others) / len(others), rel=0.03)
    assert max(others) > 1.3 * min(others)  # as an encoder's vary, which GSO has to live with


def test_the_last_bytes_are_the_stamp():
    stream = Vp8Stream(CAMERA)
    for packet in stream.frame(stamp=123456789):
        assert packet[-8:] == (123456789).to_bytes(8, "little")


@pytest.mark.parametrize(
    "wrong",
    [{"frames_per_s": 0}, {"key_period_frames": 0}, {"payload_bytes": 1201}, {"payload_type": 200}],
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=r".+"):
        Vp8Stream({**CAMERA, **wrong})
