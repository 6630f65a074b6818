"""The words of the report in one language; all of them stand in `assets/<lang>.toml`."""

from __future__ import annotations

from importlib.resources import files

from egide.text.wording import Wording, load_catalogue, require_language


def report_wording(lang: str) -> Wording:
    """The strings and formats of the report in a language.

    Raises:
        UsageError: the report is not written in `lang`.
    """
    require_language(lang)
    return Wording(lang, load_strings(lang))


def load_strings(lang: str) -> dict[str, str]:
    """All strings of a language by dotted key, ready for the page."""
    asset = files("egide.auditing").joinpath("assets", f"{lang}.toml")
    return load_catalogue([asset], lang)
