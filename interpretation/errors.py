"""Refusals of the interpretation domain: a stable `code` for machines, a text that may change.

Every code stands in the error table of docs/protocol.md. A refused command has changed nothing.
"""

from typing import ClassVar


class InterpretationError(Exception):
    """Root of the package; `code` is stable, the message is for people."""

    code: ClassVar[str] = "server.internal"

    @property
    def message(self) -> str:
        return str(self)

    @property
    def details(self) -> dict[str, str]:
        """Further fields that travel beside `code` and `message`."""
        return {}


class MisuseError(InterpretationError):
    """The shell sent what it must not: our fault, not the participant's."""


class LanguageTagError(InterpretationError):
    """Not a language tag."""

    code = "message.malformed"

    def __init__(self, tag: str) -> None:
        super().__init__(f"{tag[:40]!r} is not a language tag (BCP 47), or is reserved.")


class MeetingSpecError(InterpretationError):
    """A meeting that cannot be."""

    code = "message.malformed"


class NotAllowedError(InterpretationError):
    """This role, or these languages, may not do that."""

    code = "token.forbidden"


class ChannelUnknownError(InterpretationError):
    """The meeting has no such channel."""

    code = "channel.unknown"

    def __init__(self, channel: str) -> None:
        super().__init__(f"This meeting has no channel {channel[:40]!r}.")


class OriginalLevelError(InterpretationError):
    """Not one of the levels that are offered."""

    code = "message.malformed"

    def __init__(self, original_db: float) -> None:
        super().__init__(f"The original is not offered at {original_db:g} dB.")


class ChannelHeldError(InterpretationError):
    """Another desk is on air in the channel."""

    code = "channel.held"

    def __init__(self, *, holder: str, channel_name: str) -> None:
        super().__init__(f"{holder or 'Somebody'} is on air in {channel_name}.")
        self.holder = holder

    @property
    def details(self) -> dict[str, str]:
        return {"holder": self.holder}


class BoothUnknownError(InterpretationError):
    """The meeting has no such booth."""

    code = "booth.unknown"

    def __init__(self, booth: str) -> None:
        super().__init__(f"This meeting has no booth {booth[:40]!r}.")


class BoothFullError(InterpretationError):
    """Every desk of the booth is taken."""

    code = "booth.full"

    def __init__(self, *, booth_name: str, desks: int) -> None:
        super().__init__(f"All {desks} desks of the booth {booth_name} are taken.")


class BoothNotJoinedError(InterpretationError):
    """The participant sits at no desk."""

    code = "booth.not_joined"

    def __init__(self) -> None:
        super().__init__("Join a booth first.")


class FloorFullError(InterpretationError):
    """As many speak as can be mixed."""

    code = "floor.full"

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} speakers have the floor: somebody must release it first.")


class FloorNotHeldError(InterpretationError):
    """The participant does not have the floor."""

    code = "floor.not_held"

    def __init__(self) -> None:
        super().__init__("You do not have the floor.")
