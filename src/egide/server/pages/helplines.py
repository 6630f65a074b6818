"""Where a person finds help, by country, in their language.

The entries stand in `helplines.toml`, or in an operator's own file (setting `pages_helplines`) of
the same form: docs/helpline/helplines.md describes it and how it is kept current. A file is refused
as a whole when anything in it is wrong: half a list would hide a helpline from those who need it.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from egide.errors import SettingInvalid
from egide.text.wording import LANGUAGES, require_language

INTERNATIONAL = "XX"
"""The country of a service that is open to all countries: 'user-assigned' in ISO 3166-1."""

MAX_FILE_BYTES = 256 * 1024
MAX_HELPLINES = 500
_MAX_NAME = 80
_MAX_SENTENCE = 240
_MAX_URL = 300
_MAX_LANGUAGES = 30

_COUNTRY = re.compile(r"[A-Z]{2}")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
# Controls, line ends, and marks that turn or hide what is read; no-break spaces are welcome.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_PHONE = re.compile(r"\+?[0-9](?:[ -]?[0-9]){1,16}")


class Audience(StrEnum):
    """Whom a helpline is for."""

    ADULTS = "adults"
    MINORS = "minors"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Helpline:
    """One helpline, in the words of one language.

    Attributes:
        name: as the service calls itself.
        url: its page, https.
        phone: as one dials it in its country, with the spaces that make it easy to read.
        hours: when the telephone is answered, in local time.
        languages: names of the languages spoken there.
        what: one sentence.
        source: the page on which all this was read, https.
        checked: the day on which `source` was last read; None: not verified.
        from_copy: `source` was read in a stored copy of unknown age, not on the web itself.
    """

    name: str
    url: str
    phone: str | None
    hours: str | None
    languages: tuple[str, ...]
    audience: Audience
    what: str
    source: str
    checked: date | None
    from_copy: bool

    @property
    def dial(self) -> str | None:
        """The telephone number as a `tel:` link takes it: digits, and a leading plus."""
        return None if self.phone is None else re.sub(r"[ -]", "", self.phone)


@dataclass(frozen=True, slots=True)
class Country:
    """The helplines of a country, in the order of the file: the most fitting first.

    Attributes:
        code: ISO 3166-1 alpha-2, or `INTERNATIONAL`.
        name: in the words of one language.
    """

    code: str
    name: str
    helplines: tuple[Helpline, ...]


def helplines(lang: str, file: Path | None = None) -> tuple[Country, ...]:
    """All helplines, international ones first, then by country as `lang` sorts them.

    Egide's own list is read once; an operator's at each call, so let a server keep the answer.

    Args:
        lang: of the names and sentences.
        file: an operator's own list, in place of Egide's.

    Raises:
        SettingInvalid: the file cannot be read, or something in it is wrong; names the file, the
            entry and the field.
        UsageError: nothing is written in `lang`.
    """
    require_language(lang)
    if file is None:
        return _grouped(_built_in(), lang)
    return _grouped(_parse(_read(file), str(file), names=_built_in()), lang)


def for_minors(countries: Iterable[Country]) -> tuple[Country, ...]:
    """What of a list helps someone who is, or was, under 18; countries without any are left out."""
    kept = (
        replace(
            country,
            helplines=tuple(
                line for line in country.helplines if line.audience is not Audience.ADULTS
            ),
        )
        for country in countries
    )
    return tuple(country for country in kept if country.helplines)


Words = Mapping[str, str]
"""One text by language."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A checked entry with its texts in every language."""

    country: str
    languages: tuple[str, ...]
    hours: Words | None
    what: Words
    line: Helpline
    """The same, but without what depends on a language."""


@dataclass(frozen=True, slots=True)
class _Listing:
    """A checked file."""

    entries: tuple[_Entry, ...]
    countries: Mapping[str, Words]
    languages: Mapping[str, Words]


def _grouped(listing: _Listing, lang: str) -> tuple[Country, ...]:
    by_country: dict[str, list[Helpline]] = {}
    for entry in listing.entries:
        line = replace(
            entry.line,
            hours=None if entry.hours is None else entry.hours[lang],
            languages=tuple(listing.languages[code][lang] for code in entry.languages),
            what=entry.what[lang],
        )
        by_country.setdefault(entry.country, []).append(line)
    countries = (
        Country(code, listing.countries[code][lang], tuple(lines))
        for code, lines in by_country.items()
    )
    return tuple(sorted(countries, key=lambda c: (c.code != INTERNATIONAL, _sorting(c.name))))


def _sorting(name: str) -> str:
    """A name as English and French sort it: accents and capitals do not count."""
    letters = unicodedata.normalize("NFKD", name)
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).casefold()


@cache
def _built_in() -> _Listing:
    name = "helplines.toml"
    return _parse(files(__package__).joinpath(name).read_bytes(), name)


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _refused(f"{file} cannot be read: {(error.strerror or '').lower()}") from error
    if len(data) > MAX_FILE_BYTES:
        raise _refused(f"{file} has over {MAX_FILE_BYTES} bytes")
    return data


def _parse(data: bytes, file: str, *, names: _Listing | None = None) -> _Listing:
    """Check a file.

    Args:
        data: its bytes, TOML.
        file: what errors call it.
        names: a listing whose names of countries and languages need not be given again.

    Raises:
        SettingInvalid: something in it is wrong.
    """
    try:
        table = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refused(f"{file} is no TOML: {error}") from error
    whole = _Fields(table, file)
    countries = whole.named("countries", _COUNTRY, "two capital letters")
    languages = whole.named("languages", _LANGUAGE, "two or three small letters")
    if names is not None:
        countries = {**names.countries, **countries}
        languages = {**names.languages, **languages}
    tables = whole.tables("helpline")
    whole.done()
    entries: list[_Entry] = []
    seen: set[tuple[str, str]] = set()
    for number, one in enumerate(tables, start=1):
        label = one.get("name")
        where = f"{file}, helpline {number}" + (f" ({label[:40]})" if type(label) is str else "")
        fields = _Fields(one, where)
        entry = _entry(fields, countries, languages)
        if (entry.country, entry.line.name) in seen:
            raise fields.wrong("name", "this country has a helpline of this name already")
        seen.add((entry.country, entry.line.name))
        entries.append(entry)
    return _Listing(tuple(entries), countries, languages)


def _entry(
    fields: _Fields, countries: Mapping[str, Words], languages: Mapping[str, Words]
) -> _Entry:
    country = fields.text("country", 2)
    if country not in countries:
        raise fields.wrong("country", f"{country} has no name in [countries]")
    spoken = fields.codes("languages")
    for code in spoken:
        if code not in languages:
            raise fields.wrong("languages", f"{code} has no name in [languages]")
    audience = fields.text("audience", _MAX_NAME)
    if audience not in set(Audience):
        raise fields.wrong("audience", f"choose {', '.join(Audience)}")
    line = Helpline(
        name=fields.text("name", _MAX_NAME),
        url=fields.url("url"),
        phone=fields.phone("phone"),
        hours=None,
        languages=(),
        audience=Audience(audience),
        what="",
        source=fields.url("source"),
        checked=fields.day("checked"),
        from_copy=fields.flag("from_copy"),
    )
    if line.from_copy and line.checked is None:
        raise fields.wrong("from_copy", "this stands beside checked only")
    hours = fields.words("hours", _MAX_SENTENCE) if "hours" in fields else None
    what = fields.words("what", _MAX_SENTENCE)
    fields.done()
    return _Entry(country, spoken, hours, what, line)


class _Fields:
    """The fields of a TOML table, each taken once; an error names where it stands."""

    def __init__(self, table: Mapping[str, Any], where: str) -> None:
        self._left = dict(table)
        self._where = where

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def wrong(self, name: str, reason: str) -> SettingInvalid:
        """The error for a field."""
        return _refused(f"{self._where}, {name}: {reason}")

    def done(self) -> None:
        """Refuse what nobody took: a misspelt name must not be passed over in silence."""
        for name in self._left:
            raise self.wrong(name, "there is no such field")

    def text(self, name: str, longest: int) -> str:
        """A line of 1 to `longest` characters."""
        return self._line(name, self._take(name), longest)

    def words(self, name: str, longest: int) -> Words:
        """A line in every language."""
        value = self._take(name)
        if not isinstance(value, dict) or set(value) != set(LANGUAGES):
            raise self.wrong(name, f"give it in {' and '.join(LANGUAGES)}, and in no other")
        return {lang: self._line(f"{name}.{lang}", value[lang], longest) for lang in LANGUAGES}

    def url(self, name: str) -> str:
        """An https address without a password in it."""
        value = self.text(name, _MAX_URL)
        try:
            parts = urlsplit(value)
        except ValueError:
            raise self.wrong(name, "this is no address") from None
        if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or " " in value:
            raise self.wrong(name, "give an address that begins with https://")
        return value

    def phone(self, name: str) -> str | None:
        """A telephone number, if there is one."""
        if name not in self:
            return None
        value = self.text(name, _MAX_NAME)
        if not _PHONE.fullmatch(value):
            raise self.wrong(name, "write 2 to 17 digits, as dialled, with single spaces")
        return value

    def codes(self, name: str) -> tuple[str, ...]:
        """Codes of languages, at least one."""
        value = self._take(name)
        if not isinstance(value, list) or not 1 <= len(value) <= _MAX_LANGUAGES:
            raise self.wrong(name, f"list 1 to {_MAX_LANGUAGES} codes")
        return tuple(self._line(name, code, 3) for code in value)

    def day(self, name: str) -> date | None:
        """A date, if there is one."""
        value = self._left.pop(name, None)
        if value is not None and (not isinstance(value, date) or isinstance(value, datetime)):
            raise self.wrong(name, "write a date as 2026-11-30, without quotes, or leave it out")
        return value

    def flag(self, name: str) -> bool:
        """True or false; false if it is left out."""
        value = self._left.pop(name, False)
        if not isinstance(value, bool):
            raise self.wrong(name, "write true or false")
        return value

    def named(self, name: str, code: re.Pattern[str], form: str) -> dict[str, Words]:
        """A table of names by code; empty if it is left out."""
        value = self._left.pop(name, {})
        if not isinstance(value, dict):
            raise self.wrong(name, "this is a table of names by code")
        for key in value:
            if not code.fullmatch(key):
                raise self.wrong(f"{name}.{key}", f"a code is {form}")
        inner = _Fields(value, f"{self._where}, {name}")
        return {key: inner.words(key, _MAX_NAME) for key in value}

    def tables(self, name: str) -> list[dict[str, Any]]:
        """A list of tables, at least one."""
        value = self._take(name)
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.wrong(name, f"write each one under [[{name}]]")
        if not 1 <= len(value) <= MAX_HELPLINES:
            raise self.wrong(name, f"give 1 to {MAX_HELPLINES}, not {len(value)}")
        return value

    def _take(self, name: str) -> Any:
        if name not in self._left:
            raise self.wrong(name, "is missing")
        return self._left.pop(name)

    def _line(self, name: str, value: object, longest: int) -> str:
        if not isinstance(value, str) or not value.strip() or _HIDDEN.search(value):
            raise self.wrong(name, "write one line of text")
        if len(value) > longest:
            raise self.wrong(name, f"has {len(value)} characters, over the limit of {longest}")
        return value


def _refused(reason: str) -> SettingInvalid:
    return SettingInvalid(name="pages_helplines", reason=reason)
