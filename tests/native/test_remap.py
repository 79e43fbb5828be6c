"""A slot's numbers: continuous whatever comes, and never one twice."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabina.native import _plane

MS = 1_000_000


@given(
    first_sequence=st.integers(0, 32767),
    first_timestamp=st.integers(0, 0xFFFFFFFF),
    sources=st.lists(
        st.tuples(
            st.integers(0, 0xFFFF),  # first sequence
            st.integers(0, 0xFFFFFFFF),  # first timestamp
            st.integers(1, 40),  # packets
            st.integers(0, 60),  # ms between the last packet of the one and the first of the next
        ),
        min_size=1,
        max_size=20,
    ),
)
def test_any_sequence_of_sources_is_one_stream(first_sequence, first_timestamp, sources):
    remap = _plane.Remap(48000, first_sequence, first_timestamp)
    now_ns = 10**12
    sent = []
    for index, (sequence, timestamp, packets, gap_ms) in enumerate(sources):
        remap.switch()
        now_ns += (gap_ms - 20 if index else 0) * MS
        for i in range(packets):
            out = remap.next((sequence + i) & 0xFFFF, (timestamp + 960 * i) & 0xFFFFFFFF, now_ns)
            if out is not None:
                sent.append((now_ns, *out))
            else:
                assert i == 0  # at most the first of a source is left out
            now_ns += 20 * MS
    assert sent[0][1:] == (first_sequence, first_timestamp, True) if sent else True
    ahead = 0
    for before, after in itertools.pairwise(sent):
        assert after[1] == (before[1] + 1) & 0xFFFF
        ticks = (after[2] - before[2]) & 0xFFFFFFFF
        assert 960 <= ticks < 10 * 960
        ahead += ticks - (after[0] - before[0]) * 48 // MS
        assert abs(ahead) <= 960  # within a frame of the clock, for ever


@given(st.lists(st.integers(-30, 30), min_size=1, max_size=200), st.integers(0, 0xFFFF))
def test_no_number_before_the_change_is_used_again(offsets, start):
    remap = _plane.Remap(48000, 1000, 0)
    for i in range(50):
        remap.next((start + 7777 + i) & 0xFFFF, i * 960, i * 20 * MS, ssrc=1)
    taken = {1000 + i for i in range(50)}
    remap.switch()
    remap.next(start, 0, 51 * 20 * MS, ssrc=2)
    for offset in offsets:
        out = remap.next((start + offset) & 0xFFFF, 0, 52 * 20 * MS, ssrc=2)
        assert out is None if offset < 0 else out[0] == 1050 + offset
        assert out is None or out[0] not in taken


@pytest.mark.parametrize(
    ("after_ms", "advance_ms"),
    [(20, 20), (23.1, 20), (26, 30), (12, 20), (1000, 1000), (7_200_000, 3_600_000)],
)
def test_a_nominal_change_moves_by_whole_10_ms(after_ms, advance_ms):
    remap = _plane.Remap(48000, 0, 0)
    remap.next(1, 5, 0, ssrc=0, nominal=True)
    remap.switch()
    out = remap.next(9, 999, int(after_ms * MS), ssrc=0, nominal=True)
    assert out == (1, advance_ms * 48, True)


def test_a_restarted_publisher_is_a_change_too():
    remap = _plane.Remap(48000, 0, 0)
    assert remap.next(10, 0, 0, ssrc=1) == (0, 0, True)
    assert remap.next(999, 123456, 500 * MS, ssrc=2) == (1, 24000, True)


def test_reception_follows_rfc_3550():
    """Loss across the wrap, a late packet, jitter of alternating 5 ms."""
    reception = _plane.Reception()
    order = [65533, 65534, 0, 65535, 1, 4, 5]
    for sequence in order:
        position = (sequence - 65533) & 0xFFFF
        late_ms = 5 if position % 2 else 0
        reception.receive(sequence, position * 960, 48000, (position * 20 + late_ms) * MS)
    fraction, lost, highest, jitter = reception.report()
    assert lost == 2
    assert fraction == 256 * 2 // 9
    assert highest == 65536 + 5
    assert 0 < jitter <= 240
    reception.receive(6, 9 * 960, 48000, 180 * MS)
    assert reception.report()[:2] == (0, 2)
