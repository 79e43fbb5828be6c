"""How a room sounds: voices in, and for each mix that is heard a row, or the one original."""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kabina.interpretation.hearing import Hearing
from kabina.interpretation.ids import FLOOR
from kabina.interpretation.media_plan import MediaPlan
from kabina.mixer.errors import MixerFullError
from kabina.mixer.policy import POLICIES, loss_percent
from kabina.mixer.rows import MixRow
from kabina.signaling.errors import CodedError
from kabina.signaling.messages import ChannelLevels, Levels
from kabina.signaling.sound_rows import SoundRows, kind_of
from kabina.signaling.voices import Voice, Voices

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from kabina.interpretation.ids import ChannelId, ParticipantId
    from kabina.interpretation.media_plan import Outlet
    from kabina.mixer.language_mixer import LanguageMixer
    from kabina.native.mixing import RowReadings
    from kabina.native.plane import Plane
    from kabina.signaling.sound_rows import OpenRow

_log = logging.getLogger(__name__)

SILENCE_DB: Final = -100.0
# A mix of several voices goes on for so long when one is left: the floor waits 2.5 s and rises
# within 0.8, its limiter needs another second and 0.1 s to go back; meanwhile its loudness rides
# back to what it is (12 dB at 3 dB/s; audio-engine.md §7). Then the mix is what the original is,
# and gives way to it.
SETTLES_S: Final = 4.5


@dataclass(frozen=True, slots=True)
class _Mix:
    """What a hearing consists of now."""

    original: tuple[Voice, ...]
    interpreters: tuple[Voice, ...]
    heard: bool

    @property
    def is_one_voice(self) -> bool:
        """Nothing but one source, at full level: it need not be mixed."""
        return len(self.original) <= 1 and not self.interpreters

    def content(self, hearing: Hearing) -> Hashable:
        """Equal for mixes that sound alike, whose rows share an encoder."""
        voice = POLICIES[kind_of(hearing)].voice
        level_db = hearing.original_db if self.interpreters else None
        return self.original, self.interpreters, level_db, voice


class RoomSound:
    """Follows the media plan, and what flows; tells when a hearing is carried by another track."""

    def __init__(
        self,
        meeting: str,
        channels: Iterable[ChannelId],
        *,
        plane: Plane,
        mixer: LanguageMixer,
        changed: Callable[[], None],
    ) -> None:
        """CodedError `server.full` when the node can mix no more channels."""
        self._meeting = meeting
        self._mixer = mixer
        self._changed = changed
        self._voices = Voices()
        self._plan = MediaPlan((), ())
        # The channels' own rows stay: their levels are shown whether or not they are heard.
        self._channels = {channel: Hearing(channel) for channel in channels}
        self._rows = SoundRows(plane, mixer)
        self._routes: dict[Hearing, int] = {}
        # From when a mix may give way to the one original; inf: it has several voices.
        self._settled_at_s: dict[Hearing, float] = {}
        self._missing: set[Hearing] = set()  # mixes that have no row
        self._losses: Mapping[Hearing, Sequence[float]] = {}
        self._loss_percents: dict[Hearing, int] = {}
        self._looking: asyncio.TimerHandle | None = None
        try:
            for hearing in self._channels.values():
                self._rows.open(hearing)
        except CodedError:
            self.close()
            raise

    def close(self) -> None:
        """Ends the rows; nobody hears them any more."""
        if self._looking is not None:
            self._looking.cancel()
        self._mixer.set_rows(self._meeting, ())
        self._rows.close_all()

    # Whose sound is whose

    def open_voice(self, participant: ParticipantId, track: int) -> int:
        """A source of the mix engine for what this participant's microphone sends as `track`.

        CodedError `server.full` when the node has none left.
        """
        source = self._open_source()
        self.bind_voice(participant, Voice(source, track))
        return source

    def bind_voice(self, participant: ParticipantId, voice: Voice) -> None:
        """From now on `voice` is this participant's; closed with them."""
        self.unbind_voice(participant)
        self._voices.voices[participant] = voice
        self._look()

    def unbind_voice(self, participant: ParticipantId) -> None:
        self._let_go(self._voices.voices.pop(participant, None))

    def open_screen(self, participant: ParticipantId, track: int) -> int:
        """A source for the sound of their screen: heard while that is on the stage and flows."""
        source = self._open_source()
        self.unbind_screen(participant)
        self._voices.screens[participant] = Voice(source, track)
        return source

    def unbind_screen(self, participant: ParticipantId) -> None:
        self._voices.sounding.discard(participant)
        self._let_go(self._voices.screens.pop(participant, None))

    def screen_flowed(self, participant: ParticipantId, *, flows: bool) -> None:
        sounding = self._voices.sounding
        (sounding.add if flows else sounding.discard)(participant)
        self._look()

    @property
    def voices(self) -> Mapping[ParticipantId, Voice]:
        return self._voices.voices

    def whose(self, track: int) -> tuple[ParticipantId, str] | None:
        """Whose voice or screen's sound a track is; None if it is none of this room's."""
        return self._voices.whose(track)

    def _open_source(self) -> int:
        try:
            return self._mixer.open_source()
        except MixerFullError as error:
            raise CodedError("server.full", str(error)) from error

    def _let_go(self, voice: Voice | None) -> None:
        if voice is not None:
            self._look()
            self._mixer.close_source(voice.source)

    # What is heard

    def reserve(self, hearing: Hearing) -> None:
        """Before somebody moves to it. CodedError `server.full` when it cannot be had."""
        self._rows.open(hearing)

    def track_of(self, hearing: Hearing | None) -> int:
        """What carries it: its mix, or the one original; 0 for nothing."""
        return 0 if hearing is None else self._routes.get(hearing, 0)

    def hearing_of(self, track: int) -> Hearing | None:
        """What an injected track carries; None if it is none of this room's."""
        return self._rows.hearing_of(track)

    def readings(self, hearing: Hearing) -> RowReadings:
        """Of the row of a hearing. KeyError if it has none."""
        return self._mixer.row_readings(self.open_rows[hearing].row)

    @property
    def open_rows(self) -> Mapping[Hearing, OpenRow]:
        return self._rows.rows

    def levels(self) -> Levels:
        """RMS of what each channel consists of, at the usual level of the original."""
        floor_db, channels = None, {}
        is_heard = bool(self._plan.floor or self._voices.of_screen(self._plan.stage.screen))
        for plan in self._plan.channels:
            reading = self.readings(self._channels[plan.channel])
            original_db = _rounded(reading.original_db) if is_heard else None
            if plan.channel == FLOOR:
                floor_db = original_db
            else:
                is_fed = bool(plan.interpreters)
                interpreter_db = _rounded(reading.interpreter_db) if is_fed else None
                channels[str(plan.channel)] = ChannelLevels(
                    interpreter_db=interpreter_db, original_db=original_db
                )
        return Levels(floor_db=floor_db, channels=channels)

    def set_losses(self, losses: Mapping[Hearing, Sequence[float]]) -> None:
        """What each receiver of a mix loses, 0 … 1: rows expect it from now on."""
        self._losses = losses
        mixes = self._mixes(self._plan)
        if self._expected_losses(mixes) != self._loss_percents:
            self._look()

    def expected_losses(self) -> dict[ChannelId, int]:
        """Per cent, of each channel as it is usually heard."""
        losses = self._loss_percents
        return {channel: losses[one] for channel, one in self._channels.items() if one in losses}

    # Plan → rows

    def follow(self, plan: MediaPlan) -> None:
        """Makes it sound as the plan says."""
        before, self._plan = self._plan, plan
        # One more who hears what others hear already changes nothing: most of a large audience.
        if plan.sound != before.sound:
            self._look()

    def _look(self) -> None:
        now_s = asyncio.get_running_loop().time()
        mixes = self._mixes(self._plan)
        forwarded = self._forwarded(mixes, now_s)
        # A mix of one's own is made for nobody else: not while it is forwarded. The others go on,
        # so that they are there when a second voice comes.
        mixed = {
            hearing: mix
            for hearing, mix in mixes.items()
            if hearing.without is None or hearing not in forwarded
        }
        self._loss_percents = self._expected_losses(mixes)
        over = set(self._rows.idle(mixed, now_s))
        self._mixer.set_rows(self._meeting, self._mix_rows(mixed))
        for hearing in over:
            self._rows.close(hearing)
        self._route({hearing: forwarded.get(hearing) or self._track(hearing) for hearing in mixes})
        self._look_again(now_s)

    def _mixes(self, plan: MediaPlan) -> dict[Hearing, _Mix]:
        """Each channel's own, heard or not, and all others that are heard."""
        screen = plan.stage.screen
        mixes = {
            self._channels[one.channel]: _Mix(
                self._voices.of(one.floor) + self._voices.of_screen(screen),
                self._voices.of(one.interpreters),
                heard=False,
            )
            for one in plan.channels
        }
        for outlet in plan.outlets:
            mix = self._mix(outlet, screen)
            # Whoever speaks alone hears silence, for which nothing need be sent.
            if outlet.hearing.without is None or mix.original or mix.interpreters:
                mixes[outlet.hearing] = mix
        return mixes

    def _mix(self, outlet: Outlet, screen: ParticipantId | None) -> _Mix:
        shown = screen if outlet.has_original and screen != outlet.hearing.without else None
        return _Mix(
            self._voices.of(outlet.floor) + self._voices.of_screen(shown),
            self._voices.of(outlet.interpreters),
            heard=True,
        )

    def _expected_losses(self, mixes: Mapping[Hearing, _Mix]) -> dict[Hearing, int]:
        """Per cent, of all who hear the same sound by whatever name."""
        pools: dict[Hashable, list[float]] = {}
        for hearing, mix in mixes.items():
            pools.setdefault(mix.content(hearing), []).extend(self._losses.get(hearing, ()))
        return {
            hearing: loss_percent(pools[mix.content(hearing)]) for hearing, mix in mixes.items()
        }

    def _mix_rows(self, mixes: Mapping[Hearing, _Mix]) -> list[MixRow]:
        opened, missing = {}, set()
        for hearing in mixes:
            try:
                opened[hearing] = self._rows.open(hearing)
            except CodedError:
                # Nobody asked for it, it followed from what others did: they hear the next best.
                missing.add(hearing)
        if missing - self._missing:
            _log.warning("no row for a mix", extra={"meeting": self._meeting})
        self._missing = missing
        helped_out = {self._next_best(hearing) for hearing in missing}
        return [
            self._mix_row(row, hearing, mixes[hearing], heard=hearing in helped_out)
            for hearing, row in opened.items()
        ]

    def _mix_row(self, row: OpenRow, hearing: Hearing, mix: _Mix, *, heard: bool) -> MixRow:
        is_new, row.is_new = row.is_new, False
        return MixRow(
            row=row.row,
            kind=row.kind,
            floor=tuple(voice.source for voice in mix.original),
            interpreters=tuple(voice.source for voice in mix.interpreters),
            heard=mix.heard or heard,
            original_db=hearing.original_db,
            loss_percent=self._loss_percents[hearing],
            is_new=is_new,
        )

    def _next_best(self, hearing: Hearing) -> Hearing | None:
        """What is heard where a mix has no row: the channel as others have it, but silence rather
        than oneself."""
        return self._channels[hearing.channel] if hearing.without is None else None

    def _track(self, hearing: Hearing) -> int:
        rows = self._rows.rows
        best = hearing if hearing in rows else self._next_best(hearing)
        return 0 if best is None else rows[best].track

    def _forwarded(self, mixes: Mapping[Hearing, _Mix], now_s: float) -> dict[Hearing, int]:
        """Who hears nothing but one source gets that, untouched: no later, with its own repairs
        (FEC, RED), and in stereo where it is. Tracks."""
        forwarded = {}
        settled = {}
        for hearing, mix in mixes.items():
            at_s = self._settled_at_s.get(hearing, -math.inf)
            if not mix.is_one_voice:
                at_s = math.inf
            elif at_s == math.inf:
                at_s = now_s + SETTLES_S
            settled[hearing] = at_s
            # What is guarded for an interpreter's ears must pass the engine.
            is_free = mix.is_one_voice and not POLICIES[kind_of(hearing)].voice.guarded
            if is_free and now_s >= at_s and mix.original and mix.original[0].track:
                forwarded[hearing] = mix.original[0].track
        self._settled_at_s = settled
        return forwarded

    def _route(self, routes: dict[Hearing, int]) -> None:
        if routes != self._routes:
            self._routes = routes
            self._changed()

    def _look_again(self, now_s: float) -> None:
        """When the next mix has come to rest, or a row has been idle for long."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        times = [at_s for at_s in self._settled_at_s.values() if now_s < at_s < math.inf]
        idle_s = self._rows.next_idle_s()
        if idle_s is not None:
            times.append(idle_s)
        if times:
            delay_s = max(0.0, min(times) - now_s)
            self._looking = asyncio.get_running_loop().call_later(delay_s, self._look)


def _rounded(level_db: float) -> float:
    return round(max(level_db, SILENCE_DB), 1)
