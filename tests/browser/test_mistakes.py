"""What goes wrong: too many files and too large ones, lost connections, sessions, numbers, tabs."""

from __future__ import annotations

import json
import signal
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from egide.domain.cases import new_number
from egide.domain.model import State
from egide.hashing import fingerprint
from egide.server.pages.site.site import load_page_strings
from journey_files import HEIC
from page_steps import (
    PIN,
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
from pictures import encoded, pictures
from served_pages import BANK, serving_pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page, Request, Route, ViewportSize

    from egide.domain.model import Entry
    from served_pages import ServedPages

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

    def __init__(self, served: ServedPages, context: BrowserContext) -> None:
        self.served = served
        self.context = context
        self.page = context.new_page()
        self._before = {entry.id for entry in served.active()}

    @property
    def address(self) -> str:
        return self.served.address

    def active(self) -> list[Entry]:
        return [entry for entry in self.served.active() if entry.id not in self._before]

    def end_session(self) -> None:
        """As time does, on the server."""
        [token] = [one["value"] for one in self.context.cookies()]
        with self.served.store() as store:
            assert store.sessions.find(token) is not None
            store.sessions.end(token)


@pytest.fixture(scope="module")
def served(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPages]:
    with serving_pages(tmp_path_factory.mktemp("mistakes")) as started:
        yield started


@pytest.fixture
def visit(browser: Browser, served: ServedPages) -> Iterator[Visit]:
    context = browser.new_context(viewport=PHONE)
    context.set_default_timeout(WAIT_MS)
    yield Visit(served, context)
    context.close()


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.jpg" for number in range(3)]
    for path, picture in zip(paths, pictures(3), strict=True):
        path.write_bytes(encoded(picture))
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


def test_a_server_that_dies_after_it_has_done_it_makes_one_case(
    visit: Visit, served: ServedPages, photos: list[Path]
) -> None:
    def die(route: Route) -> None:
        assert route.fetch().status == 201
        served.stop(signal.SIGKILL)
        route.abort("connectionreset")

    page = visit.page
    open_images(page, visit.address)
    choose(page, photos[:2])
    to_pin(page)
    page.route("**/register/submit", die, times=1)
    send(page)
    page.wait_for_selector("#sending-problem:not([hidden])")
    assert WORDS["register.script.problem.offline"] in page.inner_text("#sending-problem")
    served.start()
    page.click("#try-again")
    number = to_card(page)
    assert len(visit.active()) == 2
    page.goto(f"{visit.address}/en/case")
    assert page.inner_text(".case-number") == number
    assert page.locator(".case-images > li").count() == 2


# --- sessions ---


def test_an_ended_session_changes_nothing_and_says_where_to_sign_in(
    visit: Visit, photos: list[Path]
) -> None:
    page = visit.page
    number = register(page, visit.address, photos[:1])
    page.goto(f"{visit.address}/en/case/withdraw")
    visit.end_session()
    yes(page)
    assert h1(page) == WORDS["problems.signed_out.heading"]
    assert number not in page.inner_text("body")
    assert len(visit.active()) == 1
    for path in ("case/card", "case/add?adult=yes", "case/withdraw"):
        page.goto(f"{visit.address}/en/{path}")
        assert h1(page) == WORDS["problems.signed_out.heading"]
    page.goto(f"{visit.address}/en/case")
    page.fill("#number", number)
    page.fill("#pin", PIN)
    page.click("main form button[type=submit]")
    page.goto(f"{visit.address}/en/case/withdraw")
    yes(page)
    assert visit.active() == []


def test_wrong_numbers_and_wrong_pins_say_the_same_and_the_right_ones_still_work(
    visit: Visit, photos: list[Path]
) -> None:
    page = visit.page
    number = register(page, visit.address, photos[:1])
    page.goto(f"{visit.address}/en/case")
    page.click("form[action$='sign-out'] button")
    told = []
    for tried, pin in ((number, "not the right PIN"), (new_number(), PIN)):
        sign_in(page, visit.address, tried, pin)
        told.append(page.inner_text("main").replace(tried, "…"))
        assert page.input_value("#number") == tried
        assert page.input_value("#pin") == ""
        assert pin not in page.content()
        assert "/en/case" in page.url
    assert told[0] == told[1]
    assert WORDS["case.sign_in.wrong"] in told[0]

    slip = number[:-1] + str((int(number[-1]) + 1) % 10)
    sign_in(page, visit.address, slip)
    assert WORDS["case.sign_in.number_wrong"] in page.inner_text("main")
    assert page.get_attribute("#number", "aria-invalid") == "true"

    # Spelt as somebody on the telephone might write it down.
    sign_in(page, visit.address, number.replace(" ", "-"), f" {PIN} ")
    assert page.inner_text(".case-number") == number


def test_many_wrong_pins_slow_down_and_say_that_the_case_is_safe(
    visit: Visit, photos: list[Path]
) -> None:
    page = visit.page
    number = register(page, visit.address, photos[:1])
    page.goto(f"{visit.address}/en/case")
    page.click("form[action$='sign-out'] button")
    safe = WORDS["case.sign_in.wait"].rpartition("{wait}")[2].strip(". ")
    for _ in range(12):
        sign_in(page, visit.address, number, "a wrong one")
        if safe in page.inner_text("main"):
            break
    else:
        pytest.fail("PINs can be tried without end")
    sign_in(page, visit.address, number)
    assert safe in page.inner_text("main")
    assert len(visit.active()) == 1


# --- back, and other tabs ---


def test_back_after_signing_out_shows_no_case(visit: Visit, photos: list[Path]) -> None:
    page = visit.page
    number = register(page, visit.address, photos[:1])
    page.click('main a[href="/en/case"]')
    page.click("form[action$='sign-out'] button")
    for _ in range(2):
        page.go_back()
        page.wait_for_load_state()
        assert number not in page.inner_text("body")


def test_back_after_withdrawing_does_nothing_twice(visit: Visit, photos: list[Path]) -> None:
    page = visit.page
    register(page, visit.address, photos[:2])
    page.click('main a[href="/en/case"]')
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
    register(page, visit.address, photos[:2])
    page.click('main a[href="/en/case"]')
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


def test_a_case_withdrawn_in_one_tab_takes_nothing_from_the_other(
    visit: Visit, photos: list[Path]
) -> None:
    page = visit.page
    register(page, visit.address, photos[:1])
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
    number = register(visit.page, visit.address, photos)
    context = browser.new_context(java_script_enabled=False, viewport=PHONE)
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    page.goto(f"{visit.address}/en/register/images?adult=yes")
    assert page.is_visible(f"text={WORDS['register.noscript.heading']}")
    assert page.locator('.without-script a[href="/en/help"]').is_visible()
    page.click('.without-script a[href="/en/help"]')
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
    assert page.locator("main .notice.done").is_visible()
    page.click('main a[href="/en/case/withdraw"]')
    yes(page)
    assert h1(page) == WORDS["case.withdraw.done_heading"]
    assert visit.active() == []
    context.close()


@pytest.mark.parametrize("canvas", [NOISE, REFUSAL], ids=["noise", "refusal"])
def test_a_canvas_that_hides_pixels_is_gone_around_without_a_wrong_fingerprint(
    visit: Visit, photos: list[Path], canvas: str
) -> None:
    page = visit.page
    page.add_init_script(NO_WORKER + canvas)
    register(page, visit.address, photos[:2])
    expected = [fingerprint(path) for path in photos[:2]]
    found = visit.active()
    assert [entry.pdqs for entry in found] == [(one.frames[0].code,) for one in expected]


@pytest.mark.parametrize("canvas", [NOISE, REFUSAL], ids=["noise", "refusal"])
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


def test_withdrawn_entries_are_erased_not_only_hidden(visit: Visit, photos: list[Path]) -> None:
    page = visit.page
    register(page, visit.address, photos[:1])
    [entry] = visit.active()
    page.goto(f"{visit.address}/en/case/withdraw")
    yes(page)
    with visit.served.store() as store:
        [after] = [one for one in store.entries.list(BANK) if one.id == entry.id]
    assert after.state is State.WITHDRAWN
    assert after.pdqs == ()
    assert after.sha256 is None
