"""Words for people: the strings of one language, and how it writes numbers, dates and lists.

Strings stand in TOML files, in tables; `load_catalogue` reads one. French is written there with
ordinary spaces: its no-break ones are set here, so none can be forgotten.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

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
class _Format:
    """How one language writes figures and dates.

    Attributes:
        first_day: of a month.
        day: with `{day}`, `{month}` and `{year}`.
        moment: with `{date}`, `{hour}` and `{minute}`.
        units: of data, from the byte on, each a thousand of the one before.
        last_joined: the `{rest}` of a list with its `{last}`.
        singular_zero: whether nothing is told in the singular.
    """

    thousands: str
    decimal: str
    months: tuple[str, ...]
    first_day: str
    day: str
    moment: str
    units: tuple[str, ...]
    last_joined: str
    singular_zero: bool


_FORMATS = {
    "en": _Format(
        thousands=",",
        decimal=".",
        months=(
            *("January", "February", "March", "April", "May", "June", "July"),
            *("August", "September", "October", "November", "December"),
        ),
        first_day="1",
        day="{day} {month} {year}",
        moment="{date}, {hour:02}:{minute:02} UTC",
        units=("bytes", "kB", "MB", "GB", "TB", "PB"),
        last_joined="{rest} and {last}",
        singular_zero=False,
    ),
    "fr": _Format(
        thousands=NARROW_NO_BREAK,
        decimal=",",
        months=(
            *("janvier", "février", "mars", "avril", "mai", "juin", "juillet"),
            *("août", "septembre", "octobre", "novembre", "décembre"),
        ),
        first_day="1er",
        day="{day} {month} {year}",
        moment=f"{{date}} à {{hour}}{NO_BREAK}h{NO_BREAK}{{minute:02}} UTC",
        units=("octets", "ko", "Mo", "Go", "To", "Po"),
        last_joined="{rest} et {last}",
        singular_zero=True,
    ),
}


class Wording:
    """The strings and formats of one language."""

    def __init__(self, lang: str, strings: Mapping[str, str]) -> None:
        """Take a language and its strings, each `section.name`, as `load_catalogue` returns them.

        Raises:
            UsageError: nothing is written in `lang`.
        """
        require_language(lang)
        self.lang = lang
        self._strings = strings
        self._format = _FORMATS[lang]

    def has(self, key: str) -> bool:
        """Whether a string `section.name` exists; another version may write values without one."""
        return key in self._strings

    def text(self, key: str, /, **fields: object) -> str:
        """The string `section.name` with its placeholders filled.

        Raises:
            KeyError: no such string, or a placeholder was given no value.
        """
        return self._strings[key].format(**fields)

    def unfilled(self, key: str) -> str:
        """The string `section.name` with its placeholders as they are.

        Raises:
            KeyError: no such string.
        """
        return self._strings[key]

    def plural(self, key: str, count: int, /, **fields: object) -> str:
        """The form `one` or `other` of a string for `count`, which fills `{count}`.

        French takes the singular for 0 and 1, English for 1 only.
        """
        singular = count == 1 or (count == 0 and self._format.singular_zero)
        form = "one" if singular else "other"
        return self.text(f"{key}.{form}", count=self.number(count), **fields)

    def number(self, value: int) -> str:
        """A whole number in groups of three digits."""
        return f"{value:,}".replace(",", self._format.thousands)

    def decimal(self, value: float, digits: int = 1) -> str:
        """A number with `digits` decimals."""
        whole, _, part = f"{value:,.{digits}f}".partition(".")
        whole = whole.replace(",", self._format.thousands)
        return whole + self._format.decimal + part if part else whole

    def rate(self, per_second: float) -> str:
        """Items a second, with a decimal only where it tells something."""
        return self.decimal(per_second, 0 if per_second >= 10 else 1)

    def shortest(self, value: float) -> str:
        """A number with the decimals that it has, up to six."""
        decimals = f"{value:.6f}".rstrip("0").partition(".")[2]
        return self.decimal(value, len(decimals))

    def day(self, when: str | datetime) -> str:
        """A date in UTC; `when` is ISO 8601 or aware."""
        date = _in_utc(when)
        return self._format.day.format(
            day=self._format.first_day if date.day == 1 else date.day,
            month=self._format.months[date.month - 1],
            year=date.year,
        )

    def moment(self, when: str | datetime) -> str:
        """A date and time of day in UTC; `when` is ISO 8601 or aware."""
        moment = _in_utc(when)
        return self._format.moment.format(
            date=self.day(moment), hour=moment.hour, minute=moment.minute
        )

    def duration(self, seconds: float) -> str:
        """A span of time with its two largest units."""
        if seconds < 59.95:
            return f"{self.decimal(seconds, 1)}{NO_BREAK}s"
        minutes, rest_s = divmod(round(seconds), 60)
        if minutes < 60:
            return f"{minutes}{NO_BREAK}min {rest_s:02}{NO_BREAK}s"
        hours, minutes = divmod(minutes, 60)
        return f"{self.number(hours)}{NO_BREAK}h {minutes:02}{NO_BREAK}min"

    def size(self, n_bytes: int) -> str:
        """An amount of data in decimal units."""
        units = self._format.units
        value, unit = float(n_bytes), 0
        while value >= 999.5 and unit < len(units) - 1:
            value, unit = value / 1000, unit + 1
        digits = 1 if unit and value < 99.95 else 0
        return f"{self.decimal(value, digits)}{NO_BREAK}{units[unit]}"

    def listed(self, names: Sequence[str]) -> str:
        """Names in a row, with the language's word for 'and' before the last."""
        if len(names) < 2:
            return "".join(names)
        return self._format.last_joined.format(rest=", ".join(names[:-1]), last=names[-1])


def require_language(lang: str) -> None:
    """Refuse a language that nothing is written in.

    Raises:
        UsageError: naming those that there are.
    """
    if lang not in LANGUAGES:
        raise UsageError(reason=f"nothing is written in {lang!r}: choose {' or '.join(LANGUAGES)}")


def load_catalogue(files: Iterable[Traversable], lang: str) -> dict[str, str]:
    """All strings of TOML files by dotted key, spaced as the language is written.

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


def _in_utc(when: str | datetime) -> datetime:
    moment = datetime.fromisoformat(when) if isinstance(when, str) else when
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, str):
            yield prefix + name, value
        else:
            yield from _flatten(value, f"{prefix}{name}.")
