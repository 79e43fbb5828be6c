"""What the benchmarks of codec, mix and kernels count and read."""

from __future__ import annotations

import numpy as np
import pytest

from kabina.benchmarks import codec, kernels, mix, speech
from kabina.benchmarks.engine_driver import stream


def test_the_kernels_table_is_read_with_and_without_numpy():
    table = "\n".join(
        (
            f"{'960 samples':20}{'native ns':>12}{'numpy ns':>12}{'ratio':>8}",
            f"{'the call alone':20}{112:12.0f}",
            f"{'true peak 4×':20}{1432:12.0f}{127841:12.0f}{89.3:8.1f}",
            f"{'limiter, the longest name':20}{17:12.0f}",
        )
    )
    assert list(kernels.parsed(table)) == [
        {"kernel": "the call alone", "native_ns": 112},
        {"kernel": "true peak 4×", "native_ns": 1432, "numpy_ns": 127841, "ratio": 89.3},
        {"kernel": "limiter, the longest name", "native_ns": 17},
    ]


@pytest.fixture
def voices(monkeypatch):
    rng = np.random.default_rng(3)
    sound = (0.1 * rng.normal(size=48_000 * 2)).astype(np.float32)
    monkeypatch.setattr(mix, "voices", lambda: (stream(sound),) * mix._VOICES)


@pytest.mark.parametrize(
    ("meeting", "rows"),
    [
        (mix.Meeting(3, 4, 0), 1),  # nobody interprets: all hear the floor
        (mix.Meeting(3, 4, 2), 3),  # two interpreted, two hear the floor
        (mix.Meeting(5, 4, 4), 4),
    ],
)
def test_a_meeting_costs_an_encode_for_each_distinct_row(voices, meeting, rows):
    cost = mix.engine_cost(meeting, 0.4)
    assert cost.sounding_rows == rows
    assert cost.encodes == pytest.approx(rows, abs=0.1)
    assert cost.decodes == pytest.approx(meeting.sources, abs=0.5)


@pytest.mark.parametrize("benchmark", [codec, mix])
def test_without_speech_a_row_says_what_is_missing(benchmark, monkeypatch, tmp_path):
    monkeypatch.setattr(speech, "CACHE", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    mix.voices.cache_clear()
    speech.talk.cache_clear()
    (row,) = benchmark.rows()
    assert "apt-get" in row["missing"]
    assert benchmark.pictures([row], tmp_path) == []


def test_each_setting_is_measured_in_all_its_parts():
    sound = (0.1 * np.random.default_rng(1).normal(size=9_600)).astype(np.float32)
    with_copies = codec.measured(codec.Setting("x", 48_000, 5, fec=True, frame_ms=10), sound)
    without = codec.measured(codec.Setting("x", 64_000, 5, voip=False, channels=2), sound)
    assert with_copies["recover_us"] > 0
    assert without["recover_us"] is None
    assert without["kbit_s"] == pytest.approx(64, rel=0.3)
