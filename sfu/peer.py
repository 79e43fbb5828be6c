"""One joined client: its DTLS transport, the tracks it publishes, the slots it hears."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Protocol

from kabina.sfu.dtls_filter import may_be_goodbye
from kabina.sfu.offer import Setup
from kabina.sfu.peer_states import PeerEvent, PeerState, next_state
from kabina.sfu.seam.dtls import DtlsEnd, DtlsTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from kabina.native.plane import Kind, Plane
    from kabina.sfu.offer import Answer, Offer
    from kabina.sfu.seam.dtls import Certificate
    from kabina.sfu.sections import PublishedTrack, Slot

_log = logging.getLogger(__name__)

# From the answer to keys. A browser needs 0.2–1.3 s (web.md §10); a client behind a slow link a few
# more.
CONNECT_TIMEOUT_S: Final = 15.0
# From keys on: what our lost last flight needs to be repeated (RFC 6347 §4.2.4). Where we are the
# client, the other end said the last word.
HANDSHAKE_OVER_S: Final = 5.0
# Chromium's checks come every 2.5 s, aioice's every 5 s with a report each second: who said goodbye
# is silent for longer.
GOODBYE_SILENCE_S: Final = 4.0


class PeerListener(Protocol):
    """Told what happens to a peer, on the loop, after the peer's own state has changed."""

    def peer_state_changed(self, peer: Peer, event: PeerEvent) -> None: ...

    def track_flow_changed(self, peer: Peer, track: PublishedTrack, *, flows: bool) -> None:
        """Packets of a track began to come, or none came for 300 ms."""


class Peer:
    """Created by `ForwardingUnit.join`; lives until `close()`, a close_notify or silence."""

    def __init__(
        self,
        *,
        number: int,
        handle: int,
        plane: Plane,
        offer: Offer,
        answer: Answer,
        certificate: Certificate,
        listener: PeerListener,
        forget: Callable[[Peer], None],
    ) -> None:
        self.number = number
        self.handle = handle
        self.state = PeerState.NEW
        self.answer = answer
        self.answer_text = ""
        self.remote_ufrag = offer.ufrag
        self.slots: tuple[Slot, ...] = ()
        self.tracks: tuple[PublishedTrack, ...] = ()
        self._plane = plane
        self._offer = offer
        self._listener = listener
        self._forget = forget
        end = DtlsEnd(lambda datagram: plane.send(handle, datagram))
        self._dtls: DtlsTransport | None = DtlsTransport(end, certificate, answer.setup)
        self._dtls.on("statechange", self._dtls_state_changed)
        self._close_notify = b""  # instead of `_dtls`, once the handshake is outgrown
        self._handshake: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(CONNECT_TIMEOUT_S, self.receive, PeerEvent.FAILED)
        self._doubt: asyncio.TimerHandle | None = None  # whether a goodbye was theirs

    def slots_of(self, kind: Kind) -> tuple[Slot, ...]:
        return tuple(slot for slot in self.slots if slot.kind is kind)

    def tracks_of(self, kind: Kind) -> tuple[PublishedTrack, ...]:
        return tuple(track for track in self.tracks if track.kind is kind)

    def is_restart(self, offer: Offer) -> bool:
        """Whether an offer has this session's certificate and sections, and a new network path."""
        before = [(section.kind, section.mid) for section in self._offer.sections]
        after = [(section.kind, section.mid) for section in offer.sections]
        return (
            offer.fingerprints == self._offer.fingerprints
            and before == after
            and offer.ufrag != self.remote_ufrag
        )

    def receive(self, event: PeerEvent) -> None:
        """A fact about this peer; moves the state and tells the listener if it changed."""
        before = self.state
        self.state = next_state(before, event)
        if self.state is before:
            return
        if self.state is PeerState.CONNECTING:
            self._handshake = asyncio.get_running_loop().create_task(self._shake_hands())
        elif self.state is PeerState.CONNECTED:
            self._deadline.cancel()
        elif self.state is PeerState.CLOSED:
            _log.info("peer closed", extra={"peer": self.number, "reason": event.value})
            self._closing = asyncio.get_running_loop().create_task(self._release())
        self._listener.peer_state_changed(self, event)

    def track_flowed(self, handle: int, *, flows: bool) -> None:
        """What the plane saw of one of this peer's tracks."""
        for track in self.tracks:
            if track.handle == handle:
                self._listener.track_flow_changed(self, track, flows=flows)

    def _outgrow_handshake(self) -> None:
        """Frees what a listener's handshake left behind: three quarters of what it weighs.

        A publisher keeps it: its goodbye gives back floor or channel at once, a listener's can
        wait.
        """
        if self.state is not PeerState.CLOSED and self._dtls is not None and not self.tracks:
            close_notify = self._dtls.let_go()
            if close_notify is not None:
                self._close_notify, self._dtls, self._handshake = close_notify, None, None

    def dtls_received(self, datagram: bytes) -> bool:
        """False if nobody had a use for it."""
        if self._dtls is not None:
            return self._dtls.receive(datagram)
        if not may_be_goodbye(datagram):
            return False
        # Nobody can read whether it is theirs: silence has to confirm it.
        if self._doubt is not None:
            self._doubt.cancel()
        loop = asyncio.get_running_loop()
        self._doubt = loop.call_later(GOODBYE_SILENCE_S, self._believe_goodbye)
        return True

    def _believe_goodbye(self) -> None:
        if self.state in (PeerState.CONNECTED, PeerState.STALLED):
            heard_ms = self._plane.peer_readings(self.handle).last_heard_ms
            if heard_ms is None or heard_ms >= GOODBYE_SILENCE_S * 1000:
                self.receive(PeerEvent.REMOTE_CLOSED)

    def end(self) -> None:
        """Begins to free everything, and waits for nothing; `close` waits for that too."""
        self.receive(PeerEvent.CLOSED)

    async def close(self) -> None:
        """Frees everything; idempotent, and done within 2 s whatever the other end does."""
        self.end()
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def _shake_hands(self) -> None:
        assert self._dtls is not None  # noqa: S101 - outgrown only with keys
        keys = await self._dtls.connect(self._offer.fingerprints)
        if keys is None:
            self.receive(PeerEvent.FAILED)
        elif self.state is PeerState.CONNECTING:
            self._plane.set_keys(
                self.handle, profile=keys.profile, transmit=keys.transmit, receive=keys.receive
            )
            self.receive(PeerEvent.KEYED)
            if self.answer.setup is Setup.ACTIVE:
                self._outgrow_handshake()  # at once: the next one takes the same memory
            else:
                loop = asyncio.get_running_loop()
                loop.call_later(HANDSHAKE_OVER_S, self._outgrow_handshake)

    def _dtls_state_changed(self) -> None:
        is_closed = self._dtls is not None and self._dtls.is_closed
        if is_closed and self.state in (PeerState.CONNECTED, PeerState.STALLED):
            self.receive(PeerEvent.REMOTE_CLOSED)

    async def _release(self) -> None:
        self._deadline.cancel()
        if self._handshake is not None and self._handshake is not asyncio.current_task():
            self._handshake.cancel()
        if self._doubt is not None:
            self._doubt.cancel()
        try:
            if self._dtls is not None:
                await self._dtls.close()
            elif self._close_notify:
                self._plane.send(self.handle, self._close_notify)
        finally:
            self._plane.remove_peer(self.handle)
            self._forget(self)
