"""Check a page for accessibility with axe, whatever its Content-Security-Policy."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Page

AXE = Path(__file__).with_name("vendor") / "axe.min.js"

# The success criteria of WCAG 2.2 at the levels A and AA, those of earlier versions included, and
# what axe calls good practice: landmarks, the order of headings, one main part a page.
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")

# What colours and sizes can change; names, roles and the order of things are the same in all.
OF_LOOKS = ("color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size")

_RUN = """async ([tags, rules]) => {
    const options = {
        resultTypes: ["violations"],
        runOnly: rules.length ? { type: "rule", values: rules } : { type: "tag", values: tags },
    };
    // WCAG 2.2, not on by itself in axe.
    if (!rules.length) options.rules = { "target-size": { enabled: true } };
    const found = await axe.run(document, options);
    return found.violations.map(({ id, help, nodes }) => ({
        id, help, places: nodes.map((node) => node.target.join(" ")),
    }));
}"""


def violations(page: Page, rules: Sequence[str] = ()) -> list[str]:
    """Return what axe finds wrong with a page as it stands, a line for each rule and place.

    Args:
        page: in a browser.
        rules: only these, as `OF_LOOKS`, for a page that all were tried on before.
    """
    if not page.evaluate("'axe' in window"):
        # The browser's debugger brings it in: a script element would be blocked by the page's CSP.
        page.evaluate(_source())
    found: list[dict[str, Any]] = page.evaluate(_RUN, [list(TAGS), list(rules)])
    return [
        f"{rule['id']} at {place}: {rule['help']}" for rule in found for place in rule["places"]
    ]


@cache
def _source() -> str:
    return AXE.read_text("utf-8")
