"""Read cases, for their owners and a helpline's staff.

The log names a case by a keyed reference, as it does entries; it never contains a case number.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.domain.times import unix_seconds
from egide.store.cases import submissions
from egide.store.cases.reading import count_with_active, read_case, read_summaries, read_tags
from egide.store.tables.cases import cases
from egide.store.tables.register import banks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.domain.cases import Case, CaseState, CaseSummary, NewImage
    from egide.domain.model import Trust
    from egide.store.cases.submissions import Submitted
    from egide.store.database.interface import Database

_REFERENCE_BYTES = 12


class Cases:
    """The cases of a store, for reading; `ChangingStore.cases` changes them."""

    def __init__(self, database: Database, identity_key: bytes) -> None:
        self._database = database
        self._identity_key = identity_key

    def submitted(self, submission: bytes, images: Sequence[NewImage]) -> Submitted | None:
        """The result of a submission, or None if it is new.

        Raises:
            SubmissionConflict: it was sent before with other images.
        """
        digest = submissions.digest_of(images, self._identity_key)
        with self._database.read() as connection:
            return submissions.find(connection, submission, digest)

    def get(self, case_id: int, now: datetime | None = None) -> Case:
        """A case at a time, by default the present.

        Raises:
            CaseNotFound: no case has that id.
        """
        with self._database.read() as connection:
            return read_case(connection, case_id, unix_seconds(now or datetime.now(UTC)))

    def find(self, bank: str, number: str) -> tuple[int, str] | None:
        """The id and PIN hash of the case in a bank that has this number."""
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(cases.c.id, cases.c.pin_hash)
                .join(banks, banks.c.id == cases.c.bank_id)
                .where(cases.c.number == number, banks.c.name == bank)
            ).one_or_none()
        return None if row is None else (row.id, row.pin_hash)

    def page(
        self,
        bank: str,
        *,
        before: int | None = None,
        limit: int,
        state: CaseState | None = None,
        trust: Trust | None = None,
    ) -> list[CaseSummary]:
        """Summaries of a bank's cases, newest first; a missing bank has none.

        Returns at most `limit` cases with a smaller id than `before`, the last id of the previous
        page; only cases in `state`, and only those with an active image of `trust`.
        """
        at = unix_seconds(datetime.now(UTC))
        with self._database.read() as connection:
            return read_summaries(
                connection, bank, at, before=before, limit=limit, state=state, trust=trust
            )

    def count_with_active(self, bank: str, trust: Trust) -> int:
        """The number of open cases in a bank with an active image of this trust."""
        at = unix_seconds(datetime.now(UTC))
        with self._database.read() as connection:
            return count_with_active(connection, bank, at, trust)

    def tags(self, case_id: int, salt: bytes) -> dict[int, str]:
        """A tag for each active image of a case, by the image's id; see `image_tag`."""
        with self._database.read() as connection:
            return read_tags(connection, case_id, salt)

    def reference(self, case_id: int) -> str:
        """The log's reference to a case: 24 hexadecimal digits, derived with a secret key."""
        digest = blake2b(
            case_id.to_bytes(8),
            digest_size=_REFERENCE_BYTES,
            key=self._identity_key,
            person=b"log-case",
        )
        return digest.hexdigest()
