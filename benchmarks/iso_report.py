"""The report of `kabina bench iso`: plots, one HTML page that needs nothing else, signed JSON."""

from __future__ import annotations

import html
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from kabina.benchmarks import pictures as drawing
from kabina.benchmarks.conditions import conditions
from kabina.benchmarks.signing import key_id, sha256, signed

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    Row = dict[str, object]

TITLE: Final = "Sound through the server"
STATEMENT: Final = (
    "Aligned with ISO 20109:2025 and ISO 24019:2022. No conformity is claimed: the paid texts were "
    "not read, and values that are not public are not stated."
)
COLUMNS: Final = (
    "quantity", "path", "measured", "unit", "goal", "met", "clause", "required", "note",
)  # fmt: skip
_STYLE: Final = """body{font:15px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;
padding:0 1rem;color:#222;background:#fff}table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.3rem .5rem;border-bottom:1px solid #ddd}
td.no{font-weight:bold}svg{max-width:100%;height:auto}"""


def write(rows: list[Row], folder: Path, key: Ed25519PrivateKey, method: str) -> list[Path]:
    """The files, in `folder`: plots where matplotlib is, the page, the signed rows."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        plots = [*drawing.save(_response(rows), folder, "iso-response")]
        plots += drawing.save(_protection(rows), folder, "iso-protection")
        missing = None
    except drawing.NoPicturesError as error:
        plots, missing = [], f"no plots: {error}; {drawing.HOW_TO_HAVE_IT}"
    circumstances = conditions()
    page = folder / "iso-report.html"
    page.write_text(
        _page(rows, circumstances, [each for each in plots if each.suffix == ".svg"], key, method)
    )
    report: dict[str, object] = {
        "title": TITLE,
        "statement": STATEMENT,
        "method": " ".join(method.split()),
        "signed_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "conditions": circumstances,
        "rows": rows,
        "documents": {each.name: sha256(each.read_bytes()) for each in (page, *plots)},
    }
    if missing:
        report["missing"] = missing
    data = folder / "iso-report.json"
    data.write_text(signed(report, key))
    return [*plots, page, data]


def _page(
    rows: list[Row],
    circumstances: dict[str, object],
    plots: list[Path],
    key: Ed25519PrivateKey,
    method: str,
) -> str:
    said = html.escape
    head = "".join(f"<th>{each}</th>" for each in COLUMNS)
    body = "\n".join(
        "<tr>" + "".join(_cell(row.get(column)) for column in COLUMNS) + "</tr>"
        for row in rows
        if "quantity" in row
    )
    drawings = "\n".join(_inline(each.read_text()) for each in plots) or "<p>No plots.</p>"
    where = ", ".join(f"{name} {value}" for name, value in circumstances.items())
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{said(TITLE)}</title><style>{_STYLE}</style>
<h1>{said(TITLE)}</h1>
<p><strong>{said(STATEMENT)}</strong></p>
<p>{said(method)}</p>
<p>{said(where)}</p>
<table><thead><tr>{head}</tr></thead><tbody>
{body}
</tbody></table>
{drawings}
<p>The rows, and the digests of this page and its plots, are signed in iso-report.json with this
node's key {key_id(key.public_key())}; <code>kabina bench iso --verify iso-report.json</code> checks
it.</p>
</html>
"""


def _cell(value: object) -> str:
    text = "–" if value is None else html.escape(str(value))
    return f'<td class="no">{text}</td>' if value == "NO" else f"<td>{text}</td>"


def _inline(svg: str) -> str:
    """Without what stands before the element: an XML declaration has no place in HTML."""
    return svg[svg.index("<svg") :]


def _response(rows: list[Row]) -> Any:  # noqa: ANN401
    figure, (gains, distortion) = drawing.grid(1, 2, width=12)
    for path in ("forwarded", "mixed"):
        sines = _curve(rows, "stepped sines", path)
        noise = _curve(rows, "pink noise", path)
        hz = [each["hz"] for each in sines]
        gains.plot(hz, [each["band_db"] for each in sines], marker="o", label=f"sines, {path}")
        gains.plot(
            [each["hz"] for each in noise], [each["band_db"] for each in noise],
            linestyle=":", label=f"pink noise, {path}",
        )  # fmt: skip
        distortion.plot(hz, [each["thd_n_percent"] for each in sines], marker="o", label=path)
    gains.axhspan(-1, 1, color="#009E73", alpha=0.1)
    gains.set_ylim(-8, 3)
    gains.set_title("dB per third of an octave; shaded: the goal")
    drawing.goal(distortion, 1, "goal at 997 Hz")
    distortion.set_yscale("log")
    distortion.set_title("THD+N of stepped sines at −20 dBFS, %")
    for axes in (gains, distortion):
        axes.set_xscale("log")
        axes.set_xticks([125, 250, 500, 1000, 2000, 4000, 8000, 15_000])
        axes.set_xticklabels(["125", "250", "500", "1k", "2k", "4k", "8k", "15k"])
        axes.minorticks_off()
        axes.set_xlabel("Hz")
        axes.legend()
    return figure


def _protection(rows: list[Row]) -> Any:  # noqa: ANN401
    figure, (limiter, guard) = drawing.grid(1, 2, width=12, height=3.5)
    points = _curve(rows, "limiter", "mixed")
    given = [each["given_dbfs"] for each in points]
    limiter.plot(given, given, color="#bbbbbb", label="in")
    limiter.plot(given, [each["kernel_dbtp"] for each in points], marker="o", label="limiter")
    limiter.plot(given, [each["heard_dbtp"] for each in points], marker="x", label="at a listener")
    drawing.goal(limiter, -1, "−1 dBTP")
    limiter.set_xlabel("tone of two talkers, dBFS")
    limiter.set_title("Limiter: true peak, dBTP")
    limiter.legend()
    for path in ("uncalibrated", "calibrated"):
        if line := _curve(rows, "guard", path):
            guard.plot([each["ms"] for each in line], [each["dbfs"] for each in line], label=path)
    guard.set_xlabel("ms after a jump of 20 dB")
    guard.set_title("Hearing protection: level of 10 ms, dBFS")
    if guard.lines:
        guard.legend()
    else:
        guard.annotate("not in this build", (0.5, 0.5), xycoords="axes fraction", ha="center")
    return figure


def _curve(rows: list[Row], name: str, path: str) -> list[Row]:
    return [row for row in rows if row.get("curve") == name and row.get("path") == path]
