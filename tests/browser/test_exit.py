"""The way out: from each page and by each way, the session is over and nothing is left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from urllib3 import PoolManager

from case_samples import image
from egide.server.pages.site.page import COOKIE
from page_steps import PIN, choose
from pages_site import pages_site, sign_in_at_once
from pictures import encoded, pictures
from served_pages import DEADLINE_S, EXIT_URL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page

    from egide.server.service import Service

PAGES = (
    "", "how", "under-18", "help", "privacy", "accessibility", "goodbye", "no-such-page",
    "register", "register/images?adult=yes", "case", "case/card", "case/add?adult=yes",
    "case/withdraw",
)  # fmt: skip
SOME_PAGES = ("", "no-such-page", "register/images?adult=yes", "case", "case/withdraw")
WITHOUT_SCRIPTS = ("", "no-such-page", "register/images?adult=yes", "case", "case/card")
SIGNED_OUT = ("case", "case/card", "staff/sign-in")
SECRET = "what-the-page-held"
# A machine may do other things too. Below, a server that is waited for does not answer at all.
MAX_EXIT_MS = 5000.0

# Before anything of the page: when the way out is taken, and what is there to be read then.
WATCH = """
for (const [event, fits] of [
  ["click", (event) => event.target.closest?.("#exit")],
  ["keyup", (event) => event.key === "Shift"],
]) addEventListener(event, (event) => fits(event) && console.log(`out ${Date.now()}`), true);
"""
NEUTRAL = "<!doctype html><p>neutral<script>console.log(`in ${Date.now()}`)</script>"
KEPT = """async () => ({
  session: sessionStorage.length, local: localStorage.length, cookies: document.cookie,
  caches: (await caches.keys()).length, databases: (await indexedDB.databases()).length,
  workers: (await navigator.serviceWorker.getRegistrations()).length,
})"""
NOTHING = {
    "session": 0, "local": 0, "cookies": "", "caches": 0, "databases": 0, "workers": 0,
}  # fmt: skip


class Exits:
    """The pages with a case, and visits that are signed in to it."""

    def __init__(self, address: str, service: Service, browser: Browser) -> None:
        self.address = address
        self._service = service
        self._browser = browser
        self._http = PoolManager(retries=False, timeout=DEADLINE_S)
        self._case = service.casework.open([image(1)], PIN, submission=bytes(32))

    def context(self, *, scripts: bool = True) -> BrowserContext:
        context = self._browser.new_context(java_script_enabled=scripts)
        context.set_default_timeout(DEADLINE_S * 1000)
        context.route(
            f"{EXIT_URL}**", lambda route: route.fulfill(body=NEUTRAL, content_type="text/html")
        )
        context.add_init_script(WATCH)
        return context

    def sign_in(self, context: BrowserContext) -> str:
        return sign_in_at_once(context, self.address, self._service, "case", self._case.id)

    def opens_the_case(self, token: str) -> bool:
        answer = self._http.request(
            "GET", f"{self.address}/en/case", headers={"Cookie": f"{COOKIE}={token}"}
        )
        assert answer.status == 200
        return b'class="case-number"' in answer.data

    def wait_until_over(self, token: str, context: BrowserContext) -> None:
        """Scripts do not wait for the server to hear of it, nor does the person.

        The cookie goes with the server's answer.
        """
        ends_at = time.monotonic() + DEADLINE_S
        while self._service.store.sessions.find(token) is not None or context.cookies():
            assert time.monotonic() < ends_at, "the session goes on"
            time.sleep(0.01)


@pytest.fixture(scope="module")
def exits(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exits]:
    with pages_site(tmp_path_factory.mktemp("exit"), pages_exit_url=EXIT_URL) as site:
        yield Exits(*site, browser)


def click(page: Page) -> None:
    page.click("#exit", no_wait_after=True)


def shift_three_times(page: Page) -> None:
    for _ in range(3):
        page.keyboard.press("Shift")


def times_ms(said: list[str]) -> tuple[float, float]:
    """When the way out was taken, by the last press, and when the neutral page ran."""
    out = [float(text.split()[1]) for text in said if text.startswith("out ")]
    arrived = [float(text.split()[1]) for text in said if text.startswith("in ")]
    return out[-1], arrived[-1]


@pytest.mark.parametrize(
    ("lang", "leave", "paths"),
    [
        pytest.param("en", click, PAGES, marks=pytest.mark.slow, id="en-click"),
        pytest.param("fr", shift_three_times, SOME_PAGES, id="fr-shift"),
    ],
)
def test_from_every_page_the_session_is_over_and_nothing_is_left(
    exits: Exits, lang: str, leave: Callable[[Page], None], paths: tuple[str, ...]
) -> None:
    context = exits.context()
    page = context.new_page()
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        said.append(message.text)

    page.on("console", hear)
    took: list[float] = []
    for path in paths:
        token = exits.sign_in(context)
        assert exits.opens_the_case(token)
        page.goto(f"{exits.address}/{lang}/{path}")
        assert page.evaluate(KEPT) == NOTHING, f"before {path}"
        page.evaluate("secret => sessionStorage.setItem('kept', secret)", SECRET)
        said.clear()
        leave(page)
        page.wait_for_url(EXIT_URL)
        exits.wait_until_over(token, context)
        assert not exits.opens_the_case(token), path
        out, arrived = times_ms(said)
        took.append(arrived - out)
    page.goto(f"{exits.address}/{lang}/goodbye")
    assert page.evaluate(KEPT) == NOTHING
    context.close()
    assert max(took) < MAX_EXIT_MS


def test_without_scripts_the_way_out_is_a_link(exits: Exits) -> None:
    context = exits.context(scripts=False)
    page = context.new_page()
    for path in WITHOUT_SCRIPTS:
        token = exits.sign_in(context)
        page.goto(f"{exits.address}/en/{path}")
        # Where it is led to is not routed: the neutral page cannot be reached.
        with page.expect_event("requestfailed", lambda request: request.url == EXIT_URL):
            page.click("#exit")
        assert not exits.opens_the_case(token), path
        assert context.cookies() == [], path
    context.close()


def test_who_is_signed_in_nowhere_gets_out_as_well(exits: Exits) -> None:
    context = exits.context()
    page = context.new_page()
    for path in SIGNED_OUT:
        page.goto(f"{exits.address}/fr/{path}")
        shift_three_times(page)
        page.wait_for_url(EXIT_URL)
    context.close()


def test_chosen_files_are_forgotten_without_a_question(exits: Exits, tmp_path: Path) -> None:
    files = [tmp_path / f"holiday with Sam {number}.jpg" for number in range(3)]
    for path, picture in zip(files, pictures(3), strict=True):
        path.write_bytes(encoded(picture))
    context = exits.context()
    page = context.new_page()
    asked: list[str] = []

    def note(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", note)
    page.goto(f"{exits.address}/en/register")
    page.get_by_role("link", name="No, 18 or over").click()
    page.wait_for_selector("#images-app")
    choose(page, files)
    page.check("#names")
    page.click("#to-check")
    page.click("#to-pin")
    page.fill("#pin", PIN)
    page.locator("#pin").blur()
    shift_three_times(page)
    page.wait_for_url(EXIT_URL)
    assert asked == []
    page.go_back()
    page.wait_for_load_state()
    told = page.evaluate("document.documentElement.outerHTML")
    assert "holiday" not in told
    assert PIN not in told
    assert page.evaluate(
        "[...document.querySelectorAll('#pin, #pin-again')].every((field) => field.value === '')"
    )
    context.close()


def test_going_back_after_the_way_out_shows_no_case(exits: Exits) -> None:
    context = exits.context()
    exits.sign_in(context)
    page = context.new_page()
    page.goto(f"{exits.address}/en/case")
    shown = page.inner_text(".case-number")
    page.goto(f"{exits.address}/en/case/card")
    assert shown in page.inner_text("main")
    click(page)
    page.wait_for_url(EXIT_URL)
    for _ in range(2):
        page.go_back()
        if page.url == "about:blank":
            break
        assert shown not in page.inner_text("body")
    context.close()


def test_the_session_ends_for_the_other_windows_too(exits: Exits) -> None:
    context = exits.context()
    token = exits.sign_in(context)
    page, other = context.new_page(), context.new_page()
    other.goto(f"{exits.address}/en/case")
    page.goto(f"{exits.address}/en/help")
    click(page)
    page.wait_for_url(EXIT_URL)
    exits.wait_until_over(token, context)
    other.get_by_role("link", name="Show my card").click()
    assert "Please sign in again" in other.inner_text("h1")
    context.close()


def test_a_server_that_does_not_answer_holds_nobody_back(exits: Exits) -> None:
    context = exits.context()
    exits.sign_in(context)
    page = context.new_page()
    page.goto(f"{exits.address}/en/case")
    context.route("**/leave", lambda _: None)  # never answered
    click(page)
    page.wait_for_url(EXIT_URL)
    assert "neutral" in page.inner_text("body")
    context.close()
