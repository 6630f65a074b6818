"""The door for attesting: from the folders of finished audits to a signed proof."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from egide.auditing.proof.attested import PROOF_SCHEMA, Attested
from egide.auditing.proof.envelope import Envelope
from egide.auditing.proof.facts import Counting, read_pair, read_purge
from egide.auditing.proof.statement import Statement, contradictions, moment
from egide.auditing.summary import PURGE
from egide.errors import AttestationExists, AttestationRefused, OutputUnwritable
from egide.files import written_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from egide.auditing.progress import Progress
    from egide.auditing.proof.attested import AuditFacts, Change, PurgeFacts
    from egide.security.signing import SigningKey


def attest(
    audit: str | Path,
    after: str | Path | None = None,
    *,
    key: SigningKey,
    out: str | Path,
    purge: str | Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Statement:
    """Sign what an audit found, or what it found before and after a purge.

    Args:
        audit: folder of a finished audit.
        after: folder of the audit of what was made from the set of the first.
        key: that signs.
        out: file for the proof; it is never replaced.
        purge: `purge.json`, or the folder that holds it; by default it is looked for beside the
            first audit.
        on_progress: called now and then.

    Returns:
        the statement that was signed.

    Raises:
        OutputMismatch, OutputUnreadable: a folder does not hold a finished audit of this version.
        AttestationRefused: the two audits do not belong together, or the purge not to them.
        AttestationExists, OutputUnwritable: the proof cannot be written.
    """
    before_folder, out = Path(audit), Path(out)
    if out.exists():
        raise AttestationExists(name=out)
    counting = Counting(on_progress or (lambda _progress: None))
    pair = read_pair(before_folder, None if after is None else Path(after), counting)
    purged = None
    if pair.before is not None and pair.change is not None:
        for reason in _apart(pair.before, pair.audit):
            raise AttestationRefused(reason=reason)
        place = before_folder / PURGE if purge is None else Path(purge)
        if purge is not None or place.exists():
            purged = read_purge(place, pair.before)
            for reason in _unlike(purged, pair.change, pair.audit):
                raise AttestationRefused(reason=reason)
    elif purge is not None:
        reason = "a purge is attested with the audit of what it left: name that folder too"
        raise AttestationRefused(reason=reason)
    attested = Attested(PROOF_SCHEMA, pair.audit, pair.before, pair.change, purged)
    for contradiction in contradictions(attested):
        raise AttestationRefused(reason=contradiction)
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    statement = Statement(created, attested)
    try:
        with written_whole(out, replacing=False) as stream:
            stream.write(Envelope.sign(statement.serialize(), key).serialize())
    except FileExistsError as error:
        raise AttestationExists(name=out) from error
    except OSError as error:
        raise OutputUnwritable(name=out, reason=error.strerror or error) from error
    return statement


def _apart(before: AuditFacts, after: AuditFacts) -> Iterator[str]:
    """Why a later audit does not say of its set what the earlier one said of its own."""
    old, new = before.register, after.register
    if old.store_id != new.store_id:
        yield "the second was compared with another register"
    if new.revision < old.revision:
        yield "the second was compared with an earlier revision than the first"
    if _time(after.started_at) < _time(before.finished_at):
        yield "the second began before the first ended"
    radii = {bank.name: bank.radius_bits for bank in new.banks}
    if missing := [bank.name for bank in old.banks if bank.name not in radii]:
        yield f"the second left out the bank {missing[0]}, which the first searched"
    if any(radii[bank.name] < bank.radius_bits for bank in old.banks if bank.name in radii):
        yield "the second searched with a smaller radius than the first"
    if before.method.anchored and not after.method.anchored:
        yield "the first was thorough, and the second was not"
    if before.method.keypoints and not after.method.keypoints:
        yield "the first searched by keypoints, and the second did not"


def _unlike(purge: PurgeFacts, change: Change, after: AuditFacts) -> Iterator[str]:
    """Why the later set is not what the purge left."""
    if _time(after.started_at) < _time(purge.finished_at):
        yield "the second audit began before the purge ended"
    if change.new:
        yield f"the second set is no purged one: files that the first did not have: {change.new:,}"
    if change.gone < purge.removed_items and not _has_rows(after):
        yield f"the purge took out {purge.removed_items:,} items, and {change.gone:,} are gone"


def _time(text: str) -> datetime:
    if (found := moment(text)) is None:
        raise AttestationRefused(reason=f"{text!r} is no time")
    return found


def _has_rows(facts: AuditFacts) -> bool:
    """Whether rows of tables, which are not files, are among what was compared."""
    return bool(facts.counts.compared)
