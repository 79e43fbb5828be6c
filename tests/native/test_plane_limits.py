"""What one peer may send per second, and that others do not notice when it sends more."""

from __future__ import annotations

from kabina_sim.plane_client import Camera, Speaker


def test_a_voice_has_1000_packets_at_once_and_2000_a_second(plane, clock, connect):
    publisher, listener = connect("publisher"), connect("listener")
    plane.set_slot_source(listener.add_slot(), publisher.add_track())
    speaker = Speaker(publisher, 1)
    heard = 0
    for after_ms in (0, 400, 100):
        clock.turn(after_ms=after_ms)
        for _ in range(24):
            for _ in range(50):
                speaker.speak()
            clock.turn()
            heard += len(listener.read().rtp)
    assert heard == 1000 + 800 + 200
    counters = plane.counters()
    assert counters["rtp_limited"] + counters["srtp_limited"] == 3 * 1200 - heard


def test_a_peer_has_2000_datagrams_at_once_and_5000_a_second_before_they_are_decrypted(
    plane, clock, connect
):
    flooder, publisher, listener = connect("flooder"), connect("publisher"), connect("listener")
    flooder.add_video_track(ssrcs=(7,))
    plane.set_slot_source(listener.add_slot(), publisher.add_track())
    camera, speaker = Camera(flooder, 7), Speaker(publisher, 1)
    heard = 0
    for _ in range(50):
        camera.frame(packets=60)
        speaker.speak()
        clock.turn()
        heard += len(listener.read().rtp)
    counters = plane.counters()
    assert counters["srtp_limited"] == 1000
    assert counters["rtp_received"] == 2000 + 50
    assert heard == 50
    clock.turn(after_ms=100)
    for _ in range(10):
        camera.frame(packets=60)
        clock.turn()
    assert plane.counters()["srtp_limited"] == 1100
