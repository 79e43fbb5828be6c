"""Mutated input for every parser written in Python: only its declared error, in bounded time."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kabina.interpretation.ids import Role
from kabina.sfu import negotiation, sdp_limits
from kabina.sfu.candidates import host_candidates
from kabina.sfu.dtls_filter import may_enter_handshake
from kabina.sfu.errors import PeerError
from kabina.sfu.negotiation import Permissions
from kabina.sfu.offer import Answer, Fingerprint, OutgoingStream, Setup
from kabina.sfu.seam.sdp import parse_offer, write_answer
from kabina.signaling import config, messages
from kabina.signaling.errors import CodedError, StartError
from kabina.signaling.tokens import TokenIssuer

SEED = int(os.environ.get("KABINA_FUZZ_SEED", "1"))
SECONDS = float(os.environ.get("KABINA_FUZZ_SECONDS", "3"))  # each of the five
SLOWEST_S = 1.0  # of CPU; an offer at the caps costs about a tenth of it

OFFER = "\r\n".join(
    [
        "v=0",
        "o=- 1 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0 1",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 63",
        "c=IN IP4 0.0.0.0",
        "a=ice-ufrag:4ZcD",
        "a=ice-pwd:2/1muCWoOi3uLifh0NuRHlPz",
        "a=fingerprint:sha-256 " + ":".join(["75"] * 32),
        "a=setup:actpass",
        "a=mid:0",
        "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=sendrecv",
        "a=rtcp-mux",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=rtcp-fb:111 transport-cc",
        "a=rtpmap:63 red/48000/2",
        "a=ssrc:1001 cname:x",
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
        "c=IN IP4 0.0.0.0",
        "a=ice-ufrag:4ZcD",
        "a=ice-pwd:2/1muCWoOi3uLifh0NuRHlPz",
        "a=fingerprint:sha-256 " + ":".join(["75"] * 32),
        "a=setup:actpass",
        "a=mid:1",
        "a=sendonly",
        "a=rtcp-mux",
        "a=rtpmap:96 VP8/90000",
        "a=rtcp-fb:96 nack pli",
        "a=rtpmap:97 rtx/90000",
        "a=fmtp:97 apt=96",
        "a=rid:h send",
        "a=rid:l send",
        "a=simulcast:send h;l",
        "a=ssrc-group:FID 7 8",
        "a=candidate:1 1 udp 1 10.0.0.1 9 typ host",
        "",
    ]
).encode()
MESSAGES = [
    b'{"type": "hello", "id": 1, "version": 1, "token": "eyJ"}',
    b'{"type": "view", "id": 11, "slots": [{"what": "camera", "width": 640, "height": 360, '
    b'"visible": true}]}',
    b'{"type": "take_floor", "id": 4, "language": "en"}',
]
TOML = [b'port = 1001\nhost = "127.0.0.2"\nturn_urls = ["turn:a:1"]\nturn_secret = "x"\n']
RECORDS = [
    bytes([22, 0xFE, 0xFD, *[0] * 8, 0, 14, 1, *[0] * 13]),
    bytes([23, 0xFE, 0xFD, 0, 1, *[0] * 6, 0, 4, 1, 2, 3, 4, 20, 0xFE, 0xFD, *[0] * 8, 0, 1, 1]),
    bytes([0x2F, 1, 2, 3]),
]


def mutated(rng: random.Random, seeds: list[bytes]) -> bytes:
    """One to eight small damages: bits, bytes, numbers, blocks and lines moved, doubled, dropped."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(data) + 1)
        length = rng.choice((1, 1, 2, 4, 16, 64))
        kind = rng.randrange(8)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at : at + length] = rng.randbytes(length)
        elif kind == 2:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = data[at : at + length] * rng.choice((1, 2, 100))
        elif kind == 4:
            data[at:at] = rng.choice(
                (
                    b"0",
                    b"-1",
                    b"99999999999999999999",
                    b"\0",
                    b"\n",
                    b":",
                    b"/",
                    "é".encode(),
                    "²".encode(),
                )
            )
        elif kind == 5:
            del data[at:]
        else:
            lines = bytes(data).split(b"\n")
            line = lines.pop(rng.randrange(len(lines)))
            for _ in range(rng.choice((0, 1, 2))):
                lines.insert(rng.randint(0, len(lines)), line)
            data = bytearray(b"\n".join(lines))
    return bytes(data)


def attack(name: str, seeds: list[bytes], parse: Callable[[bytes], object], *declared: type) -> int:
    """Returns how many inputs were accepted; fails with the input that did anything else."""
    rng = random.Random(f"{SEED} {name}")
    until = time.monotonic() + SECONDS
    accepted = 0
    while time.monotonic() < until:
        data = mutated(rng, seeds)
        began = time.process_time()
        try:
            parse(data)
            accepted += 1
        except declared:
            pass
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error} on {data!r}") from error
        assert time.process_time() - began < SLOWEST_S, f"slow on {data!r}"
    return accepted


def answered(data: bytes) -> None:
    prepared = sdp_limits.prepare(data.decode("utf-8", "replace"))
    offer = parse_offer(prepared)
    numbers = count(1)

    def stream(with_rtx: bool) -> OutgoingStream:
        return OutgoingStream(next(numbers), next(numbers) if with_rtx else 0, "c", "s", "t")

    sections = negotiation.answer_sections(offer, Permissions(1, 1, 1, 1), stream)
    write_answer(
        Answer(
            sections,
            "u" * 8,
            "p" * 24,
            (Fingerprint("sha-256", ":".join(["00"] * 32)),),
            Setup.ACTIVE,
            host_candidates(["127.0.0.1"], 9),
            1,
        ),
        prepared,
    )


def test_a_mutated_offer_is_answered_or_refused_with_a_code():
    answered(OFFER)
    assert attack("sdp", [OFFER], answered, PeerError) > 0


def test_a_mutated_message_is_a_message_or_a_decode_error():
    def decode(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        try:
            messages.decode(text)
        except msgspec.DecodeError:
            messages.reply_id(text)

    assert attack("messages", MESSAGES, decode) > 0


def test_a_mutated_token_is_never_anything_but_refused():
    issuer = TokenIssuer(Ed25519PrivateKey.generate())
    token = issuer.issue(meeting="m", role=Role.ATTENDEE, valid_for=timedelta(hours=1))

    def check(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        grant = issuer.check(text)
        # A mutation that undid itself, or blanks around and unused bits behind: still the grant.
        assert (grant.meeting, grant.role) == ("m", Role.ATTENDEE)

    attack("tokens", [token.encode()], check, CodedError)


def test_a_mutated_configuration_is_read_or_one_clear_error(tmp_path: Path):
    file = tmp_path / "kabina.toml"

    def load(data: bytes) -> None:
        file.write_bytes(data)
        config.load({}, {}, file)

    assert attack("config", TOML, load, StartError) > 0


@pytest.mark.parametrize("is_client", [True, False])
def test_a_mutated_record_is_let_in_or_not(is_client: bool):
    assert attack("dtls", RECORDS, lambda data: may_enter_handshake(data, is_client=is_client)) > 0
