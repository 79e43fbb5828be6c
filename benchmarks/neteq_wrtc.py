"""libwebrtc's receiving end: a process of its own, by the Python that has `wrtc`.

JSON by lines. A number in: as many connections' offers out. Their answers in: from then on, four
times a second, the statistics of all connections out, until the input ends. Times are seconds of
CLOCK_MONOTONIC, which processes share.
"""

import asyncio
import json
import os
import re
import sys
import time

os.environ["WRTC_ALLOW_LOOPBACK"] = "1"

import webrtc

EVERY_S = 0.25


async def main() -> None:
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, "")

    reading = asyncio.create_task(asyncio.to_thread(read))
    connections = [webrtc.RTCPeerConnection() for _ in range(json.loads(await lines.get()))]
    for pc in connections:
        pc.addTransceiver("audio", webrtc.RTCRtpTransceiverInit(direction="recvonly"))
        await pc.setLocalDescription(await pc.createOffer())
    while any(pc.iceGatheringState != "complete" for pc in connections):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    say([pc.localDescription.sdp for pc in connections])
    for pc, answer in zip(connections, json.loads(await lines.get()), strict=True):
        await pc.setRemoteDescription(webrtc.RTCSessionDescription("answer", answer))
    while lines.empty():
        found = [await inbound(pc) for pc in connections]
        say({"at_s": time.monotonic(), "inbound": found})
        await asyncio.sleep(EVERY_S)
    for pc in connections:
        pc.close()
    await reading


async def inbound(pc: webrtc.RTCPeerConnection) -> dict[str, object]:
    report = await pc.getStats()
    for entry in report.values():
        if isinstance(entry, webrtc.RTCInboundRtpStreamStats):
            return {
                camel(key): value
                for key, value in vars(entry).items()
                if isinstance(value, int | float)
            }
    return {}


def camel(name: str) -> str:
    """The name that the W3C gives it."""
    return re.sub("_(.)", lambda found: found[1].upper(), name)


def say(value: object) -> None:
    print(json.dumps(value), flush=True)


asyncio.run(main())
