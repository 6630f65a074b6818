"""The words of the pages: complete in both languages, all used, and easy to read in both."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from string import Formatter

import pytest

from egide.domain.cases import CaseRules
from egide.server.pages.person.session import IDLE_S, LONGEST_S
from egide.server.pages.site.helplines import helplines
from egide.server.pages.site.page import shown_lifetime
from egide.server.pages.site.site import load_page_strings
from egide.store.cases import attempts, submissions
from egide.text.wording import LANGUAGES, Wording
from egide.usecases.staff import SESSION_IDLE_S, SESSION_LONGEST_S
from reading_ease import longest_sentence, reading_ease

STRINGS = {lang: load_page_strings(lang) for lang in LANGUAGES}
SECTIONS = sorted({key.partition(".")[0] for key in STRINGS["en"]})
PAGES = Path(str(files("egide.server.pages")))

EASY = 80.0
"""The scale calls 80 and more 'easy': what most read at the age of ten or eleven, and many at nine.
Words that have no easier one, as fingerprint or téléphone, are counted too."""
EASY_PART = 70.0
"""Of each table of at least ENOUGH_WORDS, so that no hard page hides behind easy ones: 70 to 80 is
'fairly easy'. Tables of labels, which have no sentences, are the hardest."""
ENOUGH_WORDS = 40
EASY_HELPLINES = 75.0
"""Of the helplines' sentences, which have to name forms of violence and public bodies."""
LONGEST = 27
"""Words in a sentence; its parts on either side of a colon count together."""
ONE_NAME = {
    "en": r"\b(hash(es)?|take it back|takes? (it|them) back)\b",
    # A « code » is the PIN here, and a « ligne » would be a telephone only.
    "fr": r"\bcodes?\b(?! secrets?\b)|ligne d’écoute|\w·e?s?\b|conseil de droit",
}
"""What another word is used for everywhere."""
LITERAL = re.compile(rf"""["']((?:{"|".join(SECTIONS)})\.[a-z0-9_.-]*)(["'{{])""")
FILE_NAMES = (".j2", ".js", ".css", ".toml", ".py", ".html")


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def named() -> tuple[set[str], set[str]]:
    """Keys that the code and the templates name: whole, and beginnings that a value completes."""
    whole: set[str] = set()
    begun: set[str] = set()
    for path in PAGES.rglob("*"):
        if path.suffix not in {".py", ".j2", ".js"} or "vendor" in path.parts:
            continue
        for key, end in LITERAL.findall(path.read_text("utf-8")):
            if key.endswith(FILE_NAMES):
                continue
            (begun if key.endswith((".", "_", "-")) or end == "{" else whole).add(key)
    return whole, begun


def without_form(key: str) -> str:
    return re.sub(r"\.(one|other)$", "", key)


def test_both_languages_have_the_same_strings() -> None:
    assert STRINGS["en"].keys() == STRINGS["fr"].keys()


def test_both_languages_have_the_same_files() -> None:
    names = [{path.name for path in (PAGES / "locale" / lang).iterdir()} for lang in LANGUAGES]
    assert names[0] == names[1]


@pytest.mark.parametrize("section", SECTIONS)
def test_both_languages_fill_the_same_placeholders(section: str) -> None:
    for key in (key for key in STRINGS["en"] if key.startswith(f"{section}.")):
        assert STRINGS["en"][key].strip(), key
        assert placeholders(STRINGS["en"][key]) == placeholders(STRINGS["fr"][key]), key


def test_every_string_that_is_named_exists() -> None:
    known = set(STRINGS["en"]) | {without_form(key) for key in STRINGS["en"]}
    whole, begun = named()
    assert whole - known == set()
    assert [start for start in begun if not any(key.startswith(start) for key in known)] == []


def test_no_string_is_unused() -> None:
    whole, begun = named()
    unused = {
        key
        for key in STRINGS["en"]
        if key not in whole and without_form(key) not in whole and not key.startswith(tuple(begun))
    }
    assert unused == set()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_strings_use_the_typographic_apostrophe(lang: str) -> None:
    assert [key for key, text in STRINGS[lang].items() if "'" in text] == []


def test_french_marks_have_their_spaces() -> None:
    bare = re.compile(
        r"(?<![\s\u00a0\u202f])[?!;»](?!\S)|(?<![\s\u00a0\u202f]):(?= )|«(?![\u00a0])"
    )
    assert [key for key, text in STRINGS["fr"].items() if bare.search(text)] == []


def test_nobody_is_promised_too_much() -> None:
    promises = re.compile(
        r"\b(completely|100 ?%|guarantee|for ever removed|everywhere removed|anonymous)\b"
        r"|\b(complètement|garanti\w*|totalement|anonymes?)\b",
        re.IGNORECASE,
    )
    for lang in LANGUAGES:
        assert [key for key, text in STRINGS[lang].items() if promises.search(text)] == []


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_is_easy_to_read(section: str, lang: str) -> None:
    texts = [
        re.sub(r"\{\w+\}", "", text)
        for key, text in STRINGS[lang].items()
        if key.startswith(f"{section}.")
    ]
    assert reading_ease("\n".join(texts), lang) >= EASY


def parts_of(lang: str) -> dict[str, str]:
    """The text of each table `section.name` that has enough of it."""
    tables: dict[str, list[str]] = {}
    for key, text in STRINGS[lang].items():
        if key.count(".") > 1:
            table = ".".join(key.split(".")[:2])
            tables.setdefault(table, []).append(re.sub(r"\{\w+\}", "", text))
    joined = {table: "\n".join(texts) for table, texts in tables.items()}
    return {table: text for table, text in joined.items() if len(text.split()) >= ENOUGH_WORDS}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_part_of_a_section_is_easy_to_read(lang: str) -> None:
    figures = {table: reading_ease(text, lang) for table, text in parts_of(lang).items()}
    assert len(figures) > 10
    assert {table: ease for table, ease in figures.items() if ease < EASY_PART} == {}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_sentence_is_long(lang: str) -> None:
    assert [key for key, text in STRINGS[lang].items() if longest_sentence(text) > LONGEST] == []


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_is_said_of_helplines_is_easy_to_read(lang: str) -> None:
    said = [line.what for country in helplines(lang) for line in country.helplines]
    assert reading_ease("\n".join(said), lang) >= EASY_HELPLINES
    assert [what for what in said if longest_sentence(what) > LONGEST] == []


@pytest.mark.parametrize("lang", LANGUAGES)
def test_one_thing_has_one_name(lang: str) -> None:
    other_names = re.compile(ONE_NAME[lang], re.IGNORECASE)
    # A worker signs in with a code of an app.
    found = {key for key, text in STRINGS[lang].items() if other_names.search(text)}
    assert {key for key in found if not key.startswith("staff.sign_in.")} == set()


def test_keep_times_are_those_of_the_store() -> None:
    kept_days = str(CaseRules().kept_days)
    minutes, hours = str(IDLE_S // 60), str(LONGEST_S // 3600)
    assert (attempts.KEPT_S, submissions.KEPT_S) == (24 * 3600, 24 * 3600)
    for lang, one_day in (("en", "One day"), ("fr", "Un jour")):
        strings = STRINGS[lang]
        assert re.findall(r"\d+", strings["privacy.case_long"]) == [kept_days]
        assert strings["privacy.address_long"].startswith(one_day)
        assert strings["privacy.submission_long"] == one_day
        assert re.findall(r"\d+", strings["accessibility.short"]) == [minutes, hours]
        staff_times = [str(SESSION_IDLE_S // 60), str(SESSION_LONGEST_S // 3600)]
        assert re.findall(r"\d+", strings["staff.sign_in.how_long"]) == staff_times


def test_the_measure_tells_easy_from_hard() -> None:
    easy = {"en": "The cat sat on the mat. It was warm.", "fr": "Le chat dort. Il fait chaud ici."}
    hard = {
        "en": "Notwithstanding considerable administrative complexity, participating organisations "
        "continuously facilitate interoperability.",
        "fr": "Nonobstant la complexité administrative considérable, les organisations "
        "participantes facilitent continuellement l’interopérabilité.",
    }
    for lang in LANGUAGES:
        assert reading_ease(easy[lang], lang) > 95
        assert reading_ease(hard[lang], lang) < 20


@pytest.mark.parametrize(
    ("days", "english", "french"),
    [
        (61, "61 days", "61\u00a0jours"),
        (365, "1 year", "1\u00a0an"),
        (400, "400 days", "400\u00a0jours"),
        (730, "2 years", "2\u00a0ans"),
    ],
)
def test_a_lifetime_is_told_as_it_is(days: int, english: str, french: str) -> None:
    assert shown_lifetime(Wording("en", STRINGS["en"]), days) == english
    assert shown_lifetime(Wording("fr", STRINGS["fr"]), days) == french
