"""What a meeting is before anybody comes: a value, validated once."""

from dataclasses import dataclass
from typing import Final

from kabina.interpretation.errors import MeetingSpecError
from kabina.interpretation.ids import BoothId, ChannelId, LockPolicy, MeetingId
from kabina.interpretation.languages import require_tag, same_tag

MAX_DESKS: Final = 3  # two take turns of half an hour; a third covers long days
MAX_LANGUAGES: Final = 32  # bounds the mixes that one meeting can ask of a server


@dataclass(frozen=True, slots=True)
class MeetingSpec:
    """A meeting's fixed facts; `languages` are those interpreted into, `floor_language` is the one
    spoken at the start (naming it among `languages` too does no harm).

    MeetingSpecError or LanguageTagError if it cannot be.
    """

    meeting_id: MeetingId
    title: str
    floor_language: str
    languages: tuple[str, ...]
    desks_per_booth: int = 2
    lock: LockPolicy = LockPolicy.INTERLOCK

    def __post_init__(self) -> None:
        if not self.meeting_id:
            raise MeetingSpecError("A meeting needs an id.")
        require_tag(self.floor_language)
        for tag in self.languages:
            require_tag(tag)
        tags = self._interpreted()
        for position, tag in enumerate(tags):
            if any(same_tag(tag, earlier) for earlier in tags[:position]):
                raise MeetingSpecError(f"The language {tag} is named twice.")
        if len(tags) >= MAX_LANGUAGES:
            raise MeetingSpecError(f"A meeting has at most {MAX_LANGUAGES} languages.")
        if not 1 <= self.desks_per_booth <= MAX_DESKS:
            raise MeetingSpecError(f"A booth has 1 to {MAX_DESKS} desks.")
        if self.lock is not LockPolicy.INTERLOCK:
            raise MeetingSpecError(f"The lock policy {self.lock.value} is not available yet.")

    @property
    def channels(self) -> tuple[ChannelId, ...]:
        """The language channels, the floor's language first; it alone has no booth."""
        return tuple(ChannelId(tag) for tag in (self.floor_language, *self._interpreted()))

    @property
    def booths(self) -> tuple[BoothId, ...]:
        """The booths, one per interpreted language, in order."""
        return tuple(BoothId(tag) for tag in self._interpreted())

    def _interpreted(self) -> tuple[str, ...]:
        return tuple(tag for tag in self.languages if not same_tag(tag, self.floor_language))
