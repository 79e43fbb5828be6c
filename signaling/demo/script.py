"""What is said in the demo, when, and when each interpreter's microphone is on.

Everything loops together every `LOOP_S`. The three sound files are as long as the loop and start
with it, so whoever plays them needs no other clock: play all three, and do what the cues say.

The cues are made so that anybody who listens to a booth for one loop hears, in whatever order,
the interpreter over the lowered original; a pause with the microphone on (the original stays
low); the microphone off (after the hold the original comes up); and the interpreter again. The
two booths do it at different times, so that changing between them shows the difference at once.
"""

from dataclasses import dataclass
from typing import Final

LOOP_S: Final = 58.0  # under a minute: a minute of listening hears all of it, joined anywhere


@dataclass(frozen=True, slots=True)
class Line:
    """Something said, from `at_s` on (seconds into the loop)."""

    at_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """One voice: the language's tag, the sound file beside this module, and the lines."""

    language: str
    file: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Cue:
    """At `at_s` into the loop the booth's microphone goes on (or off)."""

    at_s: float
    booth: str
    on_air: bool


FLOOR: Final = Part(
    "en",
    "floor-en.opus",
    (
        Line(0.5, "Good morning, colleagues, and welcome to our round table."),
        Line(
            5.2,
            "Police academies face the same questions on both sides of a border, "
            "and too often each of us answers them alone.",
        ),
        Line(
            13.3,
            "Last year, three academies opened their courses to one another. "
            "Teachers travelled, and cadets trained together.",
        ),
        Line(
            22.1,
            "The first lesson was simple. "
            "People who have learned together pick up the telephone sooner.",
        ),
        Line(28.4, "The second lesson is about language. Everyone speaks best in their own."),
        Line(34.1, "That is why every session has interpreters, and why you choose what you hear."),
        Line(
            39.5,
            "Our next step is a shared exercise in the spring: "
            "one case, two jurisdictions, and a single report.",
        ),
        Line(47.8, "The materials will be published in every language of this meeting."),
        Line(52.2, "I thank our hosts, the interpreters, and all of you. Let us begin."),
    ),
)

FRENCH: Final = Part(
    "fr",
    "booth-fr.opus",
    (
        Line(2.4, "Bonjour à tous, et bienvenue à notre table ronde."),
        Line(
            8.0,
            "Les écoles de police se posent les mêmes questions des deux côtés d'une frontière, "
            "et trop souvent chacune y répond seule.",
        ),
        # The microphone stays on: the pause in which the original must not burst in.
        Line(
            17.0,
            "L'an dernier, trois écoles ont ouvert leurs cours aux autres. "
            "Les formateurs ont voyagé, les élèves se sont entraînés ensemble.",
        ),
        # Off from here: "The second lesson …" is heard in the original.
        Line(
            41.4,
            "La prochaine étape sera un exercice commun, au printemps : "
            "une affaire, deux juridictions, un seul rapport.",
        ),
        Line(49.4, "Les documents seront publiés dans toutes les langues de cette réunion."),
        Line(54.0, "Merci à nos hôtes, aux interprètes, et à vous tous."),
    ),
)

ALBANIAN: Final = Part(
    "sq",
    "booth-sq.opus",
    (
        Line(2.8, "Mirëmëngjes, kolegë, dhe mirë se vini në tryezën tonë të rrumbullakët."),
        # Off from here: "Last year …" is heard in the original.
        Line(
            24.0,
            "Mësimi i parë ishte i thjeshtë. "
            "Ata që kanë mësuar bashkë, e marrin telefonin më shpejt.",
        ),
        Line(
            31.2,
            "Mësimi i dytë ka të bëjë me gjuhën. Secili flet më mirë në gjuhën e vet.",
        ),
        # The microphone stays on.
        Line(
            41.6,
            "Hapi ynë i ardhshëm është një ushtrim i përbashkët në pranverë: "
            "një rast, dy juridiksione dhe një raport i vetëm.",
        ),
        Line(50.6, "Materialet do të botohen në të gjitha gjuhët e këtij takimi."),
    ),
)

BOOTHS: Final = (FRENCH, ALBANIAN)
PARTS: Final = (FLOOR, *BOOTHS)
FLOOR_LANGUAGE: Final = FLOOR.language
BOOTH_LANGUAGES: Final = tuple(part.language for part in BOOTHS)

CUES: Final = (
    Cue(1.8, "fr", True),
    Cue(2.2, "sq", True),
    Cue(8.8, "sq", False),
    Cue(23.4, "sq", True),
    Cue(24.8, "fr", False),
    Cue(40.8, "fr", True),
    Cue(55.6, "sq", False),
    Cue(57.6, "fr", False),
)


def on_air_spans(booth: str) -> tuple[tuple[float, float], ...]:
    """The booth's time on air within one loop: (start, stop) pairs in seconds, in order."""
    own = [cue for cue in CUES if cue.booth == booth]
    return tuple((on.at_s, off.at_s) for on, off in zip(own[::2], own[1::2], strict=True))
