"""The vocabulary of hash lists: names of signals and columns, and the content of a line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from egide.domain.model import (
    PDQ_BYTES,
    SIGNAL_BYTES,
    AnchoredHashes,
    Fingerprint,
    Pdq,
    Registration,
    Signal,
    Trust,
)
from egide.errors import AnchoredInvalid, HashInvalid, LineError

if TYPE_CHECKING:
    from datetime import datetime

SCHEMA_VERSION = 1
"""The version of the columns that Egide adds; a greater one is refused."""

MAX_SOURCE_CHARS = 300
MAX_NOTE_CHARS = 4000
MAX_METADATA_CHARS = 4000

SIGNAL_TYPES = {
    "pdq": Signal.PDQ,
    "hash_pdq": Signal.PDQ,
    "sha256": Signal.SHA256,
    "hash_sha256": Signal.SHA256,
    "video_sha256": Signal.SHA256,
    "hash_video_sha256": Signal.SHA256,
    "md5": Signal.MD5,
    "hash_md5": Signal.MD5,
    "video_md5": Signal.MD5,
    "hash_video_md5": Signal.MD5,
    "pdq-anchored": Signal.ANCHORED,
}
"""The names of each signal in lists, in lower case.

Source: threatexchange 1.2.17, `SignalType.get_name()` (pdq, video_md5, video_sha256) and
`INDICATOR_TYPE` (HASH_…); the short names and `pdq-anchored` are Egide's.
"""

HASH_COLUMNS = {
    "pdq": Signal.PDQ,
    "pdqhash": Signal.PDQ,
    "hashpdq": Signal.PDQ,
    "sha256": Signal.SHA256,
    "sha256hash": Signal.SHA256,
    "hashsha256": Signal.SHA256,
    "sha256sum": Signal.SHA256,
    "sha2256": Signal.SHA256,
    "md5": Signal.MD5,
    "md5hash": Signal.MD5,
    "hashmd5": Signal.MD5,
    "md5sum": Signal.MD5,
}
"""Columns that hold one known kind of hash, by the lower-case letters and digits of their names.

A `phash` is a different hash from PDQ, and `hash` may be any.
"""

UNTOLD_HASH_COLUMNS = frozenset(
    {"hash", "hashes", "hashvalue", "digest", "checksum", "fingerprint"}
)
"""Columns that hold hashes of an unknown kind."""

UNDERSTOOD_HEADERS = "`signal_type` and `signal_str`, or a column `pdq`, `sha256` or `md5`"

THREATEXCHANGE_COLUMNS = ("signal_type", "signal_str", "collab", "category", "tags")
"""Source: threatexchange 1.2.17, cli/dataset_cmd.py, `threatexchange dataset -P --csv`."""

OWN_COLUMNS = (
    "schema_version",
    "entry",
    "quality",
    "trust",
    "source",
    "note",
    "added",
    "expires",
)

_AROUND = " \t\r\n\"'"
_EMPTY_FILE = {
    Signal.SHA256: bytes.fromhex(
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    ),
    Signal.MD5: bytes.fromhex("d41d8cd98f00b204e9800998ecf8427e"),
}


class HashListFormat(StrEnum):
    """The format of a hash list."""

    CSV = "csv"
    """ThreatExchange's columns and Egide's own; the only format that keeps everything."""
    TYPED = "typed"
    """`signal_type value` lines."""
    PLAIN = "plain"
    """PDQ codes only, one a line."""


@dataclass(frozen=True, slots=True)
class HashLine:
    """The content of one line of a hash list, or of the adjacent lines of one exported entry.

    Attributes:
        line: number of the line, or of the first of several, from 1.
        pdqs, sha256, md5: at least one is present.
        quality: of the first frame; None if the list does not tell.
        source: the source that the list gives (a column `source`, else `collab`), or "".
        expires: UTC.
        anchored: of the picture that the other values are of.
    """

    line: int
    pdqs: tuple[bytes, ...] = field(default=(), repr=False)
    sha256: bytes | None = field(default=None, repr=False)
    md5: bytes | None = field(default=None, repr=False)
    quality: int | None = None
    source: str = ""
    note: str = field(default="", repr=False)
    expires: datetime | None = None
    anchored: AnchoredHashes | None = None

    def fingerprint(self) -> Fingerprint:
        """The line as a query; a list has no pixels, so no transforms can be searched for."""
        return Fingerprint(
            frames=tuple(
                Pdq(code, None if number else self.quality) for number, code in enumerate(self.pdqs)
            ),
            sha256=self.sha256,
            md5=self.md5,
        )

    def registration(self, *, default_source: str, trust: Trust = Trust.UNVERIFIED) -> Registration:
        """The line as an entry to register; the list's own claims about trust are ignored."""
        return Registration(
            pdqs=self.pdqs,
            sha256=self.sha256,
            md5=self.md5,
            quality=self.quality,
            source=self.source or default_source,
            note=self.note,
            trust=trust,
            expires=self.expires,
            anchored=self.anchored,
        )


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that was left out.

    Attributes:
        line: number of the line, from 1.
        reason: the expected content; never the actual one, which may be a fingerprint.
        code: the error's code: `hash-invalid` or `anchored-invalid` for a value, else
            `line-invalid`.
    """

    line: int
    reason: str
    code: str = LineError.code


def parse_hex(text: str, signal: Signal) -> bytes:
    """Parse a hexadecimal value, ignoring case and surrounding spaces and quotes.

    Raises:
        HashInvalid: the value has a wrong length or other characters.
    """
    digits = text.strip(_AROUND)
    size = SIGNAL_BYTES[signal]
    try:
        value = bytes.fromhex(digits)
    except ValueError:
        value = b""
    # `fromhex` skips spaces between digits.
    if len(digits) != 2 * size or len(value) != size:
        raise HashInvalid(signal=signal.value, digits=2 * size)
    return value


def parse_anchored(text: str) -> AnchoredHashes:
    """Parse anchored hashes, 64 hexadecimal digits each, end to end and in any order.

    Raises:
        AnchoredInvalid: the text is no such list.
    """
    digits = text.strip(_AROUND)
    try:
        codes = bytes.fromhex(digits)
    except ValueError:
        codes = b""
    if not codes or len(digits) != 2 * len(codes):
        raise AnchoredInvalid(reason=f"expected {2 * PDQ_BYTES} hexadecimal digits for each")
    return AnchoredHashes.of(codes[at : at + PDQ_BYTES] for at in range(0, len(codes), PDQ_BYTES))


def meaningless(value: bytes, signal: Signal) -> str | None:
    """Reason to reject a well-formed value, or None.

    The hash of a blank picture matches every other blank picture (ThreatExchange issue 1609); the
    digest of no bytes matches every empty file.
    """
    if value in {bytes(len(value)), b"\xff" * len(value)}:
        return f"a {signal.value} of zeros or ones only, which no picture has"
    if value == _EMPTY_FILE.get(signal):
        return f"the {signal.value} of an empty file"
    return None


def meaningless_in(registration: Registration) -> str | None:
    """Reason to reject the registration because of a meaningless value, or None."""
    held = [(code, Signal.PDQ) for code in registration.pdqs]
    if registration.sha256:
        held.append((registration.sha256, Signal.SHA256))
    if registration.md5:
        held.append((registration.md5, Signal.MD5))
    return next(filter(None, (meaningless(value, signal) for value, signal in held)), None)


# A spreadsheet runs a field that begins with one of these as a formula. An apostrophe is written
# before such a field, as people do by hand, and before one that begins with an apostrophe.
_RISKY = ("=", "+", "-", "@", "\t", "'", "＝", "＋", "－", "＠")  # full-width ones run as well
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_UNESCAPES = {escaped: plain for plain, escaped in _ESCAPES.items()}
_PLAIN = re.compile(r"[\\\n\r]")
_ESCAPED = re.compile(r"\\[\\nr]")


def neutralise(text: str) -> str:
    """The form of the text in an exported field."""
    text = _PLAIN.sub(lambda found: _ESCAPES[found[0]], text)
    return f"'{text}" if text.lstrip(" ").startswith(_RISKY) else text


def restore(text: str) -> str:
    """Undo `neutralise`."""
    text = text.removeprefix("'")
    return _ESCAPED.sub(lambda found: _UNESCAPES[found[0]], text)
