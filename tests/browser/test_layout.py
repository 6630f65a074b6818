"""Every page and state on narrow, enlarged, mirrored and two-coloured screens; what it weighs.

None shuts anybody out: axe finds nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from axe_checks import OF_LOOKS, violations
from gallery_cases import PARTNERS, prepare
from page_gallery import Tour, drawn_files
from pages_site import pages_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, Request
from gallery_cases import Prepared

HERE = Path(__file__).parent
LAYOUT = (HERE / "layout_checks.js").read_text("utf-8")
FOCUS = (HERE / "focus_checks.js").read_text("utf-8")
LONG_NAME = "Association d’aide aux personnes du Maine-et-Loire et du Lot"
NARROW = {"width": 320, "height": 640}
DESK = {"width": 1280, "height": 900}
HALVED = {"width": 640, "height": 450}
"""What is left of 1280 × 900 at 200 %."""
TWICE_PX = 36
MAX_PAGE_BYTES = 100_000
LEAST_STATES = 70


@pytest.fixture(scope="module")
def site(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Any, Prepared]]:
    with pages_site(
        tmp_path_factory.mktemp("pages"),
        pages_name=LONG_NAME,
        pages_contact="a.rather.long.address@helpline.example.org",
        pages_partners=PARTNERS,
        case_max_images=6,
    ) as (address, service):
        yield address, service, prepare(service)


@pytest.mark.timeout(600)  # it goes through everything
@pytest.mark.parametrize(
    ("lang", "part"),
    [
        ("fr", "telling"),
        pytest.param("fr", "all", marks=pytest.mark.slow),
        pytest.param("en", "all", marks=pytest.mark.slow),
    ],
)
def test_every_state_fits_shows_its_focus_and_shuts_nobody_out(
    site: tuple[str, Any, Prepared], browser: Browser, tmp_path: Path, lang: str, part: str
) -> None:
    """French has the longer words; the English pages differ in their words alone."""
    address, service, prepared = site
    found: list[str] = []
    states: list[str] = []

    def look(name: str, page: Page) -> None:
        said = fits(page)
        if page.evaluate("document.documentElement.classList.contains('scripted')"):
            said += shows_focus(page)
        # Where no script runs, axe does not either; and it knows nothing of paper.
        if not name.endswith(("without-scripts", "-print")):
            said += axe(page)
        found.extend(f"{name}: {line}" for line in said)
        states.append(name)

    tour = Tour(
        address,
        service,
        browser,
        lang,
        prepared=prepared,
        photos=drawn_files(tmp_path),
        look=look,
    )
    if part == "all":
        tour.all()
        assert len(states) >= LEAST_STATES
    else:
        tour.one(part)
    assert states
    assert "\n".join(found) == ""


def fits(page: Page) -> list[str]:
    """What is wrong with the layout on narrow, mirrored and enlarged screens."""
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    said: list[str] = page.evaluate(LAYOUT)
    page.evaluate("document.documentElement.dir = 'rtl'")
    said += [f"right to left: {line}" for line in page.evaluate(LAYOUT)]
    page.evaluate("document.documentElement.dir = 'ltr'")
    # A style within the page is against its policy; one that a script sets is not.
    page.evaluate(f"document.documentElement.style.fontSize = '{TWICE_PX}px'")
    said += [f"large text: {line}" for line in page.evaluate(LAYOUT) if "wider" in line]
    page.evaluate("document.documentElement.style.fontSize = ''")
    page.set_viewport_size(HALVED)  # type: ignore[arg-type]
    said += [f"200 %: {line}" for line in page.evaluate(LAYOUT)]
    return said


def shows_focus(page: Page) -> list[str]:
    """What can have the focus and does not show it."""
    before = page.evaluate_handle("document.activeElement")
    page.keyboard.press("Control")  # the keyboard is in use from here on
    said: list[str] = page.evaluate(FOCUS)
    before.evaluate("element => element.focus()")
    return said


def axe(page: Page) -> list[str]:
    """What axe finds: everything on one screen in light colours, and what another can change.

    No colour depends on the width, so these two pairs tell of all four.
    """
    said = []
    for size, scheme, rules in ((NARROW, "light", ()), (DESK, "dark", OF_LOOKS)):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        said += [f"{scheme}: {line}" for line in violations(page, rules)]
    page.emulate_media(color_scheme="light")
    return said


def test_axe_finds_nothing_where_the_scripts_of_a_page_do_not_come(
    site: tuple[str, Any, Prepared], browser: Browser
) -> None:
    context = browser.new_context(viewport=NARROW)  # type: ignore[arg-type]
    page = context.new_page()
    page.route("**/*.js", lambda route: route.abort())
    for path in ("", "register/images?adult=yes", "case"):
        page.goto(f"{site[0]}/fr/{path}")
        assert page.locator(".with-script:visible").count() == 0
        assert violations(page) == [], path
    context.close()


def test_buttons_have_an_edge_where_the_system_chooses_the_colours(
    site: tuple[str, Any, Prepared], browser: Browser
) -> None:
    context = browser.new_context(forced_colors="active", viewport=NARROW)  # type: ignore[arg-type]
    page = context.new_page()
    for path in ("", "register", "register/images?adult=yes", "case", "help"):
        page.goto(f"{site[0]}/en/{path}")
        widths = page.eval_on_selector_all(
            ".button, .exit, .card, .notice, .answer, .choice",
            "all => all.map((one) => parseFloat(getComputedStyle(one).borderTopWidth))",
        )
        assert widths
        assert min(widths) >= 1
    context.close()


@pytest.mark.parametrize("path", ["", "help", "under-18", "register/images?adult=yes", "case"])
def test_a_page_weighs_little_before_files_are_chosen(
    site: tuple[str, Any, Prepared], browser: Browser, path: str
) -> None:
    context = browser.new_context()
    page = context.new_page()
    requests: list[Request] = []
    page.on("requestfinished", lambda request: requests.append(request))  # noqa: PLW0108
    page.goto(f"{site[0]}/fr/{path}")
    page.wait_for_load_state("networkidle")
    sizes = [request.sizes() for request in requests]
    weight = sum(one["responseBodySize"] + one["responseHeadersSize"] for one in sizes)
    context.close()
    assert 0 < weight <= MAX_PAGE_BYTES
