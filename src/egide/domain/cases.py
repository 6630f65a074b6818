"""Cases: somebody's images, registered under a number and a PIN instead of a name.

The number and the PIN are all that leads back to a case. Both are read out over the phone and
copied from paper by people under stress: the number is digits only, in groups of four, with a check
digit that finds every single mistyped digit and every swap of neighbours.
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

    from egide.domain.model import State, Trust

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
# What is tried first, and is neither a run nor a repetition.
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
    """Whether a case still stands."""

    OPEN = "open"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class Authority(StrEnum):
    """By whose word a case was opened."""

    SELF = "self"
    """The person did it."""
    IN_PERSON = "in-person"
    """They asked a helpline, face to face."""
    BY_PHONE = "by-phone"
    IN_WRITING = "in-writing"
    REPRESENTATIVE = "representative"
    """Somebody who may act for them: a guardian, a lawyer."""


class ImageKind(StrEnum):
    """What of a file was fingerprinted."""

    STILL = "still"
    FIRST_FRAME = "first-frame"
    """Of an animation; its other frames are not found."""
    DIGEST_ONLY = "digest-only"
    """Only identical files are found: a video, or a picture with too little detail."""


class PartnerState(StrEnum):
    """What has become of an image at a partner."""

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
    """

    kind: ImageKind
    pdq: bytes | None = field(repr=False)
    quality: int | None
    sha256: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CaseImage:
    """One image of a case.

    Attributes:
        id: of the image, for its owner; it says nothing to others.
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
        id: the store's number of it, never shown.
        number: 12 digits; see `shown_number`.
        bank: the name of the bank that holds its entries.
        created, expires: UTC.
        ended: UTC; when it was withdrawn or had expired, None while it is open.
        opened_by: the name of a member of staff, None for the person.
        images: in the order of their adding; those that have ended too.
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
        images: how many it has, those that have ended too.
        active, unverified, confirmed, disputed, false_positives: how many of them are active;
            active and not confirmed yet; active and confirmed; active and disputed; found to be
            false positives.
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
    """What holds for every case.

    Attributes:
        max_images: that one case ever holds, withdrawn ones too.
        lifetime_days: after which it expires, if it is not extended.
        warning_days: so long before, its owner is told.
        kept_days: so long an ended case can be looked at, then nothing of it is left.
        no_answer_days: after which silence of a partner is called so.
    """

    max_images: int = 100
    lifetime_days: int = 730
    warning_days: int = 60
    kept_days: int = 30
    no_answer_days: int = 14


def image_tag(sha256: bytes, salt: bytes) -> str:
    """What tells an image of a case from the others on one page: 5 hexadecimal digits.

    Whoever sees the page can test with it whether a file that they have is in the case. So it is
    short: of a hundred thousand other files ten have the same one, and it proves nothing.

    Args:
        sha256: of the file.
        salt: 32 bytes that change with each visit, so that two visits tell no more than one.
    """
    return hashlib.sha256(salt + sha256).hexdigest()[:TAG_DIGITS]


def new_number() -> str:
    """Make a case number at random: 12 digits, the last one the check digit."""
    digits = f"{secrets.randbelow(10 ** (NUMBER_DIGITS - 1)):0{NUMBER_DIGITS - 1}d}"
    return digits + str(_check_digit(digits))


def parse_number(text: str) -> str:
    """Return the 12 digits of a case number as somebody typed or dictated it.

    Spaces, dots, dashes and full-width or other digits of Unicode are forgiven.

    Raises:
        CaseNumberInvalid: it has not 12 digits, or the check digit does not fit.
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
    # With its check digit at the end, a right number leads back to 0.
    if len(number) != NUMBER_DIGITS or _check_digit(number) != 0:
        raise CaseNumberInvalid
    return number


def shown_number(number: str) -> str:
    """A case number in groups of four: `4821 7730 9154`."""
    return " ".join(number[at : at + _GROUP] for at in range(0, len(number), _GROUP))


def normal_pin(pin: str) -> str:
    """A PIN as it is hashed: however a keyboard spells it, and without spaces around it."""
    return unicodedata.normalize("NFKC", pin).strip()


def check_pin(pin: str, number: str | None = None) -> str:
    """Return a new PIN as it is to be hashed.

    Args:
        pin: that somebody chose.
        number: of the case, which the PIN must not be a part of.

    Raises:
        PinRefused: with a `reason`: `too-short`, `too-long`, `unprintable`, `case-number`, or
            `too-simple` for two kinds of characters or fewer, runs (123456, fedcba), repetitions
            (123123), and what is tried first.
    """
    if len(pin) > MAX_PIN_CHARS * 4:
        raise PinRefused(reason="too-long")  # before it is normalised, which can make it longer
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
