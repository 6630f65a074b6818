"""Gather what a proof says of an audit from the audit's folder."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from egide.auditing.output import MATCHES, NOT_COMPARED, SUMMARY, VETOED
from egide.auditing.progress import Progress
from egide.auditing.proof.attested import (
    AuditFacts,
    Change,
    Counts,
    GapCount,
    Matched,
    Method,
    PurgeFacts,
    PurgeFigures,
    Register,
    SourceFacts,
)
from egide.auditing.proof.leaves import Later, Leaf, SetDigest, kept_leaves
from egide.auditing.proof.statement import sentences
from egide.auditing.proof.strict import NotStrict, load_strict, read_bounded, typed
from egide.auditing.report.report import REPORT_NAME
from egide.auditing.results import Results
from egide.auditing.summary import PURGE, PURGE_SCHEMA, BankSummary, MatcherSummary
from egide.domain.model import TRANSFORMS
from egide.errors import AttestationRefused, FileUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from _typeshed import DataclassInstance

RESULT_FILES = (SUMMARY, MATCHES, VETOED, NOT_COMPARED, REPORT_NAME)
_READ_BYTES = 1 << 20
MAX_PURGE_BYTES = 64 * 1024 * 1024
"""Of `purge.json`, which has some 300 bytes of each container."""
_REPORT_EVERY_ITEMS = 4096
_Facts = TypeVar("_Facts", bound="DataclassInstance")


@dataclass(slots=True)
class Counting:
    """Reports how many items were read, over all sets."""

    report: Callable[[Progress], None]
    phase: str = "digesting"
    items: int = 0

    def over(self, leaves: Iterable[Leaf]) -> Iterator[Leaf]:
        """Hand leaves on, and count them."""
        for leaf in leaves:
            self.items += 1
            if self.items % _REPORT_EVERY_ITEMS == 0:
                self.report(Progress(phase=self.phase, items=self.items))
            yield leaf


@dataclass(frozen=True, slots=True)
class Pair:
    """The facts of an audit, and of the one before it if there is one."""

    audit: AuditFacts
    before: AuditFacts | None
    change: Change | None


def read_pair(audit: Path, after: Path | None, counting: Counting) -> Pair:
    """Read one audit, or an audit and the later one of what was made from its set.

    Raises:
        OutputMismatch, OutputUnreadable: a folder does not hold a finished audit of this version.
    """
    first = Results.open(audit)
    if after is None:
        return Pair(read_facts(audit, first, None, counting), None, None)
    second = Results.open(after)
    later = Later(digests_of(second))
    return Pair(
        read_facts(after, second, None, counting),
        read_facts(audit, first, later, counting),
        later.change(digests_of(first)),
    )


def read_facts(
    folder: Path, results: Results, later: Later | None, counting: Counting
) -> AuditFacts:
    """Gather the facts of one audit."""
    built = SetDigest(later)
    for leaves in kept_leaves(results):
        built.add(counting.over(leaves))
    tree, outcomes = built.finish()
    summary = results.summary
    matched = Counter((row.trust, row.way) for row in results.matches())
    counted = tuple(Matched(*key, count) for key, count in sorted(matched.items()))
    facts = _taken(
        AuditFacts,
        summary,
        method=_method(summary),
        register=_register(summary),
        sources=tuple(_taken(SourceFacts, source) for source in summary["sources"]),
        counts=_taken(Counts, summary, matched=counted),
        gaps=tuple(_taken(GapCount, gap) for gap in summary["gaps"]),
        dataset=tree,
        outcomes=outcomes,
        files=file_digests(folder),
        sentence={},
    )
    return replace(facts, sentence=sentences(facts))


def _taken(kind: type[_Facts], summary: dict[str, Any], **given: Any) -> _Facts:
    """Make facts of what a summary has by their names, and of what is given."""
    names = {each.name for each in fields(kind)}
    return kind(**{name: summary[name] for name in names - given.keys()}, **given)


def _method(summary: dict[str, Any]) -> Method:
    anchored, keypoints = summary["anchored"]["searched"], summary["patches"]["searched"]
    return _taken(
        Method,
        summary,
        tiers=(0, 1) if anchored or keypoints else (0,),
        transforms=tuple(transform.value for transform in TRANSFORMS),
        anchored=anchored,
        keypoints=keypoints,
        keypoints_code=summary["patches"]["code"],
    )


def _register(summary: dict[str, Any]) -> Register:
    matcher = summary["matcher"]
    return _taken(
        Register,
        summary,
        revision=summary["store_revision"],
        revision_at=summary["store_revision_at"],
        banks=tuple(_taken(BankSummary, bank) for bank in summary["banks"]),
        banks_disabled=tuple(summary["banks_disabled"]),
        matcher=None if matcher is None else _taken(MatcherSummary, matcher),
    )


def digests_of(results: Results) -> Iterator[bytes]:
    """The SHA-256 of each item whose bytes are known."""
    for planned in results.shards():
        for item in results.items(planned.id):
            if item.sha256 is not None:
                yield item.sha256


def file_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each result file that is there, by name.

    Raises:
        FileUnreadable: one cannot be read.
    """
    found = {}
    for name in RESULT_FILES:
        path = folder / name
        if path.exists():
            found[name] = file_sha256(path)
    return found


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal.

    Raises:
        FileUnreadable: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while data := stream.read(_READ_BYTES):
                digest.update(data)
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise FileUnreadable(name=path, reason=reason) from error
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _PurgedAudit:
    store_id: str
    store_revision: int
    dataset_sha256: str


@dataclass(frozen=True, slots=True)
class _PurgedContainer:
    name: str


@dataclass(frozen=True, slots=True)
class _Purge:
    schema_version: int
    audit: _PurgedAudit
    containers: tuple[_PurgedContainer, ...]
    verified: bool


def read_purge(path: Path, before: AuditFacts) -> PurgeFacts:
    """Read what a purge says of itself.

    Args:
        path: of `purge.json`, or of the folder that holds it.
        before: the audit that the purge went by.

    Raises:
        AttestationUnreadable: the file cannot be read.
        AttestationRefused: it is of another audit or version, or the purge did not end well.
    """
    path = path / PURGE if path.is_dir() else path
    data = read_bounded(path, MAX_PURGE_BYTES)
    try:
        values = load_strict(data)
        purge, figures = typed(_Purge, values), typed(PurgeFigures, values)
    except NotStrict as error:
        raise AttestationRefused(reason=f"in {path.name}, {error}") from error
    audit = purge.audit
    if purge.schema_version != PURGE_SCHEMA:
        raise AttestationRefused(reason=f"{path.name} is of another version of Egide")
    of = (audit.store_id, audit.store_revision, audit.dataset_sha256)
    if of != (before.register.store_id, before.register.revision, before.dataset_sha256):
        raise AttestationRefused(reason=f"{path.name} is of the purge of another audit")
    if not purge.verified:
        raise AttestationRefused(reason="the purge was not verified: run it again, it goes on")
    return PurgeFacts(
        **{each.name: getattr(figures, each.name) for each in fields(figures)},
        containers=len(purge.containers),
        sha256=hashlib.sha256(data).hexdigest(),
    )
