"""Words for people: the strings of one language, and how it writes numbers, dates and lists.

Strings are in tables of TOML files, which `load_catalogue` reads. French is written there with
ordinary spaces; this module sets the no-break ones, so none can be forgotten.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.lists import format_list
from babel.numbers import format_decimal
from babel.units import format_unit

from egide.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from importlib.resources.abc import Traversable

LANGUAGES = ("en", "fr")

NO_BREAK = "\u00a0"
NARROW_NO_BREAK = "\u202f"

# Lexique des règles typographiques en usage à l'Imprimerie nationale: a full no-break space
# before the colon and inside guillemets, a thin one before the other double marks.
_FRENCH_SPACES = (
    (re.compile(r" (?=:)|(?<=«) | (?=»)"), NO_BREAK),
    (re.compile(r" (?=[;?!])"), NARROW_NO_BREAK),
    # … and one between a number and what it counts.
    (
        re.compile(r"(?<=[\d}]) (?=(?:an|jour|heure|minute|seconde|chiffre|caractère)s?\b)"),
        NO_BREAK,
    ),
)


@dataclass(frozen=True, slots=True)
class _Style:
    """A language according to CLDR, and the house style where that differs.

    Attributes:
        locale: CLDR's locale for numbers, dates, lists, units and plurals.
        first_day: format of the first day of a month; `long` is for all other days.
        time: format after the day; CLDR's has seconds, and calls UTC TU in French.
    """

    locale: Locale
    first_day: str
    time: str


_STYLES = {
    "en": _Style(Locale("en", "GB"), "long", ", HH:mm 'UTC'"),
    "fr": _Style(Locale("fr"), "d'er' MMMM y", f"' à' H'{NO_BREAK}h{NO_BREAK}'mm 'UTC'"),
}
_DATA_UNITS = ("byte", "kilobyte", "megabyte", "gigabyte", "terabyte", "petabyte")


class Wording:
    """The strings and formats of one language."""

    def __init__(self, lang: str, strings: Mapping[str, str]) -> None:
        """Use a language and its strings, keyed by `section.name` as from `load_catalogue`.

        Raises:
            UsageError: there are no strings in `lang`.
        """
        require_language(lang)
        self.lang = lang
        self._strings = strings
        self._style = _STYLES[lang]

    def has(self, key: str) -> bool:
        """Whether a string `section.name` exists; values of another version may lack one."""
        return key in self._strings

    def text(self, key: str, /, **fields: object) -> str:
        """The string `section.name` with its placeholders filled.

        Raises:
            KeyError: no such string, or a placeholder without a value.
        """
        return self._strings[key].format(**fields)

    def unfilled(self, key: str) -> str:
        """The string `section.name` with its placeholders left in.

        Raises:
            KeyError: no such string.
        """
        return self._strings[key]

    def plural(self, key: str, count: int, /, **fields: object) -> str:
        """The plural form of a string for `count`, which fills `{count}`.

        Forms are `one` and `other`; all further forms of a language use `other`.
        """
        form = self._style.locale.plural_form(count)
        if not self.has(f"{key}.{form}"):
            form = "other"
        return self.text(f"{key}.{form}", count=self.number(count), **fields)

    def number(self, value: int) -> str:
        """A whole number in groups of three digits."""
        return format_decimal(value, locale=self._style.locale)

    def decimal(self, value: float, digits: int = 1) -> str:
        """A number with `digits` decimals."""
        return format_decimal(value, _pattern(digits), locale=self._style.locale)

    def rate(self, per_second: float) -> str:
        """Items a second, with a decimal only for small rates."""
        return self.decimal(per_second, 0 if per_second >= 10 else 1)

    def shortest(self, value: float) -> str:
        """A number with as many decimals as needed, up to six."""
        return format_decimal(value, "#,##0.######", locale=self._style.locale)

    def day(self, when: str | datetime) -> str:
        """A date in UTC; `when` is ISO 8601 or aware."""
        date = _in_utc(when).date()
        return format_date(
            date, self._style.first_day if date.day == 1 else "long", self._style.locale
        )

    def moment(self, when: str | datetime) -> str:
        """A date and time of day in UTC; `when` is ISO 8601 or aware."""
        moment = _in_utc(when)
        return self.day(moment) + format_datetime(
            moment, self._style.time, locale=self._style.locale
        )

    def duration(self, seconds: float) -> str:
        """A span of time with its two largest units.

        Uses SI symbols, which all languages share; CLDR also has `mins`, `hr` and `12m`.
        """
        if seconds < 59.95:
            return f"{self.decimal(seconds, 1)}{NO_BREAK}s"
        minutes, rest_s = divmod(round(seconds), 60)
        if minutes < 60:
            return f"{minutes}{NO_BREAK}min {rest_s:02}{NO_BREAK}s"
        hours, minutes = divmod(minutes, 60)
        return f"{self.number(hours)}{NO_BREAK}h {minutes:02}{NO_BREAK}min"

    def size(self, n_bytes: int) -> str:
        """An amount of data in decimal units."""
        value, unit = float(n_bytes), 0
        while value >= 999.5 and unit < len(_DATA_UNITS) - 1:
            value, unit = value / 1000, unit + 1
        text = format_unit(
            value,
            f"digital-{_DATA_UNITS[unit]}",
            "short" if unit else "long",
            _pattern(1 if unit and value < 99.95 else 0),
            self._style.locale,
        )
        return re.sub(r"\s", NO_BREAK, text)  # English has a plain space there

    def listed(self, names: Sequence[str]) -> str:
        """Names as a list, with the language's word for 'and' before the last."""
        return format_list(names, locale=self._style.locale)


def require_language(lang: str) -> None:
    """Check that there are strings in a language.

    Raises:
        UsageError: there are none; the message names the known languages.
    """
    if lang not in LANGUAGES:
        raise UsageError(reason=f"nothing is written in {lang!r}: choose {' or '.join(LANGUAGES)}")


def load_catalogue(files: Iterable[Traversable], lang: str) -> dict[str, str]:
    """All strings of TOML files by dotted key, with the language's spacing.

    Raises:
        UsageError: two files have the same key.
    """
    strings: dict[str, str] = {}
    for file in files:
        for key, text in _flatten(tomllib.loads(file.read_text(encoding="utf-8"))):
            if key in strings:
                raise UsageError(reason=f"{file.name} has {key}, which another file has too")
            strings[key] = text
    if lang == "fr":
        for pattern, space in _FRENCH_SPACES:
            strings = {key: pattern.sub(space, text) for key, text in strings.items()}
    return strings


def _pattern(digits: int) -> str:
    return f"#,##0.{'0' * digits}"


def _in_utc(when: str | datetime) -> datetime:
    moment = datetime.fromisoformat(when) if isinstance(when, str) else when
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, str):
            yield prefix + name, value
        else:
            yield from _flatten(value, f"{prefix}{name}.")
