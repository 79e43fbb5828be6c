"""Everything one server process owns: media, store, tokens, and the rooms that are going on."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Final, Self

from kabina.interpretation.meeting import Meeting
from kabina.mixer.language_mixer import LanguageMixer
from kabina.native.libraries import Library, LibraryError, load_crypto, load_opus, load_srtp
from kabina.sfu.forwarding_unit import ForwardingUnit
from kabina.signaling.absences import Absences
from kabina.signaling.errors import CodedError, StartError
from kabina.signaling.losses import watch_losses
from kabina.signaling.participation import MediaListener, Participation
from kabina.signaling.room import Room
from kabina.signaling.store import Store
from kabina.signaling.tokens import Grant, TokenIssuer
from kabina.signaling.turn import IceServer, ice_servers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kabina.interpretation.spec import MeetingSpec
    from kabina.interpretation.view import MeetingView
    from kabina.signaling.config import Config

_log = logging.getLogger(__name__)

# An empty room costs a silent row per language and tick; a reload within this time finds it as it
# was.
EMPTY_ROOM_TTL_S: Final = 60.0


def version() -> str:
    return metadata.version("kabina")


class Node:
    """Use as `async with await Node.open(config) as node`."""

    def __init__(self, config: Config, store: Store, issuer: TokenIssuer) -> None:
        """StartError if the media port is taken or a library is missing."""
        self.config = config
        self.store = store
        self.issuer = issuer
        self.closing = False
        self.pinned: set[str] = set()  # rooms that stay although nobody is there: the demo
        self._rooms: dict[str, Room] = {}
        self._guests: dict[str, set[Participation]] = {}
        self._absences = Absences(self.leave)
        self._watching: asyncio.Task[None] | None = None
        try:
            self.libraries: Mapping[str, Library] = {
                "opus": load_opus(),
                "srtp": load_srtp(),
                "crypto": load_crypto(),
            }
            media = config.media_addresses()
            self.unit = ForwardingUnit(
                host=media.v4,
                host_v6=media.v6,
                port=config.effective_media_port,
                public_ips=media.announced,
                max_connections=config.effective_media_connections,
                egress_threads=config.effective_egress_threads,
                udp=config.media_udp,
            )
            self.mixer = LanguageMixer(
                bus=self.unit.plane.bus, matches_loudness=config.match_loudness
            )
        except LibraryError as error:
            raise StartError(str(error)) from error
        except OSError as error:
            hosts = " and ".join(config.host)
            raise StartError(
                f"the media port {config.effective_media_port} on {hosts} cannot be used "
                f"({error.strerror}): choose another with --media-port"
            ) from error

    @classmethod
    async def open(cls, config: Config) -> Self:
        async with AsyncExitStack() as undo:
            store = await Store.open(config.data_dir)
            undo.push_async_callback(store.close)
            node = cls(config, store, TokenIssuer.open(config.data_dir))
            undo.pop_all()
        return node

    async def __aenter__(self) -> Self:
        self.unit.start()
        self.mixer.start()
        self._watching = asyncio.create_task(watch_losses(self))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closing = True
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        everybody = [guest for guests in self._guests.values() for guest in guests]
        async with AsyncExitStack() as closing:
            closing.push_async_callback(self.store.close)
            closing.callback(self.mixer.close)
            closing.push_async_callback(self.unit.close)
            await asyncio.gather(
                *(self.leave(guest) for guest in everybody), return_exceptions=True
            )

    @property
    def rooms(self) -> Mapping[str, Room]:
        return self._rooms

    def guests(self, meeting: str) -> tuple[Participation, ...]:
        """Everybody in the meeting's room but its robots, in the order in which they came."""
        present = self._guests.get(meeting, set())
        return tuple(sorted(present, key=lambda guest: int(guest.participant.partition("-")[2])))

    def ice_servers(self, participant: str) -> tuple[IceServer, ...]:
        """What this participant may use where UDP does not get through."""
        return ice_servers(
            self.config.turn_urls,
            self.config.turn_secret,
            participant,
            unix_time_s=datetime.now(UTC).timestamp(),
        )

    async def view(self, meeting: str) -> MeetingView:
        """What a meeting looks like; looking opens no room. CodedError `meeting.unknown`."""
        room = self._rooms.get(meeting)
        return room.view() if room is not None else Meeting(await self._spec(meeting)).view(0.0)

    async def room(self, meeting: str) -> Room:
        """The room of a stored meeting, opened when asked for.

        CodedError `meeting.unknown`, or `server.full` when the node can mix no more channels.
        """
        if meeting not in self._rooms:
            spec = await self._spec(meeting)
            # Somebody else may have opened it while the store was read.
            if meeting not in self._rooms:
                self._open(spec)
        return self._rooms[meeting]

    async def join(
        self, grant: Grant, meeting: str, listener: MediaListener, instance: str | None = None
    ) -> Participation:
        """Lets the holder of a grant in. CodedError if the meeting or the grant says no.

        Whoever is there already by the same grant and `instance` is taken up as they are: from now
        on `listener` is told, the one before is `replaced`.
        """
        if self.closing:
            raise CodedError("server.closing", "The server is shutting down.")
        if grant.meeting != meeting:
            await self._spec(meeting)  # unknown comes before forbidden
            raise CodedError("token.forbidden", "This token is for another meeting.")
        room = await self.room(meeting)
        present = self._absences.find(grant, instance)
        if present is not None:
            present.return_to(listener)
            return present
        participation = Participation(grant, room, self.unit, listener, instance)
        self._guests.setdefault(room.id, set()).add(participation)
        self._absences.note(participation)
        return participation

    async def miss(self, participation: Participation) -> None:
        """Their socket is lost: whoever may come back is kept for a while, others leave."""
        if self.closing or not self._absences.miss(participation):
            await self.leave(participation)

    async def leave(self, participation: Participation) -> None:
        """Idempotent. The last one out leaves an empty room, closed a while later."""
        self._absences.forget(participation)
        room = participation.room
        guests = self._guests.get(room.id, set())
        guests.discard(participation)
        await participation.leave()
        if not guests and not self.closing and room.id not in self.pinned:
            asyncio.get_running_loop().call_later(EMPTY_ROOM_TTL_S, self._close_if_empty, room)

    async def _spec(self, meeting: str) -> MeetingSpec:
        spec = await self.store.meeting(meeting)
        if spec is None:
            raise CodedError("meeting.unknown", f"There is no meeting {meeting[:64]!r}.")
        return spec

    def _open(self, spec: MeetingSpec) -> None:
        self._rooms[spec.meeting_id] = Room(spec, unit=self.unit, mixer=self.mixer)
        _log.info("room opened", extra={"meeting": spec.meeting_id})

    def _close_if_empty(self, room: Room) -> None:
        is_current = self._rooms.get(room.id) is room
        if is_current and not self._guests.get(room.id) and not self.closing:
            del self._rooms[room.id]
            self._guests.pop(room.id, None)
            room.close()
            _log.info("room closed", extra={"meeting": room.id})
