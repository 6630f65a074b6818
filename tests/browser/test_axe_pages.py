"""No page and no state shuts anybody out: axe finds nothing, in either language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from axe_checks import OF_LOOKS, violations
from gallery_cases import PARTNERS, prepare
from page_gallery import Tour, drawn_files
from pages_site import pages_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from gallery_cases import Prepared

LONG_NAME = "Association d’aide aux personnes du Maine-et-Loire et du Lot"
PHONE = {"width": 320, "height": 640}
DESK = {"width": 1280, "height": 900}
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
@pytest.mark.parametrize("lang", ["en", "fr"])
def test_axe_finds_nothing_on_any_page_or_state(
    site: tuple[str, Any, Prepared], browser: Browser, tmp_path_factory: Any, lang: str
) -> None:
    address, service, prepared = site
    found: list[str] = []
    states: list[str] = []

    def look(name: str, page: Page) -> None:
        # Where no script runs, axe does not either; and it knows nothing of paper.
        if name.endswith(("without-scripts", "-print")):
            return
        # Everything on one screen in light colours; on the other and in dark ones only what that
        # can change. No colour depends on the width, so these two pairs tell of all four.
        for size, scheme, rules in ((PHONE, "light", ()), (DESK, "dark", OF_LOOKS)):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            found.extend(f"{name}, {scheme}: {line}" for line in violations(page, rules))
        states.append(name)

    Tour(
        address,
        service,
        browser,
        lang,
        prepared=prepared,
        photos=drawn_files(tmp_path_factory.mktemp("files")),
        look=look,
    ).all()
    assert len(states) >= LEAST_STATES
    assert "\n".join(found) == ""


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_axe_finds_nothing_where_the_scripts_of_a_page_do_not_come(
    site: tuple[str, Any, Prepared], browser: Browser, lang: str
) -> None:
    context = browser.new_context(viewport=PHONE)  # type: ignore[arg-type]
    page = context.new_page()
    page.route("**/*.js", lambda route: route.abort())
    for path in ("", "register/images?adult=yes", "case"):
        page.goto(f"{site[0]}/{lang}/{path}")
        assert page.locator(".with-script:visible").count() == 0
        assert violations(page) == [], path
    context.close()
