"""How long a listener that sends nothing is told to wait for what is sent again."""

from __future__ import annotations

import struct

from kabina.native.plane import Extension
from kabina_sim.plane_client import Camera, nack

PLAYOUT_DELAY = {Extension.PLAYOUT_DELAY: 5}
MEDIA = 0x71DE0


def limits_ms(value: bytes) -> tuple[int, int]:
    word = int.from_bytes(value)
    return 10 * (word >> 12), 10 * (word & 0xFFF)


def bytes_of(least_ms: int, most_ms: int) -> bytes:
    return (least_ms // 10 << 12 | most_ms // 10).to_bytes(3)


def watched(plane, clock, publisher, listener, *, extensions=PLAYOUT_DELAY, theirs=None):
    """Returns a function that films for some seconds, with so many packets asked for again in
    each, and returns the last packet's limits in ms, None where it has none."""
    ids = {Extension.PLAYOUT_DELAY: 8} if theirs else {}
    slot = listener.add_video_slot(extensions=extensions)
    plane.set_slot_source(slot, publisher.add_video_track(extensions=ids))
    camera = Camera(publisher, 1)
    first = [True]

    def film(seconds: int, *, lost: int = 0) -> tuple[int, int] | None:
        last = None
        for frame in range(seconds * 10):
            camera.frame(key=first[0], extensions={8: theirs} if theirs else None)
            first[0] = False
            clock.turn(after_ms=100)
            received = listener.read()
            last = received.rtp[-1]
            if frame % 10 < lost:
                listener.send_rtcp(nack(MEDIA, [last.sequence]))
            for report in received.rtcp:
                answer(listener, clock, report)
        return limits_ms(last.extensions[5]) if 5 in last.extensions else None

    return film


def answer(listener, clock, report: bytes) -> None:
    """As if 60 ms lay between: the report is said to be held for 60 ms less than it was."""
    if report[1] != 200 or struct.unpack_from("!I", report, 4)[0] != MEDIA:
        return
    middle = struct.unpack_from("!I", report, 10)[0]
    held = -round(0.06 * 65536) & 0xFFFFFFFF
    block = struct.pack("!IIIIII", MEDIA, 0, 0, 0, middle, held)
    listener.send_rtcp(struct.pack("!BBHI", 0x81, 201, 7, 1) + block)


def test_losses_are_waited_for_two_round_trips_and_calm_takes_it_back(plane, clock, connect):
    film = watched(plane, clock, connect("publisher"), connect("listener"))
    assert film(3) is None
    assert film(3, lost=1) is None  # chance
    film(2, lost=3)
    least, most = film(1)
    assert 2 * 60 + 100 <= least <= 2 * 160 + 110  # reports are answered within a turn of 100 ms
    assert most == 10_000
    assert film(25) == (least, most)
    assert film(8) == (0, 10_000)


def test_whoever_publishes_measures_for_themselves(plane, clock, connect):
    listener = connect("listener")
    listener.add_track()
    film = watched(plane, clock, connect("publisher"), listener)
    assert film(5, lost=5) is None


def test_a_listener_that_did_not_negotiate_it_is_not_told(plane, clock, connect):
    film = watched(plane, clock, connect("publisher"), connect("listener"), extensions={})
    assert film(5, lost=5) is None


def test_what_the_publisher_wants_holds_where_it_is_more(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    theirs = bytes_of(700, 900)
    film = watched(plane, clock, publisher, listener, theirs=theirs)
    assert film(2) == (700, 900)
    assert film(4, lost=5) == (700, 900)


def test_a_publisher_that_wants_no_wait_gets_the_least_that_repairs_need(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    film = watched(plane, clock, publisher, listener, theirs=bytes_of(0, 0))
    assert film(2) == (0, 0)
    film(3, lost=5)
    least, most = film(1)
    assert 200 <= least == most <= 500
