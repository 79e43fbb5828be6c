"""Identities and fixed vocabularies of a meeting."""

from enum import Enum
from typing import Final, NewType

MeetingId = NewType("MeetingId", str)
ParticipantId = NewType("ParticipantId", str)
BoothId = NewType("BoothId", str)
"""The tag of the language the booth produces."""
ChannelId = NewType("ChannelId", str)
"""The tag of the language heard, or `FLOOR` for the original."""

FLOOR: Final = ChannelId("floor")
"""The original, whatever language it is in. Reserved: no language may be called so, although
"floor" is a well-formed language tag."""


class Role(Enum):
    """What a token lets its holder do."""

    ATTENDEE = "attendee"
    SPEAKER = "speaker"
    INTERPRETER = "interpreter"
    OPERATOR = "operator"


class LockPolicy(Enum):
    """What a channel does when a second desk of its booth wants to be on air."""

    INTERLOCK = "interlock"  # refused, and told who is on air
    OVERRIDE = "override"  # takes over, the first is told
    NONE = "none"  # both are heard
