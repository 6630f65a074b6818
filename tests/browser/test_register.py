"""Registering in a real browser: what arrives, what is never sent, and what may go wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from egide.domain.model import State
from egide.hashing import fingerprint
from egide.server.pages.site.site import load_page_strings
from page_steps import PIN, WAIT_MS, choose, send, states, to_card, to_pin
from pages_site import pages_site, register_at_once
from pictures import encoded, pictures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page, Request, Route

    from egide.domain.model import Entry
    from egide.server.service import Service

MAX_IMAGES = 6
PHONE = {"width": 360, "height": 740}


class Site:
    """The pages, and what is behind them; entries of the tests before do not count."""

    def __init__(self, address: str, service: Service) -> None:
        self.address = address
        self.service = service
        self._before = {entry.id for entry in service.store.entries.list("helpline")}

    def active(self) -> list[Entry]:
        entries = self.service.store.entries.list("helpline")
        return [
            entry
            for entry in entries
            if entry.state is State.ACTIVE and entry.id not in self._before
        ]

    def register_at_once(self, context: BrowserContext, files: list[Path]) -> str:
        return register_at_once(context, self.address, self.service, files)

    def images_page(self, page: Page, lang: str = "en") -> Page:
        page.goto(f"{self.address}/{lang}/register/images?adult=yes")
        page.wait_for_selector("#images-app", timeout=WAIT_MS)
        return page


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Service]]:
    with pages_site(tmp_path_factory.mktemp("pages"), case_max_images=MAX_IMAGES) as site:
        yield site


@pytest.fixture
def site(served: tuple[str, Service]) -> Site:
    return Site(*served)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport=PHONE)
    opened.set_default_timeout(WAIT_MS)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Four drawn pictures in files whose names say something."""
    return written(tmp_path, scale=2)


@pytest.fixture
def detailed_photos(tmp_path: Path) -> list[Path]:
    """The same with detail enough for parts to be found by."""
    return written(tmp_path, scale=1)


def written(folder: Path, *, scale: int) -> list[Path]:
    paths = [folder / f"holiday with Sam {number}.jpg" for number in range(4)]
    for path, picture in zip(paths, pictures(4), strict=True):
        path.write_bytes(encoded(picture.reduce(scale)))
    return paths


def test_fingerprints_arrive_as_shown_before_and_nothing_else_does(
    site: Site, page: Page, detailed_photos: list[Path]
) -> None:
    photos = detailed_photos
    requests: list[Request] = []

    def keep(request: Request) -> None:
        requests.append(request)

    page.on("request", keep)
    choose(site.images_page(page), photos)
    assert "holiday" not in page.inner_text("body")
    page.check("#names")
    assert page.inner_text("body").count("holiday with Sam") == 4
    page.click("#to-check")
    assert page.inner_text("#summary-rows").count("holiday with Sam") == 4
    shown = json.loads(page.text_content("#summary-exact") or "")
    assert page.locator("#summary-rows tr").count() == len(shown) == 4
    page.click("#to-pin")
    send(page)
    to_card(page)

    expected = [fingerprint(path, anchored=True) for path in photos]
    entries = site.active()
    assert [entry.sha256 for entry in entries] == [one.sha256 for one in expected]
    assert [entry.pdqs for entry in entries] == [(one.frames[0].code,) for one in expected]

    assert {request.url.split("/", 3)[2] for request in requests} == {
        site.address.removeprefix("http://")
    }
    bodies = [request.post_data_buffer for request in requests if request.method == "POST"]
    assert len(bodies) == 2
    sent = json.loads(bodies[1] or b"")
    assert set(sent) == {"challenge", "nonce", "adult", "pin", "images"}
    assert sent["images"] == shown
    for one in sent["images"]:
        assert set(one) - {"anchored"} == {"kind", "pdq", "quality", "sha256"}
    parts = [one.anchored.registered() if one.anchored else () for one in expected]
    assert sum(map(bool, parts)) > 1
    assert [one.get("anchored", []) for one in shown] == [
        [code.hex() for code in each] for each in parts
    ]
    assert [entry.anchored_count for entry in entries] == [len(each) for each in parts]
    for request in requests:
        told = request.url + json.dumps(request.headers) + str(request.post_data or "")
        assert "holiday" not in told
        assert "Sam" not in told


@pytest.mark.parametrize("lang", ["fr", pytest.param("en", marks=pytest.mark.slow)])
def test_who_wants_to_keeps_the_parts_back(
    site: Site, page: Page, detailed_photos: list[Path], tmp_path: Path, lang: str
) -> None:
    film = tmp_path / "film.webm"
    film.write_bytes(b"\x1aE\xdf\xa3\x9fB\x86\x81\1" + bytes(5000))
    words = load_page_strings(lang)

    choose(site.images_page(page, lang), [film])
    page.click("#to-check")
    assert not page.is_visible("#without-parts")
    page.go_back()

    choose(page, detailed_photos[:1])
    page.click("#to-check")
    keep_back = page.get_by_label(words["register.check.without_parts"])
    assert not keep_back.is_checked()
    assert page.is_visible(f"text={words['register.check.parts']}")
    shown = json.loads(page.text_content("#summary-exact") or "")
    count = len(shown[1]["anchored"])
    told = words["register.script.parts.other"].format(count=count)
    assert count > 1
    assert told in page.inner_text("#summary-rows")

    keep_back.check()
    assert told not in page.inner_text("#summary-rows")
    shown = json.loads(page.text_content("#summary-exact") or "")
    assert {frozenset(one) for one in shown} == {frozenset({"kind", "pdq", "quality", "sha256"})}
    page.click("#to-pin")
    send(page)
    to_card(page)
    assert [entry.anchored_count for entry in site.active()] == [0, 0]


def test_files_that_cannot_be_used_leave_the_others(
    site: Site, page: Page, photos: list[Path], tmp_path: Path
) -> None:
    text, broken, copy, moving = (
        tmp_path / name for name in ("text.jpg", "broken.jpg", "copy.jpg", "moving.gif")
    )
    text.write_text("no picture at all")
    broken.write_bytes(photos[1].read_bytes()[:900])
    copy.write_bytes(photos[0].read_bytes())
    first, second = pictures(6)[4:]
    first.save(moving, save_all=True, append_images=[second])
    choose(site.images_page(page), [text, photos[0], broken, copy, moving])
    assert states(page) == ["failed", "done", "failed", "duplicate", "done"]
    said = page.inner_text("#file-list")
    assert "This file is not a picture." in said
    assert "This file is damaged." in said
    assert "The same as Image 2." in said
    page.click("#to-check")
    rows = page.locator("#summary-rows tr").all_inner_texts()
    assert [row.split("\n")[0].split("\t")[0] for row in rows] == ["Image 1", "Image 2"]
    assert "first frame only" in rows[1]
    page.click("#to-pin")
    send(page)
    to_card(page)
    assert len(site.active()) == 2


def test_more_files_than_a_case_holds_are_bounded_with_a_word(
    site: Site, page: Page, tmp_path: Path
) -> None:
    files = [tmp_path / f"{number}.jpg" for number in range(MAX_IMAGES + 3)]
    for path, picture in zip(files, pictures(MAX_IMAGES + 3), strict=True):
        path.write_bytes(encoded(picture.reduce(2)))
    choose(site.images_page(page), files)
    assert states(page) == ["done"] * MAX_IMAGES
    assert f"You chose {MAX_IMAGES + 3} images." in page.inner_text("#room-notice")


@pytest.mark.slow
def test_an_image_can_be_taken_off_the_list_and_its_copy_takes_its_place(
    site: Site, page: Page, photos: list[Path], tmp_path: Path
) -> None:
    copy = tmp_path / "copy.jpg"
    copy.write_bytes(photos[0].read_bytes())
    choose(site.images_page(page), [photos[0], photos[1], copy])
    assert states(page) == ["done", "done", "duplicate"]
    page.get_by_role("button", name="Remove Image 1").click()
    assert states(page) == ["done", "done"]


def test_a_lost_answer_leads_to_one_case(site: Site, page: Page, photos: list[Path]) -> None:
    """The server has it, and the browser never hears so: twice by itself, then by hand."""
    lost = 0

    def lose(route: Route) -> None:
        nonlocal lost
        lost += 1
        route.fetch()
        route.abort()

    choose(site.images_page(page), photos[:2])
    to_pin(page)
    page.route("**/register/submit", lose)
    send(page)
    page.wait_for_selector("#sending-problem")
    assert lost == 2
    assert "Nothing is lost" in page.inner_text("#sending-problem")
    page.unroute("**/register/submit")
    page.click("#try-again")
    to_card(page)
    assert len(site.active()) == 2


def test_an_expired_challenge_is_replaced_silently(
    site: Site, page: Page, photos: list[Path]
) -> None:
    choose(site.images_page(page), photos[:1])
    to_pin(page)
    answered = {"type": "about:blank", "status": 422, "code": "proof-expired"}
    page.route(
        "**/register/submit", lambda route: route.fulfill(status=422, json=answered), times=1
    )
    send(page)
    to_card(page)
    assert len(site.active()) == 1


def test_back_keeps_everything_and_never_sends_twice(
    site: Site, page: Page, photos: list[Path]
) -> None:
    choose(site.images_page(page), photos)
    to_pin(page)
    page.go_back()
    assert page.is_visible("#check")
    page.go_back()
    assert page.is_visible("#choose")
    assert states(page) == ["done"] * 4
    page.go_forward()
    assert page.is_visible("#check")
    page.click("#to-pin")
    send(page)
    to_card(page)
    page.go_back()
    page.wait_for_selector("#images-app")
    assert "You are already in a case" in page.inner_text("main")
    assert len(site.active()) == 4


@pytest.mark.slow
def test_two_tabs_open_two_cases(
    site: Site, context: BrowserContext, page: Page, photos: list[Path]
) -> None:
    other = context.new_page()
    choose(site.images_page(page), photos[:1])
    choose(site.images_page(other), photos[1:2])
    to_pin(page)
    to_pin(other)
    send(page)
    first = to_card(page)
    # Its token was of the cookie before.
    send(other)
    second = to_card(other)
    assert first != second
    assert len(site.active()) == 2


def test_a_session_that_ended_while_choosing_loses_nothing(
    site: Site, context: BrowserContext, page: Page, photos: list[Path]
) -> None:
    number = site.register_at_once(context, photos[:1])
    page.goto(f"{site.address}/en/case/add?adult=yes")
    choose(page, photos[1:3])
    other = context.new_page()
    other.goto(f"{site.address}/en/case")
    other.get_by_role("button", name="Sign out").click()
    page.click("#to-check")
    page.click("#to-pin")
    page.wait_for_selector("#sending-problem")
    assert "You are no longer signed in" in page.inner_text("#sending-problem")
    other.goto(f"{site.address}/en/case")
    other.fill("#number", number)
    other.fill("#pin", PIN)
    other.get_by_role("button", name="Open my case").click()
    page.click("#try-again")
    page.wait_for_url("**/case?done=added")
    assert page.locator(".case-images > li").count() == 3


def test_the_case_says_which_image_a_file_is_and_sends_nothing(
    site: Site, context: BrowserContext, page: Page, photos: list[Path]
) -> None:
    site.register_at_once(context, photos[:3])
    page.goto(f"{site.address}/en/case")
    page.click(".case-images a >> nth=0")
    page.click("main form button")
    page.wait_for_url("**/case?done=image-withdrawn")
    other = "not one of your images"
    says_which(page, photos, ["This file is Image 2.", "This file is Image 3.", other, other])
    page.goto(f"{site.address}/fr/case")
    other = "n’est pas une de vos images"
    says_which(
        page, photos, ["Ce fichier est l’image 2.", "Ce fichier est l’image 3.", other, other]
    )


def says_which(page: Page, photos: list[Path], said: list[str]) -> None:
    page.wait_for_load_state("networkidle")
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.context.on("request", note)
    page.context.set_offline(True)
    for file, answer in zip((*photos[1:], photos[0]), said, strict=True):
        page.set_input_files("#which-file", file)
        page.get_by_text(answer).wait_for()
        assert page.input_value("#which-file") == ""
        assert file.name not in page.inner_text("body")
        page.evaluate("document.getElementById('which-answer').textContent = ''")
    page.wait_for_timeout(200)
    assert asked == []
    page.context.remove_listener("request", note)
    page.context.set_offline(False)


def test_the_list_says_of_which_files_exact_copies_alone_are_found(
    site: Site, page: Page, photos: list[Path], tmp_path: Path
) -> None:
    flat, video = tmp_path / "flat.png", tmp_path / "video.mp4"
    flat.write_bytes(encoded(Image.new("RGB", (400, 300), "white"), "PNG"))
    video.write_bytes(b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(500))
    choose(site.images_page(page), [photos[0], flat, video])
    said = page.locator("#file-list .file-state").all_inner_texts()
    assert said == ["Ready", *["Ready: exact copies only"] * 2]


def test_an_easy_pin_comes_back_to_its_field(site: Site, page: Page, photos: list[Path]) -> None:
    choose(site.images_page(page), photos[:1])
    to_pin(page)
    page.fill("#pin", PIN)
    page.fill("#pin-again", PIN + "x")
    page.click("#pin-form button[type=submit]")
    assert "not the same" in page.inner_text("#pin-again-error")
    send(page, "123456")
    page.wait_for_selector("#pin-error")
    assert "too easy to guess" in page.inner_text("#pin-error")
    assert page.evaluate("document.activeElement.id") == "pin"
    page.go_back()
    assert page.is_visible("#check")
    page.go_forward()
    send(page)
    to_card(page)


def test_leaving_asks_while_something_is_unsent_but_never_at_the_exit(
    site: Site, page: Page, photos: list[Path]
) -> None:
    asked: list[str] = []

    def stay(dialog: object) -> None:
        asked.append(dialog.type)  # type: ignore[attr-defined]
        dialog.dismiss()  # type: ignore[attr-defined]

    page.on("dialog", stay)
    choose(site.images_page(page), photos[:1])
    page.click("footer a >> nth=0", no_wait_after=True)
    page.wait_for_timeout(300)
    assert asked == ["beforeunload"]
    assert states(page) == ["done"]
    page.context.route("https://**", lambda route: route.fulfill(body="elsewhere"))
    page.click("#exit")
    page.wait_for_url("https://**")
    assert asked == ["beforeunload"]


@pytest.mark.slow
def test_stopping_and_going_on_loses_nothing(site: Site, page: Page, photos: list[Path]) -> None:
    site.images_page(page)
    # So that the first file is still being worked on when it is stopped.
    page.route("**/worker.js", lambda route: (page.wait_for_timeout(500), route.continue_()))
    page.set_input_files("#files", photos)
    page.click("#stop")
    assert set(states(page)) == {"waiting"}
    page.click("#go-on")
    page.wait_for_selector("#overall-progress", state="hidden")
    assert states(page) == ["done"] * 4


def test_card_is_saved_as_a_file_whose_name_says_nothing(
    site: Site, context: BrowserContext, page: Page, photos: list[Path]
) -> None:
    number = site.register_at_once(context, photos[:1])
    page.goto(f"{site.address}/en/case/card")
    with page.expect_download() as saving:
        page.click("#save-card")
    assert saving.value.suggested_filename == "note.txt"
    text = saving.value.path().read_text("utf-8-sig")
    assert number in text
    assert PIN not in text


@pytest.mark.slow
def test_registering_in_french_is_all_french(site: Site, page: Page, photos: list[Path]) -> None:
    choose(site.images_page(page, "fr"), photos[:1])
    assert "Prête" in page.inner_text("#file-list")
    to_pin(page)
    send(page)
    to_card(page)
    assert "Les empreintes de vos images sont enregistrées" in page.inner_text("main")
    assert page.url.split("/")[3] == "fr"
