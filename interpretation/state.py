"""What a meeting is at one moment, and the two values made from it: `plan` for media, `view` for
people. It decides nothing; `meeting` does.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from kabina.interpretation.booth import Booth, Desk
from kabina.interpretation.floor import Floor
from kabina.interpretation.hearing import NORMAL_DB, Hearing
from kabina.interpretation.ids import FLOOR, BoothId, ChannelId, ParticipantId, Role
from kabina.interpretation.languages import Language, language, sounds_like
from kabina.interpretation.media_plan import ChannelPlan, MediaPlan, Outlet, StagePlan
from kabina.interpretation.spec import MeetingSpec
from kabina.interpretation.stage import Stage, Visual
from kabina.interpretation.tables import CHANNEL, ChannelState, DeskState, Feed, FloorSpeech
from kabina.interpretation.view import (
    BoothView,
    ChannelView,
    DeskView,
    FloorView,
    MeetingView,
    OnAirView,
    ShownView,
    SpeakerView,
    StageView,
)


@dataclass(slots=True)
class Participant:
    """Somebody in the meeting, and what they hear."""

    id: ParticipantId
    name: str
    role: Role
    languages: frozenset[str]
    listening: ChannelId | None = None
    original_db: float = NORMAL_DB
    audio_lost: bool = False


@dataclass(slots=True)
class MeetingState:
    """People, floor, booths and stage; equal states are equal values."""

    spec: MeetingSpec
    languages: Mapping[ChannelId, Language]
    floor: Floor
    booths: dict[BoothId, Booth]
    people: dict[ParticipantId, Participant]
    audience: Counter[Hearing]
    stage: Stage

    @classmethod
    def before_anybody_comes(cls, spec: MeetingSpec) -> "MeetingState":
        return cls(
            spec,
            {channel: language(channel) for channel in spec.channels},
            Floor(spec.floor_language),
            {
                booth: Booth.with_desks(booth, ChannelId(booth), spec.desks_per_booth)
                for booth in spec.booths
            },
            {},
            Counter(),
            Stage(),
        )

    # Finding

    def name(self, participant: ParticipantId) -> str:
        return self.people[participant].name

    def autonym(self, channel: ChannelId) -> str:
        return self.languages[channel].autonym

    def seat(self, participant: ParticipantId) -> tuple[Booth, Desk] | None:
        """The participant's booth and desk, if they sit at one."""
        for booth in self.booths.values():
            desk = booth.desk_of(participant)
            if desk is not None:
                return booth, desk
        return None

    def seen(self, visual: Visual) -> ParticipantId | None:
        """Whose camera or screen is on the stage."""
        return self.stage.seen(visual, tuple(self.floor.turns))

    def listeners(self, channel: ChannelId) -> int:
        """How many hear the channel, however loud the original is in it."""
        return sum(count for heard, count in self.audience.items() if heard.channel == channel)

    def hearing(self, participant: ParticipantId) -> Hearing | None:
        """What the participant hears; None: nothing, or they are not there."""
        person = self.people.get(participant)
        if person is None or person.listening is None:
            return None
        return self.hearing_of(person, person.listening, person.original_db)

    def hearing_of(self, person: Participant, channel: ChannelId, original_db: float) -> Hearing:
        """What somebody would hear there: never themselves; at a desk what is interpreted."""
        if self.incoming(person, channel) is not None:
            return Hearing(channel, at_desk=True)
        common = heard_at(channel, original_db)
        return replace(common, without=person.id) if self.sounds_in(person, channel) else common

    def incoming(self, person: Participant, channel: ChannelId) -> ChannelId | None:
        """What they interpret if they listen to `channel`: the original, or the pivot of a relay.

        None where they sit at no desk, or listen to the channel that their booth feeds.
        """
        seat = self.seat(person.id)
        return None if seat is None or seat[0].channel == channel else channel

    def sounds_in(self, person: Participant, channel: ChannelId) -> bool:
        """Whether a channel has something of them: their voice, or the sound of their screen."""
        if person.id in self.floor.turns or self.seen(Visual.SCREEN) == person.id:
            return True
        booth = self.booths.get(BoothId(channel))
        desk = None if booth is None else booth.desk_of(person.id)
        return desk is not None and desk.state is DeskState.ACTIVE

    def _heard(self) -> list[Hearing]:
        """All that anybody hears, each once, in one canonical order."""
        common = Counter(self.audience)
        own = set()
        for person in self._talkers():
            hearing = self.hearing(person.id)
            if hearing is not None and person.listening is not None:
                common[heard_at(person.listening, person.original_db)] -= 1
                own.add(hearing)
        heard = own | {one for one, count in common.items() if count > 0}
        return sorted(heard, key=lambda one: one.order)

    def _talkers(self) -> Iterator[Participant]:
        """Who may hear something else than others in the same channel. A few, of whom each once."""
        desks = [desk for booth in self.booths.values() for desk in booth.desks]
        who = {*self.floor.turns, *(desk.occupant for desk in desks), self.seen(Visual.SCREEN)}
        return (self.people[one] for one in who if one is not None)

    # Values for others

    def channel_states(self) -> dict[ChannelId, ChannelState]:
        """What the listeners of each language channel hear."""
        on_air = {booth.channel for booth in self.booths.values() if booth.on_air()}
        spoken = self.floor.language
        return {
            channel: CHANNEL[
                Feed.ON_AIR if channel in on_air else Feed.IDLE,
                FloorSpeech.SAME if sounds_like(channel, spoken) else FloorSpeech.OTHER,
            ]
            for channel in self.languages
        }

    def plan(self) -> MediaPlan:
        """Who is heard where."""
        floor = self.floor.speakers()
        on_air = {booth.channel: booth.interpreters() for booth in self.booths.values()}
        return MediaPlan(
            floor,
            tuple(
                ChannelPlan(channel, floor, on_air.get(channel, ()), self.listeners(channel))
                for channel in (FLOOR, *self.languages)
            ),
            tuple(outlet(one, floor, on_air.get(one.channel, ())) for one in self._heard()),
            StagePlan(camera=self.seen(Visual.CAMERA), screen=self.seen(Visual.SCREEN)),
        )

    def view(self, *, now: float, revision: int) -> MeetingView:
        """What people see; its seconds are counted up to `now`."""
        states = self.channel_states()
        return MeetingView(
            id=self.spec.meeting_id,
            title=self.spec.title,
            revision=revision,
            floor=self._floor_view(now),
            channels=tuple(
                ChannelView(
                    id=channel,
                    language=spoken,
                    state=states[channel],
                    on_air=self._on_air_view(self.booths.get(BoothId(channel)), now),
                    listeners=self.listeners(channel),
                )
                for channel, spoken in self.languages.items()
            ),
            booths=tuple(
                BoothView(id=booth.id, channel=booth.channel, desks=self._desk_views(booth))
                for booth in self.booths.values()
            ),
            stage=StageView(self._shown_view(Visual.CAMERA), self._shown_view(Visual.SCREEN)),
        )

    def _shown_view(self, visual: Visual) -> ShownView | None:
        who = self.seen(visual)
        return None if who is None else ShownView(participant=who, name=self.name(who))

    def _floor_view(self, now: float) -> FloorView:
        return FloorView(
            language=language(self.floor.language),
            speakers=tuple(
                SpeakerView(
                    participant=speaker,
                    name=self.name(speaker),
                    language=turn.language,
                    speaking_s=_seconds(now - turn.since_s),
                )
                for speaker, turn in self.floor.turns.items()
            ),
            listeners=self.listeners(FLOOR),
        )

    def _on_air_view(self, booth: Booth | None, now: float) -> tuple[OnAirView, ...]:
        return tuple(
            OnAirView(
                participant=interpreter,
                name=self.name(interpreter),
                on_air_s=_seconds(now - desk.since_s),
            )
            for desk in (booth.on_air() if booth is not None else ())
            if (interpreter := desk.occupant) is not None
        )

    def _desk_views(self, booth: Booth) -> tuple[DeskView, ...]:
        return tuple(
            DeskView(
                number=desk.number,
                participant=occupant,
                name=self.name(occupant),
                state=desk.state,
            )
            for desk in booth.desks
            if (occupant := desk.occupant) is not None
        )


def heard_at(channel: ChannelId, original_db: float) -> Hearing:
    """A channel at a level; the original alone has none."""
    return Hearing(channel, NORMAL_DB if channel == FLOOR else original_db)


def outlet(
    hearing: Hearing,
    floor: tuple[ParticipantId, ...],
    interpreters: tuple[ParticipantId, ...],
) -> Outlet:
    """Of whom a hearing consists. A relay is the pivot's interpreter alone, or the original while
    nobody feeds the pivot."""
    if hearing.at_desk and interpreters:
        return Outlet(hearing, (), interpreters, has_original=False)
    others = _others(floor, hearing.without), _others(interpreters, hearing.without)
    return Outlet(hearing, *others)


def _others(
    people: tuple[ParticipantId, ...], without: ParticipantId | None
) -> tuple[ParticipantId, ...]:
    return tuple(one for one in people if one != without)


def _seconds(span_s: float) -> float:
    return round(span_s, 3)  # nobody reads more, and 12.500000000001 is ugly on the wire
