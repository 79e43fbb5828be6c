"""The kinds of rows and the numbers of each, with where they come from (audio-engine.md §2, §7)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from kabina.native.mixing import MIN_DEPTH_DB, Ducking, Voice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# −18 dB under a matched talker keeps the interpreter's ESTOI at 0.91–0.95 and the original audible.
NORMAL_DB: Final = -18.0
# While the interpreter on air says nothing the original rises so much, and never above −12 dB: a
# listener shall know that somebody speaks, and not be startled (audio-engine.md §7).
SILENT_RISE_DB: Final = 6.0
SILENT_MOST_DB: Final = -12.0


class RowKind(Enum):
    """Whom a row is for."""

    LISTENER = "listener"  # a language: interpreter over the lowered floor
    FLOOR = "floor"  # the original, for listeners
    BOOTH = "booth"  # the original, or a pivot nobody feeds, for those who interpret it
    RELAY = "relay"  # a pivot's interpreter alone
    MIX_MINUS = "mix-minus"  # what the others hear without oneself: for talkers and telephones


@dataclass(frozen=True, slots=True)
class RowPolicy:
    """How rows of one kind are mixed and encoded."""

    voice: Voice
    ducks: bool


# Interpreters work from what they hear all day: more bits, and their ears are guarded.
_HEARD: Final = Voice(bitrate_bps=48_000)
_WORKED_WITH: Final = Voice(bitrate_bps=64_000, guarded=True)

POLICIES: Final[Mapping[RowKind, RowPolicy]] = MappingProxyType(
    {
        RowKind.LISTENER: RowPolicy(_HEARD, ducks=True),
        RowKind.FLOOR: RowPolicy(_HEARD, ducks=False),
        RowKind.BOOTH: RowPolicy(_WORKED_WITH, ducks=False),
        RowKind.RELAY: RowPolicy(_WORKED_WITH, ducks=False),
        RowKind.MIX_MINUS: RowPolicy(_HEARD, ducks=True),
    }
)


# FEC costs bits where nothing is lost, and a copy of one packet ago pays only so far: where more
# than a fifth is lost, the packet with the copy mostly is, too (audio-engine.md §2).
LEAST_LOSS_PERCENT: Final = 5
MOST_LOSS_PERCENT: Final = 20


def loss_percent(losses: Sequence[float]) -> int:
    """What the encoder shall expect to be lost, of what each receiver loses (0 … 1): nine in ten
    get enough, and one bad line does not cost all the others their bits."""
    if not losses:
        return LEAST_LOSS_PERCENT
    worst = sorted(losses)[math.ceil(0.9 * len(losses)) - 1]
    return min(MOST_LOSS_PERCENT, max(LEAST_LOSS_PERCENT, math.ceil(100 * worst)))


def ducking(policy: RowPolicy, original_db: float, *, is_new: bool = False) -> Ducking:
    """How the original moves in a row where it lies at `original_db` (−inf … 0) under interpreters.

    A pause of the interpreter never brings the floor back, only the mic going off does
    (bigbluebutton#2642): so every level holds for 2.5 s and rises within 0.8 s to the same 0 dB,
    and rows that differ in their level alone are one mix again when nobody interprets.
    """
    depth_db = max(original_db, MIN_DEPTH_DB) if policy.ducks else 0.0
    attack_ms = 0 if is_new else 60
    return Ducking(
        depth_db=depth_db,
        attack_ms=attack_ms,
        hold_ms=2500,
        release_ms=800,
        silent_db=max(depth_db, min(depth_db + SILENT_RISE_DB, SILENT_MOST_DB)),
    )
