"""What an editable install hides: packages, package data and machine paths."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]


def test_every_folder_with_an_init_is_a_listed_package():
    folders = {
        path.parent.relative_to(ROOT)
        for top in ("sfu", "mixer", "interpretation", "signaling", "native", "web", "benchmarks")
        for path in (ROOT / top).rglob("__init__.py")
        if "node_modules" not in path.parts
    }
    named = {Path(folder) for folder in SETUPTOOLS["package-dir"].values()}
    assert named == folders
    assert set(SETUPTOOLS["packages"]) == set(SETUPTOOLS["package-dir"])


def test_the_lock_file_names_no_host():
    lock = (ROOT / "web" / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert "http://" not in lock


def test_no_tracked_file_names_a_folder_of_somebodys_machine():
    done = subprocess.run(
        [
            "git",
            "grep",
            "-nIE",
            r"/(home|root|Users)/[a-z]",
            "--",
            ".",
            ":!tests/unit/packaging",
            ":!tests/wire/corpora",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout == ""
