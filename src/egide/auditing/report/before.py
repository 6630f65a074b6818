"""Before and after: two audits of a dataset, and the purge between them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from egide.auditing.report.sentence import head_sentence
from egide.auditing.summary import PURGE, PURGE_SCHEMA
from egide.domain.model import Trust
from egide.errors import OutputMismatch, OutputUnreadable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from egide.text.wording import Wording

_MAX_PURGE_BYTES = 256 * 1024 * 1024
"""A container takes some 300 bytes; a purge of a million is still read."""
_OF_AUDIT = ("store_id", "store_revision", "dataset_sha256")


@dataclass(frozen=True, slots=True)
class Earlier:
    """The audit that came before, and what was taken out since.

    Attributes:
        folder: of the audit, as it was named.
        summary: the fields of its `summary.json`.
        purge: what its `purge.json` says; None without one.
    """

    folder: str
    summary: Mapping[str, Any]
    purge: Removed | None


@dataclass(frozen=True, slots=True)
class Removed:
    """What a purge says of itself in `purge.json`."""

    mode: str
    trusts: tuple[str, ...]
    by_part: bool
    items: int
    with_them: int
    left: Counter[str]
    containers: int
    verified: bool
    finished_at: str

    @classmethod
    def read(cls, folder: Path, summary: Mapping[str, Any]) -> Removed | None:
        """Read what was taken out after an audit; None if nothing says so.

        Raises:
            OutputMismatch: it is of another audit, or of another version.
            OutputUnreadable: it is damaged.
        """
        path = folder / PURGE
        try:
            if path.stat().st_size > _MAX_PURGE_BYTES:
                raise OutputUnreadable(name=path, reason=f"over {_MAX_PURGE_BYTES:,} bytes")
            values = json.loads(path.read_bytes())
            if (found := values["schema_version"]) != PURGE_SCHEMA:
                reason = f"purge schema {found}, this Egide reads {PURGE_SCHEMA}"
                raise OutputMismatch(name=path, reason=reason)
            if any(values["audit"][name] != summary[name] for name in _OF_AUDIT):
                raise OutputMismatch(name=path, reason="it is of another audit")
            return cls(
                mode=str(values["mode"]),
                trusts=tuple(str(trust) for trust in values["trusts"]),
                by_part=bool(values["by_part"]),
                items=int(values["removed_items"]),
                with_them=int(values["removed_with_them"]),
                left=Counter({str(key): int(n) for key, n in values["left_items"].items()}),
                containers=len(values["containers"]),
                verified=values["verified"] is True,
                finished_at=datetime.fromisoformat(values["finished_at"]).isoformat(),
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = getattr(error, "strerror", None) or "it is not what a purge writes"
            raise OutputUnreadable(name=path, reason=reason) from error


class Pair(NamedTuple):
    """A figure of both audits."""

    name: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Change:
    """What the page shows of two audits.

    Attributes:
        pairs: figures of both.
        facts: name and text of what was taken out.
        left: what stayed, by reason, and how many.
        sentences, digests, revisions: of both.
        unlike: what else differs between the audits, so that their figures say less.
    """

    intro: str
    pairs: tuple[Pair, ...]
    facts: tuple[tuple[str, str], ...]
    left: tuple[tuple[str, int], ...]
    sentences: tuple[str, str]
    digests: tuple[str, str]
    revisions: tuple[int, int]
    unlike: tuple[str, ...]


def change(earlier: Earlier, summary: Mapping[str, Any], wording: Wording) -> Change:
    """Set two audits side by side."""
    both = (earlier.summary, summary)
    fields = {
        "items": "items",
        "matched": "matched_items",
        "matches": "matches",
        "unreadable": "unreadable",
    }
    removed = earlier.purge
    return Change(
        intro=wording.text("before.intro" if removed else "before.no_purge"),
        pairs=tuple(
            Pair(wording.text(f"before.{name}"), *(each[of] for each in both))
            for name, of in fields.items()
        ),
        facts=() if removed is None else _facts(removed, wording),
        left=() if removed is None else _left(removed, wording),
        sentences=(head_sentence(both[0], wording), head_sentence(both[1], wording)),
        digests=(both[0]["dataset_sha256"], both[1]["dataset_sha256"]),
        revisions=(both[0]["store_revision"], both[1]["store_revision"]),
        unlike=_unlike(*both, wording),
    )


def _facts(removed: Removed, wording: Wording) -> tuple[tuple[str, str], ...]:
    mode = f"before.mode_{removed.mode}"
    confirmed = set(removed.trusts) == {Trust.CONFIRMED.value} and not removed.by_part
    said = {
        "removed": wording.plural("before.removed_value", removed.items),
        "with_them": wording.plural("before.with_them_value", removed.with_them),
        "which": wording.text("before.which_confirmed" if confirmed else "before.which_review"),
        "how": wording.text(mode if wording.has(mode) else "before.mode_unknown"),
        "containers": wording.number(removed.containers),
        "read_back": wording.text("before.verified" if removed.verified else "before.unverified"),
        "when": wording.moment(removed.finished_at),
    }
    if not removed.with_them:
        del said["with_them"]
    return tuple((wording.text(f"before.{name}"), text) for name, text in said.items())


def _left(removed: Removed, wording: Wording) -> tuple[tuple[str, int], ...]:
    return tuple(
        (wording.text(f"left.{key}" if wording.has(f"left.{key}") else "left.unknown"), count)
        for key, count in sorted(removed.left.items(), key=lambda one: (-one[1], one[0]))
        if count
    )


def _unlike(
    before: Mapping[str, Any], after: Mapping[str, Any], wording: Wording
) -> tuple[str, ...]:
    """What makes the two audits less comparable: another register, banks, or way of looking."""

    def banks(summary: Mapping[str, Any]) -> list[tuple[str, int]]:
        return sorted((bank["name"], bank["radius_bits"]) for bank in summary["banks"])

    def looked(summary: Mapping[str, Any]) -> tuple[Any, ...]:
        tiers = (summary["anchored"]["searched"], summary["patches"]["searched"])
        return (*tiers, summary["mode"], summary["radius_bits"])

    differs = {
        "store": before["store_id"] != after["store_id"],
        "banks": banks(before) != banks(after),
        "method": looked(before) != looked(after),
    }
    return tuple(wording.text(f"before.other_{name}") for name, so in differs.items() if so)
