"""Every state table of the domain, and nothing else: what may follow what.

The tables are total: a test walks each pair. The diagrams in docs/ are printed from them
(`python -m kabina.interpretation.tables`).
"""

import sys
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final


class DeskState(Enum):
    """One seat of a booth."""

    EMPTY = "empty"
    STANDBY = "standby"  # somebody sits there, microphone off
    ACTIVE = "active"  # on air: feeds the channel


class DeskEvent(Enum):
    """What can happen to a desk. Whether a busy channel may be taken is the booth's business."""

    JOIN = "join"
    TAKE = "take"
    RELEASE = "release"
    LOSE = "lose"  # its audio stopped arriving for good
    LEAVE = "leave"


class Refusal(Enum):
    """A transition that is refused; the desk stays as it was."""

    NOT_JOINED = "not joined"


DESK: Final[Mapping[tuple[DeskState, DeskEvent], DeskState | Refusal]] = MappingProxyType(
    {
        (DeskState.EMPTY, DeskEvent.JOIN): DeskState.STANDBY,
        (DeskState.EMPTY, DeskEvent.TAKE): Refusal.NOT_JOINED,
        (DeskState.EMPTY, DeskEvent.RELEASE): Refusal.NOT_JOINED,
        # Losing or leaving what one does not have is no error: time-outs race with goodbyes.
        (DeskState.EMPTY, DeskEvent.LOSE): DeskState.EMPTY,
        (DeskState.EMPTY, DeskEvent.LEAVE): DeskState.EMPTY,
        (DeskState.STANDBY, DeskEvent.JOIN): DeskState.STANDBY,
        (DeskState.STANDBY, DeskEvent.TAKE): DeskState.ACTIVE,
        (DeskState.STANDBY, DeskEvent.RELEASE): DeskState.STANDBY,
        (DeskState.STANDBY, DeskEvent.LOSE): DeskState.STANDBY,
        (DeskState.STANDBY, DeskEvent.LEAVE): DeskState.EMPTY,
        (DeskState.ACTIVE, DeskEvent.JOIN): DeskState.ACTIVE,
        (DeskState.ACTIVE, DeskEvent.TAKE): DeskState.ACTIVE,
        (DeskState.ACTIVE, DeskEvent.RELEASE): DeskState.STANDBY,
        # The seat stays theirs; the microphone must be opened again by hand, or it would go live
        # by itself in front of somebody who has stopped thinking about it.
        (DeskState.ACTIVE, DeskEvent.LOSE): DeskState.STANDBY,
        (DeskState.ACTIVE, DeskEvent.LEAVE): DeskState.EMPTY,
    }
)


class ChannelState(Enum):
    """What the listeners of a language hear."""

    SPOKEN = "spoken"  # the floor, which speaks this language
    INTERPRETED = "interpreted"  # a desk, over the lowered floor
    PASSTHROUGH = "passthrough"  # the floor, because nobody is on air


class Feed(Enum):
    """Whether a desk feeds the channel."""

    IDLE = "idle"
    ON_AIR = "on air"


class FloorSpeech(Enum):
    """Whether the floor speaks the channel's language."""

    SAME = "same language"
    OTHER = "other language"


# A channel remembers nothing: its state follows from two facts, so it cannot drift from them.
CHANNEL: Final[Mapping[tuple[Feed, FloorSpeech], ChannelState]] = MappingProxyType(
    {
        (Feed.IDLE, FloorSpeech.SAME): ChannelState.SPOKEN,
        (Feed.IDLE, FloorSpeech.OTHER): ChannelState.PASSTHROUGH,
        (Feed.ON_AIR, FloorSpeech.OTHER): ChannelState.INTERPRETED,
        # The floor's language is a declaration and can be late or wrong; an open microphone is a
        # fact. An interpreter finishing a sentence while the floor turns must not be cut off.
        (Feed.ON_AIR, FloorSpeech.SAME): ChannelState.INTERPRETED,
    }
)


def desk_diagram() -> str:
    """The desk's table as a Mermaid state diagram; events that change nothing are left out."""
    lines = ["stateDiagram-v2", f"    [*] --> {DeskState.EMPTY.value}"]
    lines += [
        f"    {state.value} --> {after.value}: {event.value}"
        for (state, event), after in DESK.items()
        if isinstance(after, DeskState) and after is not state
    ]
    return "\n".join(lines) + "\n"


def channel_diagram() -> str:
    """The channel's table as a Mermaid state diagram: an arrow per fact that changes alone."""
    arrows = {
        (state.value, after.value, (turned if turned is not speech else fed).value)
        for (feed, speech), state in CHANNEL.items()
        for (fed, turned), after in CHANNEL.items()
        if (fed is feed) != (turned is speech) and after is not state
    }
    lines = [f"    {before} --> {after}: {cause}" for before, after, cause in sorted(arrows)]
    return "\n".join(["stateDiagram-v2", *lines]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(f"{desk_diagram()}\n{channel_diagram()}")
