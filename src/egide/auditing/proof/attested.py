"""What a proof says of audits, as values: how they compared, with what, and what came of it.

docs/reference/proof.md describes each field.
"""

from __future__ import annotations

from dataclasses import dataclass

from egide.auditing.summary import BankSummary, MatcherSummary  # noqa: TC001 - types are read

PROOF_SCHEMA = 1
ALL_COMPARED = "EGIDE_ALL_COMPARED"
NO_MATCH = "EGIDE_NO_MATCH"


@dataclass(frozen=True, slots=True)
class Method:
    """How the audit compared.

    Attributes:
        mode: how pixels were read, see `egide.Mode`.
        tiers: of the search: 0, and 1 where it was asked for and possible.
        transforms: under which a registered picture is found by its PDQ.
        radius_bits: given for this audit; None where each bank's own was used.
        anchored, keypoints: whether they were searched; `keypoints_code` says what was in the way.
        versions: of the libraries; `limits`: on what one file may ask of the machine.
    """

    egide_version: str
    mode: str
    tiers: tuple[int, ...]
    transforms: tuple[str, ...]
    radius_bits: int | None
    anchored: bool
    keypoints: bool
    keypoints_code: str | None
    kernel: str
    versions: dict[str, str]
    limits: dict[str, float]


@dataclass(frozen=True, slots=True)
class Register:
    """What the dataset was compared with.

    Attributes:
        matcher: the register elsewhere that compared; None if its store was on the machine.
    """

    store_id: str
    revision: int
    revision_at: str
    banks: tuple[BankSummary, ...]
    banks_disabled: tuple[str, ...]
    matcher: MatcherSummary | None


@dataclass(frozen=True, slots=True)
class Matched:
    """How many matches there are with entries of one trust, found in one way."""

    trust: str
    way: str
    matches: int


@dataclass(frozen=True, slots=True)
class Counts:
    """The figures of `summary.json` that go by these names there."""

    items: int
    hashed: int
    unreadable: int
    not_matchable: int
    matched_items: int
    vetoed_items: int
    matches: int
    bytes: int
    compared: dict[str, int]
    matched: tuple[Matched, ...]


@dataclass(frozen=True, slots=True)
class GapCount:
    """What was not compared for one reason, in the unit of its kind."""

    kind: str
    code: str
    count: int


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """A source of the audit, without its name."""

    kind: str
    shards: int
    items: int


@dataclass(frozen=True, slots=True)
class Tree:
    """The digest of a set, and how many leaves stand under it.

    Attributes:
        root: hexadecimal.
        containers: files that hold items, and runs of single files between them.
        leaves: items, gaps met while reading, and runs of rows.
    """

    root: str
    containers: int
    leaves: int


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The digest over what became of each leaf.

    Attributes:
        root: hexadecimal, of a tree of the same shape.
        compared: leaves that were compared.
        gone: leaves with bytes that no item of the later audit has; 0 without a later one.
    """

    root: str
    compared: int
    gone: int


@dataclass(frozen=True, slots=True)
class AuditFacts:
    """One audit: its method, the register, the set, and what came of it.

    Attributes:
        not_compared: why no entry was compared, as in `summary.json`; None if some were.
        files: SHA-256 of each result file, by name.
        sentence: the result in one sentence, by language.
    """

    started_at: str
    finished_at: str
    method: Method
    register: Register
    sources: tuple[SourceFacts, ...]
    counts: Counts
    gaps: tuple[GapCount, ...]
    not_compared: str | None
    dataset: Tree
    outcomes: Outcomes
    dataset_sha256: str
    files: dict[str, str]
    sentence: dict[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """Files of the set before that are in the set after (`kept`) or not (`gone`), and new ones."""

    kept: int
    gone: int
    new: int


@dataclass(frozen=True, slots=True)
class PurgeFigures:
    """The figures of `purge.json` that go by these names there."""

    mode: str
    trusts: tuple[str, ...]
    by_part: bool
    removed_items: int
    removed_with_them: int
    left_items: dict[str, int]
    started_at: str
    finished_at: str


@dataclass(frozen=True, slots=True)
class PurgeFacts(PurgeFigures):
    """What a purge says of itself, without the names of containers.

    Attributes:
        containers: how many it looked at.
        sha256: of `purge.json`.
    """

    containers: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Attested:
    """The extension field `egide` of the predicate.

    Attributes:
        audit: of the set that the statement is about.
        before: the audit of the set that it was made from; None if only one was attested.
        change: from the set before to this one.
        purge: what was taken out in between, if `purge.json` was given.
    """

    schema_version: int
    audit: AuditFacts
    before: AuditFacts | None
    change: Change | None
    purge: PurgeFacts | None

    def audits(self) -> list[tuple[str, AuditFacts]]:
        """The audits with their names in the proof, the last one first."""
        found = [("audit", self.audit)]
        return found if self.before is None else [*found, ("before", self.before)]

    def properties(self) -> list[str]:
        """What was verified of the set, for policies: a property that is not there was not.

        `EGIDE_NO_MATCH:BANK@REVISION` says that no item that was compared matches an entry of the
        bank; `EGIDE_ALL_COMPARED`, that nothing of the set was left out.
        """
        facts = self.audit
        if facts.not_compared is not None:
            return []
        found = []
        if not facts.counts.matches:
            revision = facts.register.revision
            found = [
                f"{NO_MATCH}:{bank.name}@{revision}"
                for bank in facts.register.banks
                if bank.entries
            ]
        complete = not (facts.gaps or facts.counts.unreadable or facts.register.banks_disabled)
        return [ALL_COMPARED, *found] if complete else found
