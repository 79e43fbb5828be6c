"""Fan-out of one track to N listeners through the running plane, beside bare sendmmsg.

The loop sends injected packets to N real loopback sockets: header, SRTP, sendmmsg. The bare one, in
the same run, gives the kernel datagrams of the same size in the same batches, one to each address
in turn. Both are saturated and nobody reads the sinks, which flatters both alike: the share is the
figure, not the rate; the goals are 0.8, and 1.25 with two datagrams to each address per batch (a
listener with two slots), which go as one message where the kernel has UDP_SEGMENT.

With egress threads `plane_ns` is what the plane's own thread needs per datagram: how many it could
feed. `loop_ns` is what all of them need.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aioice import stun

from kabina.benchmarks.conditions import egress_threads
from kabina.native import _plane
from kabina.native.plane import Extension, Kind, MediaCodec, PayloadType, Plane, SrtpProfile

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "a-password-for-the-benchmark"  # noqa: S105
LISTENERS, ROUNDS = 450, 5
# With egress threads: what may be on the way, less than half of what their rings hold.
UNSENT_MOST = 2000


@dataclass(frozen=True, slots=True)
class Case:
    """What one row measures."""

    profile: SrtpProfile
    listeners: int
    payload_bytes: int
    slots: int

    @property
    def per_packet(self) -> int:
        """Datagrams that one injected packet becomes."""
        return self.listeners * self.slots

    @property
    def wire_bytes(self) -> int:
        """Of one datagram of the loop: header 12, mid extension 8, payload, tag."""
        tag = 16 if self.profile is SrtpProfile.AEAD_AES_128_GCM else 10
        return self.payload_bytes + 20 + tag


def check(ufrag: str) -> bytes:
    """A signed, nominating ICE check."""
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{ufrag}:remote"
    message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(PASSWORD.encode())
    return bytes(message)


def connect(
    plane: Plane, profile: SrtpProfile, track: int, count: int, slots: int
) -> list[socket.socket]:
    """`count` joined listeners, each with `slots` of the track; their sockets are never read."""
    sinks = []
    for i in range(count):
        ufrag = f"listener-{i}"
        peer = plane.add_peer(local_ufrag=ufrag, local_password=PASSWORD)
        key = i.to_bytes(4, "big") * 8
        plane.set_keys(
            peer,
            profile=profile,
            transmit=key[: profile.key_bytes],
            receive=key[: profile.key_bytes],
        )
        for number in range(slots):
            slot = plane.add_slot(
                peer,
                kind=Kind.AUDIO,
                ssrc=i * slots + number + 1,
                payload_types=(PayloadType(111, MediaCodec.OPUS),),
                clock_rate=48000,
                mid=str(number),
                extensions={Extension.MID: 1},
                cname="bench",
            )
            plane.set_slot_source(slot, track)
        plane.flush()
        sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sink.bind(("127.0.0.1", 0))
        sink.settimeout(5)
        sink.sendto(check(ufrag), ("127.0.0.1", plane.port))
        sink.recv(2048)
        sinks.append(sink)
    return sinks


def loop_ns(
    plane: Plane, probe: _plane.BusProbe, track: int, case: Case, packets: int
) -> tuple[float, float]:
    """CPU nanoseconds per datagram: of the plane's own thread, of the egress threads."""
    threads = len(plane.egress_cpu_s)
    counted = "datagrams_sent" if threads else "rtp_forwarded"
    before, cpu_before = plane.counters()[counted], _cpu_s(plane)
    wanted = before + packets // case.per_packet * case.per_packet
    payload, timestamp = bytes(case.payload_bytes), 0
    for number in range(packets // case.per_packet):
        least = before + number * case.per_packet - UNSENT_MOST
        while threads and plane.counters()[counted] < least:
            time.sleep(0.0002)
        now_ns = time.monotonic_ns()
        while not probe.put(track, payload, rtp_timestamp=timestamp, at_ns=now_ns, audio_level=30):
            time.sleep(0.001)
        timestamp += 960
    deadline = time.monotonic() + 60
    while (sent := plane.counters()[counted]) < wanted and time.monotonic() < deadline:
        time.sleep(0.001)
    own, egress = (
        (after - was) * 1e9 / (sent - before)
        for after, was in zip(_cpu_s(plane), cpu_before, strict=True)
    )
    return own, egress


def _cpu_s(plane: Plane) -> tuple[float, float]:
    return plane.cpu_s, sum(plane.egress_cpu_s)


def rows(listeners: int = LISTENERS, packets: int = 90_000) -> Iterator[dict[str, object]]:
    """One row per profile, size and number of slots that a listener has."""
    for profile in SrtpProfile:
        for payload_bytes, slots in ((100, 1), (1200, 1), (100, 2)):
            yield _row(Case(profile, listeners, payload_bytes, slots), packets)


def _row(case: Case, packets: int) -> dict[str, object]:
    plane = Plane(
        host="127.0.0.1", port=0, max_peers=case.listeners, egress_threads=egress_threads()
    )
    track = plane.add_injected_track(clock_rate=48000)
    plane.start()
    sinks = connect(plane, case.profile, track, case.listeners, case.slots)
    addresses = [sink.getsockname()[1] for sink in sinks]
    probe = _plane.BusProbe(plane.bus)
    loop: list[tuple[float, float]] = []
    bare: list[float] = []
    try:
        for _ in range(ROUNDS):
            loop.append(loop_ns(plane, probe, track, case, packets))
            bare.append(_plane.bare_send_ns(addresses, case.wire_bytes, packets))
    finally:
        scheduling, lost = plane.scheduling, plane.counters()["egress_overrun"]
        plane.stop()
        for sink in sinks:
            sink.close()
    loop_median, bare_median = statistics.median(map(sum, loop)), statistics.median(bare)
    return {
        "profile": case.profile.name,
        "payload_bytes": case.payload_bytes,
        "slots_each": case.slots,
        "listeners": case.listeners,
        "loop_ns": round(loop_median),
        "plane_ns": round(statistics.median(own for own, _ in loop)),
        "bare_ns": round(bare_median),
        "share_of_bare_rate": round(bare_median / loop_median, 3),
        "k_datagrams_per_core_s": round(1e6 / loop_median),
        "egress_overrun": lost,
        "scheduling": scheduling,
    }


def main() -> None:
    """Prints one JSON line per row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listeners", type=int, default=LISTENERS)
    parser.add_argument("--packets", type=int, default=90_000)
    options = parser.parse_args()
    for row in rows(options.listeners, options.packets):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
