"""Who is heard where, as a value: the one thing media needs to know of a meeting."""

from dataclasses import dataclass

from kabina.interpretation.hearing import Hearing
from kabina.interpretation.ids import ChannelId, ParticipantId


@dataclass(frozen=True, slots=True)
class ChannelPlan:
    """One outlet: `floor` is always heard, lowered while there are `interpreters`."""

    channel: ChannelId
    floor: tuple[ParticipantId, ...]
    interpreters: tuple[ParticipantId, ...]
    listeners: int

    @property
    def mix(self) -> tuple[tuple[ParticipantId, ...], tuple[ParticipantId, ...]]:
        """What is heard; channels equal in it sound alike and can share an encoder."""
        return self.floor, self.interpreters


@dataclass(frozen=True, slots=True)
class Outlet:
    """A mix that somebody hears, and of whom it consists."""

    hearing: Hearing
    floor: tuple[ParticipantId, ...]
    interpreters: tuple[ParticipantId, ...]
    has_original: bool = True
    """Whether the floor belongs to it, and with it the sound of the stage."""


@dataclass(frozen=True, slots=True)
class StagePlan:
    """Whose pictures everybody is sent; None: nobody's."""

    camera: ParticipantId | None = None
    screen: ParticipantId | None = None


@dataclass(frozen=True, slots=True)
class MediaPlan:
    """The whole meeting: everybody on the floor, each channel, the original (`FLOOR`) first, heard
    or not; each mix that is heard; and the stage.
    """

    floor: tuple[ParticipantId, ...]
    channels: tuple[ChannelPlan, ...]
    outlets: tuple[Outlet, ...] = ()
    stage: StagePlan = StagePlan()

    @property
    def sound(self) -> tuple[object, ...]:
        """All that is heard of it: equal while only more or fewer hear the same."""
        mixes = tuple((one.channel, one.mix) for one in self.channels)
        return self.floor, mixes, self.outlets, self.stage
