"""Take the README's picture of a report, the one that `make demo` wrote: `make report-picture`."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "demo-output" / "audit" / "report.html"
PICTURE = Path(__file__).with_name("report.png")
WIDTH, HEIGHT = 1000, 760
COLOURS = 64  # 40 kB; text and lines show no difference


def main() -> None:
    """Open the report in Chromium and write the picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium")
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(REPORT.as_uri())
        shown = page.screenshot()
        browser.close()
    with Image.open(io.BytesIO(shown)) as picture:
        picture.convert("RGB").quantize(COLOURS).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
