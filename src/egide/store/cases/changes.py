"""Change cases: each act is one transaction that includes the entries and the log."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.domain.cases import Authority, CaseState
from egide.domain.model import Registration, State, Trust
from egide.domain.names import PERSON_SOURCE
from egide.domain.times import moment, unix_seconds
from egide.errors import CaseFull, ImageMissing, SubmissionConflict
from egide.store.cases import rows, submissions
from egide.store.cases.cases import Cases
from egide.store.cases.rows import CaseRow
from egide.store.cases.submissions import Submitted
from egide.store.database.erasure import note_erasure
from egide.store.entries import anchored as anchored_rows
from egide.store.entries import consent
from egide.store.entries.banks import get_bank
from egide.store.entries.registering import (
    find_known,
    identity_of,
    keep_anchored,
    register_chunk,
)
from egide.store.log import log
from egide.store.tables.cases import case_images, cases
from egide.store.tables.register import entries

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from egide.domain.cases import ConfirmReason, NewImage
    from egide.store.database.interface import Database
    from egide.store.entries.revisions import Change

_SOURCE_BYTES = 8
_CHUNK = 500
_DAY_S = 24 * 3600


class CaseChanges(Cases):
    """The cases of a store, for changing; the log names the store's actor."""

    def __init__(
        self,
        database: Database,
        identity_key: bytes,
        changing: Callable[[str], AbstractContextManager[Change]],
        actor: str,
    ) -> None:
        super().__init__(database, identity_key)
        self._changing = changing
        self._actor = actor

    def open(
        self,
        bank: str,
        images: Sequence[NewImage],
        *,
        new_number: Callable[[], str],
        pin_hash: str,
        lifetime: timedelta,
        submission: bytes,
        authority: Authority = Authority.SELF,
        opened_by: str | None = None,
    ) -> Submitted:
        """Open a case with its images, or find the case that this submission opened before.

        Args:
            bank: name of the bank for the entries.
            images: checked images; each becomes an entry with its own source.
            new_number: makes a case number; called again if a number is taken.
            pin_hash: of the PIN.
            lifetime: after which the case expires.
            submission: unique id of this submission, 32 bytes.
            authority: who authorised the opening.
            opened_by: the name of a member of staff, None for the person.

        Raises:
            BankMissing: no bank has that name.
            SubmissionConflict: it was sent before with other images.
        """
        digest = submissions.digest_of(images, self._identity_key)
        with self._changing("case-open") as change:
            known = submissions.find(change.connection, submission, digest)
            if known is not None:
                return known
            found = get_bank(change.connection, bank)
            number = new_number()
            while rows.number_is_taken(change.connection, number):
                number = new_number()
            expires = change.at + int(lifetime.total_seconds())
            made = change.connection.execute(
                sa.insert(cases).values(
                    number=number,
                    bank_id=found.id,
                    pin_hash=pin_hash,
                    state=CaseState.OPEN.value,
                    authority=authority.value,
                    opened_by=opened_by,
                    created=change.at,
                    expires=expires,
                )
            ).inserted_primary_key
            assert made is not None
            row = CaseRow(int(made[0]), found, CaseState.OPEN, expires)
            submissions.keep(change.connection, submission, digest, case_id=row.id, at=change.at)
            change.detail["authority"] = authority.value
            self._register(change, row, images)
            self._close(change, "case-open", row)
        return Submitted(row.id, pin_hash, new=True)

    def add(
        self, case_id: int, images: Sequence[NewImage], *, submission: bytes, max_images: int
    ) -> None:
        """Add images to an open case.

        Images that it has already stay as they are, but get anchored hashes that they lack.

        Args:
            case_id: of the case.
            images: checked images.
            submission: unique id of this submission; a repeated one changes nothing.
            max_images: the most images that the case may ever have.

        Raises:
            CaseNotFound, CaseEnded: there is no such case, or it is not open.
            CaseFull: there would be too many images; none was added.
            SubmissionConflict: it was sent before with other images, or for another case.
        """
        digest = submissions.digest_of(images, self._identity_key)
        with self._changing("case-add") as change:
            known = submissions.find(change.connection, submission, digest)
            if known is not None:
                if known.case_id != case_id:
                    raise SubmissionConflict
                return
            row = rows.open_row(change.connection, case_id, change.at)
            held = rows.active_entries(change.connection, row.id)
            new = [one for one in images if one.sha256 not in held]
            if rows.count_images(change.connection, row.id) + len(new) > max_images:
                raise CaseFull(limit=max_images)
            submissions.keep(change.connection, submission, digest, case_id=row.id, at=change.at)
            completed = anchored_rows.keep(
                change,
                {
                    held[one.sha256]: one.anchored
                    for one in images
                    if one.sha256 in held and one.anchored is not None
                },
            )
            if new:
                self._register(change, row, new)
            if new or completed:
                change.bank_id = row.bank.id
                change.entries += completed
                self._close(change, "case-add", row)

    def withdraw(self, case_id: int, *, authority: Authority | None = None) -> None:
        """Withdraw a case and erase its entries; an ended case does not change.

        Args:
            case_id: of the case.
            authority: for the log: who authorised it, if not the person themselves.

        Raises:
            CaseNotFound: there is no such case.
        """
        with self._changing("case-withdraw") as change:
            row = rows.find_row(change.connection, case_id)
            if row.state is not CaseState.OPEN:
                return
            consent.withdraw(change, row.bank, rows.erasable(change.connection, row.id))
            if authority is not None:
                change.detail["authority"] = authority.value
            rows.end(change.connection, row.id, CaseState.WITHDRAWN, change.at)
            self._close(change, "case-withdraw", row)

    def withdraw_image(self, case_id: int, image_id: int) -> None:
        """Withdraw one image of an open case; an ended image does not change.

        Raises:
            CaseNotFound, ImageMissing: there is no such case, or no such image in it.
        """
        with self._changing("case-withdraw") as change:
            row = rows.find_row(change.connection, case_id)
            entry = rows.entry_of_image(change.connection, row.id, image_id)
            if entry is None:
                raise ImageMissing
            if entry in rows.erasable(change.connection, row.id):
                consent.withdraw(change, row.bank, [entry])
                self._close(change, "case-withdraw", row)

    def extend(self, case_id: int, lifetime: timedelta) -> None:
        """Set the expiry of an open case and its active entries to `lifetime` from now.

        Nothing changes if that is less than a day later than before.

        Raises:
            CaseNotFound, CaseEnded: there is no such case, or it is not open.
        """
        with self._changing("case-extend") as change:
            row = rows.open_row(change.connection, case_id, change.at)
            expires = change.at + int(lifetime.total_seconds())
            if expires < row.expires + _DAY_S:
                return
            change.connection.execute(
                sa.update(cases).where(cases.c.id == row.id).values(expires=expires)
            )
            active = rows.active(change.connection, row.id)
            if active:
                change.connection.execute(
                    sa.update(entries)
                    .where(entries.c.id.in_(active))
                    .values(expires=expires, changed=change.at, revision=change.revision())
                )
                change.bank_id = row.bank.id
                change.entries += len(active)
                change.touch(active)
            change.detail["expires"] = expires
            self._close(change, "case-extend", row)

    def confirm(self, case_id: int, reason: ConfirmReason, *, image_id: int | None = None) -> None:
        """Confirm the unverified entries of an open case that a helpline vouches for.

        Disputed entries stay disputed.

        Args:
            case_id: of the case.
            reason: for the log.
            image_id: the one image to confirm, None for all.

        Raises:
            CaseNotFound, CaseEnded: there is no such case, or it is not open.
            ImageMissing: there is no such image in it.
        """
        with self._changing("case-confirm") as change:
            row = rows.open_row(change.connection, case_id, change.at)
            unverified = sa.and_(
                entries.c.state == State.ACTIVE.value, entries.c.trust == Trust.UNVERIFIED.value
            )
            waiting = rows.entry_ids(change.connection, row.id, unverified)
            if image_id is not None:
                entry = rows.entry_of_image(change.connection, row.id, image_id)
                if entry is None:
                    raise ImageMissing
                waiting = [one for one in waiting if one == entry]
            if not waiting:
                return
            consent.set_trust(change, row.bank, waiting, Trust.CONFIRMED)
            change.detail["reason"] = reason.value
            self._close(change, "case-confirm", row)

    def expire(self, now: datetime | None = None) -> int:
        """End the open cases that have expired, each in its own transaction.

        Returns:
            the number of cases ended.
        """
        at = unix_seconds(now or datetime.now(UTC))
        overdue = (
            sa.select(cases.c.id)
            .where(cases.c.state == CaseState.OPEN.value, cases.c.expires <= at)
            .order_by(cases.c.id)
        )
        with self._database.read() as connection:
            due = connection.execute(overdue).scalars().all()
        count = 0
        for case_id in due:
            with self._changing("case-expire") as change:
                # The case may have been extended or ended elsewhere meanwhile.
                if change.connection.execute(overdue.where(cases.c.id == case_id)).scalar() is None:
                    continue
                row = rows.find_row(change.connection, case_id)
                active = rows.active(change.connection, row.id)
                consent.expire_entries(change, row.bank, active)
                rows.end(change.connection, row.id, CaseState.EXPIRED, row.expires)
                self._close(change, "case-expire", row)
                count += 1
        return count

    def forget(self, kept: timedelta, now: datetime | None = None) -> int:
        """Delete cases that ended long ago, and submissions that can no longer be repeated.

        Only its erased entries and its log records are left of a case then.

        Args:
            kept: how long a case is kept after its end.
            now: the time to use; by default the present.

        Returns:
            the number of deleted cases.
        """
        at = unix_seconds(now or datetime.now(UTC))
        old = (
            sa.select(cases.c.id)
            .where(cases.c.state != CaseState.OPEN.value)
            .where(cases.c.ended <= at - int(kept.total_seconds()))
            .limit(_CHUNK)
        )
        count = 0
        with self._database.read() as connection:
            idle = not submissions.any_due(connection, at)
            if idle and connection.execute(old.limit(1)).scalar() is None:
                return 0
        while True:
            with self._database.write() as connection:
                submissions.forget(connection, at)
                case_ids = connection.execute(old).scalars().all()
                if not case_ids:
                    return count
                rows.delete(connection, case_ids)
                note_erasure(connection, at=at)
            count += len(case_ids)

    def _register(self, change: Change, row: CaseRow, images: Sequence[NewImage]) -> None:
        """Make an entry for each image, each with a unique source."""
        registrations = [
            Registration(
                pdqs=() if image.pdq is None else (image.pdq,),
                sha256=image.sha256,
                quality=image.quality,
                source=PERSON_SOURCE + secrets.token_hex(_SOURCE_BYTES),
                trust=Trust.UNVERIFIED,
                expires=moment(row.expires),
                anchored=image.anchored,
            )
            for image in images
        ]
        identities = [identity_of(one, self._identity_key) for one in registrations]
        change.bank_id = row.bank.id
        kinds = register_chunk(change, row.bank, registrations, identities, again=False)
        keep_anchored(change, row.bank, registrations, identities, kinds)
        found = find_known(change.connection, row.bank, identities)
        numbers = [found[identity].entry for identity in identities]
        change.entries += len(numbers)
        change.touch(numbers)
        change.connection.execute(
            sa.insert(case_images),
            [
                {"case_id": row.id, "entry_id": entry, "kind": image.kind.value, "added": change.at}
                for entry, image in zip(numbers, images, strict=True)
            ],
        )

    def _close(self, change: Change, action: str, row: CaseRow) -> None:
        """Log the case, even if none of its entries has changed."""
        change.detail["case"] = self.reference(row.id)
        if not change.made_revision:
            log.append(
                change.connection,
                at=change.at,
                actor=self._actor,
                action=action,
                bank=row.bank.name,
                detail=change.detail,
            )
