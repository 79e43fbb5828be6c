import pytest

from kabina.interpretation.errors import InterpretationError, LanguageTagError, MeetingSpecError
from kabina.interpretation.ids import LockPolicy, MeetingId
from kabina.interpretation.spec import MAX_LANGUAGES, MeetingSpec

DEMO = MeetingId("demo")


def test_the_floor_language_is_the_first_channel_and_has_no_booth():
    spec = MeetingSpec(DEMO, "", "en", ("fr", "sq"))
    assert spec.channels == ("en", "fr", "sq")
    assert spec.booths == ("fr", "sq")


def test_naming_the_floor_language_among_the_others_makes_no_booth_for_it():
    spec = MeetingSpec(DEMO, "", "en", ("fr", "EN", "sq"))
    assert spec.channels == ("en", "fr", "sq")


def test_a_meeting_may_have_no_interpretation():
    assert MeetingSpec(DEMO, "", "en", ()).channels == ("en",)


@pytest.mark.parametrize("policy", [LockPolicy.OVERRIDE, LockPolicy.NONE])
def test_a_lock_policy_that_is_not_there_yet_is_refused(policy):
    with pytest.raises(MeetingSpecError):
        MeetingSpec(DEMO, "", "en", ("fr",), lock=policy)


@pytest.mark.parametrize("desks", [0, 4, -1])
def test_a_booth_has_one_to_three_desks(desks):
    with pytest.raises(MeetingSpecError):
        MeetingSpec(DEMO, "", "en", ("fr",), desks_per_booth=desks)


@pytest.mark.parametrize("languages", [("fr", "fr"), ("fr", "FR")])
def test_a_language_stands_once(languages):
    with pytest.raises(MeetingSpecError, match="twice"):
        MeetingSpec(DEMO, "", "en", languages)


@pytest.mark.parametrize(("floor", "languages"), [("floor", ()), ("en", ("floor",)), ("e n", ())])
def test_a_meeting_of_impossible_languages_is_refused(floor, languages):
    with pytest.raises(LanguageTagError):
        MeetingSpec(DEMO, "", floor, languages)


def test_the_number_of_languages_is_bounded():
    many = tuple(f"x-{number}" for number in range(MAX_LANGUAGES))
    assert len(MeetingSpec(DEMO, "", "en", many[1:]).channels) == MAX_LANGUAGES
    with pytest.raises(InterpretationError):
        MeetingSpec(DEMO, "", "en", many)


def test_a_meeting_needs_an_id():
    with pytest.raises(MeetingSpecError):
        MeetingSpec(MeetingId(""), "", "en", ())
