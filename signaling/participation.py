"""One person's presence in a room, however they came: a page, WHIP or WHEP."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Protocol

from kabina.interpretation.commands import AudioBack, AudioLost, Listen
from kabina.interpretation.hearing import NORMAL_DB
from kabina.interpretation.ids import ChannelId
from kabina.interpretation.stage import Visual
from kabina.native.plane import Kind
from kabina.sfu.errors import SfuError
from kabina.sfu.ice_fragment import write_fragment
from kabina.sfu.peer_states import PeerEvent, PeerState
from kabina.signaling.errors import CodedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kabina.interpretation.media_plan import StagePlan
    from kabina.sfu.forwarding_unit import ForwardingUnit
    from kabina.sfu.negotiation import Permissions
    from kabina.sfu.peer import Peer
    from kabina.sfu.sections import PublishedTrack
    from kabina.signaling.messages import Tile
    from kabina.signaling.room import Room
    from kabina.signaling.tokens import Grant

_log = logging.getLogger(__name__)


# Tiles up to 216 lines are well served by a quarter of 720 or 1080, up to 432 by a half.
LAYER_HEIGHTS: Final = (216, 432)


# With the 300 ms after which the plane calls a track stalled: 5 s (testing.md §2).
VOICE_PATIENCE_S: Final = 4.7


class MediaListener(Protocol):
    """Told how the person's media session is; `PeerState.CLOSED` means it is over."""

    def media_changed(self, state: PeerState) -> None: ...

    def replaced(self) -> None:
        """The person came back on another way: somebody else is told from now on."""


class Participation:
    """Joins on creation; `leave` undoes everything. At most one media session at a time."""

    def __init__(
        self,
        grant: Grant,
        room: Room,
        unit: ForwardingUnit,
        listener: MediaListener,
        instance: str | None = None,
    ) -> None:
        self.room = room
        self.grant = grant
        self.instance = instance
        self.has_returned = False
        self.listening: str | None = None
        self.original_db = NORMAL_DB
        self.participant = room.admit(grant)
        self._unit = unit
        self._listener = listener
        self._peer: Peer | None = None
        self._tiles: dict[Visual, Tile] = {}
        self._left = False
        self._offers = 0
        self._voice_flows = False
        self._is_voice_lost = False
        self._waiting_for_voice = asyncio.get_running_loop().call_later(0, lambda: None)

    async def offer(
        self,
        sdp: str,
        permissions: Permissions,
        listen: str | None,
        original_db: float = NORMAL_DB,
    ) -> str:
        """Starts or replaces the media session; returns the answer. CodedError if refused."""
        self._offers += 1
        turn = self._offers
        try:
            restarted = self._peer
            if restarted is not None and await self._unit.restart_ice(restarted, sdp):
                self.listen(listen, original_db)
                return restarted.answer_text
            peer = await self._unit.join(sdp, permissions, self)
        except SfuError as error:
            raise CodedError(error.code, str(error)) from error
        if self._left or turn != self._offers:
            await peer.close()
            raise CodedError("protocol.order", "The session went on while its offer was answered.")
        before, self._peer = self._peer, peer
        if before is not None:
            self.room.unbind_pictures(self.participant)
            # Not awaited: it may be dead, and saying goodbye to it then takes its time.
            before.end()
        try:
            self._connect(peer, listen, original_db)
        except CodedError:
            await self._end_media()
            self.room.execute(Listen(self.participant, None))
            raise
        return peer.answer_text

    def restart_ice(self, ufrag: str | None) -> str | None:
        """Answers an ICE fragment: the server's, or None if the client has no new credentials.

        CodedError `session.unknown` if the media session is over.
        """
        if self._peer is None:
            raise CodedError("session.unknown", "This session is over.")
        if ufrag is None or ufrag == self._peer.remote_ufrag:
            return None
        self._unit.renew_ice(self._peer, ufrag)
        return write_fragment(self._peer.answer)

    def _connect(self, peer: Peer, channel: str | None, original_db: float) -> None:
        """Joins a new media session's slots and tracks to the room. CodedError if it cannot."""
        self._voice_flows = self._is_voice_lost = False
        for track in self._sounds(peer):
            track.feed_mix(self.room.sound.open_screen(self.participant, track.handle))
        self.room.add_hearer(self)
        self.listen(channel, original_db)
        self.room.execute(AudioBack(self.participant))
        for track in peer.tracks_of(Kind.AUDIO)[:1]:
            track.feed_mix(self.room.sound.open_voice(self.participant, track.handle))
        for visual, track in zip(Visual, peer.tracks_of(Kind.VIDEO), strict=False):
            self.room.bind_picture(self.participant, visual, track.handle)
        if peer.slots_of(Kind.VIDEO):
            self._limit_slots()
            self.room.add_viewer(self)

    def return_to(self, listener: MediaListener) -> None:
        """The person is back on another way, with all they had."""
        before, self._listener = self._listener, listener
        self.has_returned = True
        before.replaced()

    @property
    def peer(self) -> Peer | None:
        """The media session, to be read and not to be changed; None if there is none."""
        return self._peer

    @property
    def listening_slot(self) -> int | None:
        """The plane's handle of the slot that carries what they hear; None if there is none."""
        slots = () if self._peer is None else self._peer.slots_of(Kind.AUDIO)
        return slots[0].handle if slots else None

    @property
    def media(self) -> PeerState | None:
        """How the media session is; None if there is none."""
        return None if self._peer is None else self._peer.state

    @property
    def is_silent(self) -> bool:
        """Whether nothing of their voice comes."""
        return not self._voice_flows

    @property
    def sends_pictures(self) -> bool:
        """Whether the media session has a section for a camera."""
        return self._peer is not None and bool(self._peer.tracks_of(Kind.VIDEO))

    def listen(self, channel: str | None, original_db: float = NORMAL_DB) -> None:
        """Moves the listening slot; nothing is renegotiated. CodedError `channel.unknown`."""
        heard = None if channel is None else ChannelId(channel)
        self.room.listen(self.participant, heard, original_db)
        self.listening, self.original_db = channel, original_db
        self.sound_changed()

    def sound_changed(self) -> None:
        """What carries what they hear may be another track now."""
        if self._peer is None:
            return
        for slot in self._peer.slots_of(Kind.AUDIO)[:1]:
            slot.listen_to(self.room.heard_by(self.participant))

    def see(self, tiles: Sequence[Tile]) -> None:
        """Says how large the person sees each picture; remembered for the next media session."""
        self._tiles.update({Visual(tile.what): tile for tile in tiles})
        self._limit_slots()

    def stage_changed(self, stage: StagePlan) -> None:
        """What flows in the video slots; nobody is sent their own picture."""
        if self._peer is None:
            return
        shown = {Visual.CAMERA: stage.camera, Visual.SCREEN: stage.screen}
        for visual, slot in zip(Visual, self._peer.slots_of(Kind.VIDEO), strict=False):
            who = shown[visual] if shown[visual] != self.participant else None
            slot.listen_to(self.room.picture_of(who, visual))

    def _limit_slots(self) -> None:
        """A layer larger than its tile is wasted, a picture nobody sees more so."""
        if self._peer is None:
            return
        for visual, slot in zip(Visual, self._peer.slots_of(Kind.VIDEO), strict=False):
            tile = self._tiles.get(visual)
            if tile is not None:
                layer = sum(tile.height > least for least in LAYER_HEIGHTS)
                slot.limit(layer=layer, paused=not tile.visible)

    async def leave(self) -> None:
        """Idempotent; frees the peer, the seat and the voice."""
        if self._left:
            return
        self._left = True
        self._waiting_for_voice.cancel()
        try:
            self.room.remove_viewer(self)
            self.room.remove_hearer(self)
            self.room.remove(self.participant)
        finally:
            await self._end_media()

    def peer_state_changed(self, peer: Peer, event: PeerEvent) -> None:
        if peer is not self._peer:
            return
        if event is PeerEvent.KEYED:
            self.expect_voice()
        if peer.state is PeerState.CLOSED:
            self._peer = None
            self._voice_flows = False
            self.room.remove_viewer(self)
            self.room.remove_hearer(self)
            if not self._left:
                self.listening = None
                self.room.media_gone(self.participant)
                self._miss_media(event)
        self._listener.media_changed(peer.state)

    def track_flow_changed(self, peer: Peer, track: PublishedTrack, *, flows: bool) -> None:
        if peer is self._peer and track in self._sounds(peer):
            self.room.sound.screen_flowed(self.participant, flows=flows)
        if peer is not self._peer or track not in self._voices(peer):
            return
        self._voice_flows = flows
        if not flows:
            self.expect_voice()
        elif self._is_voice_lost:
            self._is_voice_lost = False
            self.room.execute(AudioBack(self.participant))
            self._listener.media_changed(peer.state)

    def expect_voice(self) -> None:
        """They are on air, or their voice has stopped: it must come soon or they are taken off."""
        self._waiting_for_voice.cancel()
        if not self._voice_flows:
            loop = asyncio.get_running_loop()
            self._waiting_for_voice = loop.call_later(VOICE_PATIENCE_S, self._miss_voice)

    def _miss_media(self, event: PeerEvent) -> None:
        if event is PeerEvent.REMOTE_CLOSED:
            # What a page that is loaded anew says last: its next media session goes on.
            self.expect_voice()
        else:
            self.room.execute(AudioLost(self.participant))

    def _miss_voice(self) -> None:
        # A voice that does not arrive must not keep the floor lowered, nor the channel from others.
        if self._voice_flows or self._left:
            return
        if self._peer is None:
            self.room.execute(AudioLost(self.participant))
        elif self.room.is_on_air(self.participant):
            self._is_voice_lost = True
            self.room.execute(AudioLost(self.participant))
            self._listener.media_changed(PeerState.STALLED)

    @staticmethod
    def _voices(peer: Peer) -> tuple[PublishedTrack, ...]:
        return peer.tracks_of(Kind.AUDIO)[:1]

    @staticmethod
    def _sounds(peer: Peer) -> tuple[PublishedTrack, ...]:
        """Of a shared screen."""
        return peer.tracks_of(Kind.AUDIO)[1:2]

    async def _end_media(self) -> None:
        peer, self._peer = self._peer, None
        if peer is not None:
            self.room.remove_viewer(self)
            self.room.remove_hearer(self)
            self.room.unbind_pictures(self.participant)
            await peer.close()
