"""From the first page to the card, to the case, to its withdrawal: by keyboard alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from egide.domain.model import State
from keyboard import Keyboard
from page_steps import PIN, WAIT_MS, states
from pages_site import pages_site
from pictures import encoded, pictures
from served_pages import BANK, EXIT_URL

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

    from egide.server.service import Service


@pytest.mark.parametrize(
    ("lang", "width", "height"),
    [
        pytest.param("en", 1280, 800, marks=pytest.mark.slow, id="en"),
        pytest.param("fr", 360, 640, id="fr-phone"),
    ],
)
def test_from_home_to_card_to_withdrawal_and_out(
    browser: Browser, tmp_path: Path, lang: str, width: int, height: int
) -> None:
    files = [tmp_path / f"{number}.jpg" for number in range(2)]
    for path, picture in zip(files, pictures(2), strict=True):
        path.write_bytes(encoded(picture))
    # Scrolled at once, so that each stop can be looked at where it is.
    context = browser.new_context(
        viewport={"width": width, "height": height}, reduced_motion="reduce"
    )
    context.set_default_timeout(WAIT_MS)
    context.route(f"{EXIT_URL}**", lambda route: route.fulfill(body="neutral"))
    page = context.new_page()
    keys = Keyboard(page)

    with pages_site(tmp_path, pages_exit_url=EXIT_URL) as (address, service):
        page.goto(f"{address}/{lang}/")
        assert keys.stops_of_page(2) == ["skip", "exit"]
        keys.follow(f'main a[href="/{lang}/register"]')
        assert keys.stops_of_page(2) == ["skip", "exit"]
        keys.follow("a.answer")

        page.wait_for_selector("#images-app")
        keys.tab_to("#files")
        with page.expect_file_chooser() as choosing:
            keys.press("Space")
        choosing.value.set_files(files)
        page.wait_for_selector("#file-list li")
        page.wait_for_selector("#overall-progress", state="hidden")
        assert states(page) == ["done", "done"]
        keys.tab_to("#names")
        keys.press("Space")
        assert page.is_checked("#names")
        keys.tab_to("#to-check")
        keys.press("Enter")
        assert page.evaluate("document.activeElement.id") == "check-heading"
        keys.tab_to("#check summary")
        keys.press("Space")
        assert page.is_visible("#summary-exact")
        keys.tab_to("#to-pin")
        keys.press("Enter")
        assert page.evaluate("document.activeElement.id") == "pin-step-heading"
        keys.tab_to("#pin")
        keys.type(PIN)
        keys.tab_to("#pin-again")
        keys.type(PIN)
        keys.press("Enter")
        page.wait_for_url("**/case/card*")

        number = page.inner_text(".case-number")
        keys.tab_to("#save-card")
        with page.expect_download() as saving:
            keys.press("Space")
        assert number in saving.value.path().read_text("utf-8-sig")
        keys.follow(f'main a[href="/{lang}/case"]')
        assert active(service) == 2
        keys.follow(f'main a[href="/{lang}/case/withdraw"]')
        keys.tab_to("main form button")
        keys.back_to("#exit")
        keys.follow("main form button")
        assert page.url == f"{address}/{lang}/case/withdraw"
        page.wait_for_selector("main .notice.done")
        assert active(service) == 0

        # Coming back later, and out.
        keys.follow(f'main a[href="/{lang}/case"]')
        keys.follow("main form button")
        page.goto(f"{address}/{lang}/case")
        keys.tab_to("#number")
        keys.type(number)
        keys.tab_to("#pin")
        keys.type("not this one")
        with page.expect_navigation():
            keys.press("Enter")
        assert page.evaluate("document.activeElement.matches('[data-focus]')")
        keys.tab_to("#pin")
        keys.type(PIN)
        with page.expect_navigation():
            keys.press("Enter")
        assert page.inner_text(".case-number") == number
        for _ in range(3):
            keys.press("Shift")
        page.wait_for_url(EXIT_URL)
    context.close()
    assert keys.dialogs == []
    assert keys.complaints == []


def active(service: Service) -> int:
    return sum(one.state is State.ACTIVE for one in service.store.entries.list(BANK))
