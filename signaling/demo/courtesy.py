"""When a robot may have a place that people want, too."""

from typing import Final

# A speaker who lets go for a breath, or an interpreter who reloads the page, is not talked over.
RETURN_AFTER_S: Final = 3.0


class Place:
    """A floor or a booth. Pure: told what is, and when; `now_s` never goes back."""

    def __init__(self) -> None:
        self._taken_s: float | None = None

    def is_free(self, *, taken: bool, now_s: float) -> bool:
        """Whether robots may have it; `taken`: a person has it now."""
        if taken:
            self._taken_s = now_s
        return self._taken_s is None or now_s - self._taken_s >= RETURN_AFTER_S
