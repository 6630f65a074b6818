"""The accessibility checker itself: it finds what is wrong under a strict CSP, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import report_samples as samples
from axe_checks import OF_LOOKS, violations
from egide.auditing.report.report import render_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser

STRICT = "default-src 'none'; style-src 'self'"
BAD = """<!doctype html>
<html><head><title></title><link rel="stylesheet" href="/pale.css">
<script>window.inline = true</script></head>
<body><main><h1>Pale</h1><p class="pale">Hard to read.</p><img src="/x.png">
<form><input type="text" name="pin"></form>
<button>1</button><button>2</button></main></body></html>"""
PALE = ".pale { color: #bbb; background: #fff } button { padding: 0; border: 0; width: 9px }"


def test_violations_are_found_under_a_strict_policy(browser: Browser) -> None:
    page = browser.new_page()
    page.route(
        "http://bad.invalid/*",
        lambda route: route.fulfill(
            body=PALE if route.request.url.endswith(".css") else BAD,
            content_type="text/css" if route.request.url.endswith(".css") else "text/html",
            headers={"Content-Security-Policy": STRICT},
        ),
    )
    page.goto("http://bad.invalid/")
    rules = {line.partition(" ")[0] for line in violations(page)}
    inline_ran = page.evaluate("'inline' in window")
    page.close()
    assert rules == {
        "color-contrast",
        "document-title",
        "html-has-lang",
        "image-alt",
        "label",
        "target-size",
    }
    assert not inline_ran


@pytest.mark.parametrize("lang", ["en", pytest.param("fr", marks=pytest.mark.slow)])
def test_report_has_no_violation(browser: Browser, lang: str) -> None:
    """No colour depends on the width, so two pairs tell of all four."""
    html = render_report(
        samples.summary(),
        samples.matches(),
        samples.gap_rows(),
        lang=lang,
        generated=samples.GENERATED,
        earlier=samples.earlier(),
    )
    page = browser.new_page(color_scheme="light", viewport={"width": 320, "height": 800})
    page.set_content(html)
    found = violations(page)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.emulate_media(color_scheme="dark")
    found += violations(page, OF_LOOKS)
    page.close()
    assert found == []
