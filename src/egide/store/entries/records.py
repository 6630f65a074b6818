"""Convert the rows of banks and entries to values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from egide.domain.model import PDQ_BYTES, Bank, BankKind, Entry, State, Trust
from egide.domain.times import moment
from egide.domain.video import Track
from egide.store.tables.register import anchored, banks, entries, keypoints, videos

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MAX_CODES_READ = 100_000
"""Codes of entries that are read at a time, and given to a partner in one page: 7 MB of JSON. A
video has up to `MAX_VIDEO_FRAMES`, other entries few."""
_ROWS = 500
_STATES = {state.value: state for state in State}
_TRUSTS = {trust.value: trust for trust in Trust}

ENTRY_COLUMNS = (
    entries.c.id,
    entries.c.bank_id,
    entries.c.pdqs,
    entries.c.sha256,
    entries.c.md5,
    entries.c.quality,
    entries.c.trust,
    entries.c.state,
    entries.c.source,
    entries.c.note,
    entries.c.added,
    entries.c.changed,
    entries.c.expires,
    entries.c.revision,
    entries.c.trimmed,
    entries.c.sha1,
    entries.c.url_sha256,
    entries.c.url_md5,
    sa.exists().where(keypoints.c.entry_id == entries.c.id),
    # Their length alone: of many entries the codes would be most of what is read.
    sa.select(sa.func.length(anchored.c.codes))
    .where(anchored.c.entry_id == entries.c.id)
    .scalar_subquery(),
    *(
        sa.select(column).where(videos.c.entry_id == entries.c.id).scalar_subquery()
        for column in (videos.c.times, videos.c.duration_ms, videos.c.version)
    ),
)
"""In the order that `entry_of` takes."""

BANK_COLUMNS = (
    banks.c.id,
    banks.c.name,
    banks.c.radius_bits,
    banks.c.description,
    banks.c.enabled,
    banks.c.kind,
    banks.c.enabled_ratio,
    banks.c.kept,
)


def bank_of(row: Sequence[Any]) -> Bank:
    """The bank in a row of `BANK_COLUMNS`."""
    bank_id, name, radius_bits, description, enabled, kind, enabled_ratio, kept = row
    return Bank(
        bank_id, name, radius_bits, description, enabled, BankKind(kind), enabled_ratio, kept
    )


def entry_of(row: Sequence[Any], bank_names: Mapping[int, str]) -> Entry:
    """The entry in a row of `ENTRY_COLUMNS`."""
    (
        entry_id,
        bank_id,
        codes,
        sha256,
        md5,
        quality,
        trust,
        state,
        source,
        note,
        added,
        changed,
        expires,
        revision,
        trimmed,
        sha1,
        url_sha256,
        url_md5,
        has_keypoints,
        anchored_bytes,
        times,
        duration_ms,
        video_version,
    ) = row
    pdqs = split_codes(codes)
    trimmed_pdqs: tuple[bytes, ...] = ()
    if trimmed:
        pdqs, trimmed_pdqs = pdqs[:-trimmed], pdqs[-trimmed:]
    return Entry(
        entry_id,
        bank_names[bank_id],
        pdqs,
        sha256,
        md5,
        quality,
        _TRUSTS[trust],
        _STATES[state],
        source,
        note,
        moment(added),
        moment(changed),
        None if expires is None else moment(expires),
        revision,
        trimmed_pdqs,
        bool(has_keypoints),
        (anchored_bytes or 0) // PDQ_BYTES,
        None,
        sha1,
        url_sha256,
        url_md5,
        None if times is None else Track.kept(times, duration_ms, video_version),
    )


def read_some(
    connection: sa.Connection, query: sa.Select[Any], bank_names: Mapping[int, str]
) -> tuple[list[Entry], bool]:
    """Read the entries of a query of `ENTRY_COLUMNS`, as long as they have few codes together.

    Returns:
        the first entries, and whether others were left that made more than `MAX_CODES_READ`.
    """
    found: list[Entry] = []
    codes = 0
    with connection.execute(query, execution_options={"yield_per": _ROWS}) as rows:
        for row in rows:
            if codes >= MAX_CODES_READ:
                return found, True
            found.append(entry_of(row, bank_names))
            codes += len(found[-1].pdqs)
    return found, False


def in_pages(
    connection: sa.Connection, query: sa.Select[Any], bank_names: Mapping[int, str], size: int
) -> Iterator[list[Entry]]:
    """Read the entries of a query of `ENTRY_COLUMNS` in pages, in constant memory.

    Args:
        connection: whose transaction stays open meanwhile.
        query: of them.
        bank_names: by the bank's id.
        size: most entries of a page; it has fewer where these have `MAX_CODES_READ` codes.
    """
    page: list[Entry] = []
    codes = 0
    for row in connection.execute(query, execution_options={"yield_per": _ROWS}):
        page.append(entry_of(row, bank_names))
        codes += len(page[-1].pdqs)
        if len(page) >= size or codes >= MAX_CODES_READ:
            yield page
            page, codes = [], 0
    if page:
        yield page


def split_codes(codes: bytes | None) -> tuple[bytes, ...]:
    """The PDQ codes of an entry, stored end to end."""
    if codes is None:
        return ()
    if len(codes) == PDQ_BYTES:
        return (codes,)
    return tuple(codes[at : at + PDQ_BYTES] for at in range(0, len(codes), PDQ_BYTES))
