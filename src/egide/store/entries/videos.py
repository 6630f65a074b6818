"""When the codes of entries are seen in the videos that they are of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.domain.model import OutcomeKind
from egide.store.tables.register import entries, videos

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.domain.model import Bank, Registration
    from egide.store.entries.revisions import Change


def keep(
    change: Change,
    bank: Bank,
    chunk: Sequence[Registration],
    identities: Sequence[bytes],
    kinds: Sequence[OutcomeKind],
) -> int:
    """Store the times of a chunk's videos; entries that have some keep theirs.

    Returns:
        how many entries were changed that this change had not touched yet.
    """
    wanted = {
        identity: registration
        for registration, identity, kind in zip(chunk, identities, kinds, strict=True)
        if registration.video is not None and kind is not OutcomeKind.REFUSED
    }
    if not wanted:
        return 0
    rows = change.connection.execute(
        sa.select(entries.c.identity, entries.c.id)
        .where(entries.c.bank_id == bank.id)
        .where(entries.c.identity.in_(list(wanted)))
        .where(entries.c.id.not_in(sa.select(videos.c.entry_id)))
    )
    new = {entry: wanted[identity] for identity, entry in rows}
    if not new:
        return 0
    change.connection.execute(
        sa.insert(videos),
        [
            {
                "entry_id": entry,
                "version": one.video.version,
                "duration_ms": one.video.duration_ms,
                "times": one.video.packed(),
            }
            for entry, one in new.items()
            if one.video is not None
        ],
    )
    for entry, one in new.items():
        # A partner of before videos may have given fewer codes: each of these has its time.
        change.connection.execute(
            sa.update(entries)
            .where(entries.c.id == entry)
            .values(pdqs=b"".join(one.pdqs), trimmed=0)
        )
    change.touch(new)
    return change.mark(list(new))
