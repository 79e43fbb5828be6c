"""What an answer agrees on, from values: no text."""

from itertools import count

import pytest

from kabina.sfu.negotiation import OPUS_PARAMETERS, Permissions, answer_sections
from kabina.sfu.offer import (
    TRANSPORT_CC,
    AnswerSection,
    Codec,
    Direction,
    Fingerprint,
    Offer,
    OutgoingStream,
    Section,
    Setup,
)

EVERYTHING = Permissions(publish_audio=1, receive_audio=1, publish_video=1, receive_video=1)
FEEDBACK = frozenset({"transport-cc", "nack", "nack pli", "goog-remb", "ccm tmmbr"})


def section(kind: str, mid: str, direction: Direction, feedback: frozenset[str]) -> Section:
    codec = (
        Codec("opus", 111, 48000, 2, feedback=feedback)
        if kind == "audio"
        else Codec("VP8", 96, 90000, feedback=feedback)
    )
    return Section(kind, mid, direction, (codec,), {TRANSPORT_CC: 3, "urn:other": 4})


def answered(
    *sections: tuple[str, Direction], feedback: frozenset[str] = FEEDBACK
) -> tuple[AnswerSection, ...]:
    offer = Offer(
        tuple(
            section(kind, str(mid), direction, feedback)
            for mid, (kind, direction) in enumerate(sections)
        ),
        "uuuu",
        (Fingerprint("sha-256", "AA:BB"),),
        Setup.ACTPASS,
    )
    numbers = count(1)
    return answer_sections(
        offer, EVERYTHING, lambda rtx: OutgoingStream(next(numbers), 0, "c", "s", "t")
    )


def counts_in_feedback(one: AnswerSection) -> bool:
    by_extension = TRANSPORT_CC in one.section.extensions
    assert by_extension == ("transport-cc" in one.feedback)
    return by_extension


def test_pictures_and_the_sound_sent_beside_them_count_in_transport_wide_feedback():
    hears, sees, speaks, films = answered(
        ("audio", Direction.RECVONLY),
        ("video", Direction.RECVONLY),
        ("audio", Direction.SENDONLY),
        ("video", Direction.SENDONLY),
    )
    assert counts_in_feedback(hears)
    assert counts_in_feedback(sees)
    assert counts_in_feedback(films)
    assert not counts_in_feedback(speaks)
    assert "urn:other" in speaks.section.extensions


def test_a_listener_without_pictures_is_spared_transport_wide_feedback():
    (hears,) = answered(("audio", Direction.RECVONLY))
    assert not counts_in_feedback(hears)


def test_who_does_not_offer_the_feedback_is_sent_no_numbers_for_it():
    hears, sees = answered(
        ("audio", Direction.RECVONLY),
        ("video", Direction.RECVONLY),
        feedback=FEEDBACK - {"transport-cc"},
    )
    assert not counts_in_feedback(hears)
    assert not counts_in_feedback(sees)
    assert "goog-remb" in sees.feedback


def test_only_feedback_that_the_plane_answers_is_agreed_on():
    hears, sees = answered(("audio", Direction.RECVONLY), ("video", Direction.RECVONLY))
    assert hears.feedback == {"transport-cc"}
    assert sees.feedback == {"transport-cc", "nack", "nack pli", "goog-remb"}


def opus_answer(direction: Direction, **offered: int) -> dict[str, int | str | None]:
    codec = Codec("opus", 111, 48000, 2, parameters={"minptime": 10, **offered})
    offer = Offer(
        (Section("audio", "0", direction, (codec,), {}),),
        "uuuu",
        (Fingerprint("sha-256", "AA:BB"),),
        Setup.ACTPASS,
    )
    (one,) = answer_sections(offer, EVERYTHING, lambda rtx: OutgoingStream(1, 0, "c", "s", "t"))
    return dict(one.codecs[0].codec.parameters)


@pytest.mark.parametrize("direction", [Direction.SENDONLY, Direction.RECVONLY, Direction.SENDRECV])
def test_voices_are_mono_unless_the_offer_says_otherwise(direction: Direction):
    assert opus_answer(direction) == dict(OPUS_PARAMETERS)
    assert opus_answer(direction, stereo=0, **{"sprop-stereo": 0}) == dict(OPUS_PARAMETERS)


@pytest.mark.parametrize("said", [1, "1"])
def test_who_sends_stereo_is_asked_for_it_and_given_the_rate(said: int | str):
    answer = opus_answer(Direction.SENDONLY, stereo=1, **{"sprop-stereo": said})
    assert answer["stereo"] == 1
    assert answer["maxaveragebitrate"] == 96_000
    assert "sprop-stereo" not in answer


def test_a_firefox_microphone_stays_mono():
    """It likes to get stereo, which is no word about what it sends."""
    assert opus_answer(Direction.SENDONLY, stereo=1) == dict(OPUS_PARAMETERS)


def test_who_likes_to_get_stereo_is_told_that_it_may_come():
    answer = opus_answer(Direction.RECVONLY, stereo=1)
    assert answer["sprop-stereo"] == 1
    assert "stereo" not in answer
    assert answer["maxaveragebitrate"] == 64_000
    # What they would send says nothing about what they like to get.
    assert opus_answer(Direction.RECVONLY, **{"sprop-stereo": 1}) == dict(OPUS_PARAMETERS)


def test_lost_sound_is_asked_for_and_not_sent_again():
    """What we send has no RTX, so a listener's NACK could not be answered."""
    hears, speaks = answered(("audio", Direction.RECVONLY), ("audio", Direction.SENDONLY))
    assert "nack" in speaks.feedback
    assert "nack" not in hears.feedback
    (both,) = answered(("audio", Direction.SENDRECV))
    assert "nack" not in both.feedback
