"""What programs say of entries, as JSON: beside them, and erased with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.domain.model import OutcomeKind
from egide.store.tables.register import details, entries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.domain.model import Bank, Registration
    from egide.store.entries.revisions import Change

_NEW = {OutcomeKind.ADDED, OutcomeKind.RENEWED}


def keep(
    change: Change,
    bank: Bank,
    chunk: Sequence[Registration],
    identities: Sequence[bytes],
    kinds: Sequence[OutcomeKind],
) -> None:
    """Store what was said of the new entries of a chunk; known ones keep what they have."""
    said = {
        identity: registration.metadata
        for registration, identity, kind in zip(chunk, identities, kinds, strict=True)
        if registration.metadata and kind in _NEW
    }
    if not said:
        return
    rows = change.connection.execute(
        sa.select(entries.c.identity, entries.c.id)
        .where(entries.c.bank_id == bank.id)
        .where(entries.c.identity.in_(list(said)))
    )
    values = [{"entry_id": entry, "metadata": said[identity]} for identity, entry in rows]
    change.connection.execute(sa.insert(details), values)
