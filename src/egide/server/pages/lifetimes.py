"""How long a case lasts, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from egide.text.wording import Wording

_DAYS_A_YEAR = 365


def shown_lifetime(words: Wording, days: int) -> str:
    """Say a number of days, in years where it is a whole number of them: "2 years", "90 days"."""
    years, rest = divmod(days, _DAYS_A_YEAR)
    if rest:
        return words.plural("common.days", days)
    return words.plural("common.years", years)
