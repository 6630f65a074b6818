"""Pictures in texts: written in base64, as `data:` URLs or as digits; or only where they are."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from egide.media.containers import IMAGE_SUFFIXES
from egide.media.formats import sniff

if TYPE_CHECKING:
    from collections.abc import Iterator

MIN_TEXT_BYTES = 48
"""A shorter text cannot be a picture of 5×5 pixels."""
_HEAD_CHARACTERS = 88
_DATA_URL = re.compile(rb"data:[\w.+-]*/?[\w.+-]*((?:;[\w=.\"+-]+)*?)(;base64)?,", re.IGNORECASE)
_FIRST = (
    rb"iVBORw0KGgo|(?:\\?/|_)9j(?:\\?/|_)|R0lGOD[dl]h|UklGR"
    rb"|AAAA[A-Za-z0-9+/_-]{2,4}Z0eX|AAAADEpYTCA|AAAADGpQ|SUkqA|TU0AK|OEJQUwAB"
    rb"|Qk[A-Za-z0-9+/_-]{6}AAAA[A-D]"
)
"""How pictures begin in base64: PNG, JPEG, GIF, WebP, AVIF and HEIC, JPEG XL, JPEG 2000, TIFF,
Photoshop, BMP."""
_FIRST_DIGITS = (
    rb"[fF]{2}[dD]8[fF]{2}[c-fC-F]|89504[eE]470[dD]0[aA]1[aA]0[aA]|474946383[79]61|52494646"
)
"""How PNG, JPEG, GIF and WebP begin in hexadecimal digits."""
_FIRST_NUMBERS = (
    rb"255,\s*216,\s*255,\s*2|137,\s*80,\s*78,\s*71,\s*13,"
    rb"|71,\s*73,\s*70,\s*56,|82,\s*73,\s*70,\s*70,"
)
"""The same as numbers of a list."""
_PREFIXES = (b"data:", b"b'", b'b"')
_SIGNS = re.compile(rb"base64,|iVBORw0KGgo|[/_]9j|R0lGOD|UklGR|AAAA")
"""One of these stands in each short text with a picture: found faster than the expression is."""
_LONG_SIGNS = (
    *(b"base64,", b"iVBORw0KGgo", b"/9j", b"_9j", b"R0lGOD", b"UklGR", b"AAAA", b"SUkqA", b"TU0AK"),
    *(b"OEJQUwAB", b"ffd8ff", b"FFD8FF", b"89504e47", b"89504E47", b"47494638", b"52494646"),
    *(b"255,", b"137,", b"71,", b"82,"),
)
"""And of these in each long one. So many are slow to find in a short text."""
_SHORT = 256
_BODY = rb"(?:[A-Za-z0-9+/_%-]++|\\?[\r\n]++|\\[nr/])++={0,2}"
_WITHIN = re.compile(
    rb"data:[\w.+/-]*+(?:;[\w=.\"+-]++)*?;base64,\s*(" + _BODY + rb")"
    rb"|(?<![A-Za-z0-9+/_=-])((?:" + _FIRST + rb")" + _BODY + rb")"
    rb"|(?<![0-9A-Fa-f])((?=" + _FIRST_DIGITS + rb")[0-9A-Fa-f]{128,}+)"
    rb"|(?<![0-9.])((?=" + _FIRST_NUMBERS + rb")(?:\d{1,3},\s*+){47,}+\d{1,3})"
)
_BEGUN = re.compile(
    rb"(?<![A-Za-z0-9+/_=-])(?:" + _FIRST + rb")"
    rb"|data:[\w.+/-]*+(?:;[\w=.\"+-]++)*?;base64,"
    rb"|(?<![0-9A-Fa-f])(?=" + _FIRST_DIGITS + rb")[0-9A-Fa-f]{66,}"
)
_ALPHABET = re.compile(rb"[A-Za-z0-9+/_\s-]+={0,2}\s*")
_HEX = re.compile(rb"(?:\\x|0x)?[0-9a-fA-F]++")
_SPACE = re.compile(rb"\s+|\\[nr]")
_REPR = re.compile(rb"b(['\"]).*\1", re.DOTALL)
_LINK = re.compile(
    rb"\s*(?:(?:https?|ftp|s3|gs|gcs|hf|abfss?|az|file)://|//)[^\s<>]+\s*", re.IGNORECASE
)
_PAGE = re.compile(
    rb"\.(?:html?|php|aspx?|jsp|pdf|txt|json|xml|mp3|wav|mp4)(?:[?#]|\s*$)", re.IGNORECASE
)
_SUFFIXES = tuple(suffix.encode() for suffix in sorted(IMAGE_SUFFIXES))
_MAX_LINK_BYTES = 4096


def holds_picture(text: bytes) -> bool:
    """Whether a picture is written in a text: it is all of the text, or stands within it."""
    if len(text) < MIN_TEXT_BYTES:
        return False
    head = text[:_HEAD_CHARACTERS]
    # Most texts are words: a space tells them from digits at a hundredth of the price.
    digits = b" " not in head.strip() or head.lstrip()[:5].lower().startswith(_PREFIXES)
    if digits and _whole(head, head=True) is not None:
        return True
    if len(text) < _SHORT:
        signs = _SIGNS.search(text) is not None
    else:
        signs = any(map(text.__contains__, _LONG_SIGNS))
    return signs and _WITHIN.search(text) is not None


def pictures_in(text: bytes) -> Iterator[bytes]:
    """Yield the bytes of each picture in a text, in order."""
    whole = _whole(text)
    if whole is not None:
        yield whole
        return
    for found in _WITHIN.finditer(text):
        content = _of_found(found)
        if content is not None and sniff(content[:512]) is not None:
            yield content


def begins_picture(text: bytes) -> bool:
    """Whether a picture is begun in a text that may go on in the next line."""
    return _BEGUN.search(text) is not None


def _of_found(found: re.Match[bytes]) -> bytes | None:
    if found[3]:
        return binascii.unhexlify(found[3][: len(found[3]) & ~1])
    if found[4]:
        numbers = [int(number) for number in found[4].split(b",")]
        return bytes(numbers) if max(numbers) < 256 else None
    return _base64(found[1] or found[2])


def is_link(text: bytes) -> bool:
    """Whether a text is the address of something that may be a picture."""
    if len(text) > _MAX_LINK_BYTES:
        return False
    if _LINK.fullmatch(text):
        return _PAGE.search(text) is None
    return text.rstrip().lower().endswith(_SUFFIXES) and b"\n" not in text.strip()


def _whole(text: bytes, *, head: bool = False) -> bytes | None:
    """The picture that all of a text is, or None. Of a head only its first bytes are right."""
    text = text.strip()
    if text[:5].lower() == b"data:" and (address := _DATA_URL.match(text)):
        body = text[address.end() :]
        content = _base64(body, head=head) if address[2] else unquote_to_bytes(body)
    elif text[:2] in {b"b'", b'b"'}:
        content = _evaluated(text, head=head)
    elif text[:2] in {b"\\x", b"0x"} or _HEX.fullmatch(text[: len(text) & ~1]):
        digits = text.removeprefix(b"\\x").removeprefix(b"0x")
        try:
            content = binascii.unhexlify(digits[: len(digits) & ~1 if head else None])
        except binascii.Error:
            content = b""
        if sniff(content[:512]) is None:  # 'all of it are digits' is true of some base64 as well
            content = _base64(text, head=head)
    else:
        content = _base64(text, head=head)
    return content if content and sniff(content[:512]) is not None else None


def _base64(text: bytes, *, head: bool = False) -> bytes | None:
    if b"%" in text:
        text = unquote_to_bytes(text)
    if b"\\" in text:
        text = _SPACE.sub(b"", text).replace(b"\\", b"")
    if not _ALPHABET.fullmatch(text):
        return None
    text = _SPACE.sub(b"", text).rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    if head or len(text) % 4 == 1:
        text = text[: len(text) // 4 * 4]
    return base64.b64decode(text + b"=" * (-len(text) % 4))


def _evaluated(text: bytes, *, head: bool) -> bytes | None:
    """The bytes that Python wrote as a literal, as tables made from text often hold them."""
    import ast

    if head:
        quote = text[1:2]
        text = text[: text.rfind(b"\\") if b"\\" in text[-4:] else None] + quote
    if not _REPR.fullmatch(text):
        return None
    try:
        value = ast.literal_eval(text.decode("ascii"))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, bytes) else None
