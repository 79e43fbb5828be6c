"""Joins a publisher of a camera and viewers of it, as real WHIP and WHEP clients.

The camera is a VP8 stream without a picture, 30 frames a second in bursts of a frame, a key frame
every 10 s and on PLI. Viewers send receiver reports and no transport-wide feedback.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from kabina.benchmarks import _video_load
from kabina.benchmarks.light_client import OPUS, LightClient
from kabina.benchmarks.load import join, post_offer
from kabina.native.libraries import load_srtp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

    from kabina.benchmarks import _load

CAMERA: Final = {
    "ssrc": 0xCA3E7A,
    "rate_bps": 1_000_000,
    "frames_per_s": 30,
    "key_period_frames": 300,
    "key_factor": 5,
    "payload_bytes": 1100,
    "payload_type": 96,
}
_VOICE_SSRC: Final = 0x501CE
_RTX: Final = 97


class VideoClient(LightClient):
    """A camera and a microphone to be sent, or one picture to be seen."""

    def offer(self) -> str:
        lines = super().offer().splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("m=audio"))
        session, audio = lines[:start], lines[start:]
        shared = [line for line in audio if not line.startswith(("m=", "a=mid:", "a=rtpmap:"))]
        video = [f"m=video 9 UDP/TLS/RTP/SAVPF 96 {_RTX}", *shared, "a=mid:v"]
        video += ["a=rtpmap:96 VP8/90000", f"a=rtpmap:{_RTX} rtx/90000", f"a=fmtp:{_RTX} apt=96"]
        video += ["a=rtcp-fb:96 nack pli", "a=rtcp-fb:96 ccm fir"]
        if self._sends:
            video.append(f"a=ssrc:{CAMERA['ssrc']} cname:light")
            audio.append(f"a=ssrc:{_VOICE_SSRC} cname:light")
        else:
            video.append("a=rtcp-fb:96 nack")
            audio = []
        group = "a=group:BUNDLE 0 v" if audio else "a=group:BUNDLE v"
        session = [group if line.startswith("a=group:") else line for line in session]
        return "\r\n".join([*session, *audio, *video]) + "\r\n"


@asynccontextmanager
async def camera(
    http: aiohttp.ClientSession, url: str, token: str, settings: dict[str, int] = CAMERA
) -> AsyncIterator[_video_load.VideoLoad]:
    """Publishes to a WHIP URL until the end of the block. RuntimeError if it cannot join."""
    client = VideoClient(sends=True)
    try:
        keys = await client.connect(await post_offer(http, url, client, token))
    except BaseException:
        client.close()
        raise
    publisher = _video_load.VideoLoad(
        load_srtp().handle,
        client.release(),
        int(keys.profile),
        keys.transmit,
        keys.receive,
        client.check,
        video=settings,
        audio_ssrc=_VOICE_SSRC,
        audio_payload_type=OPUS,
    )
    publisher.start()
    try:
        yield publisher
    finally:
        publisher.close()


async def view(http: aiohttp.ClientSession, load: _load.Load, url: str, token: str) -> int:
    """A viewer at a WHEP URL; the number of its end in the load."""

    async def exchange(client: LightClient) -> str:
        return await post_offer(http, url, client, token)

    return await join(load, VideoClient(), exchange, stamped=True)
