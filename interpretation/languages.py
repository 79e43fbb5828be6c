"""Languages by tag and own name.

Tags are kept exactly as given. Canonicalising them turns Montenegrin into "Serbian (Montenegro)"
(`Intl`, babel and langcodes alike map `cnr` to `sr-ME`), so nothing here does it; tags are only
compared without regard to case, as RFC 5646 §2.1.1 asks.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from kabina.interpretation.errors import LanguageTagError
from kabina.interpretation.ids import FLOOR

MAX_TAG_LENGTH: Final = 35  # RFC 5646 §4.4.1: what an implementation must at least have room for

# RFC 5646 §2.1, without the seventeen irregular grandfathered tags ("i-klingon"), which all have
# modern forms. ASCII classes are spelt out: `re.IGNORECASE` would let "ſ" and the Kelvin sign in.
_WELL_FORMED: Final = re.compile(
    r"""
    (?: (?: [A-Za-z]{2,3} (?:-[A-Za-z]{3}){0,3} | [A-Za-z]{4,8} )   # language, extended language
        (?: -[A-Za-z]{4} )?                                         # script
        (?: -(?: [A-Za-z]{2} | [0-9]{3} ) )?                        # region
        (?: -(?: [A-Za-z0-9]{5,8} | [0-9][A-Za-z0-9]{3} ) )*        # variants
        (?: -[A-WYZa-wyz0-9] (?: -[A-Za-z0-9]{2,8} )+ )*            # extensions
        (?: -[Xx] (?: -[A-Za-z0-9]{1,8} )+ )?                       # private use
      | [Xx] (?: -[A-Za-z0-9]{1,8} )+ )
    """,
    re.VERBOSE,
)

# In each language's own script and capitalised as a heading, since these are what a picker shows.
# Our own list because `Intl.DisplayNames` lacks some: Chromium's Albanian name of Albanian is
# "Albanian".
AUTONYMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ar": "العربية",
        "az": "Azərbaycanca",
        "be": "Беларуская",
        "bg": "Български",
        "bs": "Bosanski",
        "ca": "Català",
        "cnr": "Crnogorski",
        "cnr-Cyrl": "Црногорски",
        "cnr-Latn": "Crnogorski",
        "cs": "Čeština",
        "da": "Dansk",
        "de": "Deutsch",
        "el": "Ελληνικά",
        "en": "English",
        "es": "Español",
        "et": "Eesti",
        "eu": "Euskara",
        "fa": "فارسی",
        "fi": "Suomi",
        "fr": "Français",
        "ga": "Gaeilge",
        "he": "עברית",
        "hi": "हिन्दी",
        "hr": "Hrvatski",
        "hu": "Magyar",
        "hy": "Հայերեն",
        "is": "Íslenska",
        "it": "Italiano",
        "ja": "日本語",
        "ka": "ქართული",
        "kk": "Қазақша",
        "ko": "한국어",
        "ky": "Кыргызча",
        "lt": "Lietuvių",
        "lv": "Latviešu",
        "mk": "Македонски",
        "mt": "Malti",
        "nb": "Norsk bokmål",
        "nl": "Nederlands",
        "nn": "Norsk nynorsk",
        "no": "Norsk",
        "pl": "Polski",
        "pt": "Português",
        "ro": "Română",
        "ru": "Русский",
        "sk": "Slovenčina",
        "sl": "Slovenščina",
        "sq": "Shqip",
        "sr": "Српски",
        "sr-Cyrl": "Српски",
        "sr-Latn": "Srpski",
        "sv": "Svenska",
        "tg": "Тоҷикӣ",
        "tr": "Türkçe",
        "uk": "Українська",
        "uz": "Oʻzbekcha",
        "vi": "Tiếng Việt",
        "zh": "中文",
    }
)
_AUTONYM_BY_FOLDED_TAG: Final = {tag.lower(): name for tag, name in AUTONYMS.items()}


@dataclass(frozen=True, slots=True)
class Language:
    """A language tag as given, and the language's name in itself."""

    tag: str
    autonym: str


def language(tag: str) -> Language:
    """The language of a well-formed BCP-47 tag; one without a known own name is called by its tag.

    LanguageTagError if the tag is not well-formed (RFC 5646), is over 35 characters, or is the
    reserved word `floor`.
    """
    require_tag(tag)
    return Language(tag, _AUTONYM_BY_FOLDED_TAG.get(tag.lower(), tag))


def require_tag(tag: str) -> None:
    """LanguageTagError unless `tag` can name a language (see `language`)."""
    reserved = tag.lower() == FLOOR
    if reserved or len(tag) > MAX_TAG_LENGTH or _WELL_FORMED.fullmatch(tag) is None:
        raise LanguageTagError(tag)


def same_tag(one: str, other: str) -> bool:
    """Whether two tags are the same tag; case does not count (RFC 5646 §2.1.1)."""
    return one.lower() == other.lower()


def sounds_like(one: str, other: str) -> bool:
    """Whether speech in one is speech in the other: `en-GB` and `en`, `sr-Latn` and `sr-Cyrl`.

    One must be a prefix of the other by subtags (RFC 4647 §3.3.1); scripts are left out, because
    nobody hears them.
    """
    first, second = _heard_subtags(one), _heard_subtags(other)
    shared = min(len(first), len(second))
    return first[:shared] == second[:shared]


def _heard_subtags(tag: str) -> list[str]:
    primary, *rest = tag.lower().split("-")
    if rest and len(rest[0]) == 4 and rest[0].isalpha() and primary != "x":
        rest = rest[1:]
    return [primary, *rest]
