"""The floor: who speaks to everybody, and in which language."""

from dataclasses import dataclass, field

from kabina.interpretation.ids import ParticipantId


@dataclass(frozen=True, slots=True)
class Turn:
    """One speaker's time on the floor: the language declared and when it began (seconds)."""

    language: str
    since_s: float


@dataclass(slots=True)
class Floor:
    """Several may speak at once. The floor's language follows whoever declared last; when they
    stop it falls back to the latest of those still speaking, and stays when nobody is left.
    """

    language: str
    turns: dict[ParticipantId, Turn] = field(default_factory=dict)  # the latest declarer last

    def take(self, participant: ParticipantId, language: str, *, now: float) -> bool:
        """Begins or goes on in `language`; False if nothing changed."""
        held = self.turns.get(participant)
        latest = next(reversed(self.turns), None)
        if held is not None and held.language == language and latest == participant:
            return False
        # A speaker who changes language goes on speaking: the time is not started again.
        since_s = now if held is None else held.since_s
        self.turns.pop(participant, None)
        self.turns[participant] = Turn(language, since_s)
        self.language = language
        return True

    def release(self, participant: ParticipantId) -> bool:
        """Ends the participant's turn; False if they had none."""
        if self.turns.pop(participant, None) is None:
            return False
        if self.turns:
            self.language = next(reversed(self.turns.values())).language
        return True

    def speakers(self) -> tuple[ParticipantId, ...]:
        """Who speaks, in one canonical order, so that equal floors are equal values."""
        return tuple(sorted(self.turns))
