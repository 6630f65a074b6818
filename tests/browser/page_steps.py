"""The steps of a visit to the pages, as a person takes them with a mouse or a finger."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from playwright.sync_api import Page

PIN = "a kettle of 9 herons"
WAIT_MS = 60_000


def open_images(page: Page, address: str, lang: str = "en") -> None:
    page.goto(f"{address}/{lang}/register/images?adult=yes")
    page.wait_for_selector("#images-app", timeout=WAIT_MS)


def choose(page: Page, files: Sequence[Path]) -> None:
    """Choose files and wait until all are ready, or cannot be."""
    page.set_input_files("#files", files)
    page.wait_for_selector("#file-list li")
    page.wait_for_selector("#overall-progress", state="hidden", timeout=WAIT_MS)


def states(page: Page) -> list[str | None]:
    return [row.get_attribute("data-state") for row in page.query_selector_all("#file-list li")]


def to_pin(page: Page) -> None:
    page.click("#to-check")
    page.click("#to-pin")


def send(page: Page, pin: str = PIN) -> None:
    page.fill("#pin", pin)
    page.fill("#pin-again", pin)
    page.click("#pin-form button[type=submit]")


def to_card(page: Page) -> str:
    """Wait for the card; return the case number as it is shown."""
    page.wait_for_url("**/case/card*", timeout=WAIT_MS)
    return page.inner_text(".case-number")


def register(page: Page, address: str, files: Sequence[Path], lang: str = "en") -> str:
    """Register files; return the case number as it is shown."""
    open_images(page, address, lang)
    choose(page, files)
    to_pin(page)
    send(page)
    return to_card(page)


def sign_in(page: Page, address: str, number: str, pin: str = PIN, lang: str = "en") -> None:
    """Type number and PIN, and send them."""
    page.goto(f"{address}/{lang}/case")
    page.fill("#number", number)
    page.fill("#pin", pin)
    page.click("main form button[type=submit]")
