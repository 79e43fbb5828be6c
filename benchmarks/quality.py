"""How a real talk sounds after the engine, by what the network lost on its way to it.

Opus in, engine, Opus out, decoded by a listener who loses nothing. What is lost counts once with
Opus's own copies (FEC), once with the packet before in each packet as well (RED), as Chromium's
microphones send it. Scores are against the talk as it was recorded; drops against the clean run.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Final

import numpy as np

from kabina.benchmarks import pictures as drawing
from kabina.benchmarks.engine_driver import EngineDriver, Stream, heard_directly, stream
from kabina.benchmarks.impairment import GilbertElliott, Random
from kabina.benchmarks.measures import resampled
from kabina.benchmarks.scorers import HOW_TO_HAVE_IT, Scorers
from kabina.benchmarks.speech import NoSpeechError, Talk, talk
from kabina.native.mixing import RowPlan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

LANGUAGES: Final = ("en", "fr", "ru")
SECONDS: Final = 20.0
DRAWS: Final = 2
"""Losses per language and condition: a score is the mean of six."""
LOOK_AHEAD: Final = 312
"""Samples at 48 kHz that an Opus encoder's delay puts before the sound."""
GOAL_DROP: Final = 0.4
GOAL_CONDITION: Final = "10 % in bursts of 3"
_METRICS: Final = ("pesq", "stoi", "plcmos")

LOSSES: Final[dict[str, Random | GilbertElliott | None]] = {
    "none": None,
    "1 %": Random(0.01),
    "5 %": Random(0.05),
    "10 %": Random(0.10),
    "20 %": Random(0.20),
    GOAL_CONDITION: GilbertElliott.bursts(0.10, 3),
}


@dataclass(frozen=True, slots=True)
class Run:
    heard: Samples
    concealed_percent: float
    """Of the stream's 10 ms units: neither a packet nor a copy filled them."""
    delay_ms: float


def rows() -> Iterator[dict[str, object]]:
    """A row per loss and kind of copies, each the mean of all languages and draws."""
    scorers = Scorers()
    if len(scorers.missing) == len(_METRICS):
        yield {"loss": "all", "missing": f"{', '.join(scorers.missing)}: {HOW_TO_HAVE_IT}"}
        return
    try:
        talks = [talk(language, SECONDS) for language in LANGUAGES]
    except NoSpeechError as error:
        yield {"loss": "all", "missing": str(error)}
        return
    streams = [stream(each.samples) for each in talks]
    originals = [resampled(each.samples) for each in talks]

    def scored(sounds: list[Samples]) -> list[dict[str, float | None]]:
        return [
            scorers.score(resampled(sound[LOOK_AHEAD:]), originals[index % len(talks)])
            for index, sound in enumerate(sounds)
        ]

    alone = scored([heard_directly(each) for each in streams])
    yield {"loss": "none", "copies": "without the engine"} | _row(talks, alone, None)
    clean: list[dict[str, float | None]] | None = None
    for loss_name, loss in LOSSES.items():
        for has_red in (False, True) if loss else (False,):
            runs = [
                through_engine(sent, lost(loss, len(sent.packets), seed=draw), has_red=has_red)
                for draw in range(DRAWS if loss else 1)
                for sent in streams
            ]
            scores = scored([run.heard for run in runs])
            clean = clean or scores
            row: dict[str, object] = {
                "loss": loss_name,
                "copies": "–" if loss is None else "FEC and RED" if has_red else "FEC",
                "concealed_percent": round(fmean(run.concealed_percent for run in runs), 2),
                "delay_ms": round(fmean(run.delay_ms for run in runs), 1),
            }
            row |= _row(talks, scores, clean)
            if loss_name == GOAL_CONDITION:
                row["goal_plcmos_drop"] = GOAL_DROP
            if scorers.missing:
                row["missing"] = f"{', '.join(scorers.missing)}: {HOW_TO_HAVE_IT}"
            yield row


def lost(loss: Random | GilbertElliott | None, count: int, *, seed: int) -> NDArray[np.bool_]:
    """Which of `count` packets do not arrive; never the first, from which a stream is known."""
    rng = np.random.default_rng([seed, count])
    found = np.zeros(count, bool)
    match loss:
        case Random(share):
            found = rng.random(count) < share
        case GilbertElliott(to_bad, to_good, loss_in_good, loss_in_bad):
            is_bad = False
            for index, (change, fate) in enumerate(rng.random((count, 2))):
                is_bad = change >= to_good if is_bad else change < to_bad
                found[index] = fate < (loss_in_bad if is_bad else loss_in_good)
    found[0] = False
    return found


def through_engine(sent: Stream, is_lost: NDArray[np.bool_], *, has_red: bool = False) -> Run:
    """One talk to one row. With RED, a packet that came brings the one before it, if that did not:
    that is how the plane hands them to the engine."""
    driver = EngineDriver()
    row, source = driver.row(), driver.engine.add_source()
    driver.engine.apply([RowPlan(row, (source,), (), heard=True)])
    first_ns, delays = driver.now_ns, []
    for index in range(len(sent.packets)):
        # A copy arrives with the next packet, and before it.
        is_copied = has_red and index + 1 < len(is_lost) and not is_lost[index + 1]
        late_ms = sent.samples / 48
        delays.append(0.0 if not is_lost[index] else late_ms if is_copied else None)
    driver.send(source, sent, delays_ms=delays)
    delay_ms = []
    for _ in range(len(sent.packets) * sent.samples // 48_000):
        driver.run(1000)
        delay_ms.append(driver.engine.source_readings(source).delay_ms)
    readings = driver.engine.source_readings(source)
    # The rest of the talk is on its way.
    driver.run(500)
    heard = driver.listen(row)
    return Run(
        heard=heard.samples[max(heard.at(first_ns), 0) :],
        concealed_percent=100 * readings.concealed * 480 / (len(sent.packets) * sent.samples),
        delay_ms=fmean(delay_ms),
    )


def _row(
    talks: list[Talk],
    scores: list[dict[str, float | None]],
    clean: list[dict[str, float | None]] | None,
) -> dict[str, object]:
    row: dict[str, object] = {}
    for metric in _METRICS:
        values = [value for each in scores if (value := each[metric]) is not None]
        row[metric] = round(fmean(values), 3) if values else None
        if clean and values:
            before = [value for each in clean if (value := each[metric]) is not None]
            row[f"{metric}_drop"] = round(fmean(before) - fmean(values), 3)
    for index, each in enumerate(talks):
        own = [value for value in (s["plcmos"] for s in scores[index :: len(talks)]) if value]
        row[f"plcmos_{each.language}"] = round(fmean(own), 2) if own else None
    return row


def pictures(rows: list[dict[str, object]], folder: Path) -> list[Path]:
    """One panel per score, bars by loss and kind of copies."""
    found = [row for row in rows if "missing" not in row or row.get("plcmos") is not None]
    found = [row for row in found if row["loss"] != "all"]
    if not found:
        return []
    figure, axes = drawing.grid(1, len(_METRICS), width=12)
    kinds = list(dict.fromkeys(str(row["copies"]) for row in found))
    names = [f"{row['loss']}\n{row['copies']}" for row in found]
    for axis, metric in zip(axes, _METRICS, strict=True):
        for at, row in enumerate(found):
            value = row[metric] if isinstance(row[metric], float) else 0.0
            colour = drawing.COLOURS[kinds.index(str(row["copies"]))]
            axis.barh(at, value, color=colour)
            axis.annotate(f"{value:.2f}", (value, at), va="center", fontsize=8)
        axis.set_yticks(range(len(found)), names if axis is axes[0] else [""] * len(found))
        axis.invert_yaxis()
        axis.set_title(metric.upper())
    return drawing.save(figure, folder, "quality")
