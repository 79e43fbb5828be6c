"""A room's mix rows: those of its channels for life, others as long as somebody hears them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kabina.interpretation.ids import FLOOR
from kabina.mixer.errors import MixerFullError
from kabina.mixer.policy import RowKind
from kabina.native.plane import PlaneFullError
from kabina.signaling.errors import CodedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from kabina.interpretation.hearing import Hearing
    from kabina.mixer.language_mixer import LanguageMixer
    from kabina.native.plane import Plane

_log = logging.getLogger(__name__)

OPUS_CLOCK_RATE: Final = 48_000
# Who tries the levels comes back to one within seconds; unheard, a row costs nothing meanwhile.
LINGERS_S: Final = 10.0


@dataclass(slots=True)
class OpenRow:
    """`row` of the mixer, sent by the plane as `track`."""

    row: int
    track: int
    kind: RowKind
    is_new: bool = True
    idle_since_s: float | None = None


class SoundRows:
    """Opened when asked for; closed a while after the last listener left."""

    def __init__(self, plane: Plane, mixer: LanguageMixer) -> None:
        self._plane = plane
        self._mixer = mixer
        self.rows: dict[Hearing, OpenRow] = {}

    def open(self, hearing: Hearing) -> OpenRow:
        """The row of this hearing. CodedError `server.full` when the node can mix no more."""
        row = self.rows.get(hearing)
        if row is None:
            row = self.rows[hearing] = self._opened(kind_of(hearing))
        return row

    def hearing_of(self, track: int) -> Hearing | None:
        """What a track of ours carries; None if it is none."""
        return next((one for one, row in self.rows.items() if row.track == track), None)

    def idle(self, wanted: Collection[Hearing], now_s: float) -> Iterator[Hearing]:
        """Notes who is heard; gives the rows whose time is over, to be closed when no plan names
        them."""
        for hearing, row in tuple(self.rows.items()):
            if hearing in wanted:
                row.idle_since_s = None
            elif row.idle_since_s is None:
                row.idle_since_s = now_s
                row.is_new = True  # no plan names it: the engine forgets who was on air in it
            elif now_s >= row.idle_since_s + LINGERS_S:
                yield hearing

    def next_idle_s(self) -> float | None:
        """When `idle` may give one; None while all are heard."""
        since = [row.idle_since_s for row in self.rows.values() if row.idle_since_s is not None]
        return min(since) + LINGERS_S if since else None

    def close(self, hearing: Hearing) -> None:
        row = self.rows.pop(hearing)
        self._mixer.close_row(row.row)
        self._plane.remove_track(row.track)

    def close_all(self) -> None:
        for hearing in tuple(self.rows):
            self.close(hearing)

    def _opened(self, kind: RowKind) -> OpenRow:
        try:
            track = self._plane.add_injected_track(clock_rate=OPUS_CLOCK_RATE)
            try:
                return OpenRow(self._mixer.open_row(track, kind), track, kind)
            except MixerFullError:
                self._plane.remove_track(track)
                raise
        except (PlaneFullError, MixerFullError) as error:
            raise CodedError("server.full", "This server can mix no further channels.") from error


def kind_of(hearing: Hearing) -> RowKind:
    """Whom the row is for."""
    if hearing.at_desk:
        return RowKind.BOOTH if hearing.channel == FLOOR else RowKind.RELAY
    if hearing.without is not None:
        return RowKind.MIX_MINUS
    return RowKind.FLOOR if hearing.channel == FLOOR else RowKind.LISTENER
