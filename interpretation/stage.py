"""The stage: whose camera and whose shared screen everybody sees."""

from dataclasses import dataclass, field
from enum import Enum

from kabina.interpretation.ids import ParticipantId


class Visual(Enum):
    """What a speaker can show; each has one place on every page."""

    CAMERA = "camera"
    SCREEN = "screen"


@dataclass(slots=True)
class Stage:
    """Several may show; one is seen per place. A camera follows the floor, a screen the latest."""

    shown: dict[Visual, list[ParticipantId]] = field(
        default_factory=lambda: {visual: [] for visual in Visual}
    )  # the latest to show last

    def show(self, participant: ParticipantId, visual: Visual) -> bool:
        """False if it was shown already."""
        if participant in self.shown[visual]:
            return False
        self.shown[visual].append(participant)
        return True

    def hide(self, participant: ParticipantId, visual: Visual) -> bool:
        """False if it was not shown."""
        if participant not in self.shown[visual]:
            return False
        self.shown[visual].remove(participant)
        return True

    def seen(self, visual: Visual, speakers: tuple[ParticipantId, ...]) -> ParticipantId | None:
        """Who is seen in a place; `speakers` hold the floor, the latest last."""
        showing = self.shown[visual]
        if visual is Visual.CAMERA:
            for speaker in reversed(speakers):
                if speaker in showing:
                    return speaker
        return showing[-1] if showing else None
