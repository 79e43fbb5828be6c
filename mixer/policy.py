"""The numbers of a listener's channel, with where they come from (audio-engine.md §7)."""

from __future__ import annotations

from typing import Final

from kabina.native.mixing import Ducking

# −18 dB under a matched talker keeps the interpreter's ESTOI at 0.91–0.95 and the original audible;
# a pause of the interpreter never brings the floor back, only the mic going off does
# (bigbluebutton#2642).
LISTENER_DUCKING: Final = Ducking(depth_db=-18.0, attack_ms=60, hold_ms=2500, release_ms=800)
