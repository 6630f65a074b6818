"""Draw up the summary of an audit that has run."""

from __future__ import annotations

import platform
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from egide._version import __version__
from egide.auditing.report.sentence import head_sentence
from egide.auditing.summary import SUMMARY_SCHEMA, AuditSummary, SourceSummary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.auditing.options import Options
    from egide.auditing.progress import Running
    from egide.auditing.sources import Source
    from egide.auditing.summary import Searched, Totals
    from egide.errors import SourceUnreadable

_LIBRARIES = ("numpy", "pillow", "pyarrow")


def summarize(
    options: Options,
    sources: Sequence[Source | SourceUnreadable],
    searched: Searched,
    running: Running,
    totals: Totals,
) -> AuditSummary:
    """Return the summary.

    Args:
        options: of the audit.
        sources: as opened, in the order of `options.sources`.
        searched: what of the register was.
        running: the run that ends.
        totals: of all parts.
    """
    speed = running.scanned / running.scan_seconds if running.scan_seconds else 0.0
    summary = AuditSummary(
        **{field.name: getattr(searched, field.name) for field in fields(searched)},
        schema_version=SUMMARY_SCHEMA,
        egide_version=__version__,
        sentence="",
        items=totals.items,
        hashed=totals.hashed,
        unreadable=totals.unreadable,
        not_matchable=totals.not_matchable,
        matched_items=totals.matched_items,
        vetoed_items=totals.vetoed_items,
        compared=dict(totals.compared.most_common()),
        matches=totals.matches,
        gaps=totals.gaps_in_order(),
        ways=dict(totals.ways),
        radius_bits=options.radius_bits,
        mode=options.mode.value,
        workers=running.workers,
        seconds=round(running.seconds, 3),
        started_at=running.started.isoformat(timespec="seconds"),
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        sources=[
            SourceSummary(
                name,
                getattr(source, "kind", "unopened"),
                running.shards[index],
                totals.source_items[index],
            )
            for index, (name, source) in enumerate(zip(options.sources, sources, strict=True))
        ],
        dataset_sha256=totals.dataset_sha256,
        bytes=totals.bytes,
        others=dict(totals.others.most_common()),
        columns=totals.columns,
        versions={"python": platform.python_version()}
        | {name: version(name) for name in _LIBRARIES},
        distances={str(bits): count for bits, count in sorted(totals.distances.items())},
        throughput=running.samples,
        scanned_items=running.scanned,
        scan_seconds=running.scan_seconds,
        items_per_s=round(speed, 3),
        resumed=running.kept_items + running.rematched > 0,
        limits=asdict(options.limits),
    )
    return replace(summary, sentence=head_sentence(summary.to_json()))
