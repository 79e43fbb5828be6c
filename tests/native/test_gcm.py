"""What goes out under AES-128-GCM by OpenSSL's EVP is what libsrtp would have sent, and no nonce goes twice."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pylibsrtp import Policy, Session

from kabina.native import _plane
from kabina.native.libraries import load_crypto

MASTER = bytes(range(7, 35))


def gcm(master: bytes = MASTER) -> _plane.Gcm:
    return _plane.Gcm(load_crypto().handle, master)


def session(master: bytes, kind: int) -> Session:
    profile = Policy.SRTP_PROFILE_AEAD_AES_128_GCM
    return Session(Policy(key=master, ssrc_type=kind, srtp_profile=profile))


def rtp(sequence: int, payload: bytes, extension: bytes = b"", ssrc: int = 0x1234ABCD) -> bytes:
    first = 0x90 if extension else 0x80
    header = struct.pack("!BBHII", first, 111, sequence, 1000, ssrc)
    if extension:
        header += struct.pack("!HH", 0xBEDE, len(extension) // 4) + extension
    return header + payload


def test_it_is_byte_for_byte_what_libsrtp_sends_over_two_roll_overs():
    rng = random.Random(7714)
    for _ in range(5):
        master = rng.randbytes(28)
        ours, theirs = gcm(master), session(master, Policy.SSRC_ANY_OUTBOUND)
        sequence = rng.randrange(32768)
        for _ in range(700):
            extension = rng.choice([b"", b"\x10a\0\0", b"\x12abc\x20d\0\0"])
            packet = rtp(sequence & 0xFFFF, rng.randbytes(rng.randrange(1, 300)), extension)
            header_bytes = 12 + (4 + len(extension) if extension else 0)
            assert ours.protect(packet, header_bytes) == theirs.protect(packet)
            sequence += rng.choice([1, 1, 1, 2, 200])


def test_late_packets_have_the_index_they_had():
    ours, theirs = gcm(), session(MASTER, Policy.SSRC_ANY_INBOUND)
    order = [65534, 65535, 1, 0, 3, 2, 65533, 4]  # around a roll-over
    for sequence in order:
        packet = rtp(sequence, b"sound")
        assert theirs.unprotect(ours.protect(packet, 12)) == packet


def test_no_index_is_used_twice():
    ours = gcm()
    assert ours.protect(rtp(5, b"one"), 12) is not None
    assert ours.protect(rtp(5, b"another"), 12) is None
    assert ours.protect(rtp(300, b"far on"), 12) is not None
    assert ours.protect(rtp(6, b"too late to know"), 12) is None


@given(st.lists(st.integers(0, 65535), max_size=400))
def test_whatever_comes_indices_are_unique_and_end_in_the_number_on_the_wire(sequences):
    ours = gcm()
    taken = [index for number in sequences if (index := ours.take(number)) is not None]
    assert len(set(taken)) == len(taken)
    assert all(index >= 0 for index in taken)
    again = gcm()
    for number in sequences:
        index = again.take(number)
        assert index is None or index & 0xFFFF == number


@pytest.mark.parametrize("jump", [1, 255, 256, 257, 30000, 32767])
def test_a_jump_leaves_nothing_of_before_behind(jump):
    ours = gcm()
    start = 1000
    assert [ours.take(start + i) for i in range(300)] == [start + i for i in range(300)]
    far = start + 299 + jump
    assert ours.take(far & 0xFFFF) == far
    for late in range(far - 255, far):
        assert ours.take(late & 0xFFFF) == (None if late < start + 300 else late)
