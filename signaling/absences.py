"""Pages whose socket is lost: kept for a while, for most of them come back within seconds."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kabina.signaling.participation import Participation
    from kabina.signaling.tokens import Grant

_log = logging.getLogger(__name__)

# A reload takes 1 to 3 s, a page notices a dead path and dials again within 5; the floor and a
# channel are given back before, when no voice comes for 5 s.
GRACE_S: Final = 8.0
# A hall that loses its network is missed whole; beyond this the longest missed go first.
MOST_MISSED: Final = 2000


class Absences:
    """Who may be taken up again: by the same rights and the name that the page gave itself."""

    def __init__(self, end: Callable[[Participation], Awaitable[None]]) -> None:
        self._end = end
        self._present: dict[tuple[Grant, str], Participation] = {}
        self._missed: dict[Participation, asyncio.TimerHandle] = {}  # the longest missed first
        self._ending: set[asyncio.Task[None]] = set()

    def note(self, participation: Participation) -> None:
        """Somebody came who may be missed one day."""
        if participation.instance is not None:
            self._present[participation.grant, participation.instance] = participation

    def find(self, grant: Grant, instance: str | None) -> Participation | None:
        """Who came with these rights under this name, missed or not; no longer missed then."""
        found = None if instance is None else self._present.get((grant, instance))
        if found is not None:
            self._stop_waiting(found)
        return found

    def miss(self, participation: Participation) -> bool:
        """Waits for them; False if nobody could say who they are when they come back."""
        key = (participation.grant, participation.instance or "")
        if self._present.get(key) is not participation:
            return False
        while len(self._missed) >= MOST_MISSED:
            self._give_up(next(iter(self._missed)))
        loop = asyncio.get_running_loop()
        self._stop_waiting(participation)
        self._missed[participation] = loop.call_later(GRACE_S, self._give_up, participation)
        return True

    def forget(self, participation: Participation) -> None:
        """They are gone for good."""
        self._stop_waiting(participation)
        key = (participation.grant, participation.instance or "")
        if self._present.get(key) is participation:
            del self._present[key]

    def _stop_waiting(self, participation: Participation) -> None:
        timer = self._missed.pop(participation, None)
        if timer is not None:
            timer.cancel()

    def _give_up(self, participation: Participation) -> None:
        self.forget(participation)
        task = asyncio.ensure_future(self._end(participation))
        self._ending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("somebody who was missed could not be let go", exc_info=task.exception())
