"""Register fingerprints; a known one is recognised by its keyed identity."""

from __future__ import annotations

import re
import struct
from collections import Counter
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from egide.domain.model import (
    DIGEST_SIGNALS,
    PDQ_BYTES,
    SIGNAL_BYTES,
    URL_SIGNALS,
    Outcome,
    OutcomeKind,
    Registered,
    Signal,
    State,
    digests_of,
)
from egide.domain.times import unix_seconds
from egide.errors import HashInvalid, UsageError, VideoInvalid
from egide.hashlist.values import MAX_METADATA_CHARS, MAX_NOTE_CHARS, MAX_SOURCE_CHARS
from egide.store.entries import anchored as anchored_rows
from egide.store.entries import consent
from egide.store.entries import details as detail_rows
from egide.store.entries import keypoints as keypoint_rows
from egide.store.entries import videos as video_rows
from egide.store.log.log import MAX_SUBJECTS
from egide.store.tables.register import entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from egide.domain.model import Bank, Registration
    from egide.store.entries.keypoints import Sealer
    from egide.store.entries.revisions import Change

IDENTITY_BYTES = 16
# One statement looks up a whole chunk; SQLite allows 32 766 values in a statement.
_CHUNK = 2000
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_lengths = struct.Struct(">IIII").pack


class Known(NamedTuple):
    """An existing entry: its number, its state, and its expiry in Unix seconds."""

    entry: int
    state: str
    expires: int | None


def register(
    change: Change,
    bank: Bank,
    registrations: Iterable[Registration],
    *,
    identity_key: bytes,
    sealer: Sealer,
    again: bool,
    outcomes: bool,
    ended: Iterable[Registration] = (),
) -> Registered:
    """Register in chunks within one transaction; see `EntryChanges.register`."""
    change.bank_id = bank.id
    counts: Counter[OutcomeKind] = Counter()
    completed = 0
    kept: list[Outcome] = []
    pending = iter(registrations)
    while chunk := list(islice(pending, _CHUNK)):
        identities = [identity_of(registration, identity_key) for registration in chunk]
        kinds = register_chunk(change, bank, chunk, identities, again=again)
        counts.update(kinds)
        change.grew(kinds.count(OutcomeKind.ADDED))
        detail_rows.keep(change, bank, chunk, identities, kinds)
        completed += keep_anchored(change, bank, chunk, identities, kinds)
        completed += video_rows.keep(change, bank, chunk, identities, kinds)
        completed += _keep_keypoints(change, bank, sealer, chunk, identities, kinds)
        change.touch(_numbers(change, bank, identities, kinds))
        if outcomes:
            found = find_known(change.connection, bank, identities)
            numbers = [found[identity].entry for identity in identities]
            counts_of = anchored_rows.counts(change.connection, numbers)
            kept.extend(
                Outcome(entry, kind, counts_of.get(entry, 0))
                for entry, kind in zip(numbers, kinds, strict=True)
            )
    change.entries = counts[OutcomeKind.ADDED] + counts[OutcomeKind.RENEWED] + completed
    withdrawn = _end(change, bank, ended, identity_key)
    return Registered(
        added=counts[OutcomeKind.ADDED],
        renewed=counts[OutcomeKind.RENEWED],
        known=counts[OutcomeKind.KNOWN],
        refused=counts[OutcomeKind.REFUSED],
        revision=change.final_revision(),
        outcomes=tuple(kept),
        withdrawn=withdrawn,
    )


def _end(change: Change, bank: Bank, ended: Iterable[Registration], identity_key: bytes) -> int:
    """Withdraw the entries of registrations whose source has ended them; return how many."""
    pending = iter(ended)
    before = change.entries
    while chunk := list(islice(pending, _CHUNK)):
        identities = [identity_of(registration, identity_key) for registration in chunk]
        found = find_known(change.connection, bank, identities)
        consent.withdraw(change, bank, [known.entry for known in found.values()])
    if change.entries > before:
        change.detail["withdrawn"] = change.entries - before
    return change.entries - before


def _numbers(
    change: Change, bank: Bank, identities: Sequence[bytes], kinds: Sequence[OutcomeKind]
) -> list[int]:
    """The numbers of the entries that a chunk changed, cut at one more than the log can name."""
    made = {OutcomeKind.ADDED, OutcomeKind.RENEWED}
    changed = [one for one, kind in zip(identities, kinds, strict=True) if kind in made]
    found = find_known(change.connection, bank, changed[: MAX_SUBJECTS + 1])
    return [entry.entry for entry in found.values()]


def keep_anchored(
    change: Change,
    bank: Bank,
    chunk: Sequence[Registration],
    identities: Sequence[bytes],
    kinds: Sequence[OutcomeKind],
) -> int:
    """Store the anchored hashes of a chunk; return how many known entries changed by that."""
    wanted = {
        identity: registration.anchored
        for registration, identity, kind in zip(chunk, identities, kinds, strict=True)
        if registration.anchored is not None and kind is not OutcomeKind.REFUSED
    }
    if not wanted:
        return 0
    found = find_known(change.connection, bank, list(wanted))
    return anchored_rows.keep(
        change, {found[identity].entry: kept for identity, kept in wanted.items()}
    )


def _keep_keypoints(
    change: Change,
    bank: Bank,
    sealer: Sealer,
    chunk: Sequence[Registration],
    identities: Sequence[bytes],
    kinds: Sequence[OutcomeKind],
) -> int:
    """Store the keypoints of a chunk; return how many known entries changed by that."""
    wanted = {
        identity: registration.keypoints
        for registration, identity, kind in zip(chunk, identities, kinds, strict=True)
        if registration.keypoints is not None and kind is not OutcomeKind.REFUSED
    }
    if not wanted:
        return 0
    found = find_known(change.connection, bank, list(wanted))
    numbers = {identity: entry.entry for identity, entry in found.items()}
    return keypoint_rows.keep(change, bank, sealer, wanted, numbers)


def identity_of(registration: Registration, identity_key: bytes) -> bytes:
    """The keyed identity of one fingerprint from one source, 16 bytes.

    Trimmed codes, anchored hashes and keypoints are left out: a hash list may lack them, and the
    entry is the same with or without them. Each part is preceded by its length, so that different
    registrations never yield the same bytes.

    Raises:
        HashInvalid: a value has the wrong length.
        UsageError: there is nothing to register, or its source or note cannot be stored as text.
    """
    codes = b"".join(registration.pdqs)
    sha256 = registration.sha256 or b""
    md5 = registration.md5 or b""
    _check(registration)
    source = registration.source.encode()
    digest = blake2b(digest_size=IDENTITY_BYTES, key=identity_key)
    digest.update(_lengths(len(source), len(codes), len(sha256), len(md5)))
    digest.update(source + codes + sha256 + md5)
    # Only where there are any: the identities of all other entries are older than these.
    for signal in (Signal.SHA1, *URL_SIGNALS):
        if value := getattr(registration, signal):
            digest.update(signal.encode() + value)
    return digest.digest()


def _check(registration: Registration) -> None:
    for code in registration.pdqs + registration.trimmed_pdqs:
        if len(code) != PDQ_BYTES:
            raise HashInvalid(signal=Signal.PDQ, digits=2 * PDQ_BYTES)
    digests = [*digests_of(registration)]
    for signal, digest in digests:
        if len(digest) != SIGNAL_BYTES[signal]:
            raise HashInvalid(signal=signal, digits=2 * SIGNAL_BYTES[signal])
    if not (registration.pdqs or digests):
        raise UsageError(reason="a registration needs a PDQ code or a digest")
    _check_video(registration)
    if not registration.source:
        raise UsageError(reason="a registration needs a source")
    _check_text(registration.source, MAX_SOURCE_CHARS)
    check_note(registration.note)
    if registration.metadata:
        _check_text(registration.metadata, MAX_METADATA_CHARS)


def _check_video(registration: Registration) -> None:
    video, codes = registration.video, len(registration.pdqs)
    if video is None:
        return
    if len(video) != codes or registration.trimmed_pdqs:
        raise VideoInvalid(reason=f"there are times for {len(video)} frames and {codes} codes")


def check_note(note: str) -> None:
    """Check that a note can be stored.

    Raises:
        UsageError: it cannot.
    """
    _check_text(note, MAX_NOTE_CHARS)


@lru_cache(maxsize=1024)  # the lines of a list share their source
def _check_text(text: str, max_chars: int) -> None:
    # Not every database can store these; a file name on Linux can hold a lone surrogate.
    if "\0" in text or _LONE_SURROGATE.search(text):
        raise UsageError(reason="a source or note is text without NUL or lone surrogates")
    if len(text) > max_chars:
        raise UsageError(reason=f"a source or note is too long: at most {max_chars} characters")


def register_chunk(
    change: Change,
    bank: Bank,
    chunk: Sequence[Registration],
    identities: Sequence[bytes],
    *,
    again: bool,
) -> list[OutcomeKind]:
    """Register a few thousand at most; the caller counts them and names them in the log.

    Args:
        change: the transaction.
        bank: to register in.
        chunk: registrations, checked by `identity_of`.
        identities: the identity of each.
        again: as for `EntryChanges.register`.

    Returns:
        the outcome of each.
    """
    found = find_known(change.connection, bank, identities)
    kinds: list[OutcomeKind] = []
    inserts: list[dict[str, Any]] = []
    renewed: list[int] = []
    seen: set[bytes] = set()
    for registration, identity in zip(chunk, identities, strict=True):
        expires = None if registration.expires is None else unix_seconds(registration.expires)
        if identity in seen:
            kind = OutcomeKind.KNOWN
        elif (old := found.get(identity)) is None:
            kind = OutcomeKind.ADDED
            row = _row(registration, expires, change)
            row["bank_id"] = bank.id
            row["identity"] = identity
            row["added"] = change.at
            inserts.append(row)
        else:
            kind = _decide(old, expires, change.at, again=again)
            if kind is OutcomeKind.RENEWED:
                change.connection.execute(
                    sa.update(entries)
                    .where(entries.c.id == old.entry)
                    .values(_row(registration, expires, change))
                )
                renewed.append(old.entry)
                # An overdue entry still has a note and codes, which the new one may lack.
                change.erased_entries |= old.state == State.ACTIVE
        if kind in {OutcomeKind.ADDED, OutcomeKind.RENEWED}:
            seen.add(identity)
        kinds.append(kind)
    if inserts:
        change.connection.execute(sa.insert(entries), inserts)
    # It also has these, although consent to them has ended.
    change.erase_beside(renewed)
    return kinds


def _decide(old: Known, expires: int | None, now: int, *, again: bool) -> OutcomeKind:
    if old.state == State.TOMBSTONED:
        return OutcomeKind.REFUSED
    if old.state == State.WITHDRAWN:
        return OutcomeKind.RENEWED if again else OutcomeKind.REFUSED
    if old.state == State.EXPIRED:
        return OutcomeKind.RENEWED
    # Active but overdue: it has expired but was not swept yet. A new registration that is overdue
    # itself renews nothing, so that the same list twice makes one revision.
    overdue = old.expires is not None and old.expires <= now
    if overdue and (expires is None or expires > now):
        return OutcomeKind.RENEWED
    return OutcomeKind.KNOWN


def _row(registration: Registration, expires: int | None, change: Change) -> dict[str, Any]:
    pdqs, trimmed = registration.pdqs, registration.trimmed_pdqs
    if trimmed:
        trimmed = tuple(code for code in dict.fromkeys(trimmed) if code not in pdqs)
    return {
        "pdqs": b"".join(pdqs + trimmed) or None,
        "trimmed": len(trimmed),
        **{signal: getattr(registration, signal) or None for signal in DIGEST_SIGNALS},
        "quality": registration.quality,
        "trust": registration.trust.value,
        "state": State.ACTIVE.value,
        "source": registration.source,
        "note": registration.note,
        "changed": change.at,
        "expires": expires,
        "revision": change.revision(),
    }


def find_known(
    connection: sa.Connection, bank: Bank, identities: Sequence[bytes]
) -> dict[bytes, Known]:
    """The entries of a bank that have these identities, a few thousand at most."""
    rows = connection.execute(
        sa.select(entries.c.identity, entries.c.id, entries.c.state, entries.c.expires)
        .where(entries.c.bank_id == bank.id)
        .where(entries.c.identity.in_(identities))
    )
    return {identity: Known(entry, state, expires) for identity, entry, state, expires in rows}
