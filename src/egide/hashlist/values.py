"""The vocabulary of hash lists: names of signals and columns, and the content of a line."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from egide.domain.model import (
    PDQ_BYTES,
    SIGNAL_BYTES,
    AnchoredHashes,
    BankKind,
    Fingerprint,
    Pdq,
    Registration,
    Signal,
    Trust,
    digests_of,
)
from egide.domain.video import FRAME_TIMES_BYTES, Track
from egide.errors import AnchoredInvalid, HashInvalid, LineError, VideoInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    "sha1": Signal.SHA1,
    "hash_sha1": Signal.SHA1,
    "video_sha1": Signal.SHA1,
    "url_sha256": Signal.URL_SHA256,
    "hash_url_sha256": Signal.URL_SHA256,
    "url_md5": Signal.URL_MD5,
    "hash_url_md5": Signal.URL_MD5,
    "md5": Signal.MD5,
    "hash_md5": Signal.MD5,
    "video_md5": Signal.MD5,
    "hash_video_md5": Signal.MD5,
    "pdq-anchored": Signal.ANCHORED,
}
"""The names of each signal in lists, in lower case.

Source: threatexchange 1.2.17, `SignalType.get_name()` (pdq, video_md5, video_sha256, url_md5) and
`INDICATOR_TYPE` (HASH_…); the short names, `url_sha256` and `pdq-anchored` are Egide's.
"""

SIGNAL_TYPES |= {
    "imagepdq": Signal.PDQ,
    "videomd5": Signal.MD5,
    "sha-1": Signal.SHA1,
    "sha-256": Signal.SHA256,
    "sha2-256": Signal.SHA256,
}
"""StopNCII's names, and those of `openssl dgst` and `cksum`."""

VIDEO_TIMES = "video-times"
"""The type of the rows that say when an entry's PDQ codes are seen in its video."""
FRAMES_IN_A_ROW = 2000
_DURATION_BYTES = 4
_TIMES_HEAD = 1 + _DURATION_BYTES

ADDRESS_TYPES = frozenset({"url", "uri", "raw_uri", "unclickable_url"})
"""Types whose value is an address itself, of which only the digest is kept."""

CLOSED_KINDS = {
    "photodna": "PhotoDNA",
    "pdna": "PhotoDNA",
    "photodnahash": "PhotoDNA",
    "videopdna": "PhotoDNA",
    "ssvhpdna": "SSVH",
    "ssvhsaferhash": "SSVH",
    "netclean": "NetClean",
    "videntifier": "Videntifier",
    "tmk": "TMK+PDQF",
    "tmkpdqf": "TMK+PDQF",
    "videotmk": "TMK+PDQF",
    "videotmkpdqf": "TMK+PDQF",
    "hashvideotmkpdqf": "TMK+PDQF",
    "vpdq": "vPDQ",
    "videovpdq": "vPDQ",
    "f1": "Griffeye F1",
    "text": "text",
    "rawtext": "text",
    "texttlsh": "text",
    "trendquery": "text",
    "phash": "pHash",
    "ahash": "aHash",
    "dhash": "dHash",
    "whash": "wHash",
    "blake2b": "BLAKE2",
    "blake2s": "BLAKE2",
    "blake3": "BLAKE3",
    "sha224": "SHA-224",
    "sha384": "SHA-384",
    "sha512": "SHA-512",
    "sha3256": "SHA-3",
    "sha3512": "SHA-3",
    "ripemd160": "RIPEMD-160",
    "rmd160": "RIPEMD-160",
    "sm3": "SM3",
    "crc32": "CRC-32",
    "edonkey": "eD2k",
    "ed2k": "eD2k",
    "xxh128": "xxHash",
    "ssdeep": "ssdeep",
}
"""Kinds of fingerprints that Egide cannot compute or search, by the letters and digits of their
names in lower case: they are not taken, and counted by the name that is shown."""

HASH_COLUMNS = {
    "pdq": Signal.PDQ,
    "pdqhash": Signal.PDQ,
    "hashpdq": Signal.PDQ,
    "sha256": Signal.SHA256,
    "sha256hash": Signal.SHA256,
    "hashsha256": Signal.SHA256,
    "sha256sum": Signal.SHA256,
    "sha2256": Signal.SHA256,
    "sha1": Signal.SHA1,
    "sha1hash": Signal.SHA1,
    "hashsha1": Signal.SHA1,
    "sha1sum": Signal.SHA1,
    "urlsha256": Signal.URL_SHA256,
    "sha256url": Signal.URL_SHA256,
    "urlhash256": Signal.URL_SHA256,
    "urlmd5": Signal.URL_MD5,
    "md5url": Signal.URL_MD5,
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

ADDRESS_COLUMNS = frozenset({"url", "urls", "uri", "link", "imageurl", "address"})
"""Columns that hold addresses; a list's are taken where it has no column of hashes."""

ENDED_WORDS = frozenset({"withdrawn", "deleted", "removed", "revoked", "expired", "retracted"})
"""What a status says of a hash that its source no longer stands behind."""
STATUS_KEYS = frozenset({"hashstatus", "casestatus", "status", "state"})
DELETED_KEYS = frozenset({"deleted", "isdeleted", "withdrawn", "shoulddelete", "removed"})
_YES = frozenset({"true", "1", "yes"})

UNDERSTOOD_HEADERS = "`signal_type` and `signal_str`, or a column `pdq`, `sha256`, `sha1` or `md5`"

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

# Source: threatexchange 1.2.17, exchanges/fetch_state.py, SignalOpinionCategory and its aggregate.
CLASSES = {BankKind.POSITIVE: "POSITIVE_CLASS", BankKind.NEGATIVE: "NEGATIVE_CLASS"}
"""What ThreatExchange calls the kind of a bank, as the category of each entry."""

SAID = {
    "": None,
    "POSITIVE_CLASS": BankKind.POSITIVE,
    "INVESTIGATION_SEED": BankKind.POSITIVE,
    "DISPUTED": BankKind.POSITIVE,
    "NEGATIVE_CLASS": BankKind.NEGATIVE,
}
"""What a category says that an entry is."""

_AROUND = " \t\r\n\"'\u00a0\ufeff"
_BY_BYTES = {16: Signal.MD5, 20: Signal.SHA1}
_HEX_DIGITS = frozenset({32, 40, 64})
_BASE64_CHARS = frozenset({24, 28, 44})
_EMPTY_FILE = {
    Signal.SHA256: bytes.fromhex(
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    ),
    Signal.SHA1: bytes.fromhex("da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    Signal.MD5: bytes.fromhex("d41d8cd98f00b204e9800998ecf8427e"),
}
_EMPTY_FILE |= {
    Signal.URL_SHA256: _EMPTY_FILE[Signal.SHA256],
    Signal.URL_MD5: _EMPTY_FILE[Signal.MD5],
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
        pdqs, sha256, sha1, md5, url_sha256, url_md5: at least one is present.
        ended: whether the list says that its source has withdrawn or deleted it.
        unit: `line`, or `record` of a list that is JSON or XML.
        said: what the list says that it is: a match, or none; None if it says nothing.
        quality: of the first frame; None if the list does not tell.
        source: the source that the list gives (a column `source`, else `collab`), or "".
        expires: UTC.
        anchored: of the picture that the other values are of.
        video: when each of `pdqs` is seen, if they are of a video.
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
    sha1: bytes | None = field(default=None, repr=False)
    url_sha256: bytes | None = field(default=None, repr=False)
    url_md5: bytes | None = field(default=None, repr=False)
    video: Track | None = None
    ended: bool = False
    unit: str = "line"
    said: BankKind | None = field(default=None, compare=False)

    def fingerprint(self) -> Fingerprint:
        """The line as a query; a list has no pixels, so no transforms can be searched for."""
        return Fingerprint(
            frames=tuple(
                Pdq(code, None if number else self.quality) for number, code in enumerate(self.pdqs)
            ),
            sha256=self.sha256,
            sha1=self.sha1,
            md5=self.md5,
            url_sha256=() if self.url_sha256 is None else (self.url_sha256,),
            url_md5=() if self.url_md5 is None else (self.url_md5,),
            video=self.video,
        )

    def registration(self, *, default_source: str, trust: Trust = Trust.UNVERIFIED) -> Registration:
        """The line as an entry to register; the list's own claims about trust are ignored."""
        return Registration(
            pdqs=self.pdqs,
            sha256=self.sha256,
            sha1=self.sha1,
            md5=self.md5,
            url_sha256=self.url_sha256,
            url_md5=self.url_md5,
            quality=self.quality,
            source=self.source or default_source,
            note=self.note,
            trust=trust,
            expires=self.expires,
            anchored=self.anchored,
            video=self.video,
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
    unit: str = "line"


@dataclass(frozen=True, slots=True)
class NotTaken:
    """A fingerprint of a kind that Egide cannot search, which was left out.

    Attributes:
        line: number of the line or record, from 1.
        kind: a value of `CLOSED_KINDS`.
        alone: whether the line or record holds nothing else.
        unit: as in `HashLine`.
    """

    line: int
    kind: str
    alone: bool
    unit: str = "line"


@dataclass(frozen=True, slots=True)
class Cut:
    """The list ends too early or is damaged: nothing after this place was read.

    Attributes:
        line: number of the last line or record that was read; 0 if none was.
        reason: why.
        unit: as in `HashLine`.
    """

    line: int
    reason: str
    unit: str = "line"


@dataclass(frozen=True, slots=True)
class Untold:
    """A value of 64 digits of which nothing says whether it is a PDQ or a SHA-256.

    Attributes:
        line: all else that the line says.
        value: 32 bytes.
    """

    line: HashLine
    value: bytes = field(repr=False)


Read = HashLine | BadLine | NotTaken | Cut
"""What a line or record of a list is."""


def key_of(name: str) -> str:
    """The letters and digits of a column's or a kind's name, in lower case."""
    return "".join(filter(str.isalnum, name.lower()))


def is_ended(values: Mapping[str, object]) -> bool:
    """Whether a row or record says that its source has withdrawn or deleted it.

    Args:
        values: by the `key_of` each name.
    """
    for key, value in values.items():
        word = str(value).strip(_AROUND).lower()
        if key in STATUS_KEYS and word in ENDED_WORDS:
            return True
        if key in DELETED_KEYS and word in _YES:
            return True
    return False


def line_with(
    line: int,
    held: Iterable[tuple[Signal, bytes]],
    *,
    unit: str = "line",
    quality: int | None = None,
    source: str = "",
    ended: bool = False,
) -> HashLine:
    """The line that holds these values; of two of one kind that is no PDQ the first."""
    pdqs: dict[bytes, None] = {}
    digests: dict[Signal, bytes] = {}
    for signal, value in held:
        if signal is Signal.PDQ:
            pdqs[value] = None
        else:
            digests.setdefault(signal, value)
    kept: dict[str, Any] = {signal.value: value for signal, value in digests.items()}
    return HashLine(
        line, tuple(pdqs), quality=quality, source=source, ended=ended, unit=unit, **kept
    )


def plain(text: str) -> str:
    """A value without what spreadsheets and programs put around it: spaces, quotes, `="…"`."""
    text = text.strip(_AROUND)
    return text[1:].strip(_AROUND) if text.startswith("=") else text


def parse_any(text: str) -> bytes | None:
    """A value in hexadecimal digits or in Base64, or None; its length tells its kind."""
    text = plain(text)
    if len(text) in _HEX_DIGITS:
        try:
            value = bytes.fromhex(text)
        except ValueError:
            return None
        return value if 2 * len(value) == len(text) else None  # `fromhex` skips spaces
    if len(text) in _BASE64_CHARS:
        try:
            value = b64decode(text, validate=True)
        except ValueError:
            return None
        return value if len(value) in _BY_BYTES or len(value) == PDQ_BYTES else None
    return None


def kind_of(value: bytes) -> Signal | None:
    """The kind of a value by its length; None for 32 bytes, which two kinds have."""
    return _BY_BYTES.get(len(value))


def parse_value(text: str, signal: Signal) -> bytes:
    """Parse a value of a known kind, in hexadecimal digits or in Base64.

    Raises:
        HashInvalid: the value is no such value, or one that nothing may be matched by.
    """
    value = parse_any(text)
    if value is None or len(value) != SIGNAL_BYTES[signal]:
        raise HashInvalid(signal=signal.value, digits=2 * SIGNAL_BYTES[signal])
    return value


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


def times_of(track: Track) -> Iterator[bytes]:
    """A video's times as rows of a list hold them: version, duration, and some of the times."""
    head = bytes([track.version]) + track.duration_ms.to_bytes(_DURATION_BYTES)
    packed = track.packed()
    for at in range(0, len(packed), FRAMES_IN_A_ROW * FRAME_TIMES_BYTES):
        yield head + packed[at : at + FRAMES_IN_A_ROW * FRAME_TIMES_BYTES]


def parse_times(text: str) -> bytes:
    """Parse one row of `times_of`, in hexadecimal digits.

    Raises:
        VideoInvalid: the text is none.
    """
    try:
        value = bytes.fromhex(text.strip(_AROUND))
    except ValueError:
        value = b""
    if len(value) <= _TIMES_HEAD:
        raise VideoInvalid(reason="expected hexadecimal digits")
    return value


def joined_times(rows: Sequence[bytes]) -> Track:
    """The times of a video from all its rows.

    Raises:
        VideoInvalid: they are of different videos, or no such times.
    """
    heads = {row[:_TIMES_HEAD] for row in rows}
    if len(heads) != 1:
        raise VideoInvalid(reason="its rows are of different videos")
    (head,) = heads
    times = b"".join(row[_TIMES_HEAD:] for row in rows)
    return Track.of_packed(times, int.from_bytes(head[1:]), head[0])


def meaningless(value: bytes, signal: Signal) -> str | None:
    """Reason to reject a well-formed value, or None.

    The hash of a blank picture matches every other blank picture (ThreatExchange issue 1609); the
    digest of no bytes matches every empty file.
    """
    if value in {bytes(len(value)), b"\xff" * len(value)}:
        return f"a {signal.value} of zeros or ones only, which no picture has"
    if value == _EMPTY_FILE.get(signal):
        return f"the {signal.value} of nothing, such as an empty file"
    return None


def meaningless_in(registration: Registration) -> str | None:
    """Reason to reject the registration because of a meaningless value, or None."""
    held = [(code, Signal.PDQ) for code in registration.pdqs]
    held += [(value, signal) for signal, value in digests_of(registration)]
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
