"""A datagram from anybody costs a counter, never a session."""

from __future__ import annotations

import random
import socket
import struct

import pytest

from kabina_sim.plane_client import Camera, Speaker, make_rtp


def spray(rng: random.Random, recorded: list[bytes]) -> bytes:
    """Empty, random, look-alikes, cut and bent copies of real datagrams."""
    size = rng.choice([0, 1, 2, 11, 12, 13, 19, 20, 21, 22, 28, 60, 200, 1499, 1500, 1501, 9000])
    kind = rng.randrange(6)
    if kind == 0:
        return rng.randbytes(size)
    if kind == 1:  # STUN
        return b"\0\1" + (max(size - 20, 0)).to_bytes(2) + b"\x21\x12\xa4\x42" + rng.randbytes(size)
    if kind == 2:  # DTLS
        return bytes([rng.choice([20, 22, 23, 32, 63]), 254, 253]) + rng.randbytes(size)
    if kind == 3:  # RTP and RTCP
        return bytes([rng.randrange(128, 192), rng.randrange(256)]) + rng.randbytes(size)
    copy = bytearray(rng.choice(recorded))
    if kind == 4:
        return bytes(copy[: rng.randrange(len(copy))])
    for at in rng.sample(range(len(copy)), rng.randrange(1, 6)):
        copy[at] ^= rng.randrange(1, 256)
    return bytes(copy)


def test_junk_from_strangers_and_from_a_joined_peer_costs_no_session(plane, clock, connect):
    rng = random.Random(20)
    publisher, listener = connect("publisher"), connect("listener")
    plane.set_slot_source(listener.add_slot(), publisher.add_track())
    speaker = Speaker(publisher, 1, level=20)
    recorded = [bytes(publisher.check()), bytes(listener.check()), speaker_packet(publisher)]
    strangers = [publisher.new_socket() for _ in range(4)]
    said, heard = [], []
    for _ in range(200):
        for _ in range(15):
            source = rng.choice([*strangers, publisher.socket])
            source.sendto(spray(rng, recorded), ("127.0.0.1", plane.port))
        said.append(speaker.speak())
        clock.turn(after_ms=20)
        heard += [packet.payload for packet in listener.read().rtp]
    assert heard == said
    for stranger in strangers:
        with pytest.raises(BlockingIOError):  # nothing was ever answered
            stranger.recv(2048)
        stranger.close()
    counters = plane.counters()
    for name in (
        "datagrams_empty", "datagrams_short", "datagrams_oversized", "datagrams_unknown",
        "datagrams_foreign", "stun_malformed", "srtp_unauthenticated",
    ):  # fmt: skip
        assert counters[name] > 0, name


def speaker_packet(client) -> bytes:
    return client.transmit.protect(make_rtp(b"x" * 60, sequence=9, timestamp=9, ssrc=999, level=9))


def test_the_largest_datagram_ip_can_carry_is_dropped_whole(plane, clock):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for size in (1500, 1501, 65_507):
            sender.sendto(b"\x80\x6f" + bytes(size - 2), ("127.0.0.1", plane.port))
    clock.turn()
    counters = plane.counters()
    assert counters["datagrams_oversized"] == 2
    assert counters["datagrams_foreign"] == 1


def test_srtp_before_keys_is_dropped_and_fine_afterwards(plane, clock, connect):
    client = connect("client", join=False)
    client.send(bytes(client.check()))
    client.add_track()
    speaker = Speaker(client, 1)
    speaker.speak()
    clock.turn()
    assert plane.counters()["srtp_without_keys"] == 1
    client.set_keys()
    speaker.speak()
    clock.turn()
    assert plane.counters()["rtp_received"] == 1


def test_a_publisher_that_means_harm_with_pictures_costs_only_counters(plane, clock, connect):
    """Signed nonsense in media, RTX and feedback: seeded bytes behind every payload type."""
    rng = random.Random(11)
    publisher, listener = connect("publisher"), connect("listener")
    slot = listener.add_video_slot()
    plane.set_slot_source(slot, publisher.add_video_track(ssrcs=(1,), rtx_ssrcs={1: 2}))
    camera = Camera(publisher, 1)
    camera.frame(key=True)
    sequences = {1: camera.sequence, 2: 7, 3: 8}
    for _ in range(600):
        ssrc = rng.choice([1, 1, 2, 3])
        sequences[ssrc] += rng.choice([1, 1, 1, 2, 30, 1200, 4000])
        publisher.send_rtp(
            rng.randbytes(rng.randrange(0, 40)),
            sequence=sequences[ssrc], timestamp=rng.randrange(1 << 32), ssrc=ssrc,
            payload_type=rng.choice([96, 97]), marker=rng.random() < 0.5,
            mid=rng.choice([b"v", None, b"x"]),
            extensions={rng.randrange(1, 15): rng.randbytes(rng.randrange(1, 17))},
        )  # fmt: skip
        body = struct.pack("!II", 1, 0x71DE0) + rng.randbytes(4 * rng.randrange(0, 30))
        head = struct.pack("!BBH", 0x80 | rng.choice([1, 4, 15]), rng.choice([205, 206]),
                           len(body) // 4)  # fmt: skip
        listener.send_rtcp(head + body)
        clock.turn(after_ms=5)
        listener.read()
    clock.turn(after_ms=300)
    camera.sequence = (sequences[1] + 1) & 0xFFFF
    for step in range(3):
        sent = camera.frame(key=step == 0)
        clock.turn(after_ms=33)
    assert listener.read().rtp[-1].payload[6:] == sent[-1][6:]
    assert plane.counters()["protect_failed"] == 0
