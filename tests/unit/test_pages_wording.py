"""The words of the pages: complete in both languages, all used, and easy to read in both."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from string import Formatter

import pytest

from egide.server.pages.site import load_page_strings
from egide.wording import LANGUAGES
from reading_ease import reading_ease

STRINGS = {lang: load_page_strings(lang) for lang in LANGUAGES}
SECTIONS = sorted({key.partition(".")[0] for key in STRINGS["en"]})
PAGES = Path(str(files("egide.server.pages")))

EASY = 80.0
"""The scale calls 80 and more 'easy': what most read at the age of ten or eleven, and many at nine.
Words that have no easier one, as fingerprint or téléphone, are counted too."""
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
