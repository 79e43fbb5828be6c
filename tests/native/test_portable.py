"""The plane without epoll, recvmmsg, sendmmsg, UDP_SEGMENT, eventfd and accept4, as on macOS."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("stun", "forwarding", "life", "tcp", "ipv6", "junk")
LINUX_ONLY = {
    "accept4",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "eventfd",
    "recvmmsg",
    "sendmmsg",
}


def test_the_planes_tests_pass_by_the_portable_path():
    files = [f"tests/native/test_plane_{part}.py" for part in PARTS]
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        cwd=ROOT,
        env=os.environ | {"KABINA_PORTABLE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-4000:]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_a_portable_build_asks_for_nothing_that_only_linux_has(tmp_path):
    for source in sorted((ROOT / "native/c/plane").glob("*.c")):
        build = ["gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
        includes = ["-DKB_PORTABLE", "-Inative/c", "-Inative/c/plane"]
        compiled = tmp_path / f"{source.stem}.o"
        subprocess.run(
            [*build, *includes, "-c", str(source), "-o", str(compiled)], cwd=ROOT, check=True
        )
        wanted = subprocess.run(
            ["nm", "-u", str(compiled)], capture_output=True, text=True, check=True
        ).stdout.split()
        assert not LINUX_ONLY & set(wanted), source
