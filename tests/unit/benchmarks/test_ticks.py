"""The process whose mix thread is measured."""

from __future__ import annotations

import json
import subprocess
import sys


def test_without_the_privilege_the_thread_runs_as_any_other():
    done = subprocess.run(
        [sys.executable, "-m", "kabina.benchmarks.ticks", "--normal", "--seconds", "0.5"],
        capture_output=True,
        text=True,
        check=True,
    )
    counters = json.loads(done.stdout)
    assert counters["is_fifo"] == 0
    assert counters["ticks"] > 0
