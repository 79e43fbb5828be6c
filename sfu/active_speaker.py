"""Who speaks, and who of them is dominant, from levels that are read now and then. Pure.

After Volfin and Cohen, "Dominant speaker identification for multipoint videoconferencing" (2012):
what somebody does is judged over three spans, and whoever takes over must be ahead in each of them.
Here: now (the last reading is a voice), the last third of a second (it has been one long enough),
and the last second (nobody is talked over unless they are much louder). What differs is the input:
the levels that senders measure (RFC 6464), a reading of all of them each 100 to 200 ms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SILENCE_DB: Final = -127.0
# A voice: this far above the quietest that the microphone gave lately, and never below the least.
# What is always louder than the highest background is no background, else a steady tone would be.
VOICE_ABOVE_BACKGROUND_DB: Final = 10.0
LEAST_VOICE_DB: Final = -55.0
HIGHEST_BACKGROUND_DB: Final = -50.0
BACKGROUND_RISES_DB_PER_S: Final = 1.0
# How much somebody talks, 0 … 1, comes and goes exponentially. A voice counts as sustained after
# 0.2 × ln 5 = 320 ms: coughs are over in 250, a backchannel ("mhm") in 300. It goes slower, so that
# pauses between words are none between speakers; 0.4 × ln 10 = 920 ms later somebody is silent.
TALK_COMES_S: Final = 0.2
TALK_GOES_S: Final = 0.4
SUSTAINED: Final = 0.8
SILENT: Final = 0.1
# Who falls silent has lost 0.55 of their talk when the next one's is sustained; two who talk at the
# same time stay nearer to each other than this, whatever their pauses.
AHEAD: Final = 0.4
# Or: twelve decibels over a second. Somebody who talks in earnest against a noisy room.
LOUDNESS_S: Final = 1.0
LOUDER_DB: Final = 12.0
# The dominant speaker stays at least so long, unless they go away.
HOLD_S: Final = 1.0
# A reading says nothing about a longer time than this before it.
LONGEST_STEP_S: Final = 0.3


@dataclass(frozen=True, slots=True)
class Speaking:
    """`dominant`: who spoke last in earnest, also when they pause; None: nobody yet.

    `talkers`: who speaks now, in the order in which they were named.
    """

    dominant: str | None = None
    talkers: tuple[str, ...] = ()


@dataclass(slots=True)
class _Talker:
    background_db: float = LEAST_VOICE_DB
    loudness_db: float = LEAST_VOICE_DB
    talk: float = 0.0
    is_voice: bool = False
    is_talking: bool = False

    def hear(self, level_db: float, step_s: float) -> None:
        risen_db = self.background_db + BACKGROUND_RISES_DB_PER_S * step_s
        self.background_db = min(risen_db, max(level_db, SILENCE_DB), HIGHEST_BACKGROUND_DB)
        threshold_db = max(self.background_db + VOICE_ABOVE_BACKGROUND_DB, LEAST_VOICE_DB)
        self.is_voice = level_db >= threshold_db
        span_s = TALK_COMES_S if self.is_voice else TALK_GOES_S
        self.talk = _toward(float(self.is_voice), self.talk, step_s / span_s)
        loudness_db = level_db if self.is_voice else LEAST_VOICE_DB
        self.loudness_db = _toward(loudness_db, self.loudness_db, step_s / LOUDNESS_S)
        if self.talk >= SUSTAINED:
            self.is_talking = True
        elif self.talk < SILENT:
            self.is_talking = False

    @property
    def may_take_over(self) -> bool:
        return self.is_voice and self.talk >= SUSTAINED

    def is_ahead_of(self, other: _Talker) -> bool:
        return self.talk - other.talk >= AHEAD or self.loudness_db - other.loudness_db >= LOUDER_DB


class ActiveSpeaker:
    """Told the levels of everybody who may be heard; `state` is what follows from them."""

    def __init__(self) -> None:
        self.state = Speaking()
        self._talkers: dict[str, _Talker] = {}
        self._read_s: float | None = None
        self._held_until_s = -math.inf

    def receive(self, levels_db: Mapping[str, float], *, now: float) -> bool:
        """Levels in dBov (full scale = 0, silence = −127), each since the reading before.

        Who is not named is gone and forgotten. True if `state` has changed. A time before the last
        one, and a level that is no number, count as no time and as silence.
        """
        step_s = 0.0 if self._read_s is None else now - self._read_s
        step_s = min(max(step_s, 0.0), LONGEST_STEP_S)
        self._read_s = now if self._read_s is None else max(now, self._read_s)
        before = self.state
        self._talkers = {who: self._talkers.get(who) or _Talker() for who in levels_db}
        for who, level_db in levels_db.items():
            known = -math.inf if math.isnan(level_db) else level_db
            self._talkers[who].hear(min(max(known, SILENCE_DB), 0.0), step_s)
        self.state = Speaking(
            self._dominant(before.dominant, self._read_s),
            tuple(who for who, talker in self._talkers.items() if talker.is_talking),
        )
        return self.state != before

    def _dominant(self, present: str | None, now: float) -> str | None:
        holder = None if present is None else self._talkers.get(present)
        if holder is not None and now < self._held_until_s:
            return present
        challengers = [
            (talker.loudness_db, who)
            for who, talker in self._talkers.items()
            if talker is not holder
            and talker.may_take_over
            and (holder is None or talker.is_ahead_of(holder))
        ]
        if not challengers:
            return None if holder is None else present
        # max keeps the first of equals: the order of the names decides, not chance.
        _, dominant = max(challengers, key=lambda challenger: challenger[0])
        self._held_until_s = now + HOLD_S
        return dominant


def _toward(goal: float, value: float, spans: float) -> float:
    return goal + (value - goal) * math.exp(-spans)


def mean_level_db(energy: int, packets: int) -> float:
    """The level of `packets` packets whose powers, in 10⁻¹⁰ of full scale, sum up to `energy`."""
    if packets <= 0 or energy <= 0:
        return SILENCE_DB
    return min(10 * math.log10(energy / packets) - 100, 0.0)
