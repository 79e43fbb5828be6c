"""Chirps tell how late a sound is: what they say of a known delay must be that delay."""

from __future__ import annotations

import numpy as np
import pytest

from kabina.benchmarks.chirps import (
    AMPLITUDE,
    FRAME,
    LENGTH,
    RATE_HZ,
    Heard,
    band,
    best_match,
    chirp,
    encoded,
    found_chirps,
    mouth_ns,
    voice,
)

FRAME_NS = 20_000_000
LOOK_AHEAD = 312


def noise(length: int, rms: float = 0.05) -> np.ndarray:
    return (np.random.default_rng(3).standard_normal(length) * rms).astype(np.float32)


def packets(payloads: list[bytes], *, late_ns: int = 0) -> list[tuple[int, int, int, bytes]]:
    return [(late_ns + i * FRAME_NS, i * FRAME, i, each) for i, each in enumerate(payloads)]


@pytest.mark.parametrize("rising", [True, False])
@pytest.mark.parametrize("place", [0, 1, 4_711, 20_000 - LENGTH])
def test_a_chirp_is_found_where_it_was_put(rising: bool, place: int):
    sound = np.zeros(20_000, np.float32)
    sound[place : place + LENGTH] = chirp(rising=rising)
    assert best_match(sound, chirp(rising=rising)) == (place, pytest.approx(1, abs=1e-3))


def test_a_chirp_18_db_down_is_found_under_louder_noise():
    sound = noise(48_000)
    sound[9_000 : 9_000 + LENGTH] += 0.126 * chirp(rising=True)
    at, likeness = best_match(band(sound), chirp(rising=True))
    assert (abs(at - 9_000) <= 2, likeness > 0.3) == (True, True)


def test_the_other_voice_s_chirp_noise_and_silence_are_not_taken_for_one():
    other = noise(20_000, 0.01)
    other[5_000 : 5_000 + LENGTH] += chirp(rising=False)
    for sound in (other, noise(20_000), np.zeros(20_000, np.float32)):
        assert best_match(band(sound), chirp(rising=True))[1] < 0.25


def test_too_short_a_sound_has_no_match():
    assert best_match(np.zeros(10, np.float32), chirp(rising=True)) == (0, 0.0)


def test_a_chirp_stays_below_full_scale():
    assert np.abs(chirp(rising=True)).max() <= AMPLITUDE


def test_a_sample_leaves_the_mouth_before_the_packet_of_its_frame_does():
    sent = packets([b""] * 3, late_ns=1_000_000_000)
    assert mouth_ns(sent, 2 * FRAME) == 1_000_000_000 + 2 * FRAME_NS - FRAME_NS
    assert mouth_ns(sent, 2 * FRAME + FRAME // 2) == 1_000_000_000 + 2 * FRAME_NS - FRAME_NS // 2
    with pytest.raises(IndexError):
        mouth_ns(sent, 3 * FRAME)


def test_a_forwarded_voice_takes_a_frame_and_a_look_ahead_and_the_way():
    said = voice(4, speaker=0, rising=True)
    sent = packets(said.payloads)
    found, missed = found_chirps(
        said, sent, Heard(packets(said.payloads, late_ns=17_000_000)), most_ms=200
    )
    assert (len(found) >= 6, missed) == (True, 0)
    for each in found:
        assert each.ms == pytest.approx(20 + 6.5 + 17, abs=0.1)
        assert each.heard_at - each.sent_at == pytest.approx(LOOK_AHEAD, abs=3)


def test_a_second_encoder_takes_a_second_look_ahead():
    said = voice(4, speaker=0, rising=True)
    sent = packets(said.payloads)
    again = encoded(Heard(sent).sound)
    found, missed = found_chirps(said, sent, Heard(packets(again)), most_ms=200)
    assert (len(found) >= 6, missed) == (True, 0)
    assert [each.ms for each in found] == pytest.approx([33.0] * len(found), abs=0.15)


def test_a_voice_that_is_not_there_is_missed():
    said, other = voice(3, speaker=0, rising=True), voice(3, speaker=1, rising=False)
    found, missed = found_chirps(said, packets(said.payloads), Heard(packets(other.payloads)))
    assert (found, missed > 0) == ([], True)


def test_a_hole_in_the_timestamps_moves_nothing_behind_it_and_is_not_timed():
    said = voice(3, speaker=0, rising=True)
    whole = packets(said.payloads)
    holed = Heard(whole[:10] + whole[12:])
    assert len(holed.sound) == len(whole) * FRAME
    assert holed.ear_ns(10 * FRAME) is None
    assert holed.ear_ns(12 * FRAME + 48) == 12 * FRAME_NS + 1_000_000
    assert holed.frame_of(12 * FRAME) == 10


def test_what_comes_twice_or_late_is_left_out_and_timestamps_may_wrap():
    said = voice(1, speaker=0, rising=True).payloads[:4]
    start = (1 << 32) - 2 * FRAME
    stamped = [(i, (start + i * FRAME) % (1 << 32), i, each) for i, each in enumerate(said)]
    heard = Heard([*stamped, stamped[1]])
    assert (len(heard.lengths), len(heard.sound)) == (4, 4 * FRAME)


def test_the_first_sample_after_a_moment_is_in_the_frame_that_came_last():
    heard = Heard(packets(voice(1, speaker=0, rising=True).payloads[:3]))
    assert heard.sample_at(-1) == 0
    assert heard.sample_at(FRAME_NS) == FRAME
    assert heard.sample_at(FRAME_NS + 1_000_000) == FRAME + RATE_HZ // 1000
    assert heard.sample_at(10**12) == 3 * FRAME
