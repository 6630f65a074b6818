r"""Free text in a CSV field: on one line, and harmless in a spreadsheet.

A spreadsheet runs a field that begins with one of `= + - @` as a formula. Such fields are
written with an apostrophe before them, as people do by hand; so are fields that begin with an
apostrophe themselves, and line ends are written as `\n` and `\r`, so that reading gives back
exactly what was written.
"""

from __future__ import annotations

import re

_RISKY = ("=", "+", "-", "@", "\t", "'", "＝", "＋", "－", "＠")  # full-width ones run as well
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_UNESCAPES = {escaped: plain for plain, escaped in _ESCAPES.items()}
_PLAIN = re.compile(r"[\\\n\r]")
_ESCAPED = re.compile(r"\\[\\nr]")


def neutralise(text: str) -> str:
    """The text as it stands in an exported field."""
    text = _PLAIN.sub(lambda found: _ESCAPES[found[0]], text)
    return f"'{text}" if text.lstrip(" ").startswith(_RISKY) else text


def restore(text: str) -> str:
    """The text that `neutralise` was given."""
    text = text.removeprefix("'")
    return _ESCAPED.sub(lambda found: _UNESCAPES[found[0]], text)
