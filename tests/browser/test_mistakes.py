"""What goes wrong: too many files and too large ones, lost connections, sessions, numbers, tabs."""

from __future__ import annotations

import json
import signal
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from egide.domain.model import State
from egide.hashing import fingerprint
from egide.server.pages.site.site import load_page_strings
from journey_files import HEIC
from page_steps import (
    WAIT_MS,
    choose,
    open_images,
    register,
    send,
    sign_in,
    states,
    to_card,
    to_pin,
)
from pages_site import pages_site, register_at_once
from pictures import encoded, pictures
from served_pages import BANK, serving_pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page, Request, Route, ViewportSize

    from egide.domain.model import Entry
    from egide.server.service import Service

PHONE: ViewportSize = {"width": 360, "height": 740}
MAX_IMAGES = 100
WORDS = load_page_strings("en")

NO_WORKER = "delete window.Worker;"
NO_FRAMES = "delete window.VideoFrame;"
NOISE = """
const read = CanvasRenderingContext2D.prototype.getImageData;
CanvasRenderingContext2D.prototype.getImageData = function (...given) {
  const image = read.apply(this, given);
  for (let at = 0; at < image.data.length; at += 7) image.data[at] ^= 1;
  return image;
};
"""
REFUSAL = """
CanvasRenderingContext2D.prototype.getImageData = () => {
  throw new DOMException("not here", "SecurityError");
};
"""


class Visit:
    """A visit to the pages; entries of the tests before do not count."""

    def __init__(self, address: str, service: Service, context: BrowserContext) -> None:
        self.address = address
        self.context = context
        self.page = context.new_page()
        self._service = service
        self._before = {entry.id for entry in service.store.entries.list(BANK)}

    def active(self) -> list[Entry]:
        entries = self._service.store.entries.list(BANK)
        return [
            entry
            for entry in entries
            if entry.state is State.ACTIVE and entry.id not in self._before
        ]

    def register_at_once(self, files: list[Path]) -> str:
        return register_at_once(self.context, self.address, self._service, files)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Service]]:
    with pages_site(tmp_path_factory.mktemp("mistakes")) as site:
        yield site


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport=PHONE)
    opened.set_default_timeout(WAIT_MS)
    yield opened
    opened.close()


@pytest.fixture
def visit(served: tuple[str, Service], context: BrowserContext) -> Visit:
    return Visit(*served, context)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.jpg" for number in range(3)]
    for path, picture in zip(paths, pictures(3), strict=True):
        path.write_bytes(encoded(picture.reduce(2)))
    return paths


def h1(page: Page) -> str:
    return page.inner_text("h1")


def yes(page: Page) -> None:
    page.click("main form button")


# --- files ---


@pytest.mark.slow
def test_two_hundred_files_at_once_fill_a_case_and_the_rest_is_told(
    visit: Visit, tmp_path: Path
) -> None:
    drawn = [picture.resize((192, 128)) for picture in pictures(4)]
    files = [tmp_path / f"{number}.jpg" for number in range(2 * MAX_IMAGES)]
    for number, path in enumerate(files):
        path.write_bytes(encoded(drawn[number % 4], "JPEG", comment=b"file %d" % number))
    page = visit.page
    open_images(page, visit.address)
    choose(page, files)
    assert states(page) == ["done"] * MAX_IMAGES
    notice = page.inner_text("#room-notice")
    assert "200" in notice
    assert "100" in notice
    to_pin(page)
    send(page)
    to_card(page)
    assert len(visit.active()) == MAX_IMAGES
    page.goto(f"{visit.address}/en/case")
    assert page.locator(".case-images > li").count() == MAX_IMAGES
    page.goto(f"{visit.address}/en/case/add")
    assert not page.locator("#images-app").is_visible()
    assert page.locator('main a[href="/en/register"]').is_visible()


def test_huge_files_are_refused_at_once_and_leave_the_others(
    visit: Visit, photos: list[Path], tmp_path: Path
) -> None:
    picture, film, long_film = (tmp_path / name for name in ("huge.jpg", "huge.mp4", "film.mp4"))
    box = struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 512, b"isom")
    for path, start, gigabytes in (
        (picture, photos[0].read_bytes(), 2.5),
        (film, box, 9.0),
        (long_film, box, 0.05),
    ):
        with path.open("wb") as file:
            file.write(start)
            file.truncate(int(gigabytes * 1e9))  # without taking room on the disk
    page = visit.page
    open_images(page, visit.address)
    choose(page, [picture, film, photos[1], long_film])
    assert states(page) == ["failed", "failed", "done", "done"]
    said = page.locator(".file-state").all_inner_texts()
    assert said[:2] == [WORDS["register.script.file.too_large"]] * 2
    page.click("#to-check")
    sent = json.loads(page.text_content("#summary-exact") or "")
    assert [one["kind"] for one in sent] == ["still", "digest-only"]


def test_a_file_that_goes_away_leaves_the_others(visit: Visit, photos: list[Path]) -> None:
    page = visit.page
    open_images(page, visit.address)

    def lose_file(route: Route) -> None:
        photos[1].unlink()
        route.continue_()

    page.route("**/worker.js", lose_file)
    choose(page, photos)
    assert states(page) == ["done", "failed", "done"]


# --- connections ---


@pytest.mark.slow
def test_a_request_that_never_arrived_is_sent_again_by_itself(
    visit: Visit, photos: list[Path]
) -> None:
    lost: list[str] = []

    def lose(route: Route) -> None:
        lost.append(route.request.url)
        route.abort("connectionreset")

    page = visit.page
    open_images(page, visit.address)
    choose(page, photos[:2])
    to_pin(page)
    page.route("**/register/submit", lose, times=1)
    send(page)
    to_card(page)
    assert len(lost) == 1
    assert len(visit.active()) == 2


@pytest.mark.slow
def test_a_server_that_dies_after_it_has_done_it_makes_one_case(
    context: BrowserContext, photos: list[Path], tmp_path: Path
) -> None:
    with serving_pages(tmp_path) as served:

        def die(route: Route) -> None:
            assert route.fetch().status == 201
            served.stop(signal.SIGKILL)
            route.abort("connectionreset")

        page = context.new_page()
        open_images(page, served.address)
        choose(page, photos[:2])
        to_pin(page)
        page.route("**/register/submit", die, times=1)
        send(page)
        page.wait_for_selector("#sending-problem:not([hidden])")
        assert WORDS["register.script.problem.offline"] in page.inner_text("#sending-problem")
        served.start()
        page.click("#try-again")
        number = to_card(page)
        assert len(served.active()) == 2
        page.goto(f"{served.address}/en/case")
        assert page.inner_text(".case-number") == number
        assert page.locator(".case-images > li").count() == 2


# --- back, and other tabs ---


def test_back_after_signing_out_shows_no_case(visit: Visit, photos: list[Path]) -> None:
    page = visit.page
    number = visit.register_at_once(photos[:1])
    page.goto(f"{visit.address}/en/case")
    page.click("form[action$='sign-out'] button")
    for _ in range(2):
        page.go_back()
        page.wait_for_load_state()
        assert number not in page.inner_text("body")


def test_back_after_withdrawing_does_nothing_twice(visit: Visit, photos: list[Path]) -> None:
    page = visit.page
    visit.register_at_once(photos[:2])
    page.goto(f"{visit.address}/en/case")
    page.click('main a[href="/en/case/withdraw"]')
    yes(page)
    assert h1(page) == WORDS["case.withdraw.done_heading"]
    page.go_back()
    page.wait_for_load_state()
    assert page.locator("form[action$='withdraw']").count() == 0
    page.goto(f"{visit.address}/en/case/withdraw")
    assert h1(page) == WORDS["case.withdraw.done_heading"]
    page.goto(f"{visit.address}/en/case")
    assert page.locator('main a[href="/en/case/withdraw"]').count() == 0


def test_an_image_is_taken_out_once_in_two_tabs(visit: Visit, photos: list[Path]) -> None:
    page = visit.page
    visit.register_at_once(photos[:2])
    page.goto(f"{visit.address}/en/case")
    other = visit.context.new_page()
    other.goto(page.url)
    for tab in (page, other):
        tab.click("main a[href*='withdraw?image=']:visible >> nth=0")
    yes(page)
    assert len(visit.active()) == 1
    yes(other)
    other.wait_for_url("**/en/case*")
    assert len(visit.active()) == 1
    assert other.locator(".case-images > li").count() == 2


@pytest.mark.slow
def test_a_case_withdrawn_in_one_tab_takes_nothing_from_the_other(
    visit: Visit, photos: list[Path]
) -> None:
    page = visit.page
    visit.register_at_once(photos[:1])
    adding = visit.context.new_page()
    adding.goto(f"{visit.address}/en/case/add?adult=yes")
    choose(adding, photos[1:])
    adding.click("#to-check")
    page.goto(f"{visit.address}/en/case/withdraw")
    yes(page)
    adding.click("#to-pin")
    adding.wait_for_selector("#sending-problem:not([hidden])")
    told = adding.inner_text("#sending-problem")
    assert WORDS["register.script.problem.case_closed"] in told
    assert not adding.is_visible("#try-again")
    assert visit.active() == []


# --- browsers that can do less ---


def test_without_scripts_all_but_registering_works(
    visit: Visit, browser: Browser, photos: list[Path]
) -> None:
    number = visit.register_at_once(photos)
    context = browser.new_context(java_script_enabled=False, viewport=PHONE)
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    page.goto(f"{visit.address}/en/register/images?adult=yes")
    assert page.is_visible(f"text={WORDS['register.noscript.heading']}")
    assert page.locator('.without-script a[href="/en/help"]').is_visible()
    page.click('.without-script a[href="/en/help"]')
    page.wait_for_url("**/en/help")
    assert page.locator('main a[href^="tel:"], main a[href^="https://"]').count() > 10

    sign_in(page, visit.address, number)
    assert page.inner_text(".case-number") == number
    page.click('main a[href="/en/case/card"]')
    assert number in page.inner_text(".case-card")
    assert page.is_visible(f"text={WORDS['card.by_hand']}")
    assert not page.is_visible("#save-card")
    page.click('main a[href="/en/case"]')
    page.click("main a[href*='withdraw?image='] >> nth=0")
    yes(page)
    assert len(visit.active()) == 2
    page.click("form[action$='extend'] button")
    page.wait_for_selector("main .notice.done")
    page.click('main a[href="/en/case/withdraw"]')
    yes(page)
    assert h1(page) == WORDS["case.withdraw.done_heading"]
    assert visit.active() == []
    context.close()


@pytest.mark.parametrize(
    "canvas",
    [pytest.param(NOISE, id="noise"), pytest.param(REFUSAL, id="refusal", marks=pytest.mark.slow)],
)
def test_a_canvas_that_hides_pixels_is_gone_around_without_a_wrong_fingerprint(
    visit: Visit, photos: list[Path], canvas: str
) -> None:
    page = visit.page
    page.add_init_script(NO_WORKER + "delete window.WebAssembly;" + canvas)
    register(page, visit.address, photos[:2])
    expected = [fingerprint(path) for path in photos[:2]]
    found = visit.active()
    assert [entry.pdqs for entry in found] == [(one.frames[0].code,) for one in expected]


@pytest.mark.parametrize(
    "canvas",
    [pytest.param(NOISE, id="noise", marks=pytest.mark.slow), pytest.param(REFUSAL, id="refusal")],
)
def test_where_no_pixels_can_be_read_it_says_so_and_takes_what_needs_none(
    visit: Visit, photos: list[Path], tmp_path: Path, canvas: str
) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 512, b"isom") + bytes(9000))
    page = visit.page
    page.add_init_script(NO_WORKER + NO_FRAMES + canvas)
    open_images(page, visit.address)
    choose(page, [photos[0], film, photos[1], HEIC])
    assert page.is_visible("#canvas-notice")
    assert page.locator('#canvas-notice a[href="/en/help"]').is_visible()
    assert states(page) == ["failed", "done", "failed", "done"]
    to_pin(page)
    send(page)
    to_card(page)
    assert len(visit.active()) == 2


def test_where_nothing_can_be_used_nothing_is_sent(visit: Visit, photos: list[Path]) -> None:
    posted: list[str] = []
    page = visit.page

    def note(request: Request) -> None:
        if request.method == "POST":
            posted.append(request.url)

    page.on("request", note)
    page.add_init_script(NO_WORKER + NO_FRAMES + NOISE)
    open_images(page, visit.address)
    choose(page, photos)
    page.click("#to-check")
    assert page.is_visible("#choose")
    assert page.inner_text("#choose-error") == WORDS["register.script.none_ready"]
    assert posted == []
