"""The talk through the engine: which packets are lost, what copies repair, what is compared."""

from __future__ import annotations

import numpy as np
import pytest

from kabina.benchmarks import measures, quality
from kabina.benchmarks.engine_driver import stream
from kabina.benchmarks.impairment import GilbertElliott, Random
from kabina.benchmarks.scorers import Scorers


def voice(seconds):
    at = np.arange(round(seconds * 48_000)) / 48_000
    vowel = sum(0.2 / k * np.sin(2 * np.pi * 150 * k * at) for k in range(1, 20))
    return (vowel * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * at))).astype(np.float32)


def run_lengths(flags):
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return edges[1::2] - edges[::2]


def test_random_losses_have_their_share():
    found = quality.lost(Random(0.1), 50_000, seed=1)
    assert found.mean() == pytest.approx(0.1, abs=0.005)
    assert run_lengths(found).mean() == pytest.approx(1 / 0.9, abs=0.05)


def test_bursts_have_their_share_and_length():
    found = quality.lost(GilbertElliott.bursts(0.1, 3), 100_000, seed=2)
    assert found.mean() == pytest.approx(0.1, abs=0.01)
    assert run_lengths(found).mean() == pytest.approx(3, abs=0.15)


def test_the_same_seed_loses_the_same_and_another_does_not():
    one = quality.lost(Random(0.1), 1000, seed=1)
    assert np.array_equal(one, quality.lost(Random(0.1), 1000, seed=1))
    assert not np.array_equal(one, quality.lost(Random(0.1), 1000, seed=2))
    assert not quality.lost(None, 1000, seed=1).any()


def test_copies_in_the_next_packet_leave_less_to_invent():
    sent = stream(voice(4))
    losses = quality.lost(Random(0.2), len(sent.packets), seed=3)
    plain = quality.through_engine(sent, losses)
    with_copies = quality.through_engine(sent, losses, has_red=True)
    none = quality.through_engine(sent, np.zeros_like(losses))
    assert none.concealed_percent == 0
    assert with_copies.concealed_percent < plain.concealed_percent / 2


def test_without_the_scorers_one_row_says_how_to_have_them(monkeypatch, tmp_path):
    monkeypatch.setattr(Scorers, "_module", lambda self, name: self.missing.append(name))
    (row,) = quality.rows()
    assert "bench-quality-tools" in row["missing"]
    assert quality.pictures([row], tmp_path) == []


def test_a_delay_that_changes_is_aligned_part_by_part():
    rng = np.random.default_rng(1)
    reference = rng.normal(size=64_000)
    sound = np.concatenate([np.zeros(100), reference[:32_000], np.zeros(900), reference[32_000:]])
    moved = measures.aligned(sound, reference, part=32_000, reach=4_000)
    assert moved == pytest.approx(reference)
