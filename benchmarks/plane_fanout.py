"""Fan-out of one mixed track to N listeners, beside bare sendmmsg of the same bytes.

The loop row sends injected 100-byte packets to N real loopback sockets through the running plane:
header, SRTP, sendmmsg. The bare row, in the same run, gives the kernel datagrams of the same size
in the same batches. Both are saturated and nobody reads the sinks, which flatters both alike: the
ratio is the figure, not the rate. It should be 0.8 or more.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import time
from typing import TYPE_CHECKING

from aioice import stun

from kabina.native import _plane
from kabina.native.plane import Extension, Kind, MediaCodec, PayloadType, Plane, SrtpProfile

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "a-password-for-the-benchmark"  # noqa: S105
PAYLOAD_BYTES = 100
ROUNDS = 5


def check(ufrag: str) -> bytes:
    """A signed, nominating ICE check."""
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{ufrag}:remote"
    message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(PASSWORD.encode())
    return bytes(message)


def connect(plane: Plane, profile: SrtpProfile, track: int, count: int) -> list[socket.socket]:
    """`count` joined listeners of the track; their sockets are never read."""
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
        slot = plane.add_slot(
            peer,
            kind=Kind.AUDIO,
            ssrc=i + 1,
            payload_types=(PayloadType(111, MediaCodec.OPUS),),
            clock_rate=48000,
            mid="0",
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


def loop_ns(plane: Plane, probe: _plane.BusProbe, track: int, count: int, packets: int) -> float:
    """CPU nanoseconds of the plane per datagram."""
    before, cpu_before = plane.counters()["rtp_forwarded"], plane.cpu_s
    timestamp = 0
    payload = bytes(PAYLOAD_BYTES)
    for _ in range(packets // count):
        now_ns = time.monotonic_ns()
        while not probe.put(track, payload, rtp_timestamp=timestamp, at_ns=now_ns, audio_level=30):
            time.sleep(0.001)
        timestamp += 960
    while plane.counters()["injected"] * count < timestamp // 960 * count:
        time.sleep(0.001)
    sent_before = -1
    while (sent := plane.counters()["rtp_forwarded"]) != sent_before:
        sent_before = sent
        time.sleep(0.02)
    return (plane.cpu_s - cpu_before) * 1e9 / (sent - before)


def rows(listeners: int = 450, packets: int = 90_000) -> Iterator[dict[str, object]]:
    """One row per profile."""
    for profile in SrtpProfile:
        plane = Plane(host="127.0.0.1", port=0, max_peers=listeners)
        track = plane.add_injected_track(clock_rate=48000)
        plane.start()
        sinks = connect(plane, profile, track, listeners)
        addresses = [sink.getsockname()[1] for sink in sinks]
        probe = _plane.BusProbe(plane.bus)
        # header 12, mid extension 8, tag: what one datagram of the loop weighs.
        wire_bytes = PAYLOAD_BYTES + 20 + (16 if profile is SrtpProfile.AEAD_AES_128_GCM else 10)
        pairs = [port for port in addresses for _ in range(2)]
        loop, bare, paired = [], [], []
        for _ in range(ROUNDS):
            loop.append(loop_ns(plane, probe, track, listeners, packets))
            bare.append(_plane.bare_send_ns(addresses, wire_bytes, packets))
            paired.append(_plane.bare_send_ns(pairs, wire_bytes, packets))
        loop_median, bare_median = statistics.median(loop), statistics.median(bare)
        yield {
            "benchmark": "plane_fanout",
            "profile": profile.name,
            "listeners": listeners,
            "payload_bytes": PAYLOAD_BYTES,
            "loop_ns_per_datagram": round(loop_median),
            "bare_ns_per_datagram": round(bare_median),
            "loop_share_of_bare_rate": round(bare_median / loop_median, 3),
            # Two datagrams to each address in turn: UDP_SEGMENT pairs where the kernel has it.
            "bare_pairs_ns_per_datagram": round(statistics.median(paired)),
            "pairs_rate_of_bare_rate": round(bare_median / statistics.median(paired), 3),
            "k_datagrams_per_core_s": round(1e6 / loop_median),
            "scheduling": plane.scheduling,
        }
        plane.stop()
        for sink in sinks:
            sink.close()


def main() -> None:
    """Prints one JSON line per profile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listeners", type=int, default=450)
    parser.add_argument("--packets", type=int, default=90_000)
    options = parser.parse_args()
    for row in rows(options.listeners, options.packets):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
