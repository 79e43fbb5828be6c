"""The pictures of `kabina bench jitter`: delay against concealment, and delay over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kabina.benchmarks import pictures as drawing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    Row = Mapping[str, Any]

OVER_TIME: Final = ("one_lost", "office_wifi")
"""Traces whose rows have their delay over time."""
FRONTIER: Final = "Kabina, C = {}"
MARKERS: Final = "os^vDxP"
COLUMNS: Final = 4


def pictures(rows: Sequence[Row], folder: Path) -> list[Path]:
    """jitter-frontier and jitter-over-time. NoPicturesError without matplotlib."""
    return _frontiers(rows, folder) + _over_time(rows, folder)


def by_trace(rows: Iterable[Row], key: str) -> dict[str, list[Row]]:
    """The rows that have `key`, by trace, in order."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if key in row:
            found.setdefault(row["trace"], []).append(row)
    return found


def _frontiers(rows: Sequence[Row], folder: Path) -> list[Path]:
    prefix = FRONTIER.format("")
    drawn = {
        trace: found
        for trace, found in by_trace(rows, "delay_ms").items()
        if any(row["buffer"].startswith(prefix) for row in found)
    }
    lines = -(-len(drawn) // COLUMNS)
    figure, axes = drawing.grid(lines, COLUMNS, width=13, height=3.1 * lines)
    for each, (trace, found) in zip(axes, drawn.items(), strict=False):
        line = [row for row in found if row["buffer"].startswith(prefix)]
        points = [row for row in found if not row["buffer"].startswith(prefix)]
        each.plot(
            [row["delay_ms"] for row in line],
            [row["concealed_pct"] for row in line],
            color="#999999",
            linewidth=1,
            label="Kabina by C, the ms that 1 % late is worth",
        )
        for row, marker in zip(points, MARKERS, strict=False):
            each.scatter(
                [row["delay_ms"]], [row["concealed_pct"]], marker=marker, label=row["buffer"]
            )
        _leave_out_aiortc(each, points)
        each.set_title(trace)
        each.set_xlabel("mean delay, ms")
        each.set_ylabel("concealed, %")
    for spare in axes[len(drawn) :]:
        spare.set_axis_off()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return drawing.save(figure, folder, "jitter-frontier")


def _leave_out_aiortc(axes: Any, points: Sequence[Row]) -> None:  # noqa: ANN401
    """The axes show the others; where it is outside of them a word says where it is."""
    others = [row for row in points if not row["buffer"].startswith("aiortc")]
    axes.set_xlim(0, 1.2 * max(row["delay_ms"] for row in others))
    axes.set_ylim(-0.02, max(1.2 * max(row["concealed_pct"] for row in others), 0.1))
    for row in points:
        if row not in others and row["delay_ms"] > axes.get_xlim()[1]:
            text = f"aiortc: {row['delay_ms']:.0f} ms, {row['concealed_pct']:.1f} %"
            axes.text(
                0.98,
                0.97,
                text,
                transform=axes.transAxes,
                ha="right",
                va="top",
                fontsize=7,
                color="#777777",
            )


def _over_time(rows: Sequence[Row], folder: Path) -> list[Path]:
    drawn = by_trace(rows, "over_time")
    figure, axes = drawing.grid(len(drawn), 1, width=9, height=3.4 * len(drawn))
    for each, (trace, found) in zip(axes, drawn.items(), strict=True):
        for row in found:
            each.plot(*zip(*row["over_time"], strict=True), label=row["buffer"], linewidth=1.2)
        each.set_title(trace)
        each.set_xlabel("seconds")
        each.set_ylabel("delay, ms")
        each.set_ylim(bottom=0)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return drawing.save(figure, folder, "jitter-over-time")
