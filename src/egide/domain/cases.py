"""Cases: somebody's images, registered under a number and a PIN instead of a name.

Only the number and the PIN lead back to a case. People under stress read both out over the phone
and copy them from paper. So the number is digits only, in groups of four, with a check digit that
catches every single mistyped digit and every swap of neighbours.
"""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING

from egide.errors import CaseNumberInvalid, PinRefused

if TYPE_CHECKING:
    from datetime import datetime

    from egide.domain.model import AnchoredHashes, State, Trust

NUMBER_DIGITS = 12
"""11 random digits and the check digit."""
TAG_DIGITS = 5
MIN_PIN_CHARS = 6
MAX_PIN_CHARS = 64
_GROUP = 4
# What people and their keyboards put between groups of digits.
_BETWEEN = frozenset(" \t\r\n.-\u00a0\u00ad\u2007\u2009\u200b\u2010\u2011\u2012\u2013\u2014\u202f")
# The quasigroup of order 10 in H. M. Damm, Total anti-symmetrische Quasigruppen (Marburg, 2004).
_DAMM = (
    (0, 3, 1, 7, 5, 9, 8, 6, 4, 2),
    (7, 0, 9, 2, 1, 5, 4, 8, 6, 3),
    (4, 2, 0, 6, 8, 7, 1, 3, 5, 9),
    (1, 7, 5, 0, 9, 8, 3, 4, 2, 6),
    (6, 1, 2, 3, 0, 4, 5, 9, 7, 8),
    (3, 6, 7, 4, 2, 0, 9, 5, 8, 1),
    (5, 8, 6, 9, 7, 2, 0, 1, 3, 4),
    (8, 9, 4, 5, 3, 6, 2, 0, 1, 7),
    (9, 4, 3, 8, 6, 1, 7, 2, 0, 5),
    (2, 5, 8, 1, 4, 3, 6, 7, 9, 0),
)
# PINs that attackers try first, apart from runs and repetitions.
_COMMON_PINS = frozenset(
    {
        "112233", "123321", "102030", "159753", "147258", "147852", "258456", "789456", "456789",
        "123654", "142536", "246810", "135790", "314159", "520520", "010203", "121314", "696969",
        "1q2w3e", "a1b2c3", "abc123", "azerty", "azertyuiop", "bonjour", "chocolat", "doudou",
        "iloveyou", "jetaime", "loulou", "marseille", "motdepasse", "password", "qwerty",
        "qwertyuiop", "qwertz", "secret", "soleil", "123456a", "azerty123", "qwerty123",
        "password1", "nicolas", "princess", "monkey", "dragon", "sunshine", "football",
    }
)  # fmt: skip


class CaseState(StrEnum):
    """Whether a case is open, and how it ended."""

    OPEN = "open"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class Authority(StrEnum):
    """Who authorised the opening of a case."""

    SELF = "self"
    """The person opened it."""
    IN_PERSON = "in-person"
    """They asked a helpline, face to face."""
    BY_PHONE = "by-phone"
    IN_WRITING = "in-writing"
    REPRESENTATIVE = "representative"
    """Somebody who may act for them: a guardian, a lawyer."""


class ImageKind(StrEnum):
    """Which part of a file was fingerprinted."""

    STILL = "still"
    FIRST_FRAME = "first-frame"
    """The first frame of an animation; its other frames do not match."""
    DIGEST_ONLY = "digest-only"
    """Only identical files match: a video, or a picture with too little detail."""


class PartnerState(StrEnum):
    """What a partner did with an image."""

    SENT = "sent"
    NO_ANSWER = "no-answer"
    MATCHED = "matched"
    REMOVED = "removed"
    DECLINED = "declined"
    FALSE_POSITIVE = "false-positive"


class ConfirmReason(StrEnum):
    """Why a helpline's worker vouches for a case."""

    SPOKE_WITH_PERSON = "spoke-with-person"
    SAW_PROOF = "saw-proof"
    PARTNER_CONFIRMED = "partner-confirmed"
    KNOWN_TO_US = "known-to-us"


@dataclass(frozen=True, slots=True)
class NewImage:
    """The fingerprints of one file, as they come from a browser.

    Attributes:
        pdq: 32 bytes; None where only the digest is known.
        quality: of the PDQ, 0–100.
        sha256: of the whole file, 32 bytes.
        anchored: None if the person keeps them back, or the image has too little detail.
    """

    kind: ImageKind
    pdq: bytes | None = field(repr=False)
    quality: int | None
    sha256: bytes = field(repr=False)
    anchored: AnchoredHashes | None = None


@dataclass(frozen=True, slots=True)
class CaseImage:
    """One image of a case.

    Attributes:
        id: the image's number, meaningful to its owner only.
        entry: the number of its entry in the bank.
        added: UTC.
    """

    id: int
    entry: int
    kind: ImageKind
    added: datetime
    state: State
    trust: Trust


@dataclass(frozen=True, slots=True)
class Case:
    """A case, as its owner may see it.

    Attributes:
        id: its number in the store, never shown.
        number: 12 digits; see `shown_number`.
        bank: the name of the bank that holds its entries.
        created, expires: UTC.
        ended: UTC, when it was withdrawn or expired; None while it is open.
        opened_by: the name of a member of staff, None for the person.
        images: in the order in which they were added, including ended ones.
    """

    id: int
    number: str = field(repr=False)
    bank: str
    state: CaseState
    created: datetime
    expires: datetime
    ended: datetime | None
    authority: Authority
    opened_by: str | None
    images: tuple[CaseImage, ...]


@dataclass(frozen=True, slots=True)
class CaseSummary:
    """A case in the list of a helpline's staff.

    Attributes:
        images: how many it has, including ended ones.
        active: how many images are active.
        unverified, confirmed, disputed: how many active images have this trust.
        false_positives: how many images were found to be false positives.
    """

    id: int
    number: str = field(repr=False)
    state: CaseState
    created: datetime
    expires: datetime
    ended: datetime | None
    authority: Authority
    opened_by: str | None
    images: int
    active: int
    unverified: int
    confirmed: int
    disputed: int
    false_positives: int


@dataclass(frozen=True, slots=True)
class PartnerStatus:
    """What happened to an image at a partner, and when.

    Attributes:
        partner: the name of its key.
        at: UTC.
    """

    partner: str
    state: PartnerState
    at: datetime


@dataclass(frozen=True, slots=True)
class CaseRules:
    """The rules for every case.

    Attributes:
        max_images: the most images of one case, including withdrawn ones.
        lifetime_days: a case expires after this time unless it is extended.
        warning_days: how long before the expiry its owner is warned.
        kept_days: how long an ended case can be viewed before it is deleted.
        no_answer_days: after this time a partner's silence is shown as 'no answer'.
    """

    max_images: int = 100
    lifetime_days: int = 730
    warning_days: int = 60
    kept_days: int = 30
    no_answer_days: int = 14


def image_tag(sha256: bytes, salt: bytes) -> str:
    """A tag that tells the images of a case apart on one page: 5 hexadecimal digits.

    Anyone who sees the page can test whether the tag fits a file of theirs. The tag is short so
    that a fit proves nothing: about one file in a million fits by chance.

    Args:
        sha256: of the file.
        salt: 32 bytes that change with each visit, so that a second visit reveals nothing more.
    """
    return hashlib.sha256(salt + sha256).hexdigest()[:TAG_DIGITS]


def new_number() -> str:
    """Make a case number at random: 12 digits, the last one the check digit."""
    digits = f"{secrets.randbelow(10 ** (NUMBER_DIGITS - 1)):0{NUMBER_DIGITS - 1}d}"
    return digits + str(_check_digit(digits))


def parse_number(text: str) -> str:
    """Return the 12 digits of a case number that somebody typed or dictated.

    Spaces, dots, dashes, and full-width and other Unicode digits are accepted.

    Raises:
        CaseNumberInvalid: there are not 12 digits, or the check digit is wrong.
    """
    digits: list[str] = []
    for char in text:
        if char in _BETWEEN:
            continue
        value = unicodedata.decimal(char, None)
        if value is None or len(digits) == NUMBER_DIGITS:
            raise CaseNumberInvalid
        digits.append(str(value))
    number = "".join(digits)
    # The check digit of a valid number with its own check digit is 0.
    if len(number) != NUMBER_DIGITS or _check_digit(number) != 0:
        raise CaseNumberInvalid
    return number


def shown_number(number: str) -> str:
    """A case number in groups of four: `4821 7730 9154`."""
    return " ".join(number[at : at + _GROUP] for at in range(0, len(number), _GROUP))


def normal_pin(pin: str) -> str:
    """The form of a PIN that is hashed: normalised Unicode, without spaces around it."""
    return unicodedata.normalize("NFKC", pin).strip()


def check_pin(pin: str, number: str | None = None) -> str:
    """Check a new PIN and return the form to hash.

    Args:
        pin: the chosen PIN.
        number: the case number; the PIN must not be a part of it.

    Raises:
        PinRefused: with a `reason`: `too-short`, `too-long`, `unprintable`, `case-number`, or
            `too-simple` for at most two different characters, runs (123456, fedcba), repetitions
            (123123) and common PINs.
    """
    if len(pin) > MAX_PIN_CHARS * 4:
        raise PinRefused(reason="too-long")  # checked first: normalising can lengthen it
    text = normal_pin(pin)
    if len(text) < MIN_PIN_CHARS:
        raise PinRefused(reason="too-short")
    if len(text) > MAX_PIN_CHARS:
        raise PinRefused(reason="too-long")
    if not text.isprintable():
        raise PinRefused(reason="unprintable")
    plain = "".join(text.casefold().split())
    if _too_simple(plain):
        raise PinRefused(reason="too-simple")
    if number is not None and plain in number:
        raise PinRefused(reason="case-number")
    return text


def _too_simple(plain: str) -> bool:
    steps = {ord(after) - ord(before) for before, after in pairwise(plain)}
    return (
        len(set(plain)) <= 2
        or steps in ({1}, {-1}, {1, -9}, {-1, 9})  # 567890 goes on at 0
        or any(plain == (plain[:size] * len(plain))[: len(plain)] for size in (2, 3))
        or plain in _COMMON_PINS
    )


def _check_digit(digits: str) -> int:
    interim = 0
    for digit in digits:
        interim = _DAMM[interim][int(digit)]
    return interim
