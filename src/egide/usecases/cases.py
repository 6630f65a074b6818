"""The acts on a case, by its person or by a helpline for them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from egide.domain.access import Role
from egide.domain.cases import (
    Authority,
    CaseRules,
    CaseState,
    ImageKind,
    PartnerState,
    PartnerStatus,
    check_pin,
    new_number,
    normal_pin,
    parse_number,
)
from egide.domain.model import PDQ_BYTES, SIGNAL_BYTES, Pdq, Signal
from egide.errors import CaseFull, CaseNotFound, HashInvalid, SubmissionConflict, UsageError
from egide.hashlist.values import meaningless
from egide.security.passwords import hash_password, place_in_line, verify_password
from egide.store.changing import ChangingStore
from egide.usecases.withdraw import settle_after_act

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from egide.domain.cases import Case, NewImage
    from egide.store import Store

OWNER_ACTOR = "case:owner"
"""How the log names the holder of a case's number and PIN; no key can have such a name."""
REGISTER_ACTOR = "egide"
_SUBMISSION_BYTES = 32
_MAX_QUALITY = 100


class Casework:
    """The cases of one bank, under one set of rules. Threads and processes may share a store.

    All methods raise a StoreError if the database fails.
    """

    def __init__(self, store: Store, bank: str, rules: CaseRules | None = None) -> None:
        self._store = ChangingStore.of(store)
        self._bank = bank
        self._rules = rules or CaseRules()

    @property
    def rules(self) -> CaseRules:
        """The rules that hold for every case."""
        return self._rules

    def open(
        self,
        images: Sequence[NewImage],
        pin: str,
        *,
        submission: bytes,
        authority: Authority = Authority.SELF,
        staff: str | None = None,
    ) -> Case:
        """Open a case; its entries are unverified and can match at once.

        Args:
            images: at least one; a repeated file counts once.
            pin: that opens the case later, together with its number.
            submission: 32 bytes from `solved`; a repetition returns the same case.
            authority: on whose behalf; `SELF` if and only if `staff` is None.
            staff: the name of the worker who opens it for somebody.

        Raises:
            PinRefused: the PIN is too easy to guess.
            CaseFull: there are more images than a case may hold.
            SubmissionConflict: it was sent before with other images or with another PIN.
            UsageError, HashInvalid: a fingerprint is invalid, or `authority` contradicts `staff`.
            BankMissing: the bank does not exist.
            Overloaded: too many PINs are being hashed at this moment.
        """
        if (authority is Authority.SELF) is not (staff is None):
            raise UsageError(reason="staff, and only staff, open a case on somebody's behalf")
        checked = _checked(images, submission)
        if len(checked) > self._rules.max_images:
            raise CaseFull(limit=self._rules.max_images)
        known = self._store.cases.submitted(submission, checked)
        if known is None:
            text = check_pin(pin)
            known = self._acting(staff).cases.open(
                self._bank,
                checked,
                new_number=lambda: _number_without(text),
                pin_hash=hash_password(text),
                lifetime=self._lifetime,
                submission=submission,
                authority=authority,
                opened_by=staff,
            )
        if not known.new and not verify_password(normal_pin(pin), known.pin_hash):
            raise SubmissionConflict
        return self.get(known.case_id)

    def add(
        self,
        case_id: int,
        images: Sequence[NewImage],
        *,
        submission: bytes,
        staff: str | None = None,
    ) -> Case:
        """Add images to an open case.

        Images that it already has stay unchanged, but get anchored hashes that they lack.

        Args:
            case_id: of the case.
            images: at least one.
            submission: 32 bytes from `solved`; a repetition changes nothing.
            staff: the name of the worker who adds them for somebody.

        Raises:
            CaseNotFound, CaseEnded: there is no such case, or it is not open.
            CaseFull: there would be too many; none was added.
            SubmissionConflict: it was sent before with other images, or for another case.
            UsageError, HashInvalid: a fingerprint is invalid.
        """
        checked = _checked(images, submission)
        self.get(case_id)
        self._acting(staff).cases.add(
            case_id, checked, submission=submission, max_images=self._rules.max_images
        )
        return self.get(case_id)

    def sign_in(self, number: str, pin: str, *, origin: str) -> Case:
        """Find a case by its number and PIN.

        Args:
            number: in any spelling that `egide.domain.cases.parse_number` reads.
            pin: in any spelling that `egide.domain.cases.normal_pin` reads.
            origin: where the request comes from; kept as a keyed hash, for a day.

        Raises:
            CaseNumberInvalid: this cannot be a case number; it does not count as an attempt.
            CaseNotFound: number and PIN do not match. The work is the same whether or not the
                number exists.
            TooManyAttempts: says after how many seconds to try again.
            Overloaded: too many sign in at this moment; it does not count as an attempt.
        """
        number = parse_number(number)
        with place_in_line():
            attempt = self._store.attempts.begin(number, origin)
            found = self._store.cases.find(self._bank, number)
            fits = verify_password(normal_pin(pin), None if found is None else found[1])
        if not fits:
            raise CaseNotFound
        assert found is not None
        self._store.attempts.succeed(attempt)
        return self.get(found[0])

    def get(self, case_id: int) -> Case:
        """The present state of a case that somebody has signed in to.

        Raises:
            CaseNotFound: the case is no longer kept.
        """
        case = self._store.cases.get(case_id)
        if case.bank != self._bank:
            raise CaseNotFound
        return case

    def image_tags(self, case: Case, salt: bytes) -> dict[int, str]:
        """Tags that tell the active images of a case apart on one page, by image id.

        See `egide.domain.cases.image_tag`.
        """
        return self._store.cases.tags(case.id, salt)

    def partners(self, case: Case, now: datetime | None = None) -> dict[int, list[PartnerStatus]]:
        """What happened to each image at each partner, with dates, in order of time.

        A partner that received an image and has not answered for `no_answer_days` gets the state
        `NO_ANSWER`, while its key reaches the bank.

        Args:
            case: the case.
            now: the reference time; by default the present.

        Returns:
            a list by image id; empty if no partner has received the image yet.
        """
        now = now or datetime.now(UTC)
        statuses: dict[int, list[PartnerStatus]] = {image.id: [] for image in case.images}
        answered: dict[int, set[str]] = defaultdict(set)
        for said in self._store.partner_reads.said(case.id):
            answered[said.image_id].add(said.partner)
            status = PartnerStatus(said.partner, PartnerState(said.kind.value), said.at)
            statuses.setdefault(said.image_id, []).append(status)
        following = self._following(case.bank, now)
        patience = timedelta(days=self._rules.no_answer_days)
        for sent in self._store.partner_reads.sent(case.id):
            own = statuses.setdefault(sent.image_id, [])
            own.append(PartnerStatus(sent.partner, PartnerState.SENT, sent.at))
            silent = sent.partner in following and sent.partner not in answered[sent.image_id]
            if silent and now >= sent.at + patience:
                own.append(PartnerStatus(sent.partner, PartnerState.NO_ANSWER, sent.at + patience))
        order = list(PartnerState)
        for own in statuses.values():
            own.sort(key=lambda one: (one.at, one.partner, order.index(one.state)))
        return statuses

    def withdraw(
        self, case_id: int, *, authority: Authority | None = None, staff: str | None = None
    ) -> Case:
        """Withdraw a case: erase its fingerprints at once and tell the partners.

        The same pictures in another case stay. A case that has ended does not change.

        Args:
            case_id: of the case.
            authority: on whose behalf, if somebody else withdraws it; it is logged.
            staff: the name of the worker who withdraws it for somebody.

        Raises:
            CaseNotFound: there is no such case.
        """
        self.get(case_id)
        self._acting(staff).cases.withdraw(case_id, authority=authority)
        settle_after_act(self._store)
        return self.get(case_id)

    def withdraw_image(self, case_id: int, image_id: int, *, staff: str | None = None) -> Case:
        """Withdraw one image of a case, which stays open.

        Raises:
            CaseNotFound, ImageMissing: there is no such case, or no such image in it.
        """
        self.get(case_id)
        self._acting(staff).cases.withdraw_image(case_id, image_id)
        settle_after_act(self._store)
        return self.get(case_id)

    def extend(self, case_id: int, *, staff: str | None = None) -> Case:
        """Extend an open case to a full lifetime from now.

        Raises:
            CaseNotFound, CaseEnded: there is no such case, or it is not open.
        """
        self.get(case_id)
        self._acting(staff).cases.extend(case_id, self._lifetime)
        return self.get(case_id)

    def expire(self, now: datetime | None = None) -> int:
        """End the expired cases of all banks; return how many."""
        count = self._store.acting_as(REGISTER_ACTOR).cases.expire(now)
        settle_after_act(self._store)
        return count

    def forget(self, now: datetime | None = None) -> int:
        """Delete cases that ended `kept_days` ago, old submissions, and attempt counts.

        Returns:
            how many cases were deleted.
        """
        self._store.attempts.forget(now)
        return self._store.cases.forget(timedelta(days=self._rules.kept_days), now)

    def ends_soon(self, case: Case, now: datetime | None = None) -> bool:
        """Whether to warn the owner of an open case that it expires soon."""
        left = case.expires - (now or datetime.now(UTC))
        return case.state is CaseState.OPEN and left <= timedelta(days=self._rules.warning_days)

    @property
    def _lifetime(self) -> timedelta:
        return timedelta(days=self._rules.lifetime_days)

    def _acting(self, staff: str | None) -> ChangingStore:
        return self._store.acting_as(OWNER_ACTOR if staff is None else f"staff:{staff}")

    def _following(self, bank: str, now: datetime) -> set[str]:
        """The names of partners that can read the bank now."""
        return {
            key.name
            for key in self._store.keys.list()
            if key.role is Role.PARTNER and key.live(now) and key.reaches(bank)
        }


def _number_without(pin: str) -> str:
    """Make a case number that does not contain the PIN."""
    plain = "".join(pin.split())
    while plain in (number := new_number()):
        pass
    return number


def _checked(images: Iterable[NewImage], submission: bytes) -> list[NewImage]:
    """Return the images as they are registered, each file once.

    Raises:
        HashInvalid: a fingerprint has the wrong length.
        UsageError: there is no image, a digest is not of a picture, or a quality or the
            submission's id is invalid.
    """
    if len(submission) != _SUBMISSION_BYTES:
        raise UsageError(reason="a submission has an id of 32 bytes")
    checked = {image.sha256: _checked_image(image) for image in images}
    if not checked:
        raise UsageError(reason="a case needs an image")
    return list(checked.values())


def _checked_image(image: NewImage) -> NewImage:
    if len(image.sha256) != SIGNAL_BYTES[Signal.SHA256]:
        raise HashInvalid(signal=Signal.SHA256, digits=2 * SIGNAL_BYTES[Signal.SHA256])
    if image.pdq is not None and len(image.pdq) != PDQ_BYTES:
        raise HashInvalid(signal=Signal.PDQ, digits=2 * PDQ_BYTES)
    if image.quality is not None and not 0 <= image.quality <= _MAX_QUALITY:
        raise UsageError(reason="a quality lies between 0 and 100")
    if (reason := meaningless(image.sha256, Signal.SHA256)) is not None:
        raise UsageError(reason=reason)
    if image.pdq is None or image.kind is ImageKind.DIGEST_ONLY:
        return replace(image, kind=ImageKind.DIGEST_ONLY, pdq=None, quality=None, anchored=None)
    # A PDQ of too little detail would match pictures that have nothing to do with the person.
    if (
        image.quality is None
        or not Pdq(image.pdq, image.quality).matchable
        or meaningless(image.pdq, Signal.PDQ) is not None
    ):
        return replace(image, kind=ImageKind.DIGEST_ONLY, pdq=None, anchored=None)
    return image
