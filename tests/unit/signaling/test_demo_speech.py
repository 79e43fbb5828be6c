"""The demo's recordings and its script agree, and show within a minute what they are to show."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kabina.signaling import demo
from kabina.signaling.demo import script
from kabina.signaling.demo.make_speech import RATE, VOICES, loudness_lufs

FOLDER = Path(demo.__file__).parent
HOLD_AND_RELEASE_S = 2.5 + 0.8  # until the original is back after a microphone went off
STEP_S = 0.1


@pytest.fixture(scope="module")
def recordings():
    read = {part.language: soundfile.read(FOLDER / part.file) for part in script.PARTS}
    assert {rate for _, rate in read.values()} == {RATE}
    return {language: samples for language, (samples, _) in read.items()}


def _speaking(samples):
    """Whether somebody speaks in each tenth of a second: over −50 dBFS."""
    whole = samples[: len(samples) // int(STEP_S * RATE) * int(STEP_S * RATE)]
    return np.sqrt((whole.reshape(-1, int(STEP_S * RATE)) ** 2).mean(axis=1)) > 10 ** (-50 / 20)


def _on_air(booth):
    """Whether the booth is on air in each tenth of a second."""
    times = np.arange(round(script.LOOP_S / STEP_S)) * STEP_S
    spans = script.on_air_spans(booth)
    return np.any([(start <= times) & (times < stop) for start, stop in spans], axis=0)


def _longest_s(flags):
    """The longest unbroken stretch, in seconds."""
    longest = run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        longest = max(longest, run)
    return longest * STEP_S


def test_full_scale_at_997_hz_reads_as_the_standard_says():
    tone = np.sin(2 * np.pi * 997 * np.arange(5 * RATE) / RATE)
    assert loudness_lufs(tone) == pytest.approx(-3.01, abs=0.02)  # ITU-R BS.1770-4, 2.8


def test_silence_has_no_loudness():
    assert loudness_lufs(np.zeros(RATE)) == -np.inf


def test_every_recording_is_exactly_one_loop_long_and_mono(recordings):
    for samples in recordings.values():
        assert samples.shape == (round(script.LOOP_S * RATE),)


def test_every_recording_is_at_the_level_of_a_well_set_microphone(recordings):
    for samples in recordings.values():
        assert loudness_lufs(samples) == pytest.approx(-20.0, abs=1.0)
        assert np.abs(samples).max() < 10 ** (-2 / 20)


def test_the_recordings_are_small():
    assert sum((FOLDER / part.file).stat().st_size for part in script.PARTS) < 700_000


def test_every_part_has_a_voice_and_a_channel_of_its_own():
    assert set(VOICES) == {script.FLOOR_LANGUAGE, *script.BOOTH_LANGUAGES}
    assert script.BOOTH_LANGUAGES == ("fr", "sq")


def test_the_loop_is_heard_within_a_minute():
    assert 45 <= script.LOOP_S <= 60


def test_cues_are_in_order_and_inside_the_loop():
    times = [cue.at_s for cue in script.CUES]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] < script.LOOP_S


@pytest.mark.parametrize("booth", script.BOOTH_LANGUAGES)
def test_every_booth_goes_on_and_off_in_turns_and_ends_off(booth):
    on_air = [cue.on_air for cue in script.CUES if cue.booth == booth]
    assert on_air == [True, False] * (len(on_air) // 2)
    assert all(start < stop for start, stop in script.on_air_spans(booth))


@pytest.mark.parametrize("part", script.BOOTHS, ids=lambda part: part.language)
def test_nobody_speaks_into_a_microphone_that_is_off(recordings, part):
    assert not np.any(_speaking(recordings[part.language]) & ~_on_air(part.language))
    for line in part.lines:
        assert any(on <= line.at_s < off for on, off in script.on_air_spans(part.language))


@pytest.mark.parametrize("booth", script.BOOTH_LANGUAGES)
def test_the_interpreter_is_heard_over_the_speaker(recordings, booth):
    together = _speaking(recordings[booth]) & _speaking(recordings[script.FLOOR_LANGUAGE])
    assert together.sum() * STEP_S > 15


@pytest.mark.parametrize("booth", script.BOOTH_LANGUAGES)
def test_the_interpreter_pauses_with_the_microphone_on_while_the_speaker_goes_on(recordings, booth):
    paused = _on_air(booth) & ~_speaking(recordings[booth])
    assert _longest_s(paused) >= 2.5
    assert (paused & _speaking(recordings[script.FLOOR_LANGUAGE])).sum() * STEP_S >= 2.0


@pytest.mark.parametrize("booth", script.BOOTH_LANGUAGES)
def test_with_the_microphone_off_the_original_has_time_to_come_up(booth, recordings):
    spans = script.on_air_spans(booth)
    (off_s, on_s) = max(
        ((stop, start) for (_, stop), (start, _) in pairwise(spans)),
        key=lambda gap: gap[1] - gap[0],
    )
    first = round((off_s + HOLD_AND_RELEASE_S) / STEP_S)
    original = _speaking(recordings[script.FLOOR_LANGUAGE])[first : round(on_s / STEP_S)]
    assert original.sum() * STEP_S >= 5


def test_the_booths_do_not_rest_together():
    start, stop = (round(at_s / STEP_S) for at_s in (3.0, 55.0))
    resting = [~_on_air(booth)[start:stop] for booth in script.BOOTH_LANGUAGES]
    assert all(rest.any() for rest in resting)
    assert not np.any(np.logical_and.reduce(resting))
