"""A speaker's voice over the networks of testing.md §2, in virtual time: how much the mixer must invent.

Redundancy here is Opus's own (one low-rate copy of the frame before, RFC 6716 §2.1.7). A copy comes
one packet late: behind a buffer shorter than that, half of each lost frame is over by then.
"""

from __future__ import annotations

from functools import cache
from heapq import heappop, heappush

import pytest

from kabina.benchmarks.impairment import CLEAR, UP, GilbertElliott, Impairment, Random, VirtualPath
from kabina.native.mixing import RowPlan
from kabina_sim.mix_bench import MS, TICK, MixBench, encode, voice

WARM_FRAMES, FRAMES = 200, 3000  # a minute


class Journey:
    """A voice on its way to the mixer, over a path that loses some of it."""

    def __init__(self, impairment: Impairment, *, fec: bool, red: int, rtt_ms: int | None) -> None:
        self.bench = MixBench()
        row = self.bench.row()
        self.talker = self.bench.talker(encode(voice(400), fec=fec))
        self.bench.engine.apply([RowPlan(row, (self.talker.number,), (), True)])
        self.path = VirtualPath(seed=4, up=impairment)
        self.red, self.rtt_ms = red, rtt_ms
        self.here: set[int] = set()
        self.asked: set[int] = set()
        self.again: list[tuple[int, int]] = []  # (when it is sent, which)

    def run(self, frames: int) -> None:
        for _ in range(frames):
            until = self.bench.now_ns + TICK
            self.send_until(until)
            for at_ns, data in self.path.arrived(UP, until):
                self.receive(at_ns, int.from_bytes(data, "big"))
            self.bench.tick()

    def send_until(self, until: int) -> None:
        while min([self.talker.due(), *(at_ns for at_ns, _ in self.again)]) <= until:
            if self.again and self.again[0][0] <= self.talker.due():
                at_ns, index = heappop(self.again)
                self.path.send(UP, index.to_bytes(4, "big"), at_ns)
            else:
                self.path.send(UP, self.talker.sent.to_bytes(4, "big"), self.talker.due())
                self.talker.skip()

    def receive(self, at_ns: int, index: int) -> None:
        for carried in range(max(0, index - self.red), index + 1):
            if carried not in self.here or not (self.red or self.rtt_ms):
                self.talker.push(at_ns, carried)
                self.here.add(carried)
        if self.rtt_ms is None:
            return
        for missing in {*range(max(0, index - 10), index)} - self.here - self.asked:
            self.asked.add(missing)
            heappush(self.again, (at_ns + self.rtt_ms * MS // 2, missing))


@cache
def share_concealed(
    impairment: Impairment, *, fec: bool = True, red: int = 0, rtt_ms: int | None = None
) -> tuple[float, float, int, float]:
    """(share of sound invented, share of packets lost, packets that came too late, delay in ms).

    With `red`, each packet carries so many before it, and what is missing is taken out as the plane
    does (RFC 2198). With `rtt_ms`, what is missing when a packet comes is asked for, once, and sent
    again over the same path.
    """
    journey = Journey(impairment, fec=fec, red=red, rtt_ms=rtt_ms)
    engine, path, number = journey.bench.engine, journey.path, journey.talker.number
    journey.run(WARM_FRAMES)
    before, lost = engine.source_readings(number), path.counters(UP).lost
    journey.run(FRAMES)
    after = engine.source_readings(number)
    concealed = (after.concealed - before.concealed) / (2 * FRAMES)
    lost_share = (path.counters(UP).lost - lost) / FRAMES
    print(
        f"{impairment.loss}: {lost_share:.2%} lost, {concealed:.2%} concealed, "
        f"target {after.target_ms:.0f} ms, delay {after.delay_ms:.0f} ms"
    )
    return concealed, lost_share, after.late - before.late, after.delay_ms


@pytest.mark.parametrize("share", [0.01, 0.05, 0.10, 0.20])
def test_copies_replace_half_of_what_random_loss_takes(share):
    concealed, lost, *_ = share_concealed(Impairment(loss=Random(share)))
    assert lost == pytest.approx(share, rel=0.3)
    # A copy cannot help where its own packet is lost, too; a pause has none.
    # The first copies come too late: the buffer waits for them once they are a habit.
    assert concealed <= 0.55 * lost + lost * lost + 0.002
    without, lost, *_ = share_concealed(Impairment(loss=Random(share)), fec=False)
    assert without == pytest.approx(lost, rel=0.1)


@pytest.mark.parametrize(("share", "burst"), [(0.05, 3), (0.10, 5)])
def test_of_a_burst_copies_replace_the_end(share, burst):
    concealed, lost, *_ = share_concealed(Impairment(loss=GilbertElliott.bursts(share, burst)))
    assert lost == pytest.approx(share, rel=0.3)
    assert concealed <= lost * (1 - 0.4 / burst)


@pytest.mark.parametrize("distance", [1, 2])
@pytest.mark.parametrize(
    ("share", "most_concealed", "most_delay_ms"),
    [(0.01, 0.001, 40), (0.05, 0.005, 40), (0.10, 0.015, 60), (0.20, 0.05, 60)],
)
def test_redundant_packets_replace_nearly_all_of_what_random_loss_takes(
    distance, share, most_concealed, most_delay_ms
):
    """testing.md §2: a browser's RED (distance 1) is enough. The buffer sees copies as late packets
    and waits for them by itself, once they are common enough to be worth the delay.
    """
    *_, usual_ms = share_concealed(CLEAR)
    loss = Impairment(loss=Random(share))
    concealed, lost, _, delay_ms = share_concealed(loss, red=distance)
    assert lost == pytest.approx(share, rel=0.3)
    assert concealed <= most_concealed
    # A second copy comes one more packet late.
    assert delay_ms - usual_ms <= most_delay_ms + 20 * (distance - 1) + 1


@pytest.mark.parametrize(
    ("share", "rtt_ms", "most_concealed"), [(0.05, 20, 0.005), (0.10, 60, 0.015)]
)
def test_what_is_sent_again_over_a_short_path_is_waited_for(share, rtt_ms, most_concealed):
    """The buffer sees repairs as late packets, too: the first one that it was worth waiting for
    makes its delay long enough for the others.
    """
    loss = Impairment(loss=Random(share), delay_ms=rtt_ms / 2)
    concealed, *_ = share_concealed(loss, rtt_ms=rtt_ms)
    assert concealed <= most_concealed


@pytest.mark.parametrize(("share", "burst"), [(0.05, 3), (0.10, 5)])
def test_of_a_burst_redundant_packets_replace_the_end(share, burst):
    loss = Impairment(loss=GilbertElliott.bursts(share, burst))
    one, lost, *_ = share_concealed(loss, red=1)
    two, *_ = share_concealed(loss, red=2)
    assert one <= lost * (1 - 1 / burst)
    assert two <= lost * (1 - 1.3 / burst)


def test_reordering_and_duplicates_make_the_buffer_deeper_and_then_cost_next_to_nothing():
    concealed, _, late, _ = share_concealed(Impairment(reorder=0.05, duplicate=0.01))
    assert concealed <= 0.005
    assert late <= 0.01 * FRAMES


@pytest.mark.parametrize("jitter_ms", [50, 100, 200])
def test_jitter_alone_costs_nothing_once_it_is_known(jitter_ms):
    concealed, _, late, _ = share_concealed(Impairment(jitter_ms=jitter_ms))
    assert concealed <= 0.01
    assert late <= 0.01 * FRAMES
