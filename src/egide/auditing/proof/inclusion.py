"""Show that one file stood in an attested set: audit paths of RFC 6962, in a small file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from egide.auditing.proof.envelope import Envelope
from egide.auditing.proof.facts import Counting, digests_of
from egide.auditing.proof.leaves import (
    Later,
    SetDigest,
    container_data,
    kept_leaves,
    leaf_of,
    outcome_data,
)
from egide.auditing.proof.merkle import HASH_BYTES, MAX_PATH, root_of_path
from egide.auditing.proof.statement import parse_statement
from egide.auditing.proof.strict import NotStrict, Reason, load_strict, read_bounded, typed
from egide.auditing.results import Results
from egide.errors import (
    AttestationExists,
    AttestationRefused,
    AttestationUnreadable,
    ItemNotIncluded,
    OutputUnwritable,
)
from egide.files import written_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from egide.auditing.progress import Progress
    from egide.auditing.proof.attested import Attested, AuditFacts

INCLUSION_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Where a file stands in the two trees of a set. Digests and paths are hexadecimal.

    Attributes:
        dataset: root of the set, which says which audit of a proof is meant.
        sha256: of the file.
        container, leaf: numbers of the two leaves, from 0; `leaves`: how many the container has.
        compared: whether the file was compared.
        gone: whether no file of the later audit has these bytes.
        leaf_path, container_path: in the tree of the set.
        leaf_outcome_path, container_outcome_path: in the tree of outcomes.
    """

    schema_version: int
    dataset: str
    sha256: str
    container: int
    leaf: int
    leaves: int
    compared: bool
    gone: bool
    leaf_path: tuple[str, ...]
    container_path: tuple[str, ...]
    leaf_outcome_path: tuple[str, ...]
    container_outcome_path: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Inclusion:
        """Read it from its file.

        Raises:
            AttestationUnreadable: the file holds none, or one of another version.
        """
        try:
            found = typed(cls, load_strict(read_bounded(path)))
        except NotStrict as error:
            raise AttestationUnreadable(name=path, reason=error.reason) from error
        if found.schema_version != INCLUSION_SCHEMA:
            schemas = {"found": found.schema_version, "expected": INCLUSION_SCHEMA}
            reason = Reason("other-schema", schemas)
            raise AttestationUnreadable(name=path, reason=reason)
        return found

    def problem(self, attested: Attested, sha256: bytes) -> Reason | None:
        """Why it does not show that a file stood in an attested set; None if it does."""
        if self.sha256 != sha256.hex():
            return Reason("another-file")
        found = [facts for _, facts in attested.audits() if facts.dataset.root == self.dataset]
        if not found:
            return Reason("another-set")
        data = leaf_of(sha256, b"", compared=self.compared).data
        outcome = outcome_data(data, compared=self.compared, gone=self.gone)
        for facts in found:
            size = facts.dataset.containers
            in_set = self._root(data, self.leaf_path, self.container_path, size)
            of_outcome = self._root(
                outcome, self.leaf_outcome_path, self.container_outcome_path, size
            )
            if (in_set, of_outcome) == (facts.dataset.root, facts.outcomes.root):
                return None
        return Reason("paths")

    def _root(
        self, data: bytes, leaf_path: Sequence[str], container_path: Sequence[str], containers: int
    ) -> str | None:
        """The root that two audit paths lead to, one above the other."""
        lower, upper = _hashes(leaf_path), _hashes(container_path)
        if lower is None or upper is None:
            return None
        inner = root_of_path(data, self.leaf, self.leaves, lower)
        if inner is None:
            return None
        outer = container_data(self.leaves, inner)
        root = root_of_path(outer, self.container, containers, upper)
        return None if root is None else root.hex()


def include(
    proof: str | Path,
    audit: str | Path,
    after: str | Path | None = None,
    *,
    sha256: bytes,
    name: str,
    out: str | Path,
    on_progress: Callable[[Progress], None] | None = None,
) -> Inclusion:
    """Write that a file stood in the set of an attested audit.

    Args:
        proof: of the audits; its signature is not checked, and no key is needed.
        audit: the folder that was attested.
        after: that of the later audit, where two were.
        sha256: of the file's bytes.
        name: of the file, for errors.
        out: file to write; it is never replaced.
        on_progress: called now and then.

    Raises:
        ItemNotIncluded: no item of the sets has these bytes.
        AttestationUnreadable, OutputMismatch, OutputUnreadable: something cannot be read.
        AttestationRefused: the folders are not those that the proof is about.
        AttestationExists, OutputUnwritable: the file cannot be written.
    """
    proof, out = Path(proof), Path(out)
    try:
        attested = parse_statement(Envelope.parse(read_bounded(proof)).payload).statement.attested
    except ValueError as error:
        raise AttestationUnreadable(name=proof, reason=error) from error
    counting = Counting(on_progress or (lambda _progress: None))
    first = Results.open(Path(audit))
    second = None if after is None else Results.open(Path(after))
    if (second is None) != (attested.before is None):
        reason = "the proof is about one audit" if second else "the proof is about two audits"
        raise AttestationRefused(reason=reason)
    later = None if second is None else Later(digests_of(second))
    found = _include(first, attested.before or attested.audit, later, sha256, counting)
    if found is None and second is not None:
        found = _include(second, attested.audit, None, sha256, counting)
    if found is None:
        raise ItemNotIncluded(name=name)
    if out.exists():
        raise AttestationExists(name=out)
    try:
        with written_whole(out, replacing=False) as stream:
            stream.write(json.dumps(asdict(found), indent=1).encode("ascii") + b"\n")
    except OSError as error:
        raise OutputUnwritable(name=out, reason=error.strerror or error) from error
    return found


def _include(
    results: Results, facts: AuditFacts, later: Later | None, sha256: bytes, counting: Counting
) -> Inclusion | None:
    """Find the first item with some bytes, and its audit paths; None if there is none."""
    place = next(
        (
            (container, number, leaf)
            for container, leaves in enumerate(kept_leaves(results))
            for number, leaf in enumerate(counting.over(leaves))
            if leaf.sha256 == sha256
        ),
        None,
    )
    if place is None:
        return None
    container, number, leaf = place
    built = SetDigest(later, (container, number))
    for leaves in kept_leaves(results):
        built.add(counting.over(leaves))
    tree, outcomes = built.finish()
    if (tree, outcomes) != (facts.dataset, facts.outcomes):
        raise AttestationRefused(reason="the proof is about other audits than these")
    paths = built.paths()
    return Inclusion(
        schema_version=INCLUSION_SCHEMA,
        dataset=tree.root,
        sha256=sha256.hex(),
        container=container,
        leaf=number,
        leaves=paths.leaves,
        compared=leaf.compared,
        gone=built.is_gone(sha256),
        leaf_path=_hexadecimal(paths.leaf),
        container_path=_hexadecimal(paths.container),
        leaf_outcome_path=_hexadecimal(paths.leaf_outcome),
        container_outcome_path=_hexadecimal(paths.container_outcome),
    )


def _hexadecimal(path: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(each.hex() for each in path)


def _hashes(path: Sequence[str]) -> list[bytes] | None:
    """The hashes of an audit path; None if it is not one."""
    if len(path) > MAX_PATH:
        return None
    try:
        found = [bytes.fromhex(each) for each in path]
    except ValueError:
        return None
    same = all(
        len(each) == HASH_BYTES and each.hex() == text
        for each, text in zip(found, path, strict=True)
    )
    return found if same else None
