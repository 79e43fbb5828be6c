"""The signed report, and what finds a click."""

from __future__ import annotations

import json

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kabina.benchmarks import command, iso, iso_report, signing
from kabina.benchmarks import iso_scenes as scenes
from kabina.benchmarks.engine_driver import FRAME, FRAME_NS, MS, START_NS, Heard, RowPacket, stream

RESULT = {
    "quantity": "noise <loud>",
    "path": "mixed",
    "measured": -80.0,
    "unit": "dBFS",
    "goal": "≤ −60",
    "met": "NO",
    "clause": "20109 Noise and hum",
    "required": iso.NOT_PUBLIC,
}
ROWS = [
    RESULT,
    *(
        {"curve": curve, "path": path, "hz": hz, "band_db": 0.1, "sine_db": 0, "thd_n_percent": 0.5}
        for curve in ("stepped sines", "pink noise")
        for path in ("forwarded", "mixed")
        for hz in (125.0, 15_000.0)
    ),
    {"curve": "limiter", "path": "mixed", "given_dbfs": 0, "kernel_dbtp": -1, "heard_dbtp": -1},
]


@pytest.fixture
def key():
    return Ed25519PrivateKey.generate()


@pytest.fixture
def report(tmp_path, key):
    """A report in its folder; the path of its JSON."""
    return iso_report.write(ROWS, tmp_path, key, "How it was measured.")[-1]


# ---- signature -----------------------------------------------------------------------------------


def test_a_report_is_verified_with_the_key_that_signed_it(report, key):
    found, signer = signing.verified(report)
    assert found["rows"] == ROWS
    assert signer == signing.key_id(key.public_key())


def test_the_page_says_aligned_and_escapes_what_it_shows(report):
    page = report.with_name("iso-report.html").read_text()
    assert "Aligned with ISO 20109:2025" in page
    assert "compliant" not in page.lower()
    assert "noise &lt;loud&gt;" in page
    assert iso.NOT_PUBLIC in page


@pytest.mark.parametrize(
    "change",
    [
        lambda whole: whole["report"]["rows"][0].update(measured=-90.0),
        lambda whole: whole["report"].update(statement="Compliant."),
        lambda whole: whole["report"]["documents"].clear(),
        lambda whole: whole["signature"].update(
            value=whole["signature"]["value"][:-8] + "AAAAAAA="
        ),
    ],
)
def test_a_report_that_was_changed_is_refused(report, change):
    whole = json.loads(report.read_text())
    change(whole)
    report.write_text(json.dumps(whole))
    with pytest.raises(signing.ReportError, match="changed"):
        signing.verified(report)


def test_blanks_and_the_order_of_keys_are_no_change(report):
    whole = json.loads(report.read_text())
    turned = {
        "signature": whole["signature"],
        "report": dict(reversed(list(whole["report"].items()))),
    }
    report.write_text(json.dumps(turned))
    signing.verified(report)


def test_a_page_that_was_changed_or_lost_is_noticed(report):
    page = report.with_name("iso-report.html")
    page.write_text(page.read_text().replace("NO", "yes"))
    with pytest.raises(signing.ReportError, match="changed"):
        signing.verified(report)
    page.unlink()
    with pytest.raises(signing.ReportError, match="missing"):
        signing.verified(report)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"report": 1, "signature": 2}', '{"report": {}, "signature": {}}', "\x00"],
)
def test_what_is_no_report_is_said_to_be_none(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(signing.ReportError, match="not a signed report"):
        signing.verified(path)


def test_the_signature_is_none_of_the_tokens_the_key_signs_too(report, key):
    """Of the report alone, without its prefix, the key never made one."""
    whole = json.loads(report.read_text())
    text = json.dumps(whole["report"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    value = signing.base64.b64decode(whole["signature"]["value"])
    with pytest.raises(signing.InvalidSignature):
        key.public_key().verify(value, text.encode())


def test_the_command_line_verifies_with_the_nodes_own_key(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KABINA_DATA_DIR", str(tmp_path / "data"))
    own = iso_report.write(ROWS, tmp_path, signing.node_key(), "")[-1]
    assert command.run("iso", None, report=own) == 0
    assert "this node's" in capsys.readouterr().out
    own.write_text(own.read_text().replace("-80.0", "-81.0"))
    assert command.run("iso", None, report=own) == 1
    assert "changed" in capsys.readouterr().out


# ---- scenes --------------------------------------------------------------------------------------


def changes(count=3):
    return [START_NS + (scenes.SETTLE_MS + i * scenes._EVERY_MS) * MS for i in range(count)]


def steady(seconds):
    return scenes.tone(440, seconds, -26)


def test_a_click_at_a_change_is_found_and_its_height_too():
    sound = steady(16)
    for change in changes():
        sound[(change - START_NS) * 48 // MS :] *= -1
    found = scenes.click("polarity", Heard(sound, START_NS), changes())
    assert found.excess_db > 30
    assert not found.stays_below(-60)


def test_a_click_elsewhere_is_the_sounds_own():
    sound = steady(16)
    sound[(scenes.SETTLE_MS + 1_200) * 48 :] *= -1
    found = scenes.click("none", Heard(sound, START_NS), changes())
    assert found.excess_db < -30
    assert found.stays_below(-60)


def test_the_end_of_the_ducking_is_part_of_the_change():
    sound = steady(16)
    sound[(scenes.SETTLE_MS + 2_600) * 48 :] *= -1
    assert not scenes.click("late", Heard(sound, START_NS), changes()).stays_below(-60)


def test_a_listener_who_changes_the_language_hears_the_other_row_from_then_on():
    rows = [
        [
            RowPacket(START_NS + i * FRAME_NS, 7_000 * (r + 1) + i * FRAME, payload)
            for i, payload in enumerate(stream(scenes.tone(hz, 2, -20)).packets)
        ]
        for r, hz in enumerate((440, 880))
    ]
    heard = scenes.spliced(rows, [START_NS + 1_000 * MS]).samples
    assert len(heard) == 2 * 48_000
    before, after = heard[10_000:40_000], heard[56_000:86_000]
    assert scenes.measures.tone_dbfs(before, 440) > -25 > scenes.measures.tone_dbfs(before, 880)
    assert scenes.measures.tone_dbfs(after, 880) > -25 > scenes.measures.tone_dbfs(after, 440)


def test_a_bands_level_is_that_of_its_tone():
    sound = scenes.tone(1000, 1, -20)[4_800:-4_800]
    assert scenes.band_dbfs(sound, 1000) == pytest.approx(-23.01, abs=0.05)
    assert scenes.band_dbfs(sound, 2000) < -80


def test_a_tone_comes_through_both_paths_at_its_level():
    sound = scenes.tone(1000, 2)
    for heard in scenes.through(sound):
        assert scenes.measures.tone_dbfs(heard[48_000:86_400], 1000) == pytest.approx(-23, abs=0.2)
        assert np.max(np.abs(heard)) < 0.2
