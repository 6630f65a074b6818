"""How Sphinx builds the site: `make docs`.

The source is the whole project, so that links out of `docs/` are checked too. What stands in lists
of links in an `index.md` is the navigation: there is no other table of contents.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "Egide"
author = "The Egide maintainers"
project_copyright = author
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md", "benchmarks/*.md"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_title = "Egide"
html_static_path: list[str] = []
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_additional_pages = {"index": "to-the-documents.html"}
templates_path = ["."]

_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_ITEM = re.compile(r"^- \[[^\]]+\]\(([^)#]+)\.md\)$", re.MULTILINE)


def with_navigation(_app: Sphinx, document: str, source: list[str]) -> None:
    """Add to an index what the navigation is made of: a hidden list for each list of links."""
    if not document.endswith("/index"):
        return
    titles = ["", *_SECTION.findall(source[0])]
    for title, section in zip(titles, _SECTION.split(source[0])[::2], strict=True):
        pages = [_document(document, link) for link in _ITEM.findall(section)]
        if pages:
            lines = ["", "```{toctree}", ":hidden:", f":caption: {title}", *pages, "```", ""]
            source[0] += "\n".join(line for line in lines if line != ":caption: ")


def _document(index: str, link: str) -> str:
    return "/" + os.path.normpath(Path(index).parent / link)


def setup(app: Sphinx) -> None:
    """Let Sphinx ask for the navigation."""
    app.connect("source-read", with_navigation)
