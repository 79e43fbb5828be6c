"""A booth and its desks: who interprets into one language, and which of them is on air."""

from dataclasses import dataclass

from kabina.interpretation.errors import BoothNotJoinedError
from kabina.interpretation.ids import BoothId, ChannelId, ParticipantId
from kabina.interpretation.tables import DESK, DeskEvent, DeskState, Refusal


@dataclass(slots=True)
class Desk:
    """One seat; `number` counts from 1, `since_s` is when it went on air."""

    number: int
    occupant: ParticipantId | None = None
    state: DeskState = DeskState.EMPTY
    since_s: float = 0.0

    def happen(self, event: DeskEvent, *, now: float) -> bool:
        """Follows the table; whether the state changed. BoothNotJoinedError where it refuses."""
        after = DESK[self.state, event]
        if isinstance(after, Refusal):
            raise BoothNotJoinedError
        if after is self.state:
            return False
        self.state = after
        if after is DeskState.ACTIVE:
            self.since_s = now
        elif after is DeskState.EMPTY:
            self.occupant = None
        return True


@dataclass(slots=True)
class Booth:
    """A team turning the floor into one channel."""

    id: BoothId
    channel: ChannelId
    desks: tuple[Desk, ...]

    @classmethod
    def with_desks(cls, booth: BoothId, channel: ChannelId, desks: int) -> "Booth":
        return cls(booth, channel, tuple(Desk(number) for number in range(1, desks + 1)))

    def desk_of(self, participant: ParticipantId) -> Desk | None:
        return next((desk for desk in self.desks if desk.occupant == participant), None)

    def free_desk(self) -> Desk | None:
        return next((desk for desk in self.desks if desk.state is DeskState.EMPTY), None)

    def on_air(self) -> tuple[Desk, ...]:
        return tuple(desk for desk in self.desks if desk.state is DeskState.ACTIVE)

    def interpreters(self) -> tuple[ParticipantId, ...]:
        """Who is on air, in one canonical order, so that equal channels are equal values."""
        return tuple(sorted(desk.occupant for desk in self.on_air() if desk.occupant is not None))
