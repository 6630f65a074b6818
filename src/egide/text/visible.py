"""Make names from a dataset safe to read: they cannot hide text, reverse it or fill the page.

File names are hostile input. Templates escape HTML. This module handles what HTML lets through and
a terminal obeys: control and bidirectional characters, surrogates, unbounded length.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from itertools import groupby

MAX_NAME_CHARS = 500
"""A PAX tar header can hold a name of megabytes; only this much is shown."""

# Cc control, Cf format (bidi, zero width), Cs surrogate, Co private use, Cn unassigned,
# Zl and Zp line and paragraph separators.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Letters, symbols and marks that are invisible.
_BLANK_LETTERS = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
) | frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of characters of a name, as they are or `escaped` if they are not visible."""

    text: str
    escaped: bool


@dataclass(frozen=True, slots=True)
class VisibleName:
    """A name in pieces, and the number of characters left out at its end."""

    pieces: tuple[Piece, ...]
    left_out: int

    def __str__(self) -> str:
        return "".join(piece.text for piece in self.pieces) + ("…" if self.left_out else "")


def visible_name(name: str) -> VisibleName:
    """Split a name into readable and escaped pieces.

    An escape is a separate piece, so that the page can distinguish it from a real backslash.

    Args:
        name: any text, lone surrogates included; characters beyond `MAX_NAME_CHARS` are counted
            and left out.
    """
    shown = name[:MAX_NAME_CHARS]
    pieces = (
        Piece("".join(map(_escape, run)) if hidden else "".join(run), hidden)
        for hidden, run in groupby(shown, key=_is_hidden)
    )
    return VisibleName(tuple(pieces), len(name) - len(shown))


def visible(text: str) -> str:
    """Return text for a terminal, with invisible and control characters escaped."""
    return "".join(_escape(char) if _is_hidden(char) else char for char in text)


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN_CATEGORIES or character in _BLANK_LETTERS


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
