"""Stock aiortc clients over WHIP and WHEP: what any other implementation would do."""

from __future__ import annotations

import asyncio
import fractions
import re
import time
from typing import TYPE_CHECKING

import av
import numpy as np
from aiortc import AudioStreamTrack, RTCPeerConnection, RTCSessionDescription

from kabina.benchmarks.load import through

if TYPE_CHECKING:
    import aiohttp

    from kabina.benchmarks.relay import Relay

RATE_HZ = 48_000
FRAME_SAMPLES = 960


class ToneTrack(AudioStreamTrack):
    """A steady tone, 20 ms frames paced by the monotonic clock; `muted` turns it to silence."""

    def __init__(self, frequency_hz: float, amplitude: float = 0.25) -> None:
        super().__init__()
        self.frequency_hz = frequency_hz
        self.amplitude = amplitude
        self._sent = 0
        self._started_s: float | None = None

    async def recv(self) -> av.AudioFrame:
        if self._started_s is None:
            self._started_s = time.monotonic()
        wait_s = self._started_s + self._sent / RATE_HZ - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        at = (self._sent + np.arange(FRAME_SAMPLES)) / RATE_HZ
        # Stereo, as aiortc's encoder wants it: converting mono would lower it by 3 dB.
        both = (self.samples(at) * 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(both, format="s16", layout="stereo")
        frame.sample_rate = RATE_HZ
        frame.pts = self._sent
        frame.time_base = fractions.Fraction(1, RATE_HZ)
        self._sent += FRAME_SAMPLES
        return frame

    def samples(self, at_s: np.ndarray) -> np.ndarray:
        """(samples, 2) within ±1."""
        wave = self.amplitude * np.sin(2 * np.pi * self.frequency_hz * at_s)
        return np.stack((wave, wave), axis=1)


class StereoTones(ToneTrack):
    """Another tone on the right."""

    def __init__(self, left_hz: float, right_hz: float, amplitude: float = 0.25) -> None:
        super().__init__(left_hz, amplitude)
        self.right_hz = right_hz

    def samples(self, at_s: np.ndarray) -> np.ndarray:
        phases = 2 * np.pi * np.outer(at_s, (self.frequency_hz, self.right_hz))
        return self.amplitude * np.sin(phases)


class RefusedError(Exception):
    def __init__(self, status: int, body: dict) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


class HttpPeer:
    """A WHIP or WHEP session of a stock RTCPeerConnection."""

    def __init__(
        self, http: aiohttp.ClientSession, url: str, token: str, *, relay: Relay | None = None
    ) -> None:
        self.pc = RTCPeerConnection()
        self._relay = relay
        self._http = http
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self.location = ""
        self.answer = ""
        self.etag = ""
        self.told_levels = True
        self.stereo = False  # says so in the offer; stock aiortc codes two channels in any case
        self.connected = asyncio.Event()

        @self.pc.on("connectionstatechange")
        def changed() -> None:
            if self.pc.connectionState == "connected":
                self.connected.set()

    async def _negotiate(self) -> None:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        async with self._http.post(
            self._url,
            data=self._offer(),
            headers={**self._headers, "Content-Type": "application/sdp"},
        ) as response:
            if response.status != 201:
                body = await response.json()
                await self.pc.close()
                raise RefusedError(response.status, body)
            self.location = response.headers["Location"]
            self.etag = response.headers["ETag"]
            self.answer = await response.text()
        if self._relay is not None:
            self.answer = through(self.answer, self._relay.address)
        await self.pc.setRemoteDescription(RTCSessionDescription(self.answer, "answer"))
        async with asyncio.timeout(15):
            await self.connected.wait()

    def _offer(self) -> str:
        offer = self.pc.localDescription.sdp
        if not self.told_levels:
            offer = re.sub(r"a=extmap:\S+ \S+ssrc-audio-level\r\n", "", offer)
        if self.stereo:
            fmtp = r"\1a=fmtp:\2 stereo=1;sprop-stereo=1\r\n"
            offer = re.sub(r"(a=rtpmap:(\d+) opus/48000/2\r\n)", fmtp, offer)
        return offer

    async def delete(self) -> int:
        base = self._url.split("/whip/")[0].split("/whep/")[0]
        async with self._http.delete(base + self.location, headers=self._headers) as response:
            return response.status

    async def close(self) -> None:
        await self.pc.close()

    def vanish(self) -> None:
        """Like a pulled cable: no more datagrams, and nobody is told."""
        for transceiver in self.pc.getTransceivers():
            ice = transceiver.sender.transport.transport
            for protocol in ice._connection._protocols:
                protocol.transport.abort()


class Publisher(HttpPeer):
    async def start(self, track: AudioStreamTrack) -> Publisher:
        self.pc.addTransceiver(track, direction="sendonly")
        await self._negotiate()
        return self


class Listener(HttpPeer):
    """Records what it hears: float32 mono at 48 kHz, with the arrival time of every frame."""

    async def start(self) -> Listener:
        self.pc.addTransceiver("audio", direction="recvonly")
        self._frames: list[np.ndarray] = []
        self._task: asyncio.Task | None = None

        @self.pc.on("track")
        def on_track(track: AudioStreamTrack) -> None:
            self._task = asyncio.create_task(self._record(track))

        await self._negotiate()
        return self

    async def _record(self, track: AudioStreamTrack) -> None:
        from aiortc.mediastreams import MediaStreamError

        try:
            while True:
                frame = await track.recv()
                samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))
                self._frames.append(samples.astype(np.float32) / 32768)
        except MediaStreamError:
            pass

    @property
    def heard(self) -> np.ndarray:
        return self.heard_in_stereo[:, 0]

    @property
    def heard_in_stereo(self) -> np.ndarray:
        """(samples, 2)."""
        return np.concatenate(self._frames) if self._frames else np.zeros((0, 2), np.float32)

    def forget(self) -> None:
        self._frames.clear()

    async def listen_for(self, seconds: float) -> np.ndarray:
        """The next `seconds` of sound; TimeoutError if it takes over three times as long."""
        self.forget()
        wanted = int(seconds * RATE_HZ)
        async with asyncio.timeout(3 * seconds + 5):
            while sum(map(len, self._frames)) < wanted:
                await asyncio.sleep(0.02)
        return self.heard[:wanted]
