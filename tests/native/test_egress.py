"""Sending where there is no sendmmsg, as on macOS: the same program, the portable path compiled in."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("twcc", "trend", "bwe", "allocation", "rtcp", "egress")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_the_portable_path_sends_the_same_datagrams(tmp_path):
    binary = tmp_path / "portable"
    sources = ["tests/native/c/run_downlink.c", *(f"native/c/plane/kb_{part}.c" for part in PARTS)]
    flags = ["-std=gnu11", "-Og", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    includes = ["-DKB_PORTABLE", "-Inative/c", "-Inative/c/plane"]
    subprocess.run(
        ["gcc", *flags, *includes, *sources, "-lm", "-o", str(binary)], cwd=ROOT, check=True
    )
    printed = subprocess.run([binary], capture_output=True, text=True, timeout=60, check=True)
    assert "egress: ok" in printed.stdout
