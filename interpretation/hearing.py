"""What one person hears: a channel, how loud the original is under it, and who is left out."""

import math
from dataclasses import dataclass
from typing import Final

from kabina.interpretation.ids import ChannelId, ParticipantId

NORMAL_DB: Final = -18.0
"""Of the original under an interpreter, below its own level: what a language is if nobody asks."""

# A few steps instead of a slider: who chose the same one shares one encoder. The interpreter alone;
# barely there; as interpreted meetings are heard; voice-over; side by side (audio-engine.md §7).
ORIGINAL_LEVELS_DB: Final = (-math.inf, -24.0, NORMAL_DB, -12.0, 0.0)


@dataclass(frozen=True, slots=True)
class Hearing:
    """The name of a mix: who has equal hearings hears the same sound."""

    channel: ChannelId
    original_db: float = NORMAL_DB
    without: ParticipantId | None = None
    """Who must not hear themselves in it."""
    at_desk: bool = False
    """An interpreter's incoming sound: the original undimmed, or a pivot's interpreter alone."""

    @property
    def order(self) -> tuple[str, float, str, bool]:
        """One canonical order, so that equal audiences are equal values."""
        return self.channel, self.original_db, self.without or "", self.at_desk
