"""What a language channel is made of, as a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MixRow:
    """`floor` and `interpreters` are numbers of sources; an unheard row is not encoded."""

    row: int
    floor: tuple[int, ...]
    interpreters: tuple[int, ...]
    heard: bool
