"""Real NetEq: traces sent as SRTP to WebRTC receivers, and what getStats says became of them.

Each trace is a connection of its own with a real DTLS handshake. One thread sends all their packets
over loopback, each when its trace says.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import av
import numpy as np
from pylibsrtp import Policy, Session

from kabina.benchmarks._replay import TimedSender
from kabina.benchmarks.jitter_trace import (
    TAIL_PACKETS,
    Outcome,
    Sums,
    mean_of,
    outcome,
    percentile,
    with_tail,
)
from kabina.benchmarks.light_client import LightClient
from kabina.native._mixing import OpusEncoder
from kabina.native.libraries import load_opus
from kabina.native.plane import SrtpProfile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from numpy.typing import NDArray

    from kabina.benchmarks.jitter_profiles import Trace
    from kabina.benchmarks.neteq_receivers import Receivers, Snapshot

LEAD_S: Final = 1.0
FRAME: Final = 960
DISTURBED_MS: Final = 2.0
SPARE_ROUNDS: Final = 2
SPEECH: Final = Path(__file__).resolve().parent.parent / "signaling/demo/floor-en.opus"
PYLIBSRTP: Final = {
    SrtpProfile.AES_128_CM_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    SrtpProfile.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
}


# --- What is sent -----------------------------------------------------------------------------


def speech() -> NDArray[np.float32]:
    """The demo meeting's speaker, mono at 48 kHz, in whole frames."""
    with av.open(str(SPEECH)) as container:
        resampler = av.AudioResampler("flt", "mono", 48000)
        blocks = [
            out.to_ndarray()[0]
            for frame in container.decode(audio=0)
            for out in resampler.resample(frame)
        ]
    sound = np.concatenate(blocks).astype(np.float32)
    return sound[: len(sound) // FRAME * FRAME]


def speech_packets(count: int) -> list[bytes]:
    """`count` Opus packets of 20 ms with FEC copies: `speech`, again and again."""
    sound = speech()
    encoder = OpusEncoder(load_opus().handle, bitrate_bps=32000, loss_percent=10)
    starts = (i * FRAME % len(sound) for i in range(count))
    return [encoder.encode(sound[start : start + FRAME].copy()) for start in starts]


def rtp(payload: bytes, number: int, ssrc: int, payload_type: int) -> bytes:
    """Its sequence number begins at 1000, its timestamp at 0."""
    return (
        bytes((0x80, payload_type))
        + (number + 1000 & 0xFFFF).to_bytes(2, "big")
        + (number * FRAME & 0xFFFFFFFF).to_bytes(4, "big")
        + ssrc.to_bytes(4, "big")
        + payload
    )


# --- A run ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heard:
    """What a receiver made of each trace, and how punctual the harness was."""

    outcomes: dict[str, Outcome]
    jitter_ms: dict[str, float]
    """RFC 3550's, the most that the receiver saw while each trace ran."""
    late_p99_ms: float
    is_fifo: bool
    refused: int


@dataclass(frozen=True, slots=True)
class Rounds:
    """`kept` are those in which the harness itself added at most DISTURBED_MS of jitter; when there
    is none, the least disturbed one. The figures are the worst of them."""

    kept: Sequence[Heard]
    jitter_of_perfect_ms: float
    sender_late_p99_ms: float
    is_fifo: bool
    disturbed: int

    def mean_of(self, trace: str) -> Outcome:
        return mean_of([one.outcomes[trace] for one in self.kept])

    def row(self) -> dict[str, object]:
        """`figure` is the harness's own jitter, ms, as the receivers saw it."""
        kept = f"ms of jitter added by the harness, {len(self.kept)} rounds"
        if self.jitter_of_perfect_ms > DISTURBED_MS:
            kept = "VOID: " + kept + ", the machine disturbed all"
        elif self.disturbed:
            kept += f", {self.disturbed} disturbed by the machine left out"
        priority = "real-time" if self.is_fifo else "normal"
        return {
            "figure": self.jitter_of_perfect_ms,
            "note": f"{kept}; sender late by {self.sender_late_p99_ms:.2f} ms p99 ({priority})",
        }


async def play(receivers: Receivers, traces: Mapping[str, Trace]) -> Heard:
    """Sends all traces at once, each over its own connection. RuntimeError, TimeoutError."""
    longest = max(len(trace.send_ms) for trace in traces.values())
    payloads = speech_packets(longest + TAIL_PACKETS + 1)
    offers = [loopback_alone(offer) for offer in await receivers.offers(len(traces))]
    clients = [LightClient(sends=True, ssrc=5000 + i) for i in range(len(offers))]
    try:
        answers = [client.answer(offer) for client, offer in zip(clients, offers, strict=True)]
        await receivers.answer([with_fec(answer) for answer in answers])
        shots: list[tuple[int, int, bytes]] = []
        for i, (client, trace) in enumerate(zip(clients, traces.values(), strict=True)):
            keys = await client.connect(offers[i])
            session = Session(
                Policy(
                    key=keys.transmit,
                    ssrc_type=Policy.SSRC_ANY_OUTBOUND,
                    srtp_profile=PYLIBSRTP[keys.profile],
                )
            )
            payload_type = int(re.findall(r"m=audio \d+ \S+ (\d+)", answers[i])[0])
            # In order of number: SRTP's index may not go back by more than its window.
            count = len(trace.send_ms) + TAIL_PACKETS
            made = [
                session.protect(rtp(payloads[n], n, 5000 + i, payload_type)) for n in range(count)
            ]
            shots += [
                (round(ms * 1e6), client.fileno(), made[number]) for ms, number in with_tail(trace)
            ]
        sender = TimedSender(shots)
        start_s = time.monotonic() + LEAD_S
        sending = asyncio.create_task(asyncio.to_thread(sender.run, round(start_s * 1e9)))
        try:
            await sending
        except asyncio.CancelledError:
            sender.stop()
            raise
        snapshots = await receivers.finish()
    finally:
        for client in clients:
            client.close()
    late_ms = [late / 1e6 for late in sender.lateness_ns()]
    found = dict(zip(traces, snapshots, strict=True))
    return Heard(
        outcomes={
            name: outcome(traces[name], sums_of(each, start_s)) for name, each in found.items()
        },
        jitter_ms={name: 1000 * max(one["jitter"] for one in each) for name, each in found.items()},
        late_p99_ms=percentile(late_ms, 0.99),
        is_fifo=sender.is_fifo,
        refused=sender.refused,
    )


async def rounds(
    receivers: Callable[[], AbstractAsyncContextManager[Receivers]],
    traces: Mapping[str, Trace],
    count: int,
    perfect: str,
) -> Rounds:
    """Each with receivers of its own, that have learnt nothing; up to SPARE_ROUNDS more where the
    machine disturbed some. `perfect` is a trace without jitter: what is seen there is ours."""
    heard: list[Heard] = []
    while True:
        async with receivers() as receiver:
            heard.append(await play(receiver, traces))
        found = choose(heard, perfect)
        if len(heard) - found.disturbed >= count or len(heard) == count + SPARE_ROUNDS:
            return found


def choose(heard: Sequence[Heard], perfect: str) -> Rounds:
    """Those that the machine did not disturb; when there is none, the least disturbed one."""
    kept = [one for one in heard if one.jitter_ms[perfect] <= DISTURBED_MS and one.refused == 0]
    disturbed = len(heard) - len(kept)
    kept = kept or [min(heard, key=lambda one: one.jitter_ms[perfect])]
    return Rounds(
        kept=kept,
        jitter_of_perfect_ms=max(one.jitter_ms[perfect] for one in kept),
        sender_late_p99_ms=max(one.late_p99_ms for one in kept),
        is_fifo=all(one.is_fifo for one in kept),
        disturbed=disturbed,
    )


def loopback_alone(description: str) -> str:
    """Without the candidates at other addresses. RuntimeError when none is left."""
    lines = description.splitlines()
    kept = [
        line
        for line in lines
        if not line.startswith("a=candidate:") or re.search(r"udp \d+ 127\.", line, re.I)
    ]
    if not any(line.startswith("a=candidate:") for line in kept):
        raise RuntimeError("the receiver offers no loopback candidate")
    return "\r\n".join(kept) + "\r\n"


def with_fec(answer: str) -> str:
    """The answer with what a sender of in-band FEC says."""
    return re.sub(
        r"(a=rtpmap:(\d+) opus/48000/2)", r"\1\r\na=fmtp:\2 minptime=10;useinbandfec=1", answer
    )


# --- Reading the statistics -------------------------------------------------------------------


def sums_of(snapshots: Sequence[Snapshot], start_s: float) -> list[Sums]:
    """Since the last snapshot before the start, which is of no packet; then each."""
    found = [Sums(at_ms=0.0)]
    before = [one for one in snapshots if one.at_s < start_s]
    if before:
        found = [_sums(before[-1], start_s)]
    return found + [_sums(one, start_s) for one in snapshots if one.at_s >= start_s and one.values]


def _sums(one: Snapshot, start_s: float) -> Sums:
    return Sums(
        at_ms=1000 * (one.at_s - start_s),
        waited_s=one["jitterBufferDelay"],
        emitted=one["jitterBufferEmittedCount"],
        concealed=one["concealedSamples"],
        total=one["totalSamplesReceived"],
        stretched=one["insertedSamplesForDeceleration"] + one["removedSamplesForAcceleration"],
        discarded=one["packetsDiscarded"],
        recovered=one["fecPacketsReceived"] - one["fecPacketsDiscarded"],
    )
