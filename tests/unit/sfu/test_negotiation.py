"""What an answer agrees on, from values: no text."""

from itertools import count

from kabina.sfu.negotiation import Permissions, answer_sections
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
