"""Sound through the server, in the order of the standards for interpreting, as a signed report.

Aligned with ISO 20109:2025 and ISO 24019:2022; no conformity is claimed, and their paid texts were
not read. Clause titles are from public tables of contents (24019:2022; of 20109 only the 2016
edition's was found); where a required value is not public, the row says so, and the goal is ours.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final

from kabina.benchmarks import iso_guard, iso_report
from kabina.benchmarks import iso_scenes as scenes
from kabina.benchmarks.signing import ReportError, key_id, node_key, verified
from kabina.benchmarks.speech import NoSpeechError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Row = dict[str, object]

NOT_PUBLIC: Final = "value not public"
BAND: Final = "125–15,000 Hz"
CLICK_DBFS: Final = -60.0
TARGET_LUFS: Final = -20.0
LANGUAGES: Final = ("en", "fr", "ru")

AUDIO: Final = "24019 7.1.2 Audio characteristics"
CLAUSES: Final = {
    "response": f"{AUDIO}; 20109 Frequency response",
    "distortion": f"{AUDIO}; 20109 Amplitude nonlinearity",
    "noise": f"{AUDIO}; 20109 Noise and hum",
    "levels": "24019 7.1.3 Level consistency; 20109 Level consistency across channels",
    "latency": "24019 (PAS 2020: 6.2 Latency)",
    "lips": "24019 7.2 Synchronization of sound and image",
    "protection": "20109 Hearing protection",
    "steps": f"{AUDIO} (no clause title names steps)",
}


def rows() -> Iterator[Row]:
    """Results first, then the curves that the plots are drawn from."""
    yield from _response()
    yield from _distortion_and_noise()
    yield from _levels()
    yield from _times()
    yield from _protection()
    yield from _steps()
    yield from _curves()


def _row(
    quantity: str,
    measured: float | str,
    unit: str,
    *,
    clause: str,
    path: str = "mixed",
    goal: str | None = None,
    is_met: bool | None = None,
    required: str = NOT_PUBLIC,
    note: str | None = None,
) -> Row:
    row: Row = {
        "quantity": quantity,
        "path": path,
        "measured": round(measured, 2) if isinstance(measured, float) else measured,
        "unit": unit,
        "goal": goal,
        "met": None if is_met is None else "yes" if is_met else "NO",
        "clause": CLAUSES[clause],
        "required": required,
    }
    return row if note is None else row | {"note": note}


def _response() -> Iterator[Row]:
    public = f"{BAND} ±3 dB (quoted by makers)"
    for path, figures in scenes.stepped_sines().items():
        worst = max(figures, key=lambda each: abs(each.band_db))
        yield _row(
            "frequency response, stepped sines: worst third of an octave",
            worst.band_db, "dB", clause="response", path=path,
            goal=f"{BAND} ±1 dB", is_met=abs(worst.band_db) <= 1, required=public,
            note=f"at {worst.hz:.0f} Hz",
        )  # fmt: skip
        worst = max(figures, key=lambda each: abs(each.sine_db))
        beyond = [round(each.hz) for each in figures if abs(each.sine_db) > 1]
        yield _row(
            "the same, only what is still that sine",
            worst.sine_db, "dB", clause="response", path=path,
            note=f"at {worst.hz:.0f} Hz; beyond ±1 dB at {beyond or 'none'}: above 8 kHz Opus's "
            "voice coder keeps a band's energy rather than its waveform",
        )  # fmt: skip
    for setting, figures in scenes.sines_by_setting().items():
        worst = max(figures, key=lambda each: abs(each.band_db))
        yield _row(
            f"the same, encoded again as {setting}, no engine", worst.band_db, "dB",
            clause="response", path="codec", note=f"at {worst.hz:.0f} Hz; beyond ±1 dB at "
            f"{[round(each.hz) for each in figures if abs(each.band_db) > 1] or 'none'}",
        )  # fmt: skip
    for path, gains in scenes.pink_noise().items():
        hz, worst_db = max(gains, key=lambda each: abs(each[1]))
        yield _row(
            "frequency response, pink noise: worst third of an octave",
            worst_db, "dB", clause="response", path=path, required=public,
            note=f"at {hz:.0f} Hz",
        )  # fmt: skip


def _distortion_and_noise() -> Iterator[Row]:
    for path, percent in scenes.distortion_percent().items():
        yield _row(
            f"THD+N, {scenes.THD_HZ:.0f} Hz at {scenes.LEVEL_DBFS:.0f} dBFS, 20 Hz–20 kHz",
            percent, "%", clause="distortion", path=path,
            goal="≤ 1 %", is_met=percent <= 1, required="≤ 1 % (quoted by makers)",
        )  # fmt: skip
    for path, dbfs in scenes.noise_dbfs().items():
        yield _row(
            "noise beside a tone of −60 dBFS, 20 Hz–20 kHz, unweighted",
            dbfs, "dBFS", clause="noise", path=path,
        )  # fmt: skip


def _levels() -> Iterator[Row]:
    asked = ", ".join(f"{each:+.0f}" for each in scenes.INPUT_LEVELS_DB)
    name = f"loudness between channels, microphones at {asked} dB"
    try:
        loudness = scenes.channel_loudness_lufs(LANGUAGES)
    except NoSpeechError as error:
        yield _row(name, "not measured", "LU", clause="levels", note=str(error))
        return
    spread = max(loudness) - min(loudness)
    yield _row(
        name, spread, "LU", clause="levels", goal="≤ 2 (±1)", is_met=spread <= 2,
        note=f"{', '.join(f'{each:.1f}' for each in loudness)} LUFS",
    )  # fmt: skip


def _times() -> Iterator[Row]:
    delays = scenes.added_delays_ms()
    added_ms = median(delays)
    yield _row(
        "latency added by the server, Opus in to Opus out, clean network, median of 10 phases",
        added_ms, "ms", clause="latency", goal="≤ 32 (12 beyond a frame)", is_met=added_ms <= 32,
        required="≤ 500 ms speaker to interpreter is often quoted",
        note=f"{min(delays):.1f} to {max(delays):.1f}; re-encoding's look-ahead is in it",
    )  # fmt: skip
    yield _row(
        "latency added by the server", "not measured", "ms", clause="latency", path="forwarded",
        note="no buffer and no codec in between: `kabina bench fanout`",
    )  # fmt: skip
    yield _row(
        "lip sync: sound after a forwarded picture, if the receiver does not align them",
        -added_ms, "ms", clause="lips", goal="+40/−60", is_met=added_ms <= 60,
        required="+90/−185 ms acceptable (BT.1359-1)",
        note="computed from the added latency; with abs-capture-time receivers align, not measured",
    )  # fmt: skip


def _protection() -> Iterator[Row]:
    curve = iso_guard.limiter_curve()
    kernel = max(point.kernel_dbtp for point in curve)
    heard = max(point.heard_dbtp for point in curve)
    yield _row(
        "limiter: highest true peak out of it, tones up to +6 dBFS",
        kernel, "dBTP", clause="protection", path="limiter", goal="≤ −1", is_met=kernel <= -1,
    )  # fmt: skip
    yield _row(
        "the same at a listener", heard, "dBTP", clause="protection",
        note="Opus's own overshoot is in it",
    )  # fmt: skip
    yield _row(
        "THD+N of a tone at +6 dBFS, limited", curve[-1].thd_n_percent, "%", clause="protection"
    )
    yield from _hearing()


def _hearing() -> Iterator[Row]:
    required = "94 dB for 100 ms (quoted by makers)"
    jump = iso_guard.jump()
    # A tone of 1 kHz is 0.7 LU louder than its mean square less 0.69: LUFS and dBFS agree.
    above_db = jump.settled_dbfs - TARGET_LUFS
    yield _row(
        "hearing protection, uncalibrated: loudness over the target after a jump of 20 dB",
        above_db, "LU", clause="protection", path="guard", goal="≤ 6", is_met=above_db <= 6,
        note=f"settled within {jump.settled_ms:.0f} ms",
    )  # fmt: skip
    loud = iso_guard.jump(iso_guard.CALIBRATED_DB)
    level_db = loud.highest_100_ms_dbfs + iso_guard.CALIBRATED_DB
    yield _row(
        "hearing protection, a headset of 114 dB at full scale: loudest 100 ms of a jump to 111 dB",
        level_db, "dB SPL", clause="protection", path="guard",
        goal=f"≤ {iso_guard.SUSTAINED_DB:.0f}", is_met=level_db <= iso_guard.SUSTAINED_DB + 0.1,
        required=required, note=f"settled within {loud.settled_ms:.0f} ms",
    )  # fmt: skip
    dose = iso_guard.dose()
    error = 100 * (dose.measured_percent / dose.expected_percent - 1)
    yield _row(
        f"dose of {iso_guard.DOSE_MINUTES} minutes at {iso_guard.DOSE_DB:.0f} dB(A), its error",
        error, "%", clause="protection", path="guard", goal="within ±5", is_met=abs(error) <= 5,
        note=f"{dose.measured_percent:.2f} % of a day at 80 dB(A), {dose.warnings} warnings",
    )  # fmt: skip


def _steps() -> Iterator[Row]:
    for found in scenes.clicks():
        yield _row(
            f"click above 6 kHz: {found.change}",
            found.at_change_dbfs, "dBFS", clause="steps", goal=f"≤ {CLICK_DBFS:.0f}",
            is_met=found.stays_below(CLICK_DBFS),
            note=f"{found.own_dbfs:.1f} where nothing changes",
        )  # fmt: skip
    gap_ms = scenes.handover_gap_ms()
    yield _row(
        "gap at a handover, 10 dB below the voice", gap_ms, "ms", clause="steps",
        goal="0", is_met=gap_ms == 0,
    )  # fmt: skip


def _curves() -> Iterator[Row]:
    for path, figures in scenes.stepped_sines().items():
        for each in figures:
            yield {
                "curve": "stepped sines", "path": path, "hz": each.hz,
                "band_db": round(each.band_db, 2), "sine_db": round(each.sine_db, 2),
                "thd_n_percent": round(each.thd_n_percent, 2),
            }  # fmt: skip
    for path, gains in scenes.pink_noise().items():
        for hz, gain in gains:
            yield {"curve": "pink noise", "path": path, "hz": hz, "band_db": round(gain, 2)}
    for point in iso_guard.limiter_curve():
        yield {
            "curve": "limiter", "path": "mixed", "given_dbfs": point.given_dbfs,
            "kernel_dbtp": round(point.kernel_dbtp, 2), "heard_dbtp": round(point.heard_dbtp, 2),
            "thd_n_percent": round(point.thd_n_percent, 2),
        }  # fmt: skip
    for path, spl_db in (("uncalibrated", None), ("calibrated", iso_guard.CALIBRATED_DB)):
        for index, level in enumerate(iso_guard.jump(spl_db).envelope_dbfs):
            yield {"curve": "guard", "path": path, "ms": 10 * index - 500, "dbfs": level}


def pictures(rows: list[Row], folder: Path) -> list[Path]:
    """The plots, and the report: `iso-report.json` (signed) and `iso-report.html`."""
    return iso_report.write(rows, folder, node_key(), __doc__ or "")


def verify(path: Path) -> int:
    """Prints who signed a report; exit code 1 when it was changed or is none."""
    try:
        report, signer = verified(path)
    except ReportError as error:
        print(f"kabina bench iso: {error}")
        return 1
    ours = "this node's" if signer == key_id(node_key().public_key()) else "another node's"
    print(f"{path}: unchanged, signed {report.get('signed_at', '?')} with key {signer} ({ours})")
    return 0
