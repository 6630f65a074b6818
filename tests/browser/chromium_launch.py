"""Chromium as the machine has it, driven by Playwright."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

# Each visit opens a window, with lists below its address bar that are pages in processes of their
# own. Nobody sees them, and they took half of all processor time. Of the rest, a third was that
# each page of a site gets a frame of its own, as if it came from another.
_COSTLY = (
    "InitialWebUI", "PreloadTopChromeWebUI", "RenderDocument", "SpareRendererForSitePerProcess",
    "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup", "WebUIOmniboxPopup", "WebUIReloadButton",
)  # fmt: skip
# Playwright's own, with its reasons in chromiumSwitches.ts: a second list replaces the first.
_OF_PLAYWRIGHT = (
    "AimEnabled", "AvoidCorsURLLoaderRestartOnRedirect", "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose", "HttpsFirstBalancedModeAutoEnable", "HttpsUpgrades",
    "LensOverlay", "MediaRouter", "NetworkTimeServiceQuerying", "OptimizationHints",
    "PaintHolding", "PreconnectToSearch", "ThirdPartyStoragePartitioning",
)  # fmt: skip
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    f"--disable-features={','.join(_COSTLY + _OF_PLAYWRIGHT)}",
)  # fmt: skip


def chromium_path() -> str | None:
    """Chromium without windows, which takes half of the processor time, or with; None if absent."""
    return shutil.which("chromium-headless-shell") or shutil.which("chromium")


def missing_chromium() -> str:
    """Why there is no Chromium to drive; empty if there is one."""
    try:
        import playwright  # noqa: F401
    except ModuleNotFoundError:
        return "the package playwright is absent: nothing was tried in a browser"
    if chromium_path() is None:
        return "no chromium on the PATH: nothing was tried in a browser"
    return ""


@contextmanager
def launched() -> Iterator[Browser]:
    """Run Chromium without a window, until the block ends."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path(), args=list(ARGUMENTS))
        yield chromium
        chromium.close()
