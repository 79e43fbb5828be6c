"""Audio levels (RFC 6464) as a sum of powers: what came between two readings has a mean level."""

import pytest

from kabina.sfu.active_speaker import SILENCE_DB, mean_level_db
from kabina_sim.plane_client import Speaker


def test_a_track_sums_the_power_of_every_packets_level(plane, clock, connect):
    publisher = connect("publisher")
    track = publisher.add_track()
    speaker = Speaker(publisher, 1)
    energy = 0
    for level in range(128):
        speaker.level = level | 0x80 * (level % 2)  # the highest bit says: a voice
        speaker.speak()
        clock.turn(after_ms=20)
        after = plane.track_readings(track).level_energy
        assert after - energy == pytest.approx(10 ** (10 - level / 10), rel=1e-6, abs=1)
        energy = after
    assert energy > 0


def test_between_two_readings_there_is_a_mean_level(plane, clock, connect):
    publisher = connect("publisher")
    track = publisher.add_track()
    speaker = Speaker(publisher, 1)
    before = plane.track_readings(track)
    for level in (20, 20, 127, 127):
        speaker.level = level
        speaker.speak()
        clock.turn(after_ms=20)
    after = plane.track_readings(track)
    mean_db = mean_level_db(
        after.level_energy - before.level_energy, after.packets - before.packets
    )
    assert mean_db == pytest.approx(-23.0, abs=0.05)


def test_a_sender_without_the_extension_has_no_energy(plane, clock, connect):
    publisher = connect("publisher")
    track = publisher.add_track()
    Speaker(publisher, 1).speak()
    clock.turn()
    read = plane.track_readings(track)
    assert (read.packets, read.level_energy) == (1, 0)
    assert mean_level_db(read.level_energy, read.packets) == SILENCE_DB
