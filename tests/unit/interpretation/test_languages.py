import pytest

from kabina.interpretation.errors import LanguageTagError
from kabina.interpretation.languages import AUTONYMS, Language, language, sounds_like

# fmt: off
PROMISED = [
    "ar", "bg", "bs", "cnr", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "hr", "hu",
    "hy", "it", "ja", "mk", "nb", "nl", "pl", "pt", "ro", "ru", "sk", "sl", "sq", "sr-Cyrl",
    "sr-Latn", "sv", "tg", "tr", "uk", "zh",
]
# fmt: on


@pytest.mark.parametrize("tag", PROMISED)
def test_every_promised_language_has_its_own_name(tag):
    assert language(tag) == Language(tag, AUTONYMS[tag])
    assert AUTONYMS[tag] != tag


@pytest.mark.parametrize("tag", sorted(AUTONYMS))
def test_every_registered_tag_is_well_formed_and_named_with_a_capital(tag):
    name = language(tag).autonym
    assert name == name.strip()
    assert name[0] == name[0].title()  # not upper(): Georgian headings stay as they are


def test_the_two_serbian_scripts_are_named_in_their_own_script():
    assert language("sr-Latn").autonym == "Srpski"
    assert language("sr-Cyrl").autonym == "Српски"


def test_a_tag_is_kept_as_given_and_never_canonicalised():
    assert language("cnr").tag == "cnr"
    assert language("SR-LATN") == Language("SR-LATN", "Srpski")


def test_an_unknown_language_is_called_by_its_tag():
    assert language("qaa-x-police") == Language("qaa-x-police", "qaa-x-police")
    assert language("en-GB").autonym == "en-GB"


@pytest.mark.parametrize(
    "tag",
    ["zh-cmn-Hans-CN", "sl-rozaj-biske-1994", "de-CH-1901", "es-419", "en-a-bbb-x-a", "x-signs"],
)
def test_the_forms_of_rfc_5646_are_accepted(tag):
    assert language(tag).tag == tag


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "e",
        "en_GB",
        "en-",
        "-en",
        "en--GB",
        "en-GB ",
        "en\n",
        "123",
        "en-a",
        "x",
        "../en",
        "français",
        "\u017fq",  # long s: lower case equal to "s"
        "\u212aa",  # Kelvin sign: lower case equal to "k"
        "en-x-" + "-".join(["a"] * 20),
        "floor",
        "Floor",
    ],
)
def test_what_is_no_language_tag_is_refused(tag):
    with pytest.raises(LanguageTagError):
        language(tag)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("en", "en", True),
        ("en", "EN", True),
        ("en-GB", "en", True),
        ("en", "en-GB", True),
        ("en-GB", "en-US", False),
        ("sr-Latn", "sr-Cyrl", True),
        ("sr-Latn-ME", "sr", True),
        ("sr", "cnr", False),
        ("e", "en", False),
        ("x-abcd", "x-efgh", False),
    ],
)
def test_languages_sound_alike_whatever_their_script(one, other, alike):
    assert sounds_like(one, other) is alike
    assert sounds_like(other, one) is alike
