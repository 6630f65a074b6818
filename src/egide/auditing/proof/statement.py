"""What a proof says: an in-toto statement whose predicate is a Simple Verification Result.

Source: in-toto/attestation, spec/v1/statement.md and spec/predicates/svr.md. What Egide adds stands
in one extension field, `egide`; see docs/reference/proof.md.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from egide._version import __version__
from egide.auditing.proof.attested import PROOF_SCHEMA, Attested
from egide.auditing.proof.strict import NotStrict, Reason, load_strict, typed
from egide.auditing.report.sentence import head_sentence, report_wording
from egide.auditing.rows import WAYS
from egide.domain.coverage import GapKind
from egide.domain.model import MAX_RADIUS_BITS, Mode, Trust
from egide.text.wording import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.auditing.proof.attested import AuditFacts

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/svr/v0.1"
VERIFIER = "urn:egide:audit:1"
DIGEST = "egideDatasetV1"
SUBJECT = "dataset"

_SHA256 = re.compile(r"[0-9a-f]{64}")


class OtherSchema(ValueError):
    """The proof is of another schema; `args[0]` says which."""


@dataclass(frozen=True, slots=True)
class Statement:
    """The whole statement: whom and what it is about besides what Egide adds."""

    created: str
    attested: Attested

    def subject(self) -> list[dict[str, Any]]:
        """What the statement is about: the set that was audited last. Its name is in no proof."""
        return [{"name": SUBJECT, "digest": {DIGEST: self.attested.audit.dataset.root}}]

    def to_json(self) -> dict[str, Any]:
        """Return the statement as plain values."""
        return {
            "_type": STATEMENT_TYPE,
            "subject": self.subject(),
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "verifier": {"id": VERIFIER},
                "timeCreated": self.created,
                "properties": self.attested.properties(),
                "egide": asdict(self.attested),
            },
        }

    def serialize(self) -> bytes:
        """Return the bytes to sign."""
        return json.dumps(self.to_json(), ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Received:
    """A statement as somebody sent it.

    Attributes:
        problems: where it contradicts itself.
    """

    statement: Statement
    problems: tuple[Reason, ...]


def parse_statement(payload: bytes) -> Received:
    """Read a statement.

    Raises:
        NotStrict: it is not a statement about an audit; the message says why.
        OtherSchema: it has another schema.
    """
    values = load_strict(payload)
    if values.get("_type") != STATEMENT_TYPE:
        raise NotStrict("other-value", field="_type", expected=STATEMENT_TYPE)
    if values.get("predicateType") != PREDICATE_TYPE:
        raise NotStrict("other-value", field="predicateType", expected=PREDICATE_TYPE)
    predicate = _within(values, "predicate")
    if _within(predicate, "verifier").get("id") != VERIFIER:
        raise NotStrict("other-value", field="verifier.id", expected=VERIFIER)
    facts = _within(predicate, "egide")
    if (schema := facts.get("schema_version")) != PROOF_SCHEMA or type(schema) is not int:
        raise OtherSchema(schema if type(schema) is int else "unknown")
    attested = typed(Attested, facts, "egide")
    statement = Statement(typed(str, predicate.get("timeCreated"), "timeCreated"), attested)
    problems = contradictions(attested)
    if moment(statement.created) is None:
        problems.append(Reason("no-moment"))
    if values.get("subject") != statement.subject():
        problems.append(Reason("subject", {"name": SUBJECT}))
    if predicate.get("properties") != attested.properties():
        problems.append(Reason("properties"))
    return Received(statement, tuple(problems))


def _within(values: dict[str, Any], name: str) -> dict[str, Any]:
    found = values.get(name)
    if not isinstance(found, dict):
        raise NotStrict("no-field", field=name)
    return found


def sentences(facts: AuditFacts) -> dict[str, str]:
    """The result of an audit in one sentence, in each language, without names of the dataset."""
    values = {
        "items": facts.counts.items,
        "hashed": facts.counts.hashed,
        "not_matchable": facts.counts.not_matchable,
        "matched_items": facts.counts.matched_items,
        "vetoed_items": facts.counts.vetoed_items,
        "gaps": [{"kind": gap.kind, "count": gap.count, "name": ""} for gap in facts.gaps],
        "patches": {"code": facts.method.keypoints_code},
        "banks": [{"name": bank.name} for bank in facts.register.banks],
        "banks_disabled": list(facts.register.banks_disabled),
        "not_compared": facts.not_compared,
        "store_revision": facts.register.revision,
        "matcher": None if facts.register.matcher is None else asdict(facts.register.matcher),
    }
    return {lang: head_sentence(values, report_wording(lang)) for lang in LANGUAGES}


def contradictions(attested: Attested) -> list[Reason]:
    """What cannot be true together in the counts of a proof."""
    found = []
    for name, facts in attested.audits():
        found += [
            Reason("within", {"audit": name, "reason": Reason(key)})
            for key in _contradictions(facts)
        ]
    change, before = attested.change, attested.before
    if (change is None) != (before is None):
        found.append(Reason("change-alone"))
    if before is not None:
        found += map(Reason, _between(before, attested.audit))
        found += map(Reason, _made(before, attested))
    elif attested.purge is not None:
        found.append(Reason("purge-alone"))
    return found


def _contradictions(facts: AuditFacts) -> Iterator[str]:
    """The keys of reasons why the counts of one audit cannot be true together."""
    counts, gaps = facts.counts, Counter[str]()
    for gap in facts.gaps:
        gaps[gap.kind] += gap.count
    if counts.items != counts.hashed + counts.unreadable:
        yield "items"
    if gaps[GapKind.ITEM] != counts.unreadable:
        yield "unreadable-items"
    if set(gaps) - set(GapKind) or any(gap.count == 0 for gap in facts.gaps):
        yield "gap"
    if counts.matches != sum(each.matches for each in counts.matched):
        yield "matches"
    if counts.matched_items > min(counts.items, counts.matches):
        yield "matched-items"
    if bool(counts.matched_items) != bool(counts.matches):
        yield "matches-alone"
    if counts.items != sum(source.items for source in facts.sources):
        yield "sources"
    if facts.not_compared not in {None, "no-picture"} and counts.matches:
        yield "matched-nothing"
    if facts.outcomes.compared > facts.dataset.leaves or facts.outcomes.gone > facts.dataset.leaves:
        yield "leaves"
    digests = [facts.dataset.root, facts.outcomes.root, facts.dataset_sha256, *facts.files.values()]
    if not all(map(_SHA256.fullmatch, digests)):
        yield "digest"
    started, ended = moment(facts.started_at), moment(facts.finished_at)
    if started is None or ended is None or started > ended:
        yield "times"
    matcher = facts.register.matcher
    if matcher and not facts.register.revision == matcher.first_revision <= matcher.last_revision:
        yield "revisions"
    known = {(trust.value, way) for trust in Trust for way in WAYS}
    if (
        facts.method.mode not in set(Mode)
        or not {(each.trust, each.way) for each in counts.matched} <= known
    ):
        yield "method"
    if any(bank.radius_bits > MAX_RADIUS_BITS for bank in facts.register.banks):
        yield "method"
    if set(facts.sentence) != set(LANGUAGES):
        yield "languages"
    elif facts.method.egide_version == __version__ and facts.sentence != sentences(facts):
        yield "sentence"


def _between(before: AuditFacts, after: AuditFacts) -> Iterator[str]:
    """The keys of reasons why two audits cannot follow each other."""
    if before.register.store_id != after.register.store_id:
        yield "registers"
    if before.register.revision > after.register.revision:
        yield "revision-back"
    ended, began = moment(before.finished_at), moment(after.started_at)
    if ended and began and began < ended:
        yield "overlap"
    if after.outcomes.gone:
        yield "gone-of-last"


def _made(before: AuditFacts, attested: Attested) -> Iterator[str]:
    """The keys of reasons why one set cannot have been made of the other as is said."""
    after, change, purge = attested.audit, attested.change, attested.purge
    if change is not None and (
        change.gone < before.outcomes.gone
        or change.kept + change.gone > before.dataset.leaves
        or change.kept + change.new > after.dataset.leaves
    ):
        yield "change"
    if purge is None or change is None:
        return
    started, ended, began = map(moment, (purge.started_at, purge.finished_at, after.started_at))
    if not (started and ended and began and started <= ended <= began):
        yield "purge-times"
    if purge.removed_items > change.gone and not after.counts.compared:  # rows are no files
        yield "purge-items"
    if not _SHA256.fullmatch(purge.sha256) or not set(purge.trusts) <= set(Trust):
        yield "purge-figures"


def moment(text: str) -> datetime | None:
    """Read a time, in UTC unless it says otherwise; None if it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
