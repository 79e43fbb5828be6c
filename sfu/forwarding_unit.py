"""The selective forwarding unit: offers in, answers out, the plane's events to their peers."""

from __future__ import annotations

import asyncio
import logging
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Final

from kabina.native import plane as native
from kabina.sfu import negotiation, sdp_limits
from kabina.sfu.candidates import host_candidates
from kabina.sfu.errors import NodeFullError, SdpUnsupportedError
from kabina.sfu.offer import Answer, Offer, OutgoingStream
from kabina.sfu.peer import Peer, PeerListener
from kabina.sfu.peer_states import PeerEvent, PeerState
from kabina.sfu.seam.dtls import Certificate
from kabina.sfu.seam.sdp import parse_offer, write_answer
from kabina.sfu.sections import open_slot, open_track

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kabina.sfu.negotiation import Permissions
    from kabina.sfu.sdp_limits import PreparedOffer

# A client is removed at most 10 s after its last authenticated datagram, and shown as stalled when
# it has missed a check: libwebrtc checks every ~2.5 s, aioice and Firefox every 4 to 6.
SILENCE: Final = native.Silence(peer_stalled_ms=7500, peer_lost_ms=9500)
_log = logging.getLogger(__name__)

FULL: Final = "this server has no room for another participant"


class ForwardingUnit:
    """All peers of a node behind one UDP port; Python runs per join and state change."""

    def __init__(
        self,
        *,
        host: str = "",
        host_v6: str = "",
        port: int,
        public_ips: Sequence[str],
        max_connections: int = 0,
        egress_threads: int = 0,
        udp: bool = True,
    ) -> None:
        """Binds the media port in each family with a host; OSError if it is taken.

        `egress_threads` beside the media thread protect and send. Without `max_connections` there
        is no TCP; without `udp` answers do not speak of it.
        """
        self.plane = native.Plane(
            host=host,
            host_v6=host_v6,
            port=port,
            max_connections=max_connections,
            egress_threads=egress_threads,
            silence=SILENCE,
        )
        self.candidates: Final = host_candidates(
            public_ips, self.plane.port, udp=udp, tcp=max_connections > 0
        )
        self.dtls_refused = 0
        self._peers: dict[int, Peer] = {}
        self._publishers: dict[int, Peer] = {}  # by the handle of their track
        self._numbers = count(1)
        self._certificate = Certificate.generateCertificate()
        # Parsing an offer within all caps takes up to 21 ms (testing.md §4): off the loop, in one
        # thread.
        self._parser = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kabina-sdp")

    @property
    def peer_count(self) -> int:
        return len(self._peers)

    def start(self) -> None:
        self.plane.start()
        asyncio.get_running_loop().add_reader(self.plane.event_fd, self._drain)

    async def close(self) -> None:
        """Closes every peer and the port; within 2 s."""
        await asyncio.gather(
            *(peer.close() for peer in list(self._peers.values())), return_exceptions=True
        )
        asyncio.get_running_loop().remove_reader(self.plane.event_fd)
        self.plane.stop()
        self._parser.shutdown(wait=False, cancel_futures=True)

    async def join(self, sdp: str, permissions: Permissions, listener: PeerListener) -> Peer:
        """Answers an offer: the peer, its slots and its tracks are in the plane when this returns.

        Raises SdpTooLargeError, SdpMalformedError, SdpUnsupportedError, NodeFullError.
        """
        prepared, offer = await self._read(sdp)
        answer = self._answer(offer, permissions)
        peer = self._add_peer(offer, answer, listener)
        peer.answer_text = write_answer(answer, prepared)
        return peer

    async def restart_ice(self, peer: Peer, sdp: str) -> bool:
        """Answers an offer that only changes the network path (RFC 8839 §4.4.1.1.1).

        True: the peer has new credentials and a new answer, keys and streams go on. False: the
        offer is another session's (other certificate or sections), join with it. Raises as `join`.
        """
        prepared, offer = await self._read(sdp)
        if not peer.is_restart(offer) or peer.state is PeerState.CLOSED:
            return False
        self.renew_ice(peer, offer.ufrag)
        peer.answer_text = write_answer(peer.answer, prepared)
        return True

    def renew_ice(self, peer: Peer, remote_ufrag: str) -> None:
        """New credentials for a peer that has new ones; the old ones hold until these are used."""
        ufrag, password = _new_credentials()
        self.plane.restart_ice(peer.handle, local_ufrag=ufrag, local_password=password)
        peer.remote_ufrag = remote_ufrag
        peer.answer = replace(peer.answer, ufrag=ufrag, password=password)

    async def _read(self, sdp: str) -> tuple[PreparedOffer, Offer]:
        return await asyncio.get_running_loop().run_in_executor(self._parser, _read_offer, sdp)

    def _answer(self, offer: Offer, permissions: Permissions) -> Answer:
        name = secrets.token_hex(8)
        used = {ssrc for section in offer.sections for ssrc in section.ssrcs}

        def new_ssrc() -> int:
            candidates = iter(lambda: secrets.randbits(32), 0)
            ssrc = next(candidate for candidate in candidates if candidate not in used)
            used.add(ssrc)
            return ssrc

        def new_stream(with_rtx: bool) -> OutgoingStream:
            return OutgoingStream(
                ssrc=new_ssrc(),
                rtx_ssrc=new_ssrc() if with_rtx else 0,
                cname=name,
                stream_id=name,
                track_id=secrets.token_hex(8),
            )

        ufrag, password = _new_credentials()
        return Answer(
            sections=negotiation.answer_sections(offer, permissions, new_stream),
            ufrag=ufrag,
            password=password,
            fingerprints=(self._certificate.sha256,),
            setup=negotiation.choose_setup(offer.setup),
            candidates=self.candidates,
            session_id=secrets.randbits(62),
        )

    def _add_peer(self, offer: Offer, answer: Answer, listener: PeerListener) -> Peer:
        plane = self.plane
        try:
            handle = plane.add_peer(local_ufrag=answer.ufrag, local_password=answer.password)
        except native.PlaneFullError as error:
            raise NodeFullError(FULL) from error
        try:
            tracks = [
                open_track(plane, handle, section)
                for section in answer.sections
                if section.direction.receives
            ]
            slots = [
                open_slot(plane, handle, section, section.stream)
                for section in answer.sections
                if section.stream is not None
            ]
        except native.PlaneFullError as error:
            plane.remove_peer(handle)
            raise NodeFullError(FULL) from error
        except native.PlaneError as error:
            # Two sections with one SSRC, say: parsed well, but no transport can carry it.
            plane.remove_peer(handle)
            raise SdpUnsupportedError(f"the offer cannot be carried: {error}") from error
        peer = Peer(
            number=next(self._numbers),
            handle=handle,
            plane=plane,
            offer=offer,
            answer=answer,
            certificate=self._certificate,
            listener=listener,
            forget=self._forget,
        )
        peer.tracks, peer.slots = tuple(tracks), tuple(slots)
        self._peers[handle] = peer
        self._publishers.update({track.handle: peer for track in tracks})
        return peer

    def _forget(self, peer: Peer) -> None:
        self._peers.pop(peer.handle, None)
        for track in peer.tracks:
            self._publishers.pop(track.handle, None)

    def _drain(self) -> None:
        for event in self.plane.poll():
            try:
                self._serve(event)
            except Exception:  # noqa: BLE001 - logged; the events behind it are other peers'
                _log.exception("an event of the plane could not be served")

    def _serve(self, event: native.PlaneEvent) -> None:
        match event:
            case native.DtlsReceived(handle, datagram):
                peer = self._peers.get(handle)
                if peer is None or not peer.dtls_received(datagram):
                    self.dtls_refused += 1
            case native.Nominated(handle):
                self._tell(handle, PeerEvent.NOMINATED)
            case native.PeerStalled(handle):
                self._tell(handle, PeerEvent.WENT_SILENT)
            case native.PeerResumed(handle):
                self._tell(handle, PeerEvent.CAME_BACK)
            case native.PeerLost(handle):
                self._tell(handle, PeerEvent.LOST)
            case native.TrackStarted(track) | native.TrackResumed(track):
                self._tell_flow(track, flows=True)
            case native.TrackStalled(track):
                self._tell_flow(track, flows=False)

    def _tell_flow(self, track: int, *, flows: bool) -> None:
        peer = self._publishers.get(track)
        if peer is not None:
            peer.track_flowed(track, flows=flows)

    def _tell(self, handle: int, event: PeerEvent) -> None:
        peer = self._peers.get(handle)
        if peer is not None:
            peer.receive(event)


def _read_offer(sdp: str) -> tuple[PreparedOffer, Offer]:
    prepared = sdp_limits.prepare(sdp)
    return prepared, parse_offer(prepared)


def _new_credentials() -> tuple[str, str]:
    """An ICE ufrag and password of 32 and 128 bits (RFC 8445 §5.3: 24 and 128 at least)."""
    return secrets.token_hex(4), secrets.token_hex(16)
