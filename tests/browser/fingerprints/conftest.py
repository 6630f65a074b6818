"""A site that serves Egide's scripts, and a tab of Chromium that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fingerprint_site import running_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from fingerprint_site import Site


@pytest.fixture(scope="module")
def only_site() -> Iterator[Site]:
    with running_site() as site:
        yield site


@pytest.fixture(scope="module")
def only_tab(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def site(only_site: Site) -> Site:
    """The site, with no files and nothing replaced."""
    only_site.files = {}
    only_site.replaced = {"/favicon.ico": b""}
    only_site.asked.clear()
    return only_site


@pytest.fixture
def page(only_tab: Page, site: Site) -> Page:
    """The site's page, loaded anew: no script, worker or change of the last test is left."""
    only_tab.goto(site.address)
    return only_tab


@pytest.fixture
def own_page(browser: Browser, site: Site) -> Iterator[Page]:
    """The same in a tab of its own, for what would stay with a tab."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(site.address)
    yield page
    context.close()
