"""The operator's look: what cannot be read is refused at the start, and says by how much."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from egide.errors import SettingInvalid
from egide.server.pages.site.assets import LOGO, Assets
from egide.server.pages.site.branding import (
    DARK_CONTRAST,
    DARK_GROUND,
    LIGHT_GROUND,
    MAX_LOGO_BYTES,
    MIN_CONTRAST,
    Branding,
    contrast,
)
from egide.server.settings import ServerSettings

DRAWN_LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><circle r="4"/></svg>'
SITE_STYLE = files("egide.server.pages").joinpath("static/css/site.css").read_text("utf-8")


def branding(**settings: Any) -> Branding:
    return Branding.of(ServerSettings(**settings))


def properties(theme: str) -> dict[str, str]:
    """The colours of a theme of site.css: the first block is light, the second dark."""
    blocks = re.findall(r":root \{(.*?)\}", SITE_STYLE, re.DOTALL)
    return dict(re.findall(r"--([\w-]+): (#\w{6});", blocks[("light", "dark").index(theme)]))


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
    assert contrast("#ffffff", "#777777") == contrast("#777777", "#ffffff")


def test_grounds_are_those_of_the_style_sheet() -> None:
    assert properties("light")["soft"] == LIGHT_GROUND
    assert properties("dark")["ground"] == DARK_GROUND


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ink", ["ink", "ink-soft", "care", "done"])
def test_text_can_be_read_on_every_ground(theme: str, ink: str) -> None:
    colours = properties(theme)
    for ground in ("ground", "surface", "soft", "care-ground", "done-ground", "info-ground"):
        assert contrast(colours[ink], colours[ground]) >= MIN_CONTRAST, ground


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_edges_of_fields_can_be_seen(theme: str) -> None:
    colours = properties(theme)
    assert contrast(colours["edge"], colours["ground"]) >= 3
    assert contrast(colours["edge"], colours["surface"]) >= 3


@pytest.mark.parametrize("colour", ["#2c5f6b", "#000000", "#0000FF", "#6b3f8f"])
def test_a_dark_colour_is_taken_and_has_a_light_pair(colour: str) -> None:
    made = branding(pages_colour=colour)
    assert made.colour == colour.lower()
    assert contrast(made.colour, LIGHT_GROUND) >= MIN_CONTRAST
    assert contrast(made.dark_colour, DARK_GROUND) >= DARK_CONTRAST
    assert made.colour in made.stylesheet()
    assert made.dark_colour in made.stylesheet()


def test_the_own_colour_can_be_read_on_every_ground() -> None:
    made, light, dark = branding(), properties("light"), properties("dark")
    for ground in ("ground", "surface", "soft", "care-ground", "done-ground", "info-ground"):
        assert contrast(made.colour, light[ground]) >= MIN_CONTRAST
        assert contrast(made.dark_colour, dark[ground]) >= MIN_CONTRAST


def test_a_pale_colour_is_refused_with_its_ratio() -> None:
    with pytest.raises(SettingInvalid, match=r"pages_colour.*1.9[0-9] to 1.*darker"):
        branding(pages_colour="#e0a080")


@pytest.mark.parametrize("colour", ["teal", "#abc", "#12345g", "#123456;}", ""])
def test_what_is_no_colour_is_refused(colour: str) -> None:
    with pytest.raises(SettingInvalid, match="#2c5f6b"):
        branding(pages_colour=colour)


def test_a_logo_is_served_from_the_own_origin(tmp_path: Path) -> None:
    path = tmp_path / "logo.SVG"
    path.write_text(DRAWN_LOGO)
    made = branding(pages_logo=path)
    assert Assets.load(made).by_name[LOGO].content == DRAWN_LOGO.encode()
    assert Assets.load(made).by_name[LOGO].media_type == "image/svg+xml"
    assert LOGO not in Assets.load(branding()).by_name


def test_a_logo_that_will_not_do_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    large.write_bytes(bytes(MAX_LOGO_BYTES + 1))
    with pytest.raises(SettingInvalid, match="65537 bytes"):
        branding(pages_logo=large)
    with pytest.raises(SettingInvalid, match=r"\.gif is no \.svg"):
        branding(pages_logo=tmp_path / "logo.gif")
    with pytest.raises(SettingInvalid, match="cannot be read: no such file"):
        branding(pages_logo=tmp_path / "none.png")


@pytest.mark.parametrize(
    ("contact", "url"),
    [
        ("help@example.org", "mailto:help@example.org"),
        ("https://example.org/contact", "https://example.org/contact"),
        ("javascript:alert(1)", ""),
        ("Call 01 23 45 67 89", ""),
        ("", ""),
    ],
)
def test_a_contact_is_a_link_where_it_is_one(contact: str, url: str) -> None:
    assert branding(pages_contact=contact).contact_url == url


def test_the_version_changes_with_the_look_alone() -> None:
    assert Assets.load(branding()).version == Assets.load(branding()).version
    other = branding(pages_colour="#6b3f8f")
    assert Assets.load(other).version != Assets.load(branding()).version


def test_nothing_but_what_pages_load_is_handed_out() -> None:
    names = Assets.load(branding()).by_name
    assert names
    assert not [name for name in names if name.endswith((".toml", ".py", ".md", ".j2"))]
