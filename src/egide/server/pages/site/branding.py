"""The operator's own name, colour, logo and contact on the pages, checked before they are served.

The background colours are those of `static/css/site.css`; a test compares them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from egide.errors import SettingInvalid

if TYPE_CHECKING:
    from egide.server.settings import ServerSettings

LIGHT_GROUND = "#f3ede3"
"""`--soft`: the darkest background of a link in the light theme."""
DARK_GROUND = "#1d1c21"
MIN_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3: of text against its background."""
DARK_CONTRAST = 7.0
"""A mix that just passes looks dull on the dark background; this is clearly lighter."""
MAX_LOGO_BYTES = 64 * 1024
"""The whole page may have 100 KB."""
_LIGHTER_STEPS = 100
_KINDS = {".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp"}


@dataclass(frozen=True, slots=True)
class Branding:
    """The branding of one operator's pages.

    Attributes:
        name: of the operator, on each page and in the privacy notice.
        contact: how to reach them: an e-mail address, a URL, or words; empty if there is none.
        colour: of links and buttons on light backgrounds, `#rrggbb`.
        dark_colour: the same, lighter, for the dark background.
        logo: the picture's bytes, or None.
        logo_type: its media type.
    """

    name: str
    contact: str
    colour: str
    dark_colour: str
    logo: bytes | None = field(default=None, repr=False)
    logo_type: str = ""

    @classmethod
    def of(cls, settings: ServerSettings) -> Branding:
        """Take the branding from the settings.

        Raises:
            SettingInvalid: the colour's contrast with the page is too low (it names the ratio), or
                the logo is not an SVG, PNG or WebP file of at most 64 KiB.
        """
        colour = settings.pages_colour.lower()
        logo, kind = _read_logo(settings.pages_logo)
        return cls(
            settings.pages_name, settings.pages_contact, colour, _lighter(colour), logo, kind
        )

    @property
    def contact_url(self) -> str:
        """The target of a link to the contact; empty if the contact is only words."""
        if re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", self.contact):
            return f"mailto:{self.contact}"
        return self.contact if self.contact.startswith("https://") else ""

    def stylesheet(self) -> str:
        """The colours as custom properties; the pages' policy forbids inline styles."""
        return (
            f":root{{--accent:{self.colour};--on-accent:#ffffff}}\n"
            "@media (prefers-color-scheme:dark){@media screen{"
            f":root{{--accent:{self.dark_colour};--on-accent:{DARK_GROUND}}}}}}}\n"
        )


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours `#rrggbb`, 1 to 21.

    Source: WCAG 2.2, "contrast ratio" and "relative luminance".
    """
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [value / 255 for value in _rgb(colour)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _lighter(colour: str) -> str:
    """Return the nearest mix with white that is readable on the dark background.

    Raises:
        SettingInvalid: the colour itself is not readable on the light background.
    """
    if re.fullmatch(r"#[0-9a-f]{6}", colour) is None:
        raise SettingInvalid(name="pages_colour", reason="it has to be written as #2c5f6b")
    ratio = contrast(colour, LIGHT_GROUND)
    if ratio < MIN_CONTRAST:
        reason = (
            f"its contrast with the page is {ratio:.2f} to 1, and {MIN_CONTRAST} is the least "
            "that can be read: choose a darker one"
        )
        raise SettingInvalid(name="pages_colour", reason=reason)
    mixes = (
        "#" + "".join(f"{value + (255 - value) * step // _LIGHTER_STEPS:02x}" for value in rgb)
        for rgb in [_rgb(colour)]
        for step in range(_LIGHTER_STEPS + 1)
    )
    return next(mix for mix in mixes if contrast(mix, DARK_GROUND) >= DARK_CONTRAST)


def _read_logo(path: Path | None) -> tuple[bytes | None, str]:
    if path is None:
        return None, ""
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise SettingInvalid(name="pages_logo", reason=f"{path} is no .svg, .png or .webp file")
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = f"{path} cannot be read: {(error.strerror or '').lower()}"
        raise SettingInvalid(name="pages_logo", reason=reason) from error
    if len(content) > MAX_LOGO_BYTES:
        reason = f"{path} has {len(content)} bytes, more than the {MAX_LOGO_BYTES} allowed"
        raise SettingInvalid(name="pages_logo", reason=reason)
    return content, kind
