"""Two pictures of `kabina bench jitter`: delay against concealment, and delay over time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kabina.benchmarks import pictures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kabina.benchmarks.jitter_trace import Outcome

OVER_TIME: Final = ("office_wifi",)  # beside the one lost packet
MARKERS: Final = ("o", "s", "^", "v", "D", "x", "P")


def draw(
    results: Mapping[str, Mapping[str, Outcome]],
    frontiers: Mapping[str, Sequence[Outcome]],
    *,
    one_lost: str,
    outlier: str,
) -> list[dict[str, object]]:
    """A row that says where they are, or that there are none. Kabina's frontier is a line; the
    outlier is told in words where it would hide the rest."""
    folder = Path(os.environ.get("KABINA_PICTURES", pictures.FOLDER))
    try:
        paths = _scatter(results, frontiers, outlier, folder) + _over_time(
            results, one_lost, folder
        )
    except pictures.NoPicturesError:
        return [{"picture": "no picture: matplotlib is not installed"}]
    return [{"picture": str(path)} for path in paths]


def _scatter(
    results: Mapping[str, Mapping[str, Outcome]],
    frontiers: Mapping[str, Sequence[Outcome]],
    outlier: str,
    folder: Path,
) -> list[Path]:
    columns = 4
    lines = -(-len(frontiers) // columns)
    figure, axes = pictures.grid(lines, columns, width=13, height=3.1 * lines)
    for each, (trace, frontier) in zip(axes, frontiers.items(), strict=False):
        each.plot(
            [one.delay_ms for one in frontier],
            [100 * one.concealed for one in frontier],
            color="#999999",
            linewidth=1,
            label="Kabina, by its price of delay",
        )
        for (buffer, one), marker in zip(results[trace].items(), MARKERS, strict=False):
            each.scatter([one.delay_ms], [100 * one.concealed], marker=marker, label=buffer)
        each.set_title(trace)
        each.set_xlabel("mean delay, ms")
        each.set_ylabel("concealed, %")
        others = [one for buffer, one in results[trace].items() if buffer != outlier]
        each.set_xlim(0, 1.2 * max(one.delay_ms for one in others))
        each.set_ylim(0, max(120 * max(one.concealed for one in others), 0.1))
        far = results[trace][outlier]
        each.text(
            0.98,
            0.97,
            f"aiortc: {far.delay_ms:.0f} ms, {100 * far.concealed:.1f} %",
            transform=each.transAxes,
            ha="right",
            va="top",
            fontsize=7,
            color="#777777",
        )
    for spare in axes[len(frontiers) :]:
        spare.set_axis_off()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return pictures.save(figure, folder, "jitter-frontier")


def _over_time(
    results: Mapping[str, Mapping[str, Outcome]], one_lost: str, folder: Path
) -> list[Path]:
    names = (one_lost, *OVER_TIME)
    figure, axes = pictures.grid(len(names), 1, width=9, height=3.4 * len(names))
    for each, trace in zip(axes, names, strict=True):
        for buffer, one in results[trace].items():
            each.plot(
                [at / 1000 for at, _ in one.over_time],
                [ms for _, ms in one.over_time],
                label=buffer,
                linewidth=1.2,
            )
        each.set_title(trace)
        each.set_xlabel("seconds")
        each.set_ylabel("delay, ms")
        each.set_ylim(bottom=0)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return pictures.save(figure, folder, "jitter-over-time")
