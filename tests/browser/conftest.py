"""What all tests in a browser can ask for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from chromium_launch import launched, missing_chromium
from firefox_bidi import firefox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

__all__ = ["firefox"]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, until the tests in a browser end: Playwright's event loop must not outlive them."""
    if reason := missing_chromium():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with launched() as chromium:
        yield chromium
