"""What listeners lose of what they hear: every few seconds the FEC of each mix is set for it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from kabina.native.plane import PlaneHandleError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kabina.interpretation.hearing import Hearing
    from kabina.native.plane import Plane
    from kabina.signaling.node import Node
    from kabina.signaling.participation import Participation

_log = logging.getLogger(__name__)

LOOK_INTERVAL_S: Final = 5.0
# Reading a slot takes some 10 µs: the loop's other work waits for no more than half a millisecond.
SLOTS_PER_TURN: Final = 50
# A second of sound: of less, one lost packet is a large part.
LEAST_PACKETS: Final = 50


class LossWatch:
    """Turns the counters of receiver reports into the part lost between two looks."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._before: dict[int, tuple[int, int]] = {}  # slot → packets sent, lost
        self._now: dict[int, tuple[int, int]] = {}

    def look(self, slot: int) -> float | None:
        """0 … 1 of what the slot was sent since the last look; None while nothing is known."""
        try:
            read = self._plane.slot_readings(slot)
        except PlaneHandleError:
            return None  # its peer has just been removed
        if read.reported_ms is None:
            return None
        self._now[slot] = read.packets, read.lost
        packets, lost = self._before.get(slot, (read.packets, read.lost))
        if read.packets - packets < LEAST_PACKETS:
            return None
        # Packets that came twice make it fall; a report is about less than was sent by now.
        return min(1.0, max(0, read.lost - lost) / (read.packets - packets))

    def end_round(self) -> None:
        """Forgets the slots that were not looked at since the last one."""
        self._before, self._now = self._now, {}


async def watch_losses(node: Node) -> None:
    """Runs until cancelled."""
    watch = LossWatch(node.unit.plane)
    while True:
        await asyncio.sleep(LOOK_INTERVAL_S)
        for room in tuple(node.rooms.values()):
            losses = await _losses(watch, node.guests(room.id))
            try:
                room.sound.set_losses(losses)
            except Exception:  # noqa: BLE001 - logged; one meeting's fault is not the others'
                _log.exception("losses could not be told", extra={"meeting": room.id})
        watch.end_round()


async def _losses(watch: LossWatch, guests: Iterable[Participation]) -> dict[Hearing, list[float]]:
    """Of everybody who hears the same mix."""
    losses: dict[Hearing, list[float]] = {}
    for number, guest in enumerate(guests, 1):
        slot, hearing = guest.listening_slot, guest.room.meeting.hearing(guest.participant)
        lost = None if slot is None else watch.look(slot)
        if hearing is not None and lost is not None:
            losses.setdefault(hearing, []).append(lost)
        if number % SLOTS_PER_TURN == 0:
            await asyncio.sleep(0)
    return losses
