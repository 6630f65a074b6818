"""Shared by all pages, loaded once: words, templates, files, the operator's branding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from egide.server.pages.site.assets import Assets
from egide.server.pages.site.branding import Branding
from egide.server.pages.site.helplines import helplines
from egide.text.wording import LANGUAGES, Wording, load_catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egide.server.pages.site.helplines import Country
    from egide.server.settings import ServerSettings


@dataclass(frozen=True, slots=True)
class Site:
    """Everything that pages share.

    Attributes:
        settings: of the server.
        wordings: the words of each offered language.
        countries: helplines, by language, in the order of that language.
    """

    settings: ServerSettings
    branding: Branding
    assets: Assets
    wordings: Mapping[str, Wording]
    templates: Environment
    countries: Mapping[str, tuple[Country, ...]]

    @classmethod
    def load(cls, settings: ServerSettings) -> Site:
        """Read everything from the package, and from the files named in the settings.

        Raises:
            SettingInvalid: the branding or the list of helplines is invalid.
        """
        branding = Branding.of(settings)
        languages = settings.pages_languages
        return cls(
            settings=settings,
            branding=branding,
            assets=Assets.load(branding),
            wordings={lang: Wording(lang, load_page_strings(lang)) for lang in languages},
            templates=_environment(),
            countries={lang: helplines(lang, settings.pages_helplines) for lang in languages},
        )


@cache
def load_page_strings(lang: str) -> Mapping[str, str]:
    """Load all strings of the pages in a language, by dotted key, from `locale/<lang>/*.toml`."""
    folder = files("egide.server.pages").joinpath("locale", lang)
    found = (file for file in folder.iterdir() if file.name.endswith(".toml"))
    return load_catalogue(sorted(found, key=lambda file: file.name), lang)


@cache
def script_words(lang: str, start: str) -> dict[str, str]:
    """The strings for a page's scripts: those whose keys begin with `start`, which is cut off."""
    assert lang in LANGUAGES
    return {
        key.removeprefix(start): text
        for key, text in load_page_strings(lang).items()
        if key.startswith(start)
    }


@cache
def _environment() -> Environment:
    """The templates of all pages, which differ between sites by what they are given alone."""
    return Environment(
        loader=PackageLoader("egide.server.pages", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
