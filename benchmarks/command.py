"""`kabina bench NAME`: runs one benchmark, prints a table, writes JSON."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kabina.benchmarks import pictures
from kabina.benchmarks.conditions import conditions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

Row = dict[str, object]

# Names of modules: each has `rows()`, so that one that lacks a peer's software fails alone, and may
# have `pictures(rows, folder)`, which draws them and returns the files. Rows with a `curve` are for
# JSON and pictures: the table leaves them out.
BENCHMARKS: Final = {
    "forward": "kabina.benchmarks.plane_fanout",
    "fanout": "kabina.benchmarks.fanout",
    "joins": "kabina.benchmarks.joins",
    "idle": "kabina.benchmarks.idle",
    "video": "kabina.benchmarks.video",
    "narrow": "kabina.benchmarks.narrow_path",
    "jitter": "kabina.benchmarks.jitter",
    "peers": "kabina.benchmarks.peers",
    "residence": "kabina.benchmarks.residence",
    "audiobridge": "kabina.benchmarks.audiobridge",
    "mouth_to_ear": "kabina.benchmarks.mouth_to_ear",
    "limit": "kabina.benchmarks.limit",
    "codec": "kabina.benchmarks.codec",
    "mix": "kabina.benchmarks.mix",
    "kernels": "kabina.benchmarks.kernels",
    "ticks": "kabina.benchmarks.ticks",
    "quality": "kabina.benchmarks.quality",
    "iso": "kabina.benchmarks.iso",
}
# Minutes each: by name only.
LONG: Final = frozenset(
    {"peers", "limit", "narrow", "quality", "jitter", "audiobridge", "mouth_to_ear", "residence"}
)
LONGEST_LIST: Final = 8  # in a table; the JSON has all


def run(
    name: str | None,
    json_file: Path | None,
    egress_threads: int = 0,
    report: Path | None = None,
) -> int:
    """The exit code. Without a name: lists the benchmarks. `all` runs each but the long ones.

    `egress_threads` are those of `forward` and of every server that a benchmark starts. With a
    `report` nothing is measured: its signature is checked.
    """
    if report is not None:
        from kabina.benchmarks import iso

        return iso.verify(report)
    if name is None or (name != "all" and name not in BENCHMARKS):
        print(f"kabina bench: there are {', '.join(BENCHMARKS)}, and all")
        print(f"{', '.join(sorted(LONG))} take minutes and are not among all")
        return 0 if name is None else 2
    os.environ["KABINA_EGRESS_THREADS"] = str(egress_threads)
    results: list[Row] = []
    short = [each for each in BENCHMARKS if each not in LONG]
    for each in short if name == "all" else [name]:
        module = importlib.import_module(BENCHMARKS[each])
        rows: Callable[[], Iterable[Row]] = module.rows
        before = conditions()
        found = list(rows())
        print(f"\n{each} — " + ", ".join(f"{key} {value}" for key, value in before.items()))
        print(table([row for row in found if "curve" not in row]))
        results.append({"benchmark": each, "conditions": before, "rows": found})
        _draw(module, found, json_file.parent if json_file else Path(pictures.FOLDER))
    if json_file is not None:
        json_file.write_text(json.dumps(results, indent=2) + "\n")
    return 0


def _draw(module: ModuleType, rows: list[Row], folder: Path) -> None:
    draw: Callable[[list[Row], Path], Iterable[Path]] | None = getattr(module, "pictures", None)
    if draw is None:
        return
    try:
        print("pictures: " + ", ".join(str(path) for path in draw(rows, folder)))
    except pictures.NoPicturesError as error:
        print(f"no pictures: {error} ({pictures.HOW_TO_HAVE_IT})")


def table(rows: list[Row]) -> str:
    """The rows in aligned columns; rows without a key show a dash there."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [columns] + [[_shown(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _shown(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, list) and len(value) > LONGEST_LIST:
        return f"{len(value)} values"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
