"""Helplines by country, in the person's language.

They come from `helplines.toml`, or from an operator's own file (setting `pages_helplines`) in the
same format; docs/helpline/helplines.md describes it and how it is kept current. Any mistake refuses
the whole file: half a list would hide a helpline from those who need it.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from egide.errors import SettingInvalid
from egide.text.wording import LANGUAGES, require_language

INTERNATIONAL = "XX"
"""The code of services for all countries: 'user-assigned' in ISO 3166-1."""

MAX_FILE_BYTES = 256 * 1024
MAX_HELPLINES = 500

# Control characters, line ends, and bidirectional or invisible marks; no-break spaces are allowed.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


class Audience(StrEnum):
    """Whom a helpline is for."""

    ADULTS = "adults"
    MINORS = "minors"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Helpline:
    """One helpline, in the words of one language.

    Attributes:
        name: the service's own name.
        url: its page, https.
        phone: as dialled in its country, with spaces for easy reading.
        hours: when the telephone is answered, in local time.
        languages: names of the languages spoken there.
        what: one sentence.
        source: the page with all this information, https.
        checked: the day on which `source` was last read; None if it is not verified.
        from_copy: whether `source` was read in a stored copy of unknown age, not on the web.
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
        """The telephone number for a `tel:` link: digits, perhaps with a leading plus."""
        return None if self.phone is None else re.sub(r"[ -]", "", self.phone)


@dataclass(frozen=True, slots=True)
class Country:
    """The helplines of a country, in the order of the file: the most fitting first.

    Attributes:
        code: ISO 3166-1 alpha-2, or `INTERNATIONAL`.
        name: in one language.
    """

    code: str
    name: str
    helplines: tuple[Helpline, ...]


def helplines(lang: str, file: Path | None = None) -> tuple[Country, ...]:
    """All helplines, international ones first, then by country as `lang` sorts them.

    Egide's own list is read once, an operator's at each call: a server should cache the result.

    Args:
        lang: of the names and sentences.
        file: an operator's own list, instead of Egide's.

    Raises:
        SettingInvalid: the file cannot be read or has a mistake; it names file, entry and field.
        UsageError: there are no texts in `lang`.
    """
    require_language(lang)
    if file is None:
        return _grouped(_built_in(), lang)
    return _grouped(_parse(_read(file), str(file), names=_built_in()), lang)


def for_minors(countries: Iterable[Country]) -> tuple[Country, ...]:
    """Keep the helplines for people who are, or were, under 18; drop countries without any."""
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


def _or(remedy: str) -> WrapValidator:
    """Report `remedy` for an invalid value; a mistake within the value keeps its own remedy."""

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            if error.errors(include_url=False)[0]["loc"]:
                raise
            raise PydanticCustomError("remedy", remedy) from None

    return WrapValidator(check)


def _readable(text: str) -> str:
    if not text.strip() or _HIDDEN.search(text):
        raise ValueError
    return text


def _in_every_language(texts: dict[str, str]) -> dict[str, str]:
    if set(texts) != set(LANGUAGES):
        raise ValueError
    return texts


_Text = Annotated[str, AfterValidator(_readable)]
_Name = Annotated[_Text, Field(max_length=80), _or("write one line of 1 to 80 characters")]
_Sentence = Annotated[_Text, Field(max_length=240), _or("write one line of 1 to 240 characters")]
_Url = Annotated[
    _Text,
    StringConstraints(max_length=300, pattern=r"^https://[^\s/?#@\[\]]+([/?#]\S*)?$"),
    _or("give an address of up to 300 characters that begins with https://, no user name in it"),
]
_Phone = Annotated[
    str,
    StringConstraints(pattern=r"^\+?[0-9]([ -]?[0-9]){1,16}$"),
    _or("write 2 to 17 digits, as dialled, with single spaces"),
]
_Day = Annotated[date, _or("write a date as 2026-11-30, without quotes, or leave it out")]
_WORDS = (
    AfterValidator(_in_every_language),
    _or(f"give it in {' and '.join(LANGUAGES)}, and in no other"),
)
_Names = Annotated[dict[str, _Name], *_WORDS]
_Sentences = Annotated[dict[str, _Sentence], *_WORDS]
_Country = Annotated[
    str, StringConstraints(pattern=r"^[A-Z]{2}$"), _or("a code is two capital letters")
]
_Language = Annotated[
    str, StringConstraints(pattern=r"^[a-z]{2,3}$"), _or("a code is two or three small letters")
]
_TABLE = _or("this is a table of names by code")
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Entry(BaseModel):
    """An entry with its texts in every language."""

    model_config = _STRICT

    country: _Country
    name: _Name
    url: _Url
    phone: _Phone | None = None
    hours: _Sentences | None = None
    languages: Annotated[
        list[_Language], Field(min_length=1, max_length=30), _or("list 1 to 30 codes")
    ]
    audience: Annotated[Audience, Strict(False), _or(f"choose {', '.join(Audience)}")]
    what: _Sentences
    source: _Url
    checked: _Day | None = None
    from_copy: Annotated[bool, _or("write true or false")] = False


class _Listing(BaseModel):
    """A file."""

    model_config = _STRICT

    countries: Annotated[dict[_Country, _Names], _TABLE] = {}
    languages: Annotated[dict[_Language, _Names], _TABLE] = {}
    helpline: Annotated[
        list[Annotated[_Entry, _or("write each one under [[helpline]]")]],
        Field(min_length=1, max_length=MAX_HELPLINES),
        _or(f"write each one under [[helpline]], 1 to {MAX_HELPLINES} of them"),
    ]


def _grouped(listing: _Listing, lang: str) -> tuple[Country, ...]:
    by_country: dict[str, list[Helpline]] = {}
    for entry in listing.helpline:
        line = Helpline(
            name=entry.name,
            url=entry.url,
            phone=entry.phone,
            hours=None if entry.hours is None else entry.hours[lang],
            languages=tuple(listing.languages[code][lang] for code in entry.languages),
            audience=entry.audience,
            what=entry.what[lang],
            source=entry.source,
            checked=entry.checked,
            from_copy=entry.from_copy,
        )
        by_country.setdefault(entry.country, []).append(line)
    countries = (
        Country(code, listing.countries[code][lang], tuple(lines))
        for code, lines in by_country.items()
    )
    return tuple(sorted(countries, key=lambda c: (c.code != INTERNATIONAL, _sorting(c.name))))


def _sorting(name: str) -> str:
    """The sort key of a name in English and French, without accents and case."""
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
        file: its name in errors.
        names: a listing with names of countries and languages that the file need not repeat.

    Raises:
        SettingInvalid: the file has a mistake.
    """
    try:
        table = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refused(f"{file} is no TOML: {error}") from error
    try:
        listing = _Listing.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _refused(_told(file, table, first["loc"], first["type"], first["msg"])) from None
    if names is not None:
        listing.countries.update(names.countries | listing.countries)
        listing.languages.update(names.languages | listing.languages)
    for number, field, reason in _unfit(listing):
        raise _refused(_told(file, table, ("helpline", number, field), "", reason))
    return listing


def _unfit(listing: _Listing) -> Iterator[tuple[int, str, str]]:
    """Yield number, field and mistake of entries that contradict the names or other entries."""
    seen: set[tuple[str, str]] = set()
    for number, entry in enumerate(listing.helpline):
        if entry.country not in listing.countries:
            yield number, "country", f"{entry.country} has no name in [countries]"
        for code in entry.languages:
            if code not in listing.languages:
                yield number, "languages", f"{code} has no name in [languages]"
        if entry.from_copy and entry.checked is None:
            yield number, "from_copy", "this stands beside checked only"
        if (entry.country, entry.name) in seen:
            yield number, "name", "this country has a helpline of this name already"
        seen.add((entry.country, entry.name))


def _told(
    file: str, table: Mapping[str, Any], at: tuple[int | str, ...], kind: str, reason: str
) -> str:
    """Prefix a reason with its place: the file, the entry by number and name, and the field."""
    where = file
    if len(at) > 1 and isinstance(at[1], int):
        entry = table["helpline"][at[1]]
        label = entry.get("name") if isinstance(entry, dict) else None
        where += f", helpline {at[1] + 1}" + (f" ({label[:40]})" if type(label) is str else "")
        at = at[2:]
    if field := ".".join(str(part) for part in at if part != "[key]"):
        where += f", {field}"
    known = {"missing": "is missing", "extra_forbidden": "there is no such field"}
    return f"{where}: {known.get(kind, reason)}"


def _refused(reason: str) -> SettingInvalid:
    return SettingInvalid(name="pages_helplines", reason=reason)
