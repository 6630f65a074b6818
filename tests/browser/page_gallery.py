"""A tour through every page and state that somebody can meet, in one language.

What looks at them is given by the caller: something that takes pictures, or that checks. Each page
is loaded once; whoever looks may change its size and colours.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

from egide import errors
from egide.domain.cases import new_number, shown_number
from egide.server.pages.site.page import Page as Taking
from egide.server.pages.site.problems import answer_on_pages
from egide.server.pages.site.site import Site
from egide.usecases.taking_part import TakingPart
from pages_site import sign_in_at_once
from pictures import encoded, pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page, Route
    from starlette.responses import Response

    from egide.domain.staff import SessionKind
    from egide.server.service import Service
    from gallery_cases import Prepared

PIN = "a kettle of 9 herons"
WAIT_MS = 30_000
NARROW = {"width": 320, "height": 720}
CONTENT = ("", "how", "under-18", "help", "privacy", "accessibility", "goodbye")
NOBODY = TakingPart((), 0, asks_here=False)
PROBLEMS: dict[str, Exception] = {
    "expired": errors.FormExpired(),
    "signed-out": errors.SignInNeeded(),
    "waiting": errors.RateLimited(retry_after_s=180),
    "broken": RuntimeError("made up"),
    "busy": errors.Overloaded(retry_after_s=5),
}


class Tour:
    """The way through all pages.

    Args:
        address: of the site, without a slash at the end.
        service: behind it, with what `gallery_cases.prepare` has put there.
        look: called with the name of each state, as `case-new`, and the page.
    """

    def __init__(
        self,
        address: str,
        service: Service,
        browser: Browser,
        lang: str,
        *,
        prepared: Prepared,
        photos: list[Path],
        look: Callable[[str, Page], None],
    ) -> None:
        self._address = address
        self._service = service
        self._browser = browser
        self._lang = lang
        self._prepared = prepared
        self._photos = photos
        self._look = look

    def all(self) -> None:
        """Go through everything."""
        with self._visit() as page:
            self.telling(page)
            self.problems(page)
        with self._visit(java_script_enabled=False) as page:
            self.without_scripts(page)
        with self._visit() as page:
            self.choosing(page)
            self.registering(page)
            self.own_case(page)
        with self._visit() as page:
            self.signing_in(page)
        with self._visit() as page:
            self.other_cases(page)
        with self._visit() as page:
            self.without_partners(page)
        with self._visit() as page:
            self.staff(page)

    def one(self, part: str) -> None:
        """Go through one part, as `telling` or `staff`."""
        with self._visit() as page:
            getattr(self, part)(page)

    # --- pages that only tell something ---

    def telling(self, page: Page) -> None:
        for path in CONTENT:
            self._go(page, path)
            self._look(path or "home", page)
            if path in {"help", "under-18"}:
                page.locator("details").first.evaluate("element => { element.open = true; }")
                self._look(f"{path}-opened", page)
        self._go(page, "register")
        self._look("register-question", page)

    def problems(self, page: Page) -> None:
        self._go(page, "no-such-page")
        self._look("problem-missing", page)
        for name, error in PROBLEMS.items():
            path = f"/{self._lang}/register"
            scope = {
                "type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"",
                "server": ("127.0.0.1", 80), "scheme": "http",
            }  # fmt: skip
            answer = answer_on_pages(Site.load(self._service.settings), scope, error)
            page.route(f"**{path}", _giving(answer))
            self._go(page, "register")
            self._look(f"problem-{name}", page)
            page.unroute(f"**{path}")

    def without_scripts(self, page: Page) -> None:
        self._go(page, "")
        self._look("home-without-scripts", page)
        self._go(page, "register/images?adult=yes")
        self._look("images-without-scripts", page)

    # --- registering ---

    def choosing(self, page: Page) -> None:
        good, bad = self._photos[:4], self._photos[4:]
        self._images(page)
        self._look("images-empty", page)
        held: list[Route] = []
        # So that it never begins.
        page.route("**/worker.js", lambda route: held.append(route))  # noqa: PLW0108
        page.set_input_files("#files", good)
        page.wait_for_selector("#file-list li")
        self._look("images-progress", page)
        page.click("#stop")
        self._look("images-stopped", page)
        for route in held:
            route.abort()
        page.unroute("**/worker.js")
        self._images(page)
        self._choose(page, [*good, *bad])
        self._look("images-some-failed", page)
        page.check("#names")
        self._look("images-names-shown", page)
        self._images(page)
        self._choose(page, bad[1:2])
        page.click("#to-check")
        page.wait_for_selector("#choose-error")
        self._look("images-all-failed", page)
        self._images(page)
        many = [self._photos[0]] * (self._service.settings.case_max_images + 1)
        page.set_input_files("#files", many)
        page.wait_for_selector("#room-notice:not([hidden])")
        page.wait_for_selector("#overall-progress", state="hidden", timeout=WAIT_MS)
        page.evaluate("document.getElementById('canvas-notice').hidden = false")
        self._look("images-too-many-and-canvas", page)
        self._images(page)
        self._choose(page, good)
        self._look("images-many", page)

    def registering(self, page: Page) -> None:
        page.click("#to-check")
        self._look("check", page)
        page.click("#check summary")
        self._look("check-opened", page)
        page.click("#to-pin")
        self._look("pin", page)
        self._send(page, "12345")
        self._look("pin-too-short", page)
        self._send(page, PIN, PIN + "!")
        self._look("pin-differs", page)
        self._send(page, "123456")
        page.wait_for_selector("#pin-error:not([hidden])", timeout=WAIT_MS)
        self._look("pin-refused", page)
        held: list[Route] = []
        lost = False

        def answer(route: Route) -> None:
            if lost:
                route.abort()
            else:
                held.append(route)

        page.route("**/register/submit", answer)
        self._send(page, PIN)
        page.wait_for_selector("#sending:not([hidden])")
        self._look("sending", page)
        self._wait_for(page, lambda: bool(held))
        lost = True
        held[0].abort()
        page.wait_for_selector("#sending-problem:not([hidden])", timeout=WAIT_MS)
        self._look("sending-lost", page)
        page.unroute("**/register/submit")
        page.click("#try-again")
        page.wait_for_url("**/case/card*", timeout=WAIT_MS)
        self._look("card-new", page)
        page.emulate_media(media="print")
        self._look("card-print", page)
        page.emulate_media(media="screen")

    # --- a case ---

    def own_case(self, page: Page) -> None:
        """What the owner of a new case does with it, to its end."""
        self._go(page, "case")
        self._look("case-new", page)
        self._go(page, "register/images?adult=yes")
        self._look("images-while-in-a-case", page)
        self._go(page, "case/add?adult=yes")
        page.wait_for_selector("#images-app:not([hidden])")
        self._look("add", page)
        self._go(page, "case")
        page.click(".case-images a >> nth=0")
        self._look("withdraw-one", page)
        page.click("main form button")
        self._look("case-one-withdrawn", page)
        self._go(page, "case/withdraw")
        self._look("withdraw-all", page)
        page.click("main form button")
        self._look("withdrawn", page)
        self._go(page, "case")
        self._look("case-withdrawn", page)
        page.click("main form button")
        page.wait_for_load_state()
        self._look("signed-out", page)

    def signing_in(self, page: Page) -> None:
        self._go(page, "case")
        self._look("sign-in", page)
        locked = self._prepared.locked_number
        for name, number in (
            ("slip", "4821 7730 9155"),
            ("wrong", shown_number(new_number())),
            ("waiting", shown_number(locked)),
        ):
            self._go(page, "case")
            page.fill("#number", number)
            page.fill("#pin", "not this one")
            page.click("main form button")
            page.wait_for_selector(".notice.care")
            self._look(f"sign-in-{name}", page)

    def other_cases(self, page: Page) -> None:
        prepared = self._prepared
        for name, case_id in (
            ("answered", prepared.answered),
            ("ends-soon", prepared.ends_soon),
            ("expired", prepared.expired),
            ("opened-by-helpline", prepared.helped),
        ):
            self._sign_in(page.context, "case", case_id)
            self._go(page, "case")
            self._look(f"case-{name}", page)
        self._sign_in(page.context, "case", prepared.new)
        self._go(page, "case")
        page.set_input_files("#which-file", self._photos[0])
        page.wait_for_function("document.getElementById('which-answer').textContent.endsWith('.')")
        self._look("case-which", page)
        self._sign_in(page.context, "case", prepared.answered)
        self._go(page, "case")
        page.click(".case-images a >> nth=2")
        self._look("withdraw-one-false-positive", page)
        self._sign_in(page.context, "case", prepared.full)
        self._go(page, "case/add?adult=yes")
        self._look("add-full", page)
        self._sign_in(page.context, "case", prepared.new)
        self._go(page, "case?done=extended")
        self._look("case-extended", page)
        self._go(page, "case/card")
        self._look("card-again", page)

    def without_partners(self, page: Page) -> None:
        """What says who takes part, where nobody does, and where the store cannot tell."""
        for name, found in (("without-partners", NOBODY), ("partners-unknown", None)):
            with patch.object(Taking, "taking_part", found):
                for state, path in (("home", ""), ("how", "how"), ("privacy", "privacy")):
                    self._go(page, path)
                    self._look(f"{state}-{name}", page)
                self._images(page)
                self._choose(page, self._photos[:1])
                page.click("#to-check")
                self._look(f"check-{name}", page)
                for case_id in (self._prepared.new, self._prepared.answered):
                    self._sign_in(page.context, "case", case_id)
                    self._go(page, "case")
                    self._look(f"case-{case_id}-{name}", page)
                self._go(page, "case/card?new=yes")
                self._look(f"card-{name}", page)
                page.context.clear_cookies()

    # --- a helpline's workers ---

    def staff(self, page: Page) -> None:
        self._go(page, "staff/sign-in")
        self._look("staff-sign-in", page)
        for field in ("#name", "#password", "#code"):
            page.fill(field, "000000")
        page.click("main form button")
        page.wait_for_selector(".notice.care")
        self._look("staff-sign-in-refused", page)
        self._sign_in(page.context, "staff", self._prepared.worker)
        for name, path in (
            ("list", "staff/"),
            ("list-none", "staff/?state=expired&trust=confirmed"),
            ("case", f"staff/cases/{self._prepared.helped}"),
            ("case-answered", f"staff/cases/{self._prepared.answered}"),
            ("case-withdrawn", f"staff/cases/{self._prepared.withdrawn}"),
            ("case-missing", "staff/cases/999999"),
            ("card", f"staff/cases/{self._prepared.helped}/card"),
            ("confirm", f"staff/cases/{self._prepared.helped}/confirm"),
            ("list-unverified", "staff/?trust=unverified"),
            ("confirm-one", f"staff/cases/{self._prepared.helped}/confirm?image={self._one_image}"),
            ("confirm-nothing", f"staff/cases/{self._prepared.withdrawn}/confirm"),
            ("withdraw", f"staff/cases/{self._prepared.helped}/withdraw"),
            ("register", "staff/register"),
            ("images", "register/images?authority=by-phone"),
        ):
            self._go(page, path)
            self._look(f"staff-{name}", page)
        self._go(page, "staff/")
        page.fill("#number", "12")
        page.click("form[role=search] button")
        page.wait_for_selector(".wrong")
        self._look("staff-list-number-wrong", page)
        for name, path in (
            ("confirm-mistake", f"staff/cases/{self._prepared.helped}/confirm"),
            ("register-mistake", "staff/register"),
        ):
            self._go(page, path)
            page.evaluate("document.querySelector('main form:not(nav form)').noValidate = true")
            page.click("main > form button")
            page.wait_for_selector(".wrong")
            self._look(f"staff-{name}", page)
        self._go(page, "staff/register")
        page.check("[name=under_18][value=unsure]")
        page.check("[name=authority] >> nth=0")
        page.click("main > form button")
        page.wait_for_selector("main > .notice")
        self._look("staff-register-unsure", page)

    @property
    def _one_image(self) -> int:
        return self._service.casework.get(self._prepared.helped).images[0].id

    # --- steps ---

    @contextmanager
    def _visit(self, **options: object) -> Iterator[Page]:
        context = self._browser.new_context(viewport=NARROW, **options)  # type: ignore[arg-type]
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.on("dialog", lambda dialog: dialog.accept())
        yield page
        context.close()

    def _go(self, page: Page, path: str) -> None:
        page.goto(f"{self._address}/{self._lang}/{path}")

    def _images(self, page: Page) -> None:
        self._go(page, "register/images?adult=yes")
        page.wait_for_selector("#images-app:not([hidden])")

    def _choose(self, page: Page, files: list[Path]) -> None:
        page.set_input_files("#files", files)
        page.wait_for_selector("#file-list li")
        page.wait_for_selector("#overall-progress", state="hidden")

    def _send(self, page: Page, pin: str, again: str | None = None) -> None:
        page.fill("#pin", pin)
        page.fill("#pin-again", pin if again is None else again)
        page.click("#pin-form button[type=submit]")

    def _wait_for(self, page: Page, done: Callable[[], bool]) -> None:
        for _ in range(WAIT_MS // 50):
            if done():
                return
            page.wait_for_timeout(50)
        raise AssertionError("it never happened")

    def _sign_in(self, context: BrowserContext, kind: SessionKind, subject_id: int) -> None:
        sign_in_at_once(context, self._address, self._service, kind, subject_id)


def _giving(answer: Response) -> Callable[[Route], None]:
    def give(route: Route) -> None:
        route.fulfill(
            status=answer.status_code, headers=dict(answer.headers), body=bytes(answer.body)
        )

    return give


def drawn_files(folder: Path) -> list[Path]:
    """Four good pictures, then an animation, a copy, something else and a damaged picture."""
    drawn = pictures(6)
    good = [folder / f"A day by the sea with a rather long file name {at}.jpg" for at in range(4)]
    for path, picture in zip(good, drawn, strict=False):
        path.write_bytes(encoded(picture))
    other, copy, animation, damaged = (
        folder / name for name in ("note.jpg", "copy.jpg", "moving.gif", "damaged.jpg")
    )
    animation.write_bytes(encoded(drawn[4], "GIF", save_all=True, append_images=[drawn[5]]))
    copy.write_bytes(good[0].read_bytes())
    other.write_text("not a picture at all")
    damaged.write_bytes(good[1].read_bytes()[:900])
    return [*good, animation, other, copy, damaged]
