"""A room on a real plane and a real mix engine, ticked by the test: no thread runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kabina.interpretation.commands import JoinBooth, TakeChannel, TakeFloor
from kabina.interpretation.ids import BoothId, ChannelId, MeetingId, ParticipantId, Role
from kabina.interpretation.spec import MeetingSpec
from kabina.mixer.language_mixer import LanguageMixer
from kabina.sfu.forwarding_unit import ForwardingUnit
from kabina.signaling.room import Room
from kabina.signaling.tokens import Grant
from kabina.signaling.voices import Voice
from kabina_sim.mix_bench import TICK, tone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from kabina.mixer.rows import MixRow
    from kabina.native.mixing import RowReadings


class House:
    """English on the floor, booths for French and Albanian; voices are clips that play a tone."""

    def __init__(self, unit: ForwardingUnit, mixer: LanguageMixer, room: Room) -> None:
        self.unit, self.mixer, self.room = unit, mixer, room
        self._now_ns = 10**9
        self.planned: dict[int, MixRow] = {}
        """The rows that the mixer was told last, by the track that carries them."""
        self._set_rows, mixer.set_rows = mixer.set_rows, self._remember

    def _remember(self, meeting: str, rows: Sequence[MixRow]) -> None:
        self._set_rows(meeting, rows)
        tracks = {row.row: row.track for row in self.room.sound.open_rows.values()}
        self.planned = {tracks[row.row]: row for row in rows}

    def enter(self, role: Role = Role.ATTENDEE, *languages: str) -> ParticipantId:
        grant = Grant(subject="x", name="", meeting="m", role=role, languages=frozenset(languages))
        return self.room.admit(grant)

    def voice_of(self, who: ParticipantId, *, track: int = 0) -> int:
        """Gives them a voice that sounds; `track`: as if it came by that one."""
        clip = self.mixer.open_clip(tone(500.0, 50), loop=True)
        self.mixer.play_clip(clip, playing=True)
        self.room.sound.bind_voice(who, Voice(clip, track))
        return clip

    def speaker(self, *, track: int = 0) -> ParticipantId:
        who = self.enter(Role.SPEAKER)
        self.voice_of(who, track=track)
        self.room.execute(TakeFloor(who, "en"))
        return who

    def interpreter(self, booth: str) -> ParticipantId:
        who = self.enter(Role.INTERPRETER, booth)
        self.voice_of(who)
        self.room.execute(JoinBooth(who, BoothId(booth)))
        return who

    def on_air(self, booth: str) -> ParticipantId:
        who = self.interpreter(booth)
        self.room.execute(TakeChannel(who))
        return who

    def listener(self, channel: str, original_db: float = -18.0) -> ParticipantId:
        who = self.enter()
        self.room.listen(who, ChannelId(channel), original_db)
        return who

    def track(self) -> int:
        """Of the plane, for a voice that comes by one."""
        return self.unit.plane.add_injected_track(clock_rate=48_000)

    def play(self, milliseconds: int) -> None:
        for _ in range(milliseconds // 20):
            self._now_ns += TICK
            self.mixer.engine.tick(self._now_ns)

    def readings(self, who: ParticipantId) -> RowReadings:
        """Of the row that this participant hears."""
        hearing = self.room.sound.hearing_of(self.room.heard_by(who))
        assert hearing is not None, "they hear a forwarded track, or nothing"
        return self.room.sound.readings(hearing)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    unit = ForwardingUnit(host="127.0.0.1", port=0, public_ips=["127.0.0.1"])
    mixer = LanguageMixer(bus=unit.plane.bus, matches_loudness=False)
    spec = MeetingSpec(MeetingId("m"), "Round table", "en", ("fr", "sq"))
    room = Room(spec, unit=unit, mixer=mixer)
    yield House(unit, mixer, room)
    room.close()
    mixer.close()
    await unit.close()
