"""Whose sound is which source of the mix: voices, and what shared screens play."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kabina.interpretation.stage import Visual

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kabina.interpretation.ids import ParticipantId


@dataclass(frozen=True, slots=True)
class Voice:
    """Where somebody's sound comes from: a source of the mix and, if it is sent, a track."""

    source: int
    track: int = 0  # 0: a prepared sound, which no sender measures


@dataclass(slots=True)
class Voices:
    """Everybody's, and the screens' whose sound flows now."""

    voices: dict[ParticipantId, Voice] = field(default_factory=dict)
    screens: dict[ParticipantId, Voice] = field(default_factory=dict)
    sounding: set[ParticipantId] = field(default_factory=set)

    def of(self, participants: Iterable[ParticipantId]) -> tuple[Voice, ...]:
        """Theirs; somebody may hold the floor before their microphone arrives."""
        return tuple(self.voices[who] for who in participants if who in self.voices)

    def of_screen(self, who: ParticipantId | None) -> tuple[Voice, ...]:
        """A screen without sound, or in silence, must not make a mix of what is heard alone."""
        return (self.screens[who],) if who in self.screens and who in self.sounding else ()

    def whose(self, track: int) -> tuple[ParticipantId, str] | None:
        """Whose voice or screen's sound a track is; None if it is none of these."""
        for what, voices in (("voice", self.voices), (Visual.SCREEN.value, self.screens)):
            for who, voice in voices.items():
                if voice.track == track != 0:
                    return who, what
        return None
