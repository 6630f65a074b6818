"""A browser and a site that serves Egide's scripts to it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from fingerprint_site import running_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fingerprint_site import Site
    from playwright.sync_api import Browser, Page


def missing_browser() -> str:
    try:
        import playwright  # noqa: F401
    except ModuleNotFoundError:
        return "the package playwright is absent: no fingerprint was computed in a browser"
    if shutil.which("chromium") is None:
        return "no chromium on the PATH: no fingerprint was computed in a browser"
    return ""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if reason := missing_browser():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture
def site() -> Iterator[Site]:
    with running_site() as site:
        yield site


@pytest.fixture
def page(chromium: Browser, site: Site) -> Iterator[Page]:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(site.address)
    yield page
    context.close()
