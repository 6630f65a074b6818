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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, one a module: Playwright's event loop must not outlive the tests that use it."""
    if reason := missing_chromium():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with launched() as chromium:
        yield chromium
