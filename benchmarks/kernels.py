"""The table of `mix_kernels.py` as rows: native time per kernel and 960 samples, beside numpy's."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from kabina.benchmarks import pictures as drawing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LINE: Final = re.compile(
    r"(?P<kernel>.{20,}?)\s+(?P<native>\d+)(?:\s+(?P<numpy>\d+)\s+(?P<ratio>[\d.]+))?$"
)


def rows() -> Iterator[dict[str, object]]:
    """A row per kernel. RuntimeError when the script fails."""
    done = subprocess.run(
        [sys.executable, "-m", "kabina.benchmarks.mix_kernels"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"mix_kernels: {done.stderr.strip().splitlines()[-1]}")
    yield from parsed(done.stdout)


def parsed(table: str) -> Iterator[dict[str, object]]:
    """The rows of its table; numpy's time is left out where it has no counterpart."""
    for line in table.splitlines()[1:]:
        if (found := _LINE.match(line)) is None:
            continue
        row: dict[str, object] = {
            "kernel": found["kernel"].strip(),
            "native_ns": int(found["native"]),
        }
        if found["numpy"]:
            row |= {"numpy_ns": int(found["numpy"]), "ratio": float(found["ratio"])}
        yield row


def pictures(rows: list[dict[str, object]], folder: Path) -> list[Path]:
    """Both, on a logarithmic axis."""
    figure, (axes,) = drawing.grid(height=0.6 + 0.35 * len(rows))
    at = range(len(rows))
    axes.barh([i - 0.2 for i in at], [row["native_ns"] for row in rows], 0.4, label="native")
    numpy_ns = [row.get("numpy_ns", float("nan")) for row in rows]
    axes.barh([i + 0.2 for i in at], numpy_ns, 0.4, label="numpy")
    axes.set_yticks(list(at), [str(row["kernel"]) for row in rows])
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_title("ns per 960 samples, calls from Python included")
    axes.legend()
    return drawing.save(figure, folder, "kernels")
