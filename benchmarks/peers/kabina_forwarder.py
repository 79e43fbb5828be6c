"""Kabina's forwarding unit as a library: one published track to every listener, untouched.

POST /publish and /listen take an offer and give an answer; POST /block?ms=200 holds the Python
loop; GET /counters shows the plane's. No meeting, no mixer: the row beside other forwarders.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

import uvloop
from aiohttp import web

from kabina.benchmarks.conditions import egress_threads
from kabina.native.plane import Kind
from kabina.sfu.forwarding_unit import ForwardingUnit
from kabina.sfu.negotiation import Permissions

if TYPE_CHECKING:
    from kabina.sfu.peer import Peer
    from kabina.sfu.peer_states import PeerEvent
    from kabina.sfu.sections import PublishedTrack, Slot


class Forwarder:
    """The one publisher's track, and the slots that wait for it or hear it."""

    def __init__(self, host: str) -> None:
        self.unit = ForwardingUnit(
            host=host, port=0, public_ips=[host], egress_threads=egress_threads()
        )
        self._track: PublishedTrack | None = None
        self._slots: list[Slot] = []

    async def publish(self, request: web.Request) -> web.Response:
        peer = await self.unit.join(await request.text(), Permissions(publish_audio=1), self)
        (self._track,) = peer.tracks_of(Kind.AUDIO)
        for slot in self._slots:
            slot.listen_to(self._track.handle)
        return web.Response(status=201, text=peer.answer_text, content_type="application/sdp")

    async def listen(self, request: web.Request) -> web.Response:
        peer = await self.unit.join(await request.text(), Permissions(receive_audio=1), self)
        self._slots += peer.slots
        if self._track is not None:
            for slot in peer.slots:
                slot.listen_to(self._track.handle)
        return web.Response(status=201, text=peer.answer_text, content_type="application/sdp")

    async def counters(self, _: web.Request) -> web.Response:
        plane = self.unit.plane
        return web.json_response(
            {
                **plane.counters(),
                "scheduling": plane.scheduling,
                "plane_cpu_s": plane.cpu_s,
                "egress_cpu_s": sum(plane.egress_cpu_s),
            }
        )

    async def block(self, request: web.Request) -> web.Response:
        """Holds the loop, as a slow callback would."""
        time.sleep(int(request.query["ms"]) / 1000)  # noqa: ASYNC251 - that is its purpose
        return web.Response()

    def peer_state_changed(self, peer: Peer, event: PeerEvent) -> None:
        pass

    def track_flow_changed(self, peer: Peer, track: PublishedTrack, *, flows: bool) -> None:
        pass


async def main(host: str) -> None:
    forwarder = Forwarder(host)
    forwarder.unit.start()
    app = web.Application()
    app.add_routes(
        [
            web.post("/publish", forwarder.publish),
            web.post("/listen", forwarder.listen),
            web.post("/block", forwarder.block),
            web.get("/counters", forwarder.counters),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, host, 0)
    await site.start()
    print(f"ready: http://{host}:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
