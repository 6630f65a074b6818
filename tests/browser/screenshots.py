"""Take a picture of every page and state, to be looked at by people: `make screenshots`.

    screenshots.py FOLDER [--lang en] [--width 390] [--scheme dark] [--only case] [--part staff]

Each picture is called `<language>-<width>-<scheme>/<number>-<state>.png`. The folders `demo`,
`tests` and `tests/browser` have to be on Python's path.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from chromium_launch import launched, missing_chromium
from gallery_cases import PARTNERS, prepare
from page_gallery import Tour, drawn_files
from pages_site import pages_site

if TYPE_CHECKING:
    from playwright.sync_api import Page

LANGS = ("en", "fr")
WIDTHS = (320, 390, 1280)
SCHEMES = ("light", "dark")
HEIGHTS = {320: 640, 390: 844, 1280: 900}
SHORT_NAME = "Rivage"
LONG_NAME = "Association d’aide aux personnes du Maine-et-Loire et du Lot"


class Camera:
    """Takes the pictures of one language."""

    def __init__(
        self, folder: Path, lang: str, widths: list[int], schemes: list[str], only: str
    ) -> None:
        self._folder = folder
        self._lang = lang
        self._widths = widths
        self._schemes = schemes
        self._only = only
        self._taken = 0

    def look(self, name: str, page: Page) -> None:
        self._taken += 1
        if self._only not in name:
            return
        for width in self._widths:
            page.set_viewport_size({"width": width, "height": HEIGHTS.get(width, 800)})
            for scheme in self._schemes:
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                path = self._folder / f"{self._lang}-{width}-{scheme}"
                path.mkdir(parents=True, exist_ok=True)
                page.evaluate("scrollTo({ top: 0, behavior: 'instant' })")
                page.screenshot(path=path / f"{self._taken:02}-{name}.png", full_page=True)
                wide = page.evaluate("document.documentElement.scrollWidth")
                if wide > width:
                    sys.stderr.write(f"{name}: {wide} px wide at {width} px\n")


def main() -> None:
    """Serve the pages with made-up cases, and go through them."""
    parser = argparse.ArgumentParser(description="Take pictures of every page and state.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lang", choices=LANGS, action="append")
    parser.add_argument("--width", type=int, action="append")
    parser.add_argument("--scheme", choices=SCHEMES, action="append")
    parser.add_argument("--only", default="", help="states whose name holds this")
    parser.add_argument("--part", default="all", help="of the tour: telling, staff …")
    parser.add_argument("--long-name", action="store_true", help="of the helpline")
    given = parser.parse_args()
    if reason := missing_chromium():
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as scratch:
        store = Path(scratch)
        with (
            pages_site(
                store,
                pages_name=LONG_NAME if given.long_name else SHORT_NAME,
                pages_contact="aide@rivage.example.org",
                pages_partners=PARTNERS,
                case_max_images=6,
            ) as (address, service),
            launched() as browser,
        ):
            prepared = prepare(service)
            for lang in given.lang or LANGS:
                camera = Camera(
                    given.folder, lang, given.width or list(WIDTHS),
                    given.scheme or list(SCHEMES), given.only,
                )  # fmt: skip
                tour = Tour(
                    address, service, browser, lang,
                    prepared=prepared, photos=drawn_files(store), look=camera.look,
                )  # fmt: skip
                if given.part == "all":
                    tour.all()
                else:
                    tour.one(given.part)


if __name__ == "__main__":
    main()
