"""How a trace is told, and that the figures of a jitter buffer mean the same for every buffer."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from kabina.benchmarks.jitter_profiles import PACKET_MS, PROFILES, Trace
from kabina.benchmarks.jitter_trace import (
    LOST_AT_MS,
    TAIL_PACKETS,
    Outcome,
    Sums,
    after_loss,
    beats,
    excess_ms,
    from_arrivals,
    lost_share,
    mean_of,
    one_lost,
    outcome,
    percentile,
    recorded,
    with_tail,
)

FRAME = 960


def fixed_delay(trace: Trace, delay_ms: float, *, every_ms: float = 250.0) -> list[Sums]:
    """A buffer that plays each packet `delay_ms` after it would have come by the fastest way."""
    least = np.nanmin(trace.arrive_ms - trace.send_ms)
    play_ms = trace.send_ms + least + delay_ms
    found = [Sums(at_ms=-every_ms)]
    for at_ms in np.arange(0.0, trace.send_ms[-1] + 1, every_ms):
        done = (play_ms <= at_ms) & (trace.arrive_ms <= play_ms)
        waited = (play_ms - trace.arrive_ms)[done].sum() / 1000 * FRAME
        due = play_ms <= at_ms
        late = due & (trace.arrive_ms > play_ms)
        found.append(
            Sums(
                at_ms=float(at_ms),
                waited_s=float(waited),
                emitted=float(done.sum() * FRAME),
                concealed=float((due & ~done).sum() * FRAME),
                total=float(due.sum() * FRAME),
                discarded=float(late.sum()),
            )
        )
    return found


def made(**figures) -> Outcome:
    plain = Outcome(
        wait_ms=10.0,
        delay_ms=20.0,
        p95_ms=30.0,
        concealed=0.01,
        stretched=0.0,
        discarded=0.0,
        recovered=0,
        over_time=(),
    )
    return replace(plain, **figures)


def test_the_fastest_packet_took_no_time_and_what_never_came_is_lost():
    trace = from_arrivals([(130.0, 0), (145.0, 1), (230.0, 3)])
    assert trace.arrive_ms[[0, 1, 3]].tolist() == [5.0, 20.0, 105.0]
    assert np.isnan(trace.arrive_ms[2])
    assert lost_share(trace) == 0.25


def test_of_a_packet_that_comes_twice_the_first_counts():
    trace = from_arrivals([(0.0, 0), (20.0, 1), (90.0, 1)])
    assert excess_ms(trace).tolist() == [0.0, 0.0]


def test_the_recorded_trace_is_whole():
    trace = recorded()
    assert np.isfinite(trace.arrive_ms).sum() == 2009
    assert len(trace.send_ms) == 2062
    assert np.nanmin(excess_ms(trace)) == 0.0


def test_all_that_arrives_is_sent_in_order_of_time_and_perfect_packets_follow():
    trace = PROFILES["reorder"](300, 5)
    shots = with_tail(trace)
    assert shots == sorted(shots)
    assert sorted(number for _, number in shots) == list(range(300 + TAIL_PACKETS))
    last_ms, last = max(shots, key=lambda shot: shot[1])
    assert last_ms == pytest.approx(last * PACKET_MS)


@pytest.mark.parametrize("name", PROFILES)
def test_a_buffer_of_fixed_delay_has_that_delay_whatever_the_network(name: str):
    trace = PROFILES[name](1000, 7)
    delay_ms = float(np.nanmax(excess_ms(trace))) + 1
    found = outcome(trace, fixed_delay(trace, delay_ms))
    # Packets that came but were not played yet at the end are in one mean and not in the other.
    assert found.delay_ms == pytest.approx(delay_ms, rel=0.03, abs=1.0)
    assert found.discarded == 0
    assert found.concealed == pytest.approx(lost_share(trace), abs=0.002)


def test_packets_that_came_too_late_count_as_concealed_and_not_as_delay():
    trace = PROFILES["stalls"](2000, 3)
    found = outcome(trace, fixed_delay(trace, 30.0))
    assert found.discarded > 0
    assert found.concealed > lost_share(trace)
    assert found.delay_ms == pytest.approx(30.0, abs=1.0)


def test_what_was_before_the_first_packet_and_after_the_last_does_not_count():
    trace = one_lost()
    within = fixed_delay(trace, 25.0)
    plain = outcome(trace, within)
    shifted = [
        replace(
            one,
            waited_s=one.waited_s + 7,
            emitted=one.emitted + 4800,
            concealed=one.concealed + 480,
            total=one.total + 960,
        )
        for one in within
    ]
    after = replace(shifted[-1], at_ms=trace.send_ms[-1] + 1, concealed=1e9, total=2e9)
    assert outcome(trace, [*shifted, after]) == plain


def test_a_buffer_that_played_nothing_has_no_figures():
    trace = one_lost()
    with pytest.raises(RuntimeError, match="nothing was played"):
        outcome(trace, [Sums(at_ms=0.0), Sums(at_ms=500.0, total=960.0)])


def test_less_delay_wins_only_at_no_more_concealment():
    theirs = made(delay_ms=50.0, concealed=0.01)
    assert beats(made(delay_ms=49.0, concealed=0.01), theirs)
    assert not beats(made(delay_ms=49.0, concealed=0.0101), theirs)
    assert not beats(made(delay_ms=50.0, concealed=0.0), theirs)


def test_the_mean_of_rounds_is_of_each_figure_and_draws_the_first():
    mean = mean_of([made(delay_ms=10.0, over_time=((0.0, 1.0),)), made(delay_ms=30.0)])
    assert mean.delay_ms == 20.0
    assert mean.over_time == ((0.0, 1.0),)


def over_time(after) -> Outcome:
    """40 ms until the loss, then `after(seconds since the loss)`."""
    times = np.arange(250.0, 20_000.0, 250.0)
    return made(
        over_time=tuple(
            (at, 40.0 if at < LOST_AT_MS else after((at - LOST_AT_MS) / 1000)) for at in times
        )
    )


def test_what_a_loss_adds_is_gone_when_it_stays_near_the_delay_before():
    added_ms, gone_s, left_ms = after_loss(over_time(lambda s: 52.0 if 0.5 <= s < 1.5 else 41.0))
    assert (added_ms, gone_s, left_ms) == (12.0, 1.5, 1.0)


def test_what_a_loss_adds_for_good_is_never_gone():
    assert after_loss(over_time(lambda s: 240.0)) == (200.0, math.inf, 200.0)


def test_a_loss_that_adds_nothing_is_gone_at_once():
    assert after_loss(over_time(lambda s: 40.0)) == (0.0, 0.0, 0.0)


def test_a_percentile_is_one_of_the_values():
    values = [float(n) for n in range(1, 101)]
    assert percentile(values, 0.95) == 95.0
    assert percentile([3.0], 0.5) == 3.0
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)
