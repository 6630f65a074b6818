"""The report in a real browser: self-contained, quiet, and readable on any screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import report_samples as samples
from egide.auditing.report.report import render_report
from egide.auditing.rows import GapRow

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

PHONE = {"width": 320, "height": 740}
DESK = {"width": 1280, "height": 900}
REPORTS = [(audit, lang) for audit in ("some", "none", "hostile") for lang in ("en", "fr")]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """The page of an ordinary audit, of one without a match, and of one with hostile names."""
    folder = tmp_path_factory.mktemp("reports")
    none = samples.summary(
        matched_items=0, matches=0, gaps=[], not_matchable=0, distances={}, throughput=[]
    )
    hostile = samples.HOSTILE_NAMES
    audits = {
        "some": (samples.summary(), samples.matches(), samples.gap_rows()),
        "none": (none, [], []),
        "hostile": (
            samples.summary(
                gaps=[samples.gap("item", name, 1) for name in hostile],
                sources=[{"name": n, "kind": n, "shards": 1, "items": 1} for n in hostile],
                banks=[{"name": n, "radius_bits": 31, "entries": 1} for n in hostile],
            ),
            [samples.match(n, shard=n, key=n, bank=n, trust=n, transform=n) for n in hostile],
            [GapRow("item", n, n, n, n, 1) for n in hostile],
        ),
    }
    paths = {}
    for lang in ("en", "fr"):
        for name, (summary, matches, gaps) in audits.items():
            path = folder / f"{name}-{lang}.html"
            html = render_report(
                summary,
                matches,
                gaps,
                lang=lang,
                generated=samples.GENERATED,
                folder=hostile[7] if name == "hostile" else "after/",
                earlier=None if name == "some" else samples.earlier(),
            )
            path.write_text(html, encoding="utf-8")
            paths[name, lang] = path
    return paths


def open_page(
    browser: Browser, path: Path, scheme: str, size: dict[str, int]
) -> tuple[Page, list[str], list[str]]:
    """Open a page, gathering what it asks of the network and what the browser says of it."""
    context = browser.new_context(color_scheme=scheme, viewport=size)
    page = context.new_page()
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.goto(path.as_uri())
    return page, requests, complaints


@pytest.mark.parametrize("report", REPORTS, ids="-".join)
def test_page_is_quiet_and_fits_every_screen(
    browser: Browser, pages: dict[tuple[str, str], Path], report: tuple[str, str]
) -> None:
    path = pages[report]
    page, requests, complaints = open_page(browser, path, "light", PHONE)
    try:
        for size in (PHONE, DESK):
            page.set_viewport_size(size)
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
            too_wide = page.evaluate(
                """width => [...document.querySelectorAll('main *')]
                    .filter(e => !e.closest('.unseen, thead'))
                    .filter(e => e.getBoundingClientRect().right > width + 0.5)
                    .map(e => e.tagName + '.' + (e.getAttribute('class') || ''))""",
                size["width"],
            )
            assert too_wide == []
        heading = {"en": "What a match means", "fr": "Ce que signifie une correspondance"}[
            report[1]
        ]
        assert page.get_by_role("heading", name=heading).is_visible()
        for scheme, ground in (("light", "rgb(252, 252, 251)"), ("dark", "rgb(20, 25, 30)")):
            page.emulate_media(color_scheme=scheme)
            shown = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
            assert shown == ground
        assert requests == [path.as_uri()]
        assert complaints == []
    finally:
        page.context.close()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_tables_and_charts_keep_their_roles_on_every_screen(
    browser: Browser, pages: dict[tuple[str, str], Path], size: dict[str, int]
) -> None:
    page, _, _ = open_page(browser, pages["some", "en"], "light", size)
    try:
        table = page.get_by_role("table", name="17 matches, in the order of the dataset")
        assert table.get_by_role("row").count() == 18
        assert table.get_by_role("columnheader").count() == 8
        assert table.get_by_role("rowheader").count() == 17
        for name in ("Number of matches at each distance", "Items a second during the scan"):
            assert page.get_by_role("img", name=name).is_visible()
    finally:
        page.context.close()


def test_charts_keep_the_size_of_their_labels_on_a_phone(
    browser: Browser, pages: dict[tuple[str, str], Path]
) -> None:
    heights = []
    for size in (PHONE, DESK):
        page, _, _ = open_page(browser, pages["some", "en"], "light", size)
        box = page.get_by_text("Distance in bits", exact=True).bounding_box()
        assert box is not None
        heights.append(round(box["height"], 1))
        page.context.close()
    assert heights[0] == heights[1] >= 11


def test_paper_is_light_whatever_the_screen(
    browser: Browser, pages: dict[tuple[str, str], Path]
) -> None:
    page, _, _ = open_page(browser, pages["some", "fr"], "dark", DESK)
    try:
        page.emulate_media(media="print", color_scheme="dark")
        ground, navigation, heads = page.evaluate(
            """[getComputedStyle(document.documentElement).backgroundColor,
                getComputedStyle(document.querySelector('nav')).display,
                getComputedStyle(document.querySelector('thead')).display]"""
        )
        assert (ground, navigation, heads) == ("rgb(255, 255, 255)", "none", "table-header-group")
        assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    finally:
        page.context.close()
