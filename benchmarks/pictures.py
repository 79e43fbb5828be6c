"""Pictures of benchmarks' rows: light figures, saved as PNG and SVG beside the JSON.

matplotlib (the extra `bench`) is loaded by the first picture and by nothing else, and only its
object interface is used: no window, no figure that outlives its function.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = "var/bench"
"""Where pictures go when no JSON file is named."""
HOW_TO_HAVE_IT: Final = "pip install 'kabina[bench]'"

_STYLE: Final = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "font.size": 9,
    "legend.frameon": False,
    "svg.hashsalt": "kabina",  # the same rows give the same file
}
# Okabe and Ito: told apart by those who do not see red and green.
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")


class NoPicturesError(Exception):
    """matplotlib is not installed."""


def grid(
    rows: int = 1, columns: int = 1, *, width: float = 7.5, height: float = 4.0
) -> tuple[Any, list[Any]]:
    """A figure of `width` × `height` inches and its axes, row by row. NoPicturesError without
    matplotlib."""
    try:
        matplotlib = importlib.import_module("matplotlib")
        figures = importlib.import_module("matplotlib.figure")
        cycler = importlib.import_module("cycler")
    except ModuleNotFoundError as error:
        raise NoPicturesError(str(error)) from error
    matplotlib.use("agg")
    matplotlib.rcParams.update({**_STYLE, "axes.prop_cycle": cycler.cycler(color=COLOURS)})
    figure = figures.Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.flat)


def save(figure: Any, folder: Path, name: str) -> list[Path]:  # noqa: ANN401
    """Writes `name`.png and `name`.svg; returns where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    for path in paths:
        # No date: two runs differ where their rows do.
        figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else None)
    return paths


def goal(axes: Any, value: float, text: str) -> None:  # noqa: ANN401
    """A dashed line at a goal of the y axis, with its name on it."""
    axes.axhline(value, color="#999999", linestyle="--", linewidth=1)
    axes.annotate(
        text,
        (0.995, value),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="bottom",
        color="#666666",
        fontsize=8,
    )
