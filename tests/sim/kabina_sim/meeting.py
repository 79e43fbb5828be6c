"""The meeting `m` (floor en, booths fr and sq) on a server process, and ways to take part in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kabina_sim.light_client import LightListener
from kabina_sim.page_peer import PagePeer
from kabina_sim.stock_clients import HttpPeer, Listener, Publisher, StereoTones, ToneTrack

if TYPE_CHECKING:
    import aiohttp

    from kabina.benchmarks.relay import Relay
    from kabina_sim.server_process import ServerProcess


@dataclass
class Meeting:
    """Keeps the peers it made, so that they can be ended with the test."""

    server: ServerProcess
    http: aiohttp.ClientSession
    peers: list[HttpPeer | LightListener]

    def url(self, path: str) -> str:
        return f"{self.server.url}{path}"

    async def publish(
        self,
        channel: str,
        frequency_hz: float,
        token: str = "",
        relay: Relay | None = None,
        *,
        told_levels: bool = True,
        right_hz: float | None = None,
    ) -> Publisher:
        """`told_levels`: with the header extension of RFC 6464. `right_hz`: stereo, and says so."""
        token = token or (
            self.server.token("m", "speaker")
            if channel == "floor"
            else self.server.token("m", "interpreter", channel)
        )
        publisher = Publisher(self.http, self.url(f"/whip/m/{channel}"), token, relay=relay)
        publisher.told_levels, publisher.stereo = told_levels, right_hz is not None
        self.peers.append(publisher)
        return await publisher.start(
            ToneTrack(frequency_hz) if right_hz is None else StereoTones(frequency_hz, right_hz)
        )

    async def listen(
        self,
        channel: str,
        token: str = "",
        relay: Relay | None = None,
        *,
        stereo: bool = False,
        original_db: str = "",
    ) -> Listener:
        token = token or self.server.token("m", "attendee")
        level = f"?original_db={original_db}" if original_db else ""
        listener = Listener(self.http, self.url(f"/whep/m/{channel}{level}"), token, relay=relay)
        listener.stereo = stereo
        self.peers.append(listener)
        return await listener.start()

    async def open_page(
        self, channel: str, token: str, *, tone_hz: float | None = None
    ) -> PagePeer:
        """A page that listens; with a tone, one that may speak."""
        peer = PagePeer(self, token, channel, tone_hz)
        self.peers.append(peer)
        await peer.start()
        return peer

    async def listen_lightly(
        self,
        channel: str,
        token: str,
        relay: Relay | None = None,
        *,
        over: type[LightListener] = LightListener,
    ) -> LightListener:
        listener = over(self.http, self.url(f"/whep/m/{channel}"), token, relay=relay)
        await listener.start()
        self.peers.append(listener)
        return listener

    async def view(self) -> dict:
        async with self.http.get(self.url("/api/meetings/m")) as response:
            assert response.status == 200
            return await response.json()

    async def carriers(self, operator_token: str) -> list[dict]:
        """What flows in each participant's slots now, as the statistics say: a channel's mix, or
        somebody's original."""
        headers = {"Authorization": f"Bearer {operator_token}"}
        async with self.http.get(
            self.url("/api/meetings/m/statistics"), headers=headers
        ) as response:
            assert response.status == 200
            participants = (await response.json())["participants"]
        slots = [slot for one in participants for slot in one["outbound"]]
        return [slot["source"] for slot in slots if slot["source"] is not None]
