"""The words of the report in one language, and how that language writes numbers and dates.

All strings stand in `assets/<lang>.toml`; nothing else of the report knows a language. French is
written there with ordinary spaces: its non-breaking ones are set here, so none can be forgotten.
"""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from egide.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LANGUAGES = ("en", "fr")

NO_BREAK = "\u00a0"
NARROW_NO_BREAK = "\u202f"

# Lexique des règles typographiques en usage à l'Imprimerie nationale: a full no-break space
# before the colon and inside guillemets, a thin one before the other double marks.
_FRENCH_SPACES = (
    (re.compile(r" (?=:)|(?<=«) | (?=»)"), NO_BREAK),
    (re.compile(r" (?=[;?!])"), NARROW_NO_BREAK),
)


class Wording:
    """The strings and formats of one language."""

    def __init__(self, lang: str) -> None:
        """Load a language.

        Raises:
            UsageError: the report is not written in `lang`.
        """
        if lang not in LANGUAGES:
            raise UsageError(reason=f"no report in {lang!r}: choose {' or '.join(LANGUAGES)}")
        self.lang = lang
        self._strings = load_strings(lang)

    def has(self, key: str) -> bool:
        """Whether a string `section.name` exists; another version may write values without one."""
        return key in self._strings

    def text(self, key: str, /, **fields: object) -> str:
        """The string `section.name` with its placeholders filled.

        Raises:
            KeyError: no such string, or a placeholder was given no value.
        """
        return self._strings[key].format(**fields)

    def plural(self, key: str, count: int, /, **fields: object) -> str:
        """The form `one` or `other` of a string for `count`, which fills `{count}`.

        French takes the singular for 0 and 1, English for 1 only.
        """
        singular = count < 2 if self.lang == "fr" else count == 1
        form = "one" if singular else "other"
        return self.text(f"{key}.{form}", count=self.number(count), **fields)

    def number(self, value: int) -> str:
        """A whole number in groups of three digits."""
        return f"{value:,}".replace(",", self.text("format.thousands"))

    def decimal(self, value: float, digits: int = 1) -> str:
        """A number with `digits` decimals."""
        whole, _, part = f"{value:,.{digits}f}".partition(".")
        whole = whole.replace(",", self.text("format.thousands"))
        return whole + self.text("format.decimal") + part if part else whole

    def rate(self, per_second: float) -> str:
        """Items a second, with a decimal only where it tells something."""
        return self.decimal(per_second, 0 if per_second >= 10 else 1)

    def shortest(self, value: float) -> str:
        """A number with the decimals that it has, up to six."""
        decimals = f"{value:.6f}".rstrip("0").partition(".")[2]
        return self.decimal(value, len(decimals))

    def moment(self, when: str | datetime) -> str:
        """A date and time of day in UTC; `when` is ISO 8601 or aware."""
        moment = datetime.fromisoformat(when) if isinstance(when, str) else when
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        day = self.text("format.first_day") if moment.day == 1 else str(moment.day)
        return self.text(
            "format.moment",
            day=day,
            month=self.text("format.months").split()[moment.month - 1],
            year=moment.year,
            hour=moment.hour,
            minute=moment.minute,
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
        units = self.text("format.bytes").split()
        value, unit = float(n_bytes), 0
        while value >= 999.5 and unit < len(units) - 1:
            value, unit = value / 1000, unit + 1
        digits = 1 if unit and value < 99.95 else 0
        return f"{self.decimal(value, digits)}{NO_BREAK}{units[unit]}"

    def listed(self, names: Sequence[str]) -> str:
        """Names in a row, with the language's word for 'and' before the last."""
        if len(names) < 2:
            return "".join(names)
        return self.text("format.and", rest=", ".join(names[:-1]), last=names[-1])


def load_strings(lang: str) -> dict[str, str]:
    """All strings of a language by dotted key, ready for the page."""
    asset = files("egide.auditing").joinpath("assets", f"{lang}.toml")
    strings = dict(_flatten(tomllib.loads(asset.read_text(encoding="utf-8"))))
    if lang == "fr":
        for pattern, space in _FRENCH_SPACES:
            strings = {key: pattern.sub(space, value) for key, value in strings.items()}
    return strings


def _flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, str):
            yield prefix + name, value
        else:
            yield from _flatten(value, f"{prefix}{name}.")
