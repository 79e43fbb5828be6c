"""The engine as benchmarks drive it, and the speech they put through it."""

from __future__ import annotations

import numpy as np
import pytest

from kabina.benchmarks import engine_driver, speech
from kabina.benchmarks.engine_driver import FRAME, MS, EngineDriver, RowPacket, stream
from kabina.native.mixing import RowPlan


def tone(seconds, hz=500.0, amplitude=0.25):
    at = np.arange(round(seconds * 48_000)) / 48_000
    return (amplitude * np.sin(2 * np.pi * hz * at)).astype(np.float32)


@pytest.fixture
def driver():
    return EngineDriver()


def test_what_goes_into_a_row_comes_out_at_its_level(driver):
    row, source = driver.row(), driver.engine.add_source()
    driver.engine.apply([RowPlan(row, (source,), (), heard=True)])
    driver.send(source, stream(tone(2)))
    driver.run(2_000)
    heard = driver.listen(row).samples[48_000:90_000]
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(0.25 / np.sqrt(2), rel=0.05)


def test_a_row_sends_as_much_sound_as_time_has_passed(driver):
    row, source = driver.row(), driver.engine.add_source()
    driver.engine.apply([RowPlan(row, (source,), (), heard=True)])
    driver.send(source, stream(tone(3)))
    driver.run(3_000)
    assert len(driver.listen(row).samples) == pytest.approx(3 * 48_000, abs=2 * FRAME)


def test_lost_packets_do_not_arrive(driver):
    row, source = driver.row(), driver.engine.add_source()
    driver.engine.apply([RowPlan(row, (source,), (), heard=True)])
    driver.send(source, stream(tone(1)), delays_ms=[None, 0.0] * 25)
    driver.run(1_100)
    assert driver.engine.source_readings(source).received == 25


def test_an_inactive_talkers_level_says_so():
    sent = stream(np.concatenate([tone(0.1), np.zeros(FRAME * 5, np.float32)]))
    assert sent.levels[2] == pytest.approx(15, abs=1)
    assert sent.levels[-1] == 127


def test_what_a_rows_clock_leaves_out_is_filled():
    packets = stream(tone(0.2)).packets
    sent = [RowPacket(0, i * FRAME, each) for i, each in enumerate(packets) if i not in (4, 5)]
    heard = engine_driver.decoded(sent)
    assert len(heard.samples) == 10 * FRAME
    assert heard.at(20 * MS) == FRAME


def test_a_row_that_sent_nothing_is_silence():
    assert len(engine_driver.decoded([]).samples) == 0


def test_speech_that_cannot_be_had_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(speech, "CACHE", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(speech.NoSpeechError, match="apt-get"):
        speech._fetched("fr")


def test_a_download_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    tool = tmp_path / "bin" / "apt-get"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho 'E: Unable to locate package' >&2\nexit 100\n")
    (tool.parent / "dpkg-deb").write_text("#!/bin/sh\n")
    for each in tool.parent.iterdir():
        each.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    monkeypatch.setattr(speech, "CACHE", tmp_path / "speech")
    with pytest.raises(speech.NoSpeechError, match="Unable to locate package"):
        speech._fetched("fr")
    assert list((tmp_path / "speech").iterdir()) == []


def test_speech_is_levelled_where_it_speaks():
    sound = np.concatenate([tone(1, amplitude=0.9), np.zeros(96_000, np.float32)])
    levelled = speech._levelled(sound)
    rms_db = 20 * np.log10(np.sqrt(np.mean(levelled[:48_000] ** 2)))
    assert rms_db == pytest.approx(-26, abs=0.01)
