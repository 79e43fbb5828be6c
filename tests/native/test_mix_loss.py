"""A speaker's voice over the networks of testing.md §2, in virtual time: how much the mixer must invent.

Redundancy here is Opus's own (one low-rate copy of the frame before, RFC 6716 §2.1.7). A copy comes
one packet late: behind a buffer shorter than that, half of each lost frame is over by then.
"""

from __future__ import annotations

from functools import cache

import pytest

from kabina.benchmarks.impairment import CLEAR, UP, GilbertElliott, Impairment, Random, VirtualPath
from kabina.native.mixing import RowPlan
from kabina_sim.mix_bench import TICK, MixBench, encode, voice

WARM_FRAMES, FRAMES = 200, 3000  # a minute


@cache
def share_concealed(
    impairment: Impairment, *, fec: bool = True, red: int = 0
) -> tuple[float, float, int, float]:
    """(share of sound invented, share of packets lost, packets that came too late, delay in ms).

    With `red`, each packet carries so many before it, and what is missing is taken out as the plane
    does (RFC 2198).
    """
    bench = MixBench()
    row = bench.row()
    talker = bench.talker(encode(voice(400), fec=fec))
    bench.engine.apply([RowPlan(row, (talker.number,), (), True)])
    path = VirtualPath(seed=4, up=impairment)
    here: set[int] = set()

    def run(frames: int) -> None:
        for _ in range(frames):
            until = bench.now_ns + TICK
            while talker.due() <= until:
                path.send(UP, talker.sent.to_bytes(4, "big"), talker.due())
                talker.skip()
            for at_ns, data in path.arrived(UP, until):
                index = int.from_bytes(data, "big")
                for carried in range(max(0, index - red), index + 1):
                    if not red or carried not in here:
                        talker.push(at_ns, carried)
                        here.add(carried)
            bench.tick()

    run(WARM_FRAMES)
    before, lost = bench.engine.source_readings(talker.number), path.counters(UP).lost
    run(FRAMES)
    after = bench.engine.source_readings(talker.number)
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
    assert concealed <= 0.55 * lost + lost * lost
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
    [(0.01, 0.001, 0), (0.05, 0.005, 20), (0.10, 0.015, 40), (0.20, 0.05, 60)],
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
