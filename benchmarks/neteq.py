"""Real NetEq: traces sent as SRTP to WebRTC receivers, which tell by getStats what they made of them.

Receivers are libwebrtc itself (the package `wrtc`, in an environment of its own) and Chromium. Each
trace is a connection of its own with a real DTLS handshake; one thread sends all their packets, each
when its trace says, over loopback.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import av
import numpy as np
from pylibsrtp import Policy, Session

from kabina.benchmarks._replay import TimedSender
from kabina.benchmarks.browser import AUTOMATIC, chromium, missing
from kabina.benchmarks.jitter_trace import (
    TAIL_PACKETS,
    Outcome,
    Sums,
    outcome,
    percentile,
    with_tail,
)
from kabina.benchmarks.light_client import LightClient
from kabina.native._mixing import OpusEncoder
from kabina.native.libraries import load_opus
from kabina.native.plane import SrtpProfile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from playwright.async_api import Page

    from kabina.benchmarks.jitter_profiles import Trace

WRTC_PYTHON: Final = Path(__file__).resolve().parent.parent / "build/wrtc/bin/python"
LEAD_S: Final = 1.0
FRAME: Final = 960
SPEECH: Final = Path(__file__).resolve().parent.parent / "signaling/demo/floor-en.opus"
PYLIBSRTP: Final = {
    SrtpProfile.AES_128_CM_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    SrtpProfile.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
}


# --- What is sent -----------------------------------------------------------------------------


def speech_packets(count: int) -> list[bytes]:
    """`count` Opus packets of 20 ms with FEC copies: the demo meeting's speaker, again and again."""
    with av.open(str(SPEECH)) as container:
        resampler = av.AudioResampler("flt", "mono", 48000)
        blocks = [
            out.to_ndarray()[0]
            for frame in container.decode(audio=0)
            for out in resampler.resample(frame)
        ]
    sound = np.concatenate(blocks).astype(np.float32)
    encoder = OpusEncoder(load_opus().handle, bitrate_bps=32000, loss_percent=10)
    frames = len(sound) // FRAME
    return [
        encoder.encode(sound[(i % frames) * FRAME :][:FRAME].copy()) for i in range(count)
    ]


def rtp(payload: bytes, number: int, ssrc: int, payload_type: int) -> bytes:
    """Its sequence number begins at 1000, its timestamp at 0."""
    return (
        bytes((0x80, payload_type))
        + (number + 1000 & 0xFFFF).to_bytes(2, "big")
        + (number * FRAME & 0xFFFFFFFF).to_bytes(4, "big")
        + ssrc.to_bytes(4, "big")
        + payload
    )


# --- What is received -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Snapshot:
    """getStats of one connection: seconds of CLOCK_MONOTONIC and W3C's inbound-rtp numbers."""

    at_s: float
    values: Mapping[str, float]

    def __getitem__(self, name: str) -> float:
        return float(self.values.get(name, 0.0))


class Receivers(Protocol):
    """Some WebRTC receiver with several connections. `name` says whose."""

    name: str

    async def offers(self, count: int) -> Sequence[str]: ...

    async def answer(self, answers: Sequence[str]) -> None: ...

    async def finish(self) -> list[list[Snapshot]]:
        """Of each connection, what was read since the answers, in order."""


class Wrtc:
    """libwebrtc in Python, as a process of the environment that has it."""

    name = "NetEq (libwebrtc M152, wrtc)"

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._reading: asyncio.Task[list[dict[str, Any]]] | None = None

    async def offers(self, count: int) -> Sequence[str]:
        self._say(count)
        found: list[str] = json.loads(await self._line())
        return found

    async def answer(self, answers: Sequence[str]) -> None:
        self._say(answers)
        self._reading = asyncio.create_task(self._read())

    async def finish(self) -> list[list[Snapshot]]:
        assert self._process.stdin is not None
        assert self._reading is not None
        self._process.stdin.close()
        lines = await self._reading
        return [
            [Snapshot(line["at_s"], line["inbound"][i]) for line in lines]
            for i in range(len(lines[0]["inbound"]))
        ]

    def _say(self, value: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(value).encode() + b"\n")

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("wrtc ended: see above")
        return line

    async def _read(self) -> list[dict[str, Any]]:
        lines = []
        with suppress(RuntimeError):
            while True:
                lines.append(json.loads(await self._line()))
        return lines


@asynccontextmanager
async def wrtc() -> AsyncIterator[Wrtc]:
    """RuntimeError where it is not installed."""
    if reason := wrtc_missing():
        raise RuntimeError(reason)
    process = await asyncio.create_subprocess_exec(
        WRTC_PYTHON,
        str(Path(__file__).parent / "neteq_wrtc.py"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 22,
    )
    try:
        yield Wrtc(process)
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
        await process.wait()


def wrtc_missing() -> str:
    """What is not installed here of it; empty when all is."""
    return "" if WRTC_PYTHON.exists() else "no wrtc here: make bench-peers-tools"


OFFER_JS: Final = """async (count) => {
  window.ends = [];
  for (let i = 0; i < count; i += 1) {
    const pc = new RTCPeerConnection();
    pc.addTransceiver("audio", { direction: "recvonly" });
    pc.ontrack = (event) => {
      const element = Object.assign(new Audio(), { srcObject: new MediaStream([event.track]) });
      window.ends[i].element = element;
      element.play();
    };
    window.ends.push({ pc });
    await pc.setLocalDescription();
    await new Promise((resolve) => {
      const look = () => pc.iceGatheringState === "complete" && resolve();
      pc.onicegatheringstatechange = look;
      look();
    });
  }
  return window.ends.map(({ pc }) => pc.localDescription.sdp);
}"""
ANSWER_JS: Final = """async (answers) => {
  for (const [i, sdp] of answers.entries()) await window.ends[i].pc.setRemoteDescription({ type: "answer", sdp });
  window.snapshots = [];
  const take = async () => {
    const reports = await Promise.all(window.ends.map(({ pc }) => pc.getStats()));
    const found = reports.map((report) => {
      const entry = [...report.values()].find((one) => one.type === "inbound-rtp") ?? {};
      return Object.fromEntries(Object.entries(entry).filter(([, value]) => typeof value === "number"));
    });
    window.snapshots.push({ at: performance.now(), inbound: found });
    setTimeout(take, 250);
  };
  take();
}"""


class Page_:
    """Chromium."""

    name = "NetEq (headless Chromium)"

    def __init__(self, page: Page) -> None:
        self._page = page

    async def offers(self, count: int) -> Sequence[str]:
        found: list[str] = await self._page.evaluate(OFFER_JS, count)
        return found

    async def answer(self, answers: Sequence[str]) -> None:
        await self._page.evaluate(ANSWER_JS, answers)

    async def finish(self) -> list[list[Snapshot]]:
        before = time.monotonic()
        now_ms: float = await self._page.evaluate("performance.now()")
        origin_s = (before + time.monotonic()) / 2 - now_ms / 1000
        lines = await self._page.evaluate("window.snapshots")
        return [
            [Snapshot(origin_s + line["at"] / 1000, line["inbound"][i]) for line in lines]
            for i in range(len(lines[0]["inbound"]))
        ]


@asynccontextmanager
async def browser() -> AsyncIterator[Page_]:
    """RuntimeError where there is none."""
    if reason := missing():
        raise RuntimeError(reason)
    # Without it host candidates are names that only mDNS resolves.
    async with chromium(*AUTOMATIC, "--disable-features=WebRtcHideLocalIpsWithMdns") as started:
        context = await started.new_context()
        # Who may use a microphone is shown all addresses, loopback among them.
        await context.grant_permissions(["microphone"])
        page = await context.new_page()
        yield Page_(page)


# --- A run ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heard:
    """What a receiver made of each trace, and how punctual the harness was."""

    outcomes: dict[str, Outcome]
    jitter_ms: dict[str, float]
    """RFC 3550's, as the receiver saw it at the end of each trace."""
    late_p99_ms: float
    is_fifo: bool
    refused: int
    details: dict[str, dict[str, float]]


async def play(receivers: Receivers, traces: Mapping[str, Trace]) -> Heard:
    """Sends all traces at once, each over its own connection. RuntimeError, TimeoutError."""
    longest = max(len(trace.send_ms) for trace in traces.values())
    payloads = speech_packets(longest + TAIL_PACKETS + 1)
    offers = [loopback_alone(offer) for offer in await receivers.offers(len(traces))]
    clients = [LightClient(sends=True, ssrc=5000 + i) for i in range(len(offers))]
    try:
        answers = [
            client.answer(offer) for client, offer in zip(clients, offers, strict=True)
        ]
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
                (round(ms * 1e6), client.fileno(), made[number])
                for ms, number in with_tail(trace)
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
        jitter_ms={name: 1000 * each[-1]["jitter"] for name, each in found.items()},
        late_p99_ms=percentile(late_ms, 0.99),
        is_fifo=sender.is_fifo,
        refused=sender.refused,
        details={name: dict(each[-1].values) for name, each in found.items()},
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
