"""Random meetings in virtual time: whatever happens, no index leaves twice and all of it decrypts.

`KABINA_MODEL_SEEDS=500` plays more of them, `KABINA_MODEL_FIRST=17` begins at that seed. A seed is
the meeting's; the plane's own first numbers are random in every run.
"""

from __future__ import annotations

import itertools
import os
import random
import struct
from dataclasses import dataclass, field

import pytest
from pylibsrtp import Error as SrtpError

from kabina.native import _plane
from kabina.native.plane import ANY_LAYER, Extension, Kind, MediaCodec, PayloadType, SrtpProfile
from kabina.native.plane import Plane as NativePlane
from kabina_sim.plane_client import (
    MS,
    Camera,
    Client,
    Clock,
    header_extensions,
    make_rtp,
    nack,
    pli,
    read_feedback,
    remb,
    transport_feedback,
)

FIRST = int(os.environ.get("KABINA_MODEL_FIRST", "0"))
SEEDS = int(os.environ.get("KABINA_MODEL_SEEDS", "20"))
STEPS, MOST_PEERS, TICK_MS, TWCC_ID = 60, 6, 10, 6
OPUS_IN, RED_IN, OPUS_OUT, RED_OUT = 111, 63, 109, 60
RIDS = (b"q", b"h", b"f")
# What no step of a model may cause: a refused index counts as `protect_failed`.
NEVER = ("protect_failed", "egress_overrun", "sends_failed")
# What the steps together must have caused: otherwise the model tests less than it says.
REACHED = (
    "rtp_forwarded", "video_held", "video_dropped", "video_thinned",
    "red_received", "red_recovered", "red_sent", "red_malformed", "rtp_empty", "rtp_late",
    "rtx_received", "rtp_resent", "resends_unknown", "resends_left", "probes_sent", "nacks_sent",
    "plis_sent", "source_changes",
)  # fmt: skip


def ahead(new: int, old: int, bits: int) -> int:
    """How far `new` is ahead of `old` in a circle of so many bits; negative when behind."""
    half = 1 << bits - 1
    return (new - old + half) % (2 * half) - half


@dataclass
class Wire:
    """What left to one SSRC of one listener, by extended index (ROC ‖ sequence)."""

    newest: int = -1
    sent: dict[int, bytes] = field(default_factory=dict)  # the datagrams, encrypted
    timestamps: dict[int, int] = field(default_factory=dict)

    def add(self, datagram: bytes) -> int:
        sequence, timestamp = struct.unpack_from("!HI", datagram, 2)
        if self.newest < 0:
            self.newest = sequence
        index = self.newest + ahead(sequence, self.newest & 0xFFFF, 16)
        self.newest = max(self.newest, index)
        # One nonce: a second datagram is the first one again, header and all, or gives the key away.
        assert self.sent.setdefault(index, datagram) == datagram, f"index {index} left twice"
        self.timestamps[index] = timestamp
        return index

    def assert_time_goes_on(self) -> None:
        """In the order of the numbers, which is the senders', whatever overtook what on its way."""
        ordered = sorted(self.timestamps.items())
        for (_, before), (index, after) in itertools.pairwise(ordered):
            assert ahead(after, before, 32) >= 0, f"index {index} plays before the one before it"


@dataclass
class Voice:
    """Opus packets, plain or with the copies of those before them in RED."""

    client: Client
    ssrc: int
    sequence: int
    timestamp: int
    said: list[tuple[int, bytes]] = field(default_factory=list)  # (timestamp, packet)
    late: list[bytes] = field(default_factory=list)  # RTP of what is lost so far

    def speak(self, rng: random.Random, *, distance: int, lose: bool, size: int) -> None:
        packet = bytes([0x78]) + rng.randbytes(size)
        copies = [
            (self.timestamp - at & 0xFFFFFFFF, data) for at, data in self.said[-distance:]
        ] if distance else []  # fmt: skip
        copies = [
            (offset, data) for offset, data in copies if offset < 1 << 14 and len(data) < 1024
        ]
        payload = packet
        if distance:
            heads = b"".join(
                struct.pack("!I", 1 << 31 | OPUS_IN << 24 | offset << 10 | len(data))
                for offset, data in copies
            )
            payload = heads + bytes([OPUS_IN]) + b"".join(data for _, data in copies) + packet
        rtp = make_rtp(
            payload[:1300],
            sequence=self.sequence,
            timestamp=self.timestamp,
            ssrc=self.ssrc,
            payload_type=RED_IN if distance else OPUS_IN,
            mid=b"0",
            level=rng.randrange(128),
        )
        self.said = [*self.said[-8:], (self.timestamp, packet)]
        self.step()
        if lose:
            self.late = [*self.late[-20:], rtp]
        else:
            send(self.client, rtp)

    def step(self, frames: int = 1) -> None:
        self.sequence = self.sequence + 1 & 0xFFFF
        self.timestamp = self.timestamp + 960 * frames & 0xFFFFFFFF

    def odd(self, rng: random.Random) -> None:
        """Padding alone, nothing, RED of nothing, RED that lies about its lengths."""
        kind = rng.randrange(5)
        payload = (
            b"\0\0\0\4",
            b"",
            struct.pack("!IB", 1 << 31 | OPUS_IN << 24 | 960 << 10, OPUS_IN),
            struct.pack("!IB", 1 << 31 | OPUS_IN << 24 | 960 << 10 | 1023, OPUS_IN) + b"ab",
            rng.randbytes(rng.randrange(1, 60)),
        )[kind]
        rtp = bytearray(
            make_rtp(
                payload, sequence=self.sequence, timestamp=self.timestamp, ssrc=self.ssrc,
                payload_type=RED_IN if kind > 1 else OPUS_IN, mid=b"0",
            )
        )  # fmt: skip
        rtp[0] |= 0x20 if kind == 0 else 0
        send(self.client, bytes(rtp))
        self.step()


def send(client: Client, rtp: bytes) -> None:
    """As a sender does it, whose library refuses what would repeat its own nonces."""
    try:
        client.send(client.transmit.protect(rtp))
    except SrtpError:
        pass


@dataclass
class Peer:
    """One who speaks, shows three layers, and listens and watches behind a path of some rate."""

    client: Client
    rng: random.Random
    rate_bps: int
    loss: float
    tracks: dict[Kind, int] = field(default_factory=dict)
    slots: dict[int, Kind] = field(default_factory=dict)
    ssrcs: dict[int, int] = field(default_factory=dict)  # media SSRC by slot
    repeats: set[int] = field(default_factory=set)  # SSRCs of retransmissions
    wires: dict[int, Wire] = field(default_factory=dict)
    reports: set[tuple[int, int]] = field(default_factory=set)
    voice: Voice | None = None
    cameras: list[Camera] = field(default_factory=list)
    keys: set[int] = field(default_factory=set)  # SSRCs that are asked for one
    lost_at: dict[tuple[int, int], int] = field(default_factory=dict)
    next_ssrc: int = 0x1000
    free_ms: float = 0
    arrivals: dict[int, float | None] = field(default_factory=dict)
    told: int = 0
    seen_twcc: int = -1

    def publish(self, plane: NativePlane) -> None:
        client, rng = self.client, self.rng
        self.tracks[Kind.AUDIO] = plane.add_track(
            client.peer, kind=Kind.AUDIO, clock_rate=48000, mid="0", nack=rng.random() < 0.5,
            extensions={Extension.MID: 1, Extension.AUDIO_LEVEL: 2},
            payload_types=(
                PayloadType(RED_IN, MediaCodec.RED), PayloadType(OPUS_IN, MediaCodec.OPUS)
            ),
        )  # fmt: skip
        self.tracks[Kind.VIDEO] = client.add_video_track(rids=[rid.decode() for rid in RIDS])
        self.voice = Voice(client, rng.getrandbits(32), rng.randrange(65000, 65536),
                           0xFFFFFFFF - rng.randrange(200000))  # fmt: skip
        self.cameras = [
            Camera(
                client, rng.getrandbits(32), rid=rid, rtx_ssrc=rng.getrandbits(32),
                sequence=rng.randrange(65400, 65536), timestamp=0xFFFFFFFF - rng.randrange(400000),
            )
            for rid in RIDS
        ]  # fmt: skip
        self.keys = {camera.ssrc for camera in self.cameras}

    def subscribe(self, plane: NativePlane, kind: Kind) -> None:
        extensions = {Extension.MID: 1}
        if self.rng.random() < 0.8:
            extensions[Extension.TRANSPORT_CC] = TWCC_ID
        ssrc, rtx = self.next_ssrc, self.next_ssrc + 1
        self.next_ssrc += 2
        mid = f"s{ssrc}"
        if kind is Kind.VIDEO:
            rtx = rtx if self.rng.random() < 0.8 else 0
            slot = self.client.add_video_slot(
                ssrc=ssrc, rtx_ssrc=rtx, mid=mid, extensions=extensions
            )
            self.repeats.add(rtx)
        else:
            types = [PayloadType(RED_OUT, MediaCodec.RED), PayloadType(OPUS_OUT, MediaCodec.OPUS)]
            slot = plane.add_slot(
                self.client.peer, kind=kind, ssrc=ssrc, clock_rate=48000, mid=mid, cname="c",
                payload_types=types[self.rng.randrange(2) :], nack=self.rng.random() < 0.7,
                extensions=extensions | {Extension.AUDIO_LEVEL: 2},
            )  # fmt: skip
        self.slots[slot], self.ssrcs[slot] = kind, ssrc

    def read(self, now_ms: float) -> int:
        count = 0
        for datagram in self.client.datagrams():
            count += 1
            if datagram[0] < 64:
                continue
            if 192 <= datagram[1] <= 223:
                self.control(datagram)
                continue
            ssrc = int.from_bytes(datagram[8:12], "big")
            self.wires.setdefault(ssrc, Wire()).add(datagram)
            packet = self.client.receive.unprotect(datagram)  # raises when it does not decrypt
            assert _plane.parse_rtp(packet, 1, 2) is not None
            assert ssrc in self.repeats or ssrc < self.next_ssrc
            self.arrive(packet, now_ms)
        return count

    def control(self, datagram: bytes) -> None:
        tag = 4 if self.client.profile is SrtpProfile.AEAD_AES_128_GCM else 14
        index = int.from_bytes(datagram[-tag:][:4], "big")
        key = int.from_bytes(datagram[4:8], "big"), index
        assert key not in self.reports, "an SRTCP index left twice"
        self.reports.add(key)
        feedback = read_feedback([self.client.receive.unprotect_rtcp(datagram)])
        self.keys.update(feedback.plis)
        for ssrc, sequence in feedback.nacks:
            self.repair(ssrc, sequence)

    def repair(self, ssrc: int, sequence: int) -> None:
        for camera in self.cameras:
            if camera.ssrc == ssrc and sequence in camera.lost and self.rng.random() < 0.8:
                timestamp = self.lost_at.get((ssrc, sequence), 0)
                if self.rng.random() < 0.7:
                    camera.repair(sequence, timestamp=timestamp)
                else:  # late, not lost
                    send(self.client, make_rtp(
                        camera.lost.pop(sequence), sequence=sequence, timestamp=timestamp,
                        ssrc=ssrc, payload_type=96, mid=camera.mid, extensions={3: camera.rid},
                    ))  # fmt: skip

    def arrive(self, packet: bytes, now_ms: float) -> None:
        """Through a bottleneck of 150 ms: when it came, for transport feedback."""
        number = header_extensions(packet).get(TWCC_ID)
        gone = self.rng.random() < self.loss
        if self.rate_bps:
            begin_ms = max(now_ms, self.free_ms)
            gone = gone or begin_ms - now_ms > 150
            if not gone:
                self.free_ms = now_ms = begin_ms + len(packet) * 8000 / self.rate_bps
        if number is None:
            return
        value = int.from_bytes(number, "big")
        if self.seen_twcc < 0:
            self.seen_twcc = value
        self.seen_twcc += max(0, ahead(value, self.seen_twcc & 0xFFFF, 16))
        at = self.seen_twcc + ahead(value, self.seen_twcc & 0xFFFF, 16)
        self.arrivals[at] = None if gone else now_ms

    def report(self, now_ms: float) -> None:
        came = [n for n, at in self.arrivals.items() if at is not None and at <= now_ms]
        if not came:
            return
        first, last = min(came), max(came)
        if last - first < 600:
            times = [self.arrivals.get(n) for n in range(first, last + 1)]
            self.client.send_rtcp(transport_feedback(first, times, number=self.told))
            self.told += 1
        self.arrivals = {n: at for n, at in self.arrivals.items() if n > last}

    def film(self, *, lossy: float) -> None:
        for layer, camera in enumerate(self.cameras):
            packets, size = ((1, 300), (2, 700), (5, 1100))[layer]
            if self.rng.random() < 0.05:
                packets, size = self.rng.randrange(1, 40), self.rng.choice((14, 900, 1300))
            first, timestamp = camera.sequence, camera.timestamp
            key = camera.ssrc in self.keys or self.rng.random() < 0.01
            self.keys.discard(camera.ssrc)
            lose = tuple(i for i in range(packets) if self.rng.random() < lossy)
            try:
                camera.frame(key=key, packets=packets, size=size, lose=lose,
                             optional=self.rng.random() < 0.3)  # fmt: skip
            except SrtpError:
                continue
            for i in lose:
                self.lost_at[camera.ssrc, (first + i) & 0xFFFF] = timestamp


class Model:
    def __init__(self, seed: int, egress_threads: int) -> None:
        self.rng = random.Random(seed)
        self.plane = NativePlane(
            host="127.0.0.1", port=0, max_peers=16, egress_threads=egress_threads
        )
        self.clock = Clock(self.plane)
        self.peers: list[Peer] = []
        self.gone: list[Peer] = []
        self.names = 0
        self.ticks = 0
        self.lossy = 0.0
        self.clocks_jump = seed % 2 == 1  # else time goes on for every listener

    def close(self) -> None:
        self.plane.stop()
        for peer in (*self.peers, *self.gone):
            peer.client.close()

    # --- steps

    def join(self) -> None:
        if len(self.peers) == MOST_PEERS:
            return
        self.names += 1
        rng = random.Random(self.rng.random())
        client = Client(self.plane, f"peer {self.names}", profile=rng.choice(list(SrtpProfile)))
        client.join()
        rate_bps = rng.choice((0, 300_000, 800_000, 2_000_000))
        peer = Peer(client, rng, rate_bps, rng.choice((0, 0.02, 0.2)))
        peer.publish(self.plane)
        for kind in (Kind.AUDIO, Kind.VIDEO, rng.choice((Kind.AUDIO, Kind.VIDEO))):
            peer.subscribe(self.plane, kind)
        self.peers.append(peer)
        for other in self.peers:
            for slot in other.slots:
                if rng.random() < 0.7:
                    self.source(other, slot)

    def leave(self) -> None:
        if len(self.peers) < 3:
            return
        peer = self.peers.pop(self.rng.randrange(len(self.peers)))
        self.plane.remove_peer(peer.client.peer)
        self.clock.turn()  # released
        peer.read(self.now_ms)
        self.gone.append(peer)

    def source(self, peer: Peer, slot: int) -> None:
        track = self.rng.choice(self.peers).tracks.get(peer.slots[slot], 0)
        self.plane.set_slot_source(slot, track if self.rng.random() < 0.9 else 0)

    def any_slot(self) -> tuple[Peer, int] | None:
        every = [(peer, slot) for peer in self.peers for slot in peer.slots]
        return self.rng.choice(every) if every else None

    def change_source(self) -> None:
        if found := self.any_slot():
            self.source(*found)

    def limit(self) -> None:
        if found := self.any_slot():
            self.plane.limit_slot(
                found[1],
                layer=self.rng.choice((0, 1, 2, ANY_LAYER)),
                paused=self.rng.random() < 0.4,
            )

    def replace_slot(self) -> None:
        if found := self.any_slot():
            peer, slot = found
            self.plane.remove_slot(slot)
            kind = peer.slots.pop(slot)
            del peer.ssrcs[slot]
            peer.subscribe(self.plane, kind)
            self.source(peer, list(peer.slots)[-1])

    def replace_tracks(self) -> None:
        peer = self.rng.choice(self.peers)
        for track in peer.tracks.values():
            self.plane.remove_track(track)
        peer.publish(self.plane)
        for _ in range(3):
            self.change_source()

    def change_ssrc(self) -> None:
        peer = self.rng.choice(self.peers)
        stream = self.rng.choice([peer.voice, *peer.cameras])
        stream.ssrc = self.rng.getrandbits(32)
        stream.sequence = self.rng.getrandbits(16)
        stream.timestamp = self.rng.getrandbits(32)
        peer.keys.add(stream.ssrc)

    def jump(self) -> None:
        peer = self.rng.choice(self.peers)
        stream = self.rng.choice([peer.voice, *peer.cameras])
        if self.rng.random() < 0.7:
            more = self.rng.choice((-1, 3, 70, 1000, 20000))
            stream.sequence = stream.sequence + more & 0xFFFF
        if self.clocks_jump and self.rng.random() < 0.7:
            more = self.rng.choice((-960, 48000, 10**6, 1 << 31))
            stream.timestamp = stream.timestamp + more & 0xFFFFFFFF

    def late_sound(self) -> None:
        for peer in self.peers:
            while peer.voice.late and self.rng.random() < 0.8:
                send(peer.client, peer.voice.late.pop(self.rng.randrange(len(peer.voice.late))))

    def odd_sound(self) -> None:
        self.rng.choice(self.peers).voice.odd(self.rng)

    def silence(self) -> None:
        self.rng.choice(self.peers).voice.step(self.rng.choice((0, 1, 20, 50)))

    def ask(self) -> None:
        """Once more what was sent, and what never was."""
        if not (found := self.any_slot()):
            return
        peer, slot = found
        ssrc = peer.ssrcs[slot]
        if ssrc not in peer.wires:
            return
        newest = peer.wires[ssrc].newest
        asked = {newest - self.rng.randrange(-3, 60) for _ in range(self.rng.randrange(1, 20))}
        for _ in range(self.rng.choice((1, 1, 3))):
            peer.client.send_rtcp(nack(ssrc, [sequence & 0xFFFF for sequence in asked]))
            self.turn()
        if self.rng.random() < 0.3:
            peer.client.send_rtcp(pli(ssrc))
        if self.rng.random() < 0.3:
            peer.client.send_rtcp(remb(self.rng.choice((30_000, 400_000, 5_000_000)), ssrc))

    def change_path(self) -> None:
        peer = self.rng.choice(self.peers)
        peer.rate_bps = self.rng.choice((0, 80_000, 300_000, 800_000, 2_000_000))
        peer.loss = self.rng.choice((0, 0.02, 0.2))

    def move(self) -> None:
        peer = self.rng.choice(self.peers)
        peer.read(self.now_ms)
        old = peer.client.move()
        peer.client.send(bytes(peer.client.check()))
        old.close()

    def change_loss(self) -> None:
        self.lossy = self.rng.choice((0, 0, 0.03, 0.2))

    # --- time

    @property
    def now_ms(self) -> float:
        return self.clock.now_ns / MS

    def turn(self, *, after_ms: float = 0) -> None:
        self.clock.turn(after_ms=after_ms)
        for peer in self.peers:
            peer.read(self.now_ms)
        for peer in self.gone:
            assert peer.read(self.now_ms) == 0, "it left to one who is gone"

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self.ticks += 1
            for peer in self.peers:
                if self.ticks % 2 == 0:
                    distance = self.rng.choice((0, 1, 1, 2))
                    size = self.rng.choice((0, 1, 60, 120, 400, 1150))
                    lose = self.rng.random() < self.lossy
                    peer.voice.speak(self.rng, distance=distance, lose=lose, size=size)
                if self.ticks % 3 == 0:
                    peer.film(lossy=self.lossy)
                if self.ticks % 100 == 0:
                    peer.client.send(bytes(peer.client.check()))
            self.turn(after_ms=TICK_MS)
            if self.ticks % 5 == 0:
                for peer in self.peers:
                    peer.report(self.now_ms)
            if self.rng.random() < 0.02:
                self.late_sound()

    def play(self) -> dict[str, int]:
        self.join()
        self.join()
        rare = (self.join, self.leave, self.replace_slot, self.replace_tracks, self.change_ssrc)
        often = (
            self.change_source, self.limit, self.jump, self.late_sound, self.odd_sound,
            self.silence, self.ask, self.ask, self.change_path, self.move, self.change_loss,
        )  # fmt: skip
        for _ in range(STEPS):
            for _ in range(self.rng.randrange(1, 3)):
                step = self.rng.choice(rare if self.rng.random() < 0.3 else often)
                step()
            self.run(self.rng.randrange(1, 25))
            counters = self.plane.counters()
            assert {name: counters[name] for name in NEVER} == dict.fromkeys(NEVER, 0)
        if not self.clocks_jump:
            for peer in (*self.peers, *self.gone):
                for ssrc, wire in peer.wires.items():
                    if ssrc not in peer.repeats:
                        wire.assert_time_goes_on()
        return self.plane.counters()


@pytest.mark.parametrize("threads", [0, 2])
def test_no_index_leaves_twice_and_nothing_to_those_who_are_gone(threads):
    reached = dict.fromkeys(REACHED, 0)
    for seed in range(FIRST, FIRST + SEEDS):
        model = Model(seed, threads)
        try:
            counters = model.play()
        except BaseException:
            print(f"KABINA_MODEL_FIRST={seed} KABINA_MODEL_SEEDS=1")
            raise
        finally:
            model.close()
        for name in reached:
            reached[name] += counters[name]
    print(reached)
    if SEEDS >= 20:
        assert all(reached.values()), reached
