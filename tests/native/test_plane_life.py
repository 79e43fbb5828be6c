"""Start, stop, capacity, handles, memory: the plane as a resource."""

from __future__ import annotations

import gc
import os
import select
import socket
import threading
import time
from pathlib import Path

import pytest

from kabina.native import _plane
from kabina.native.plane import (
    Extension,
    Kind,
    MediaCodec,
    Nominated,
    PayloadType,
    Plane,
    PlaneError,
    PlaneFullError,
    PlaneHandleError,
    PlaneKeysError,
    PlaneSetupError,
    SrtpProfile,
)
from kabina_sim.plane_client import Client, Speaker


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_the_thread_serves_real_time_and_stops_at_once(egress_threads):
    plane = Plane(host="127.0.0.1", port=0, max_peers=8, egress_threads=egress_threads)
    publisher, listener = Client(plane, "publisher"), Client(plane, "listener")
    plane.set_slot_source(listener.add_slot(), publisher.add_track())
    plane.start()
    for client in (publisher, listener):
        client.join()
        assert select.select([client.socket], [], [], 5)[0]
        client.read()
    plane.flush()
    assert select.select([plane.event_fd], [], [], 5)[0]
    assert {event.peer for event in plane.poll()} == {publisher.peer, listener.peer}
    assert not select.select([plane.event_fd], [], [], 0)[0]
    said = Speaker(publisher, 1).speak()
    assert select.select([listener.socket], [], [], 5)[0]
    assert listener.read().rtp[0].payload == said
    assert plane.scheduling in ("fifo", "normal")
    while plane.egress_scheduling == "stopped":  # one that has had nothing to do may yet begin
        time.sleep(0.001)
    assert plane.egress_scheduling == (plane.scheduling if egress_threads else "none")
    assert plane.cpu_s > 0
    with pytest.raises(PlaneError):
        plane.turn(1)
    plane.stop()
    plane.stop()
    assert plane.scheduling == "stopped"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", plane.port))
    plane.remove_peer(publisher.peer)  # still works, at once
    with pytest.raises(OSError, match="did not start"):
        plane.start()
    publisher.close()
    listener.close()


def test_a_taken_port_is_an_os_error_and_leaks_nothing():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        gc.collect()
        before = descriptors()
        with pytest.raises(OSError, match="in use"):
            Plane(host="127.0.0.1", port=taken.getsockname()[1])
        gc.collect()
        assert descriptors() == before


def test_peers_cost_no_threads_and_no_descriptors(egress_threads):
    gc.collect()
    plane = Plane(host="127.0.0.1", port=0, max_peers=1000, egress_threads=egress_threads)
    plane.start()
    before = descriptors(), len(os.listdir("/proc/self/task"))
    for i in range(1000):
        plane.add_peer(local_ufrag=f"u{i:04d}", local_password="p" * 22)
    plane.flush()
    assert (descriptors(), len(os.listdir("/proc/self/task"))) == before
    plane.stop()


def test_a_collected_plane_gives_back_its_thread_and_descriptors(egress_threads):
    gc.collect()
    before = descriptors(), len(os.listdir("/proc/self/task"))
    plane = Plane(host="127.0.0.1", port=0, max_peers=8, egress_threads=egress_threads)
    plane.start()
    bus = plane.bus
    del plane
    gc.collect()
    assert _plane.BusProbe(bus).take() == []  # whoever holds the capsule keeps the bus
    del bus
    gc.collect()
    assert (descriptors(), len(os.listdir("/proc/self/task"))) == before


def test_a_full_plane_says_so_and_has_room_again_after_a_removal(plane):
    peers = [plane.add_peer(local_ufrag=f"u{i:04d}", local_password="p" * 22) for i in range(64)]
    with pytest.raises(PlaneFullError) as caught:
        plane.add_peer(local_ufrag="more", local_password="p" * 22)
    assert caught.value.code == "plane.full"
    plane.remove_peer(peers[10])
    again = plane.add_peer(local_ufrag="more", local_password="p" * 22)
    assert again not in peers
    assert len({peer & 0xFFFF for peer in [*peers, again]}) == 64


def test_a_removed_peer_takes_its_tracks_and_slots_along(plane, clock, connect):
    client = connect("client")
    track, slot = client.add_track(), client.add_slot()
    plane.remove_peer(client.peer)
    plane.remove_peer(client.peer)
    plane.remove_track(track)
    plane.remove_slot(slot)
    plane.send(client.peer, b"\x16")
    for call in (
        lambda: plane.feed_mix(track, 1),
        lambda: plane.set_slot_source(slot, 0),
        lambda: plane.peer_readings(client.peer),
        lambda: plane.track_readings(track),
        lambda: plane.slot_readings(slot),
        lambda: client.add_slot(),
    ):
        with pytest.raises(PlaneHandleError):
            call()
    assert plane.counters()["commands_stale"] == 0


def test_values_out_of_range_are_refused_before_they_reach_c(plane):
    peer = plane.add_peer(local_ufrag="abcd", local_password="p" * 22)
    opus = PayloadType(111, MediaCodec.OPUS)
    track = {
        "kind": Kind.AUDIO, "clock_rate": 48000, "mid": "0", "extensions": {Extension.MID: 1},
        "ssrcs": [1], "payload_types": [opus],
    }  # fmt: skip
    for bad in (
        {"clock_rate": 0}, {"mid": "m" * 17}, {"extensions": {Extension.MID: 15}},
        {"extensions": {Extension.MID: -1}}, {"extensions": {Extension.RID: 256}},
        {"ssrcs": range(9)}, {"ssrcs": [2**32]}, {"rtx_ssrcs": {1: 2**32}},
        {"payload_types": [PayloadType(128, MediaCodec.OPUS)]}, {"payload_types": [opus] * 17},
        {"payload_types": [PayloadType(96, MediaCodec.VP8, 128)]}, {"rids": ["a", "b", "c", "d"]},
        {"rids": [""]},
    ):  # fmt: skip
        with pytest.raises(PlaneSetupError):
            plane.add_track(peer, **{**track, **bad})
    plane.add_track(peer, **track)
    with pytest.raises(PlaneSetupError, match="two meanings"):
        plane.add_track(peer, **{**track, "extensions": {Extension.RID: 1}})
    slot = {
        "kind": Kind.AUDIO, "ssrc": 1, "payload_types": [opus], "clock_rate": 48000, "mid": "0",
        "extensions": {}, "cname": "c",
    }  # fmt: skip
    for bad in (
        {"ssrc": -1}, {"payload_types": [PayloadType(128, MediaCodec.OPUS)]}, {"cname": ""},
        {"cname": "c" * 65}, {"payload_types": []}, {"payload_types": [opus, opus]},
        {"rtx_ssrc": 1},
    ):  # fmt: skip
        with pytest.raises(PlaneSetupError):
            plane.add_slot(peer, **{**slot, **bad})
    video = plane.add_slot(
        peer, **{**slot, "kind": Kind.VIDEO, "payload_types": [PayloadType(96, MediaCodec.VP8)]}
    )
    with pytest.raises(PlaneSetupError, match="another kind"):
        plane.set_slot_source(video, plane.add_track(peer, **track))
    with pytest.raises(PlaneSetupError):
        plane.limit_slot(video, layer=256)
    for ufrag, password in (("abc", "p" * 22), ("abcde", "p" * 21), ("u" * 65, "p" * 22)):
        with pytest.raises(PlaneSetupError):
            plane.add_peer(local_ufrag=ufrag, local_password=password)
    with pytest.raises(PlaneSetupError, match="in use"):
        plane.add_peer(local_ufrag="abcd", local_password="p" * 22)
    with pytest.raises(PlaneSetupError):
        plane.send(peer, bytes(1501))


def test_nothing_can_make_a_nonce_return(plane):
    """Keys once per peer, an SSRC once per peer, also after the slot is gone."""
    peer = plane.add_peer(local_ufrag="abcd", local_password="p" * 22)
    keys = {"profile": SrtpProfile.AEAD_AES_128_GCM, "transmit": bytes(28), "receive": bytes(28)}
    with pytest.raises(PlaneKeysError):
        plane.set_keys(peer, **{**keys, "transmit": bytes(30)})
    plane.set_keys(peer, **keys)
    with pytest.raises(PlaneKeysError):
        plane.set_keys(peer, **keys)
    slot = {
        "kind": Kind.AUDIO, "payload_types": [PayloadType(111, MediaCodec.OPUS)],
        "clock_rate": 48000, "mid": "", "extensions": {}, "cname": "c",
    }  # fmt: skip
    plane.remove_slot(plane.add_slot(peer, ssrc=7, **slot))
    with pytest.raises(PlaneSetupError, match="SSRC"):
        plane.add_slot(peer, ssrc=7, **slot)


def test_commands_from_many_threads_are_all_applied(egress_threads):
    plane = Plane(host="127.0.0.1", port=0, max_peers=4000, egress_threads=egress_threads)
    plane.start()

    def churn(name: int) -> None:
        for i in range(500):
            peer = plane.add_peer(local_ufrag=f"{name}-{i:05d}", local_password="p" * 22)
            plane.set_keys(
                peer,
                profile=SrtpProfile.AEAD_AES_128_GCM,
                transmit=bytes(28),
                receive=bytes(28),
            )
            plane.remove_peer(peer)

    threads = [threading.Thread(target=churn, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    plane.flush(10)
    assert plane.counters()["commands_applied"] == 4 * 500 * 3
    assert plane.counters()["commands_stale"] == 0
    assert plane.counters()["peers"] == 0
    plane.stop()


def test_the_readings_of_a_peer_count_what_it_sent_and_got(plane, clock, connect):
    client = connect("client")
    client.add_track()
    speaker = Speaker(client, 1)
    for _ in range(3):
        speaker.speak()
    client.send(bytes([0x80, 111]) + bytes(60))
    clock.turn()
    readings = plane.peer_readings(client.peer)
    assert readings.packets_received == 4
    assert readings.unauthenticated == 1
    assert readings.paths == 1
    assert readings.nominations == 1
    assert readings.last_heard_ms == 0
    assert plane.poll()[0] == Nominated(client.peer)
