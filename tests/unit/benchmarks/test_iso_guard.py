"""What is read from hearing protection's answer to a jump."""

from __future__ import annotations

import numpy as np
import pytest

from kabina.benchmarks import iso, iso_guard


def test_a_jump_that_is_turned_down_at_once_has_settled_by_then():
    sound = np.concatenate([iso_guard._tone(-23, 1), iso_guard._tone(-3, 2)])
    sound[48_000 + 4_800 :] *= 10 ** (-12 / 20)
    found = iso_guard.described(sound)
    assert found.settled_dbfs == pytest.approx(-15, abs=0.05)
    assert found.settled_ms == pytest.approx(100, abs=10)
    assert found.highest_100_ms_dbfs == pytest.approx(-3, abs=0.05)
    assert found.envelope_dbfs[0] == pytest.approx(-23, abs=0.05)


def test_hearing_protection_keeps_its_limits_and_counts_its_dose():
    assert all(row["met"] == "yes" for row in iso._hearing())
