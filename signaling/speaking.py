"""Who speaks in a room: levels read from the plane and the mixer while somebody has the floor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kabina.native.plane import PlaneHandleError
from kabina.sfu.active_speaker import SILENCE_DB, ActiveSpeaker, Speaking, mean_level_db

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kabina.mixer.language_mixer import LanguageMixer
    from kabina.native.plane import Plane
    from kabina.signaling.voices import Voice

_MODULUS: Final = 1 << 64  # of the native sums


class SpeakerWatch:
    """Reads levels when asked to, which is a few calls per speaker and no work in between."""

    def __init__(self, plane: Plane, mixer: LanguageMixer) -> None:
        self._plane = plane
        self._mixer = mixer
        self._active = ActiveSpeaker()
        self._read: dict[str, tuple[int, int, int]] = {}  # who → track, energy, packets

    @property
    def state(self) -> Speaking:
        return self._active.state

    def look(self, floor: Mapping[str, Voice], *, now: float) -> Speaking:
        """Who of those on the floor speaks; call it every 100 to 200 ms while there is anybody."""
        self._read = {who: read for who, read in self._read.items() if who in floor}
        levels_db = {who: self._level_db(who, voice) for who, voice in floor.items()}
        self._active.receive(levels_db, now=now)
        return self._active.state

    def _level_db(self, who: str, voice: Voice) -> float:
        try:
            told = self._plane.track_readings(voice.track) if voice.track else None
        except PlaneHandleError:
            return SILENCE_DB  # its peer is being removed
        if told is None or told.level_energy == 0:
            # Its sender tells no levels (FFmpeg, a prepared sound): what is heard of it.
            return self._mixer.source_readings(voice.source).level_db
        read = voice.track, told.level_energy, told.packets
        track, energy, packets = self._read.get(who, read)
        self._read[who] = read
        if track != voice.track:
            return SILENCE_DB  # another media session: nothing to compare with yet
        return mean_level_db((told.level_energy - energy) % _MODULUS, told.packets - packets)
