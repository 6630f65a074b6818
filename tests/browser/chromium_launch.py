"""Chromium as the machine has it, driven by Playwright."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


def missing_chromium() -> str:
    """Why there is no Chromium to drive; empty if there is one."""
    try:
        import playwright  # noqa: F401
    except ModuleNotFoundError:
        return "the package playwright is absent: nothing was tried in a browser"
    if shutil.which("chromium") is None:
        return "no chromium on the PATH: nothing was tried in a browser"
    return ""


@contextmanager
def launched() -> Iterator[Browser]:
    """Run Chromium without a window, until the block ends."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(ARGUMENTS)
        )
        yield chromium
        chromium.close()
