"""The door for verifying: check a proof offline, and name each thing that does not hold."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egide.auditing.proof.attested import PROOF_SCHEMA
from egide.auditing.proof.dataset import digest_dataset
from egide.auditing.proof.envelope import Envelope
from egide.auditing.proof.facts import Counting, file_digests, file_sha256, read_pair, read_purge
from egide.auditing.proof.inclusion import Inclusion
from egide.auditing.proof.statement import OtherSchema, parse_statement
from egide.auditing.proof.strict import NotStrict, Reason, read_bounded
from egide.auditing.report.report import REPORT_NAME
from egide.auditing.summary import PURGE
from egide.domain.model import DEFAULT_LIMITS
from egide.errors import (
    AttestationRefused,
    AttestationUnreadable,
    AttestationVersion,
    AuditDiffers,
    CountsContradict,
    DatasetDiffers,
    FileDiffers,
    FileNotAttested,
    InclusionWrong,
    Mismatch,
    PropertyMissing,
    SignatureUnchecked,
    StatementWrong,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from egide.auditing.progress import Progress
    from egide.auditing.proof.attested import Attested, AuditFacts, Tree
    from egide.auditing.proof.statement import Statement
    from egide.domain.model import Limits
    from egide.security.signing import PublicKey


@dataclass(slots=True)
class Verification:
    """What came of checking a proof.

    Attributes:
        signed_by: id of the key that signed it; None if that was not checked or does not hold.
        statement: what the proof says; None if it cannot be read.
        inclusion: that of the file that was asked about, if it holds.
        problems: each thing that does not hold, with a stable code.
        checked: what was compared and holds: `signature`, `counts`, `audit`, `purge`, `report`,
            `dataset`, `item`.
        unchecked: what the proof vouches for, and nobody named to be compared: the same words.
    """

    signed_by: str | None = None
    statement: Statement | None = None
    inclusion: Inclusion | None = None
    problems: list[Mismatch] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether everything holds that was checked, the signature included."""
        return not self.problems

    def note(self, name: str, problems: Sequence[Mismatch]) -> None:
        """Take down what came of one check."""
        self.problems += problems
        if not problems:
            self.checked.append(name)


def verify(
    proof: str | Path,
    *,
    key: PublicKey | None,
    audit: str | Path | None = None,
    after: str | Path | None = None,
    purge: str | Path | None = None,
    report: str | Path | None = None,
    dataset: Sequence[str | Path] = (),
    columns: Sequence[str] = (),
    item: tuple[str, bytes] | None = None,
    inclusion: str | Path | None = None,
    expected: Sequence[str] = (),
    limits: Limits = DEFAULT_LIMITS,
    on_progress: Callable[[Progress], None] | None = None,
) -> Verification:
    """Check a proof. Nothing is fetched, besides a dataset that is named by its address.

    Args:
        proof: its file.
        key: the signer's public key; without one, the result says that nobody vouches for it.
        audit: folder of the audit, to be compared with what was attested.
        after: folder of the later one, where two were attested.
        purge: `purge.json`, or the folder that holds it; by default it is looked for in `audit`.
        report: a report that somebody received.
        dataset: sources of the set that the proof is about, to be read again.
        columns: image columns that were named for its audit.
        item: name and SHA-256 of a file.
        inclusion: the file of `include` about it.
        expected: properties that the proof must have.
        limits: on what one file of the dataset may ask of this machine.
        on_progress: called now and then.

    Raises:
        AttestationUnreadable: the proof or inclusion is no such file, or cannot be read.
        AttestationVersion: the proof has another schema.
        OutputMismatch, OutputUnreadable, SourceError, FileUnreadable: what it is compared with
            cannot be read.
    """
    proof = Path(proof)
    if (item is None) != (inclusion is None):
        raise UsageError(reason="a file and what shows that it was included go together")
    if after is not None and audit is None:
        raise UsageError(reason="the later audit is compared together with the first one")
    if columns and not dataset:
        raise UsageError(reason="a column is of a dataset that is read again: name that too")
    try:
        envelope = Envelope.parse(read_bounded(proof))
    except NotStrict as error:
        raise AttestationUnreadable(name=proof, reason=error.reason) from error
    found = Verification()
    unsigned: Mismatch | None = SignatureUnchecked() if key is None else envelope.check(key)
    found.note("signature", [unsigned] if unsigned else [])
    found.signed_by = None if key is None or unsigned else key.key_id
    try:
        received = parse_statement(envelope.payload)
    except OtherSchema as error:
        if found.problems and key is not None:
            return found  # what a stranger wrote there says nothing
        raise AttestationVersion(name=proof, found=error.args[0], expected=PROOF_SCHEMA) from error
    except NotStrict as error:
        found.problems.append(StatementWrong(reason=error.reason))
        return found
    found.statement = received.statement
    attested = received.statement.attested
    found.note("counts", [CountsContradict(reason=reason) for reason in received.problems])
    counting = Counting(on_progress or (lambda _progress: None))
    if audit is not None:
        later = None if after is None else Path(after)
        found.note("audit", list(_audits(attested, Path(audit), later, counting)))
    if purge is None and attested.purge is not None and audit is not None:
        beside = Path(audit) / PURGE
        purge = beside if beside.exists() else None
    if purge is not None:
        found.note("purge", list(_purge(attested, Path(purge))))
    if report is not None:
        found.note("report", list(_report(attested, Path(report))))
    if dataset:
        counting.phase = "reading"
        tree = digest_dataset([str(each) for each in dataset], columns, limits, counting)
        found.note("dataset", list(_dataset(attested.audit.dataset, tree)))
    if item is not None and inclusion is not None:
        shown = Inclusion.read(Path(inclusion))
        if (reason := shown.problem(attested, item[1])) is None:
            found.inclusion = shown
        wrong = [] if reason is None else [InclusionWrong(name=inclusion, reason=reason)]
        found.note("item", wrong)
    missing = [each for each in expected if each not in attested.properties()]
    found.problems += [PropertyMissing(property=each) for each in missing]
    vouched = {
        "audit": (True, audit),
        "purge": (attested.purge is not None, purge),
        "report": (bool(_reports(attested)), report),
        "dataset": (True, dataset),
    }
    found.unchecked = [name for name, (there, given) in vouched.items() if there and not given]
    return found


def _audits(
    attested: Attested, audit: Path, after: Path | None, counting: Counting
) -> Iterator[Mismatch]:
    """What of the audits' folders is not as it was attested."""
    if (attested.before is None) != (after is None):
        yield AuditDiffers(name=audit, field=Reason("one-audit" if after else "two-audits"))
        return
    pair = read_pair(audit, after, counting)
    compared = [(attested.audit, pair.audit, after or audit)]
    if attested.before is not None and pair.before is not None:
        compared.append((attested.before, pair.before, audit))
    for said, found, folder in compared:
        yield from _facts(said, found, folder)
    if attested.change != pair.change:
        yield AuditDiffers(name=after, field="change")


def _purge(attested: Attested, purge: Path) -> Iterator[Mismatch]:
    """Whether what a purge says of itself is what was attested."""
    if attested.purge is None or attested.before is None:
        yield FileNotAttested(name=purge)
        return
    try:
        same = read_purge(purge, attested.before) == attested.purge
    except AttestationRefused:
        same = False
    if not same:
        yield FileDiffers(name=purge)


def _facts(said: AuditFacts, found: AuditFacts, folder: Path) -> Iterator[Mismatch]:
    digests = file_digests(folder)
    for name, digest in said.files.items():
        if digests.get(name) != digest:
            yield FileDiffers(name=folder / name)
    one, other = (_flat(asdict(facts)) for facts in (said, found))
    for place in sorted({*one, *other}):
        top = place.partition(".")[0]
        if top not in {"files", "sentence"} and one.get(place) != other.get(place):
            yield AuditDiffers(name=folder, field=place)


def _flat(values: Any, place: str = "") -> dict[str, Any]:
    """Every value of nested ones, by its place."""
    if isinstance(values, list | tuple):
        values = {str(at): each for at, each in enumerate(values)}
    if not isinstance(values, dict):
        return {place: values}
    found: dict[str, Any] = {}
    for name, each in values.items():
        found |= _flat(each, f"{place}.{name}" if place else name)
    return found


def _reports(attested: Attested) -> set[str]:
    """The SHA-256 of the reports that were attested."""
    return {digest for _, facts in attested.audits() if (digest := facts.files.get(REPORT_NAME))}


def _report(attested: Attested, report: Path) -> Iterator[Mismatch]:
    """Whether a received report is that of one of the audits."""
    said = _reports(attested)
    if not said:
        yield FileNotAttested(name=report)
    elif file_sha256(report) not in said:
        yield FileDiffers(name=report)


def _dataset(said: Tree, found: Tree) -> Iterator[Mismatch]:
    if found == said:
        return
    if (found.containers, found.leaves) == (said.containers, said.leaves):
        reason = Reason("other-bytes")
    else:
        numbers = {"items": found.leaves, "containers": found.containers}
        numbers |= {"items_said": said.leaves, "containers_said": said.containers}
        reason = Reason("other-number", numbers)
    yield DatasetDiffers(reason=reason)
