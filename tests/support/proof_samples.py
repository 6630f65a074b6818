"""Proofs made of nothing: the facts of an audit that never was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from egide._version import __version__
from egide.auditing.proof.attested import (
    PROOF_SCHEMA,
    Attested,
    AuditFacts,
    Change,
    Counts,
    GapCount,
    Matched,
    Method,
    Outcomes,
    PurgeFacts,
    Register,
    SourceFacts,
    Tree,
)
from egide.auditing.proof.envelope import Envelope
from egide.auditing.proof.statement import Statement, sentences
from egide.auditing.summary import BankSummary
from egide.security.signing import SigningKey


def facts(**changes: Any) -> AuditFacts:
    """An audit of 12 items: 10 were compared, 2 were not, nothing matched."""
    values: dict[str, Any] = {
        "started_at": "2026-11-30T10:00:00+00:00",
        "finished_at": "2026-11-30T10:01:00+00:00",
        "method": Method(
            egide_version=__version__,
            mode="fast",
            tiers=(0, 1),
            transforms=("identity", "rotate-90"),
            radius_bits=None,
            anchored=True,
            keypoints=False,
            keypoints_code=None,
            kernel="numpy",
            versions={"python": "3.11.2"},
            limits={"max_pixels": 178_000_000, "item_timeout_s": 60.0},
        ),
        "register": Register(
            "a-store", 5, "2026-11-30T09:00:00+00:00",
            (BankSummary("helpline", 31, 40), BankSummary("empty", 31, 0)), (), None,
        ),
        "sources": (SourceFacts("tar", 2, 12),),
        "counts": Counts(12, 10, 2, 1, 0, 0, 0, 123_456, {}, ()),
        "gaps": (GapCount("item", "decode-failed", 2), GapCount("column", "column-unread", 1)),
        "not_compared": None,
        "dataset": Tree("ab" * 32, 2, 12),
        "outcomes": Outcomes("cd" * 32, 10, 0),
        "dataset_sha256": "ef" * 32,
        "files": {"summary.json": "01" * 32, "report.html": "23" * 32},
        "sentence": {},
    }  # fmt: skip
    made = AuditFacts(**(values | changes))
    return made if "sentence" in changes else replace(made, sentence=sentences(made))


def purged() -> Attested:
    """Two audits, and the purge between them: 3 items matched, and are gone."""
    before = facts(
        started_at="2026-11-30T08:00:00+00:00",
        finished_at="2026-11-30T08:01:00+00:00",
        sources=(SourceFacts("tar", 2, 15),),
        counts=Counts(15, 13, 2, 1, 3, 0, 4, 234_567, {}, (
            Matched("confirmed", "file", 3), Matched("unverified", "whole", 1),
        )),
        dataset=Tree("aa" * 32, 2, 15),
        outcomes=Outcomes("bb" * 32, 13, 3),
    )  # fmt: skip
    purge = PurgeFacts(
        mode="copy", trusts=("confirmed",), by_part=False, removed_items=3, removed_with_them=2,
        left_items={"unverified": 0}, containers=2, started_at="2026-11-30T09:00:00+00:00",
        finished_at="2026-11-30T09:01:00+00:00", sha256="45" * 32,
    )  # fmt: skip
    return Attested(PROOF_SCHEMA, facts(), before, Change(12, 3, 0), purge)


def only() -> Attested:
    return Attested(PROOF_SCHEMA, facts(), None, None, None)


def statement(attested: Attested | None = None) -> Statement:
    return Statement("2026-11-30T12:00:00Z", attested or purged())


def sign(path: Path, values: object, key: SigningKey) -> Path:
    """Write a signed proof of any JSON value, or of a statement."""
    made = values.to_json() if isinstance(values, Statement) else values
    path.write_bytes(Envelope.sign(json.dumps(made).encode(), key).serialize())
    return path
