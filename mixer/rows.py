"""What a mix row is made of, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from kabina.mixer.policy import LEAST_LOSS_PERCENT, NORMAL_DB, RowKind


@dataclass(frozen=True, slots=True)
class MixRow:
    """`floor` and `interpreters` are numbers of sources; an unheard row is not encoded."""

    row: int
    kind: RowKind
    floor: tuple[int, ...]
    interpreters: tuple[int, ...]
    heard: bool
    original_db: float = NORMAL_DB
    """Of the floor under an interpreter, −inf … 0; for kinds that duck."""
    loss_percent: int = LEAST_LOSS_PERCENT
    """Of its packets on the way to the listeners; equal for rows that are one mix."""
    is_new: bool = False
    """Nobody has heard it yet: the original need not glide down to where it belongs."""
