"""Readings that are only for statistics: freezes and pauses of pictures, the way to a peer."""

from __future__ import annotations

import pytest

from kabina.native.plane import PeerPath
from kabina_sim.plane_client import Camera


@pytest.fixture
def camera(connect):
    return Camera(connect("publisher"), 0xCA)


@pytest.fixture
def watched(plane, clock, connect, camera):
    """The slot that shows the camera, at 30 pictures/s, and more of that."""
    track, slot = camera.client.add_video_track(), connect("listener").add_video_slot()
    plane.set_slot_source(slot, track)

    def film(frames: int, *, gap_ms: int = 33, key: bool = False) -> None:
        for i in range(frames):
            clock.turn(after_ms=gap_ms)
            camera.frame(key=key and i == 0, elapsed_ms=gap_ms)
            clock.turn()

    film(1, key=True)
    film(30)
    return slot, film


def read(plane, slot) -> tuple[int, int, int]:
    readings = plane.slot_readings(slot)
    return readings.pictures, readings.freezes, readings.pauses


def test_even_pictures_are_no_freeze_and_each_counts_once(plane, watched):
    slot, _ = watched
    assert read(plane, slot) == (31, 0, 0)
    assert plane.slot_readings(slot).frozen_ms == 0


@pytest.mark.parametrize(
    ("gap_ms", "freezes", "pauses"),
    [(99, 0, 0), (180, 0, 0), (190, 1, 0), (4900, 1, 0), (5100, 0, 1)],
)
def test_a_gap_is_a_freeze_as_webrtc_stats_has_it(plane, watched, gap_ms, freezes, pauses):
    """33 + 150 = 183 ms; a pause begins at 5 s."""
    slot, film = watched
    film(1, gap_ms=gap_ms)
    film(10)
    assert read(plane, slot) == (42, freezes, pauses)
    readings = plane.slot_readings(slot)
    assert readings.frozen_ms == pytest.approx(gap_ms * freezes, abs=1)
    assert readings.paused_ms == pytest.approx(gap_ms * pauses, abs=1)
    assert plane.counters()["picture_freezes"] == freezes
    assert plane.counters()["picture_pauses"] == pauses


def test_slow_pictures_are_no_freezes_where_they_are_usual(plane, watched):
    slot, film = watched
    film(1, gap_ms=1000)  # a screen at one picture/s: the first gap looks like one
    film(60, gap_ms=1000)
    pictures, freezes, pauses = read(plane, slot)
    assert (pictures, pauses) == (92, 0)
    assert freezes < 15
    film(60, gap_ms=1000)
    assert read(plane, slot)[1] == freezes


def test_what_nobody_wanted_to_see_is_neither(plane, clock, watched):
    slot, film = watched
    plane.limit_slot(slot, paused=True)
    film(60)
    plane.limit_slot(slot, paused=False)
    film(1, key=True)
    film(10)
    assert read(plane, slot) == (42, 0, 0)


def test_a_wait_for_a_key_frame_is_a_freeze_though_the_camera_goes_on(plane, watched, camera):
    slot, film = watched
    camera.sequence = (camera.sequence + 20_000) & 0xFFFF  # the stream began anew
    film(12)
    assert read(plane, slot) == (31, 0, 0)
    film(1, key=True)
    assert read(plane, slot) == (32, 1, 0)


def test_the_way_to_a_peer_is_known_once_a_check_came(plane, clock, connect):
    peer = connect("peer", join=False)
    assert plane.peer_readings(peer.peer).path is PeerPath.NONE
    peer.join(clock)
    assert plane.peer_readings(peer.peer).path is PeerPath.UDP
    assert plane.peer_readings(peer.peer).rtt_ms is None
