"""A viewer that reads what it is sent and says what it likes about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pylibsrtp import Policy, Session

from kabina.benchmarks.light_client import through
from kabina.benchmarks.load import post_offer
from kabina.benchmarks.video_load import VideoClient
from kabina_sim.plane_client import PYLIBSRTP_PROFILES

if TYPE_CHECKING:
    import aiohttp

    from kabina.benchmarks.relay import Relay

MEDIA, RTX = 96, 97  # payload types of VideoClient's offer


@dataclass
class Pictures:
    """RTP payload bytes and packets by payload type; media sequence numbers in order of arrival."""

    packets: dict[int, int] = field(default_factory=lambda: {MEDIA: 0, RTX: 0})
    bytes: dict[int, int] = field(default_factory=lambda: {MEDIA: 0, RTX: 0})
    sequences: list[int] = field(default_factory=list)


class VideoViewer(VideoClient):
    """One picture over WHEP. `seen` is what came since it was last replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = Pictures()
        self.media_ssrc = 0

    async def start(
        self, http: aiohttp.ClientSession, url: str, token: str, relay: Relay | None = None
    ) -> VideoViewer:
        answer = await post_offer(http, url, self, token)
        if relay is not None:
            answer = through(answer, relay.address)
        keys = await self.connect(answer)

        def session(key: bytes, direction: int) -> Session:
            policy = Policy(
                key=key, ssrc_type=direction, srtp_profile=PYLIBSRTP_PROFILES[keys.profile]
            )
            policy.window_size = 1024
            return Session(policy)

        self._receive = session(keys.receive, Policy.SSRC_ANY_INBOUND)
        self._transmit = session(keys.transmit, Policy.SSRC_ANY_OUTBOUND)
        return self

    def send_rtcp(self, packet: bytes) -> None:
        assert self._transport is not None
        self._transport.sendto(self._transmit.protect_rtcp(packet))

    def media_received(self, datagram: bytes) -> None:
        if not hasattr(self, "_receive") or 192 <= datagram[1] <= 223:
            return
        packet = self._receive.unprotect(datagram)
        payload_type, sequence = packet[1] & 127, int.from_bytes(packet[2:4], "big")
        self.seen.packets[payload_type] += 1
        self.seen.bytes[payload_type] += len(packet) - 12
        if payload_type == MEDIA:
            self.media_ssrc = int.from_bytes(packet[8:12], "big")
            self.seen.sequences.append(sequence)
