"""FFmpeg's WHIP muxer, an implementation that shares nothing with ours, publishes sound and picture."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from aiortc import RTCPeerConnection

from kabina_sim.stock_clients import Listener
from kabina_sim.tones import tone_levels_db

if TYPE_CHECKING:
    from pathlib import Path

    from kabina_sim.meeting import Meeting

# In a process of its own: PyAV blocks in the handshake, which would stop this process's loop.
PUBLISHER = """
import fractions, itertools, select, sys, time
import av, numpy as np
url, token, certificate, key = sys.argv[1:]
output = av.open(url, "w", format="whip", options={
    "authorization": token, "cert_file": certificate, "key_file": key})
video = output.add_stream("libx264", rate=25, options={
    "profile": "baseline", "tune": "zerolatency", "bf": "0", "g": "25", "preset": "ultrafast"})
video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
audio = output.add_stream("libopus", rate=48000, layout="stereo")
started = time.monotonic()
for number in itertools.count():
    if select.select([sys.stdin], [], [], 0)[0]:
        break  # closed: enough
    picture = np.full((180, 320, 3), (number * 5) % 255, np.uint8)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    frame.pts, frame.time_base = number, fractions.Fraction(1, 25)
    for packet in video.encode(frame):
        output.mux(packet)
    at = (number * 1920 + np.arange(1920)) / 48000
    wave = (0.25 * np.sin(2 * np.pi * 700 * at) * 32767).astype(np.int16)
    sound = av.AudioFrame.from_ndarray(np.repeat(wave, 2)[None, :], format="s16", layout="stereo")
    sound.sample_rate, sound.pts = 48000, number * 1920
    sound.time_base = fractions.Fraction(1, 48000)
    for packet in audio.encode(sound):
        output.mux(packet)
    time.sleep(max(0, started + number / 25 - time.monotonic()))
output.close()
"""


@pytest.fixture
def identity(tmp_path: Path) -> tuple[str, str]:
    """A P-256 certificate: FFmpeg's default fails against many servers."""
    key, certificate = str(tmp_path / "k.pem"), str(tmp_path / "c.pem")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", key, "-out", certificate, "-days", "30", "-subj", "/CN=t",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return certificate, key


@pytest.mark.skipif("whip" not in av.formats_available, reason="this FFmpeg has no WHIP")
async def test_ffmpeg_is_heard_and_seen(meeting: Meeting, identity: tuple[str, str]):
    token = meeting.server.token("m", "speaker")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PUBLISHER, meeting.url("/whip/m/floor"), token, *identity,
        stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            while not (await meeting.view())["floor"]["speakers"]:
                await asyncio.sleep(0.05)
        attendee = meeting.server.token("m", "attendee")
        viewer = Listener(meeting.http, meeting.url("/whep/m/floor"), attendee)
        meeting.peers.append(viewer)
        viewer.pc.addTransceiver("video", direction="recvonly")
        pictures: list[av.VideoFrame] = []
        watching = watch(viewer.pc, pictures)
        await viewer.start()
        heard = await viewer.listen_for(1.5)
        assert float(np.median(tone_levels_db(heard[24_000:], 700.0))) == pytest.approx(
            -12.0, abs=1.5
        )
        async with asyncio.timeout(60):
            while len(pictures) < 10:
                await asyncio.sleep(0.05)
        assert (pictures[0].width, pictures[0].height) == (320, 180)
        for task in watching:
            task.cancel()
        assert process.stdin is not None
        process.stdin.close()
        _, errors = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, errors.decode()[-2000:]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def watch(pc: RTCPeerConnection, pictures: list[av.VideoFrame]) -> list[asyncio.Task]:
    tasks: list[asyncio.Task] = []

    @pc.on("track")
    def on_track(track) -> None:
        if track.kind == "video":
            tasks.append(asyncio.create_task(collect(track)))

    async def collect(track) -> None:
        while True:
            pictures.append(await track.recv())

    return tasks
