"""Submissions of a script that open a case or add to it, strictly checked."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from egide.domain.cases import Authority, ImageKind, NewImage
from egide.domain.model import MAX_ANCHORED, MIN_MATCHABLE_QUALITY, AnchoredHashes
from egide.errors import AnchoredInvalid, RateLimited, RequestInvalid
from egide.security.proof_of_work import new_challenge, solved
from egide.server.http.rates import DAY_S

if TYPE_CHECKING:
    from egide.server.pages.site.page import Page

_PROOF_PURPOSE = "page-proof"
_HOUR_S = 3600
_MAX_IMAGES = 1000
_MAX_CHALLENGE_CHARS = 200
_MAX_PIN_CHARS = 256
"""Of the text as typed; `egide.domain.cases` limits the PIN itself, with its own errors."""
_MAX_NAMED_PLACES = 3
_DIGITS = re.compile("[0-9a-f]{64}")


def _digits(text: str) -> str:
    if _DIGITS.fullmatch(text) is None:
        raise ValueError("64 lower-case hexadecimal digits")
    return text


def _true(word: bool) -> bool:
    if not word:
        raise ValueError("true")
    return word


Digits = Annotated[str, AfterValidator(_digits)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


def _anchored(codes: tuple[str, ...]) -> AnchoredHashes | None:
    if not codes:
        return None
    try:
        return AnchoredHashes.of(map(bytes.fromhex, codes))
    except AnchoredInvalid:
        raise ValueError("anchored hashes of a picture") from None


class Image(_Strict):
    """The fingerprints of one file; `anchored` is left out where the person wishes it."""

    kind: ImageKind
    pdq: Digits | None
    quality: Annotated[int, Field(ge=MIN_MATCHABLE_QUALITY, le=100)] | None
    sha256: Digits
    anchored: Annotated[
        tuple[Digits, ...], Field(max_length=MAX_ANCHORED, strict=False, fail_fast=True)
    ] = ()

    @model_validator(mode="after")
    def _fit(self) -> Self:
        absent = self.kind is ImageKind.DIGEST_ONLY
        if (self.pdq is None) is not absent or (self.quality is None) is not absent:
            raise ValueError("a PDQ and its quality are given if and only if they are searchable")
        if absent and self.anchored:
            raise ValueError("anchored hashes are given only beside a PDQ")
        _anchored(self.anchored)
        return self

    def fingerprints(self) -> NewImage:
        """Return the fingerprints as bytes."""
        return NewImage(
            kind=self.kind,
            pdq=None if self.pdq is None else bytes.fromhex(self.pdq),
            quality=self.quality,
            sha256=bytes.fromhex(self.sha256),
            anchored=_anchored(self.anchored),
        )


class Submission(_Strict):
    """Images, the statement that nobody in them was under 18, and a proof of work."""

    challenge: Annotated[str, Field(max_length=_MAX_CHALLENGE_CHARS)]
    nonce: Annotated[int, Field(ge=0, lt=2**63)]
    adult: Annotated[bool, AfterValidator(_true)]
    images: Annotated[
        tuple[Image, ...], Field(min_length=1, max_length=_MAX_IMAGES, strict=False, fail_fast=True)
    ]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len({image.sha256 for image in self.images}) < len(self.images):
            raise ValueError("a file is repeated")
        return self

    def fingerprints(self) -> list[NewImage]:
        """Return the images' fingerprints as bytes."""
        return [image.fingerprints() for image in self.images]

    def proven(self, page: Page) -> bytes:
        """Check the proof of work.

        Returns:
            the submission's id, 32 bytes; a repetition has the same id.

        Raises:
            ProofInvalid, ProofExpired: the script must ask for another challenge.
        """
        return solved(_proof_key(page), self.challenge, self.nonce, datetime.now(UTC))


class NewCase(Submission):
    """A submission that opens a case.

    Attributes:
        authority: on whose behalf staff act; absent if the person acts.
    """

    pin: Annotated[str, Field(max_length=_MAX_PIN_CHARS, repr=False)]
    authority: Authority = Authority.SELF


class MoreImages(Submission):
    """A submission that adds images to a case.

    Attributes:
        case: the mark of the case that the form was opened for.
    """

    case: Annotated[str, Field(max_length=64)]


Kind = TypeVar("Kind", bound=Submission)


def parsed(body: bytes, kind: type[Kind]) -> Kind:
    """Read a submission.

    Raises:
        RequestInvalid: it names the place of the mistake, never the value.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        # Names of unknown fields are the sender's text, so they are not repeated.
        named = {
            f"{'.'.join(str(step) for step in one['loc'])}: {one['type']}"
            if one["type"] != "extra_forbidden"
            else "an unknown field"
            for one in error.errors(include_url=False, include_context=False, include_input=False)
        }
        reason = "; ".join(sorted(named)[:_MAX_NAMED_PLACES])
        raise RequestInvalid(reason=reason) from None


def challenge_for(page: Page) -> str:
    """Make a new proof-of-work challenge for a script."""
    bits = page.site.settings.case_proof_bits
    return new_challenge(_proof_key(page), bits, datetime.now(UTC))


def _proof_key(page: Page) -> bytes:
    return page.service.store.derived_key(_PROOF_PURPOSE)


def count_case(page: Page, submission: bytes) -> None:
    """Count a new case of an origin, in memory only; a repeated submission counts once.

    Raises:
        RateLimited: there were too many from this origin in an hour.
    """
    shared, per_hour = page.service.shared, page.site.settings.cases_per_hour
    if not shared.submissions.is_served(submission):
        return
    # Exactly `per_hour` cases may come at once.
    burst_s = _HOUR_S * (per_hour - 1) / per_hour
    wait_s = shared.cases.spend(page.origin, per_hour / _HOUR_S, 1, burst_s=burst_s)
    if wait_s:
        raise RateLimited(retry_after_s=wait_s)
    shared.submissions.spend(submission, 1 / DAY_S, 1)
