"""The frame of the pages in a browser: the way out, its policy, no scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from egide.server.pages.site.page import COOKIE
from pages_site import pages_site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

CONTENT = ("", "how", "under-18", "help", "privacy", "accessibility", "goodbye", "no-such-page")
NEUTRAL = "https://neutral.example/"
SECRET = "what-the-page-held"


@pytest.fixture(scope="module")
def address(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    long_name = "Association d’aide aux personnes du département"
    with pages_site(
        tmp_path_factory.mktemp("pages"),
        pages_name=long_name,
        pages_contact="a.rather.long.address@helpline.example.org",
        pages_exit_url=NEUTRAL,
    ) as (served_at, _):
        yield served_at


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Open visits, each with what the neutral page would be, and close them at the end."""
    contexts = []

    def open_visit(**options: object) -> BrowserContext:
        context = browser.new_context(**options)
        context.route(
            f"{NEUTRAL}**", lambda route: route.fulfill(body="neutral", content_type="text/html")
        )
        contexts.append(context)
        return context

    yield open_visit
    for context in contexts:
        context.close()


def cookies_of(context: BrowserContext) -> list[str]:
    return [cookie["name"] for cookie in context.cookies()]


def filled_page(context: BrowserContext, address: str) -> Page:
    """A page in the middle of a visit: with a cookie, with storage, and something on it."""
    page = context.new_page()
    page.goto(f"{address}/en/")
    page.goto(f"{address}/en/how")
    page.evaluate("fetch('/en/form-token')")
    page.evaluate(
        """secret => {
            sessionStorage.setItem("kept", secret);
            document.querySelector("main").append(secret);
        }""",
        SECRET,
    )
    assert cookies_of(context) == [COOKIE]
    return page


def wait_until_forgotten(context: BrowserContext, page: Page) -> None:
    for _ in range(200):
        if not cookies_of(context):
            return
        page.wait_for_timeout(50)
    pytest.fail("the cookie is still there")


def press_shift(page: Page, times: int) -> None:
    for _ in range(times):
        page.keyboard.press("Shift")


@pytest.mark.parametrize("way", ["click", "keyboard", "shift"])
def test_the_way_out_empties_the_page_and_takes_its_place(
    visit: Callable[..., BrowserContext], address: str, way: str
) -> None:
    context = visit()
    page = filled_page(context, address)
    if way == "click":
        page.click("#exit")
    elif way == "keyboard":
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
    else:
        press_shift(page, 3)
    page.wait_for_url(NEUTRAL)
    wait_until_forgotten(context, page)
    # The page that was left is not in the history: one step back is the one before it.
    page.go_back()
    assert page.url == f"{address}/en/"
    assert page.evaluate("sessionStorage.length") == 0


def test_the_page_is_empty_even_if_the_next_one_does_not_come(
    visit: Callable[..., BrowserContext], address: str
) -> None:
    context = visit()
    page = filled_page(context, address)
    context.unroute(f"{NEUTRAL}**")
    context.route(f"{NEUTRAL}**", lambda route: route.abort("aborted"))
    page.click("#exit", no_wait_after=True)
    wait_until_forgotten(context, page)
    assert page.evaluate("document.body.childElementCount") == 0
    assert SECRET not in page.evaluate("document.documentElement.textContent")
    assert page.evaluate("document.title") == ""


def test_capital_letters_and_slow_presses_do_not_lead_out(
    visit: Callable[..., BrowserContext], address: str
) -> None:
    page = filled_page(visit(), address)
    for letter in "ABCD":
        page.keyboard.press(f"Shift+{letter}")
    press_shift(page, 2)
    page.keyboard.press("a")
    press_shift(page, 2)
    page.wait_for_timeout(1600)
    press_shift(page, 1)
    page.wait_for_timeout(300)
    assert page.url == f"{address}/en/how"


def test_the_way_out_works_without_scripts(
    visit: Callable[..., BrowserContext], address: str
) -> None:
    context = visit(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/en/form-token")
    assert cookies_of(context) == [COOKIE]
    page.goto(f"{address}/en/help")
    # Where it is led to is not routed: the neutral page cannot be reached.
    with page.expect_event("requestfailed", lambda request: request.url == NEUTRAL):
        page.click("#exit")
    assert cookies_of(context) == []


def test_home_tells_who_has_no_scripts_where_to_turn(
    visit: Callable[..., BrowserContext], address: str
) -> None:
    for enabled in (True, False):
        page = visit(java_script_enabled=enabled).new_page()
        page.goto(f"{address}/fr/")
        assert page.locator("noscript .notice.care").is_visible() is not enabled


@pytest.mark.parametrize("lang", ["fr", pytest.param("en", marks=pytest.mark.slow)])
def test_every_page_keeps_its_policy_and_asks_nobody_else(
    visit: Callable[..., BrowserContext], address: str, lang: str
) -> None:
    page = visit().new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    for path in CONTENT:
        page.goto(f"{address}/{lang}/{path}")
    assert [text for text in complaints if "404" not in text] == []
    assert len(asked) > len(CONTENT)
    assert all(url.startswith(f"{address}/") for url in asked)


def test_the_way_out_stays_in_sight(visit: Callable[..., BrowserContext], address: str) -> None:
    page = visit(viewport={"width": 320, "height": 640}).new_page()
    page.goto(f"{address}/en/help")
    page.evaluate("scrollTo({ top: 3000, behavior: 'instant' })")
    box = page.locator("#exit").bounding_box()
    assert box is not None
    assert 0 <= box["y"] < 60
