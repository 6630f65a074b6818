"""The audit's report: one self-contained HTML page beside the results it is made from.

The page has no script, loads nothing and shows neither a picture nor a fingerprint.
"""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from egide.auditing.report.before import Earlier, Removed
from egide.auditing.report.charts import PLOT_HEIGHT_PX
from egide.auditing.report.page import build_page
from egide.auditing.report.sentence import report_wording
from egide.auditing.rows import GapRow, MatchRow
from egide.auditing.summary import SUMMARY_SCHEMA
from egide.errors import OutputMismatch, OutputUnreadable, OutputUnwritable
from egide.files import written_whole
from egide.text.visible import visible_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from jinja2 import Template

REPORT_NAME = "report.html"
_BATCH_ROWS = 16_384
# The page shows neither digests nor matrices nor what is vetoed, so these are not read.
_NOT_SHOWN = {"matrix", "sha256", "vetoed_by"}
_MATCH_COLUMNS = tuple(field.name for field in fields(MatchRow) if field.name not in _NOT_SHOWN)
_GAP_COLUMNS = tuple(field.name for field in fields(GapRow))


def render_report(
    summary: Mapping[str, Any],
    matches: Iterable[MatchRow],
    gaps: Iterable[GapRow],
    *,
    lang: str,
    generated: datetime,
    folder: str = "audit/",
    earlier: Earlier | None = None,
) -> str:
    """Render the page.

    Args:
        summary: the fields of `summary.json`.
        matches: every match, in the order of the dataset; all are counted, the first are listed.
        gaps: what was not compared, in the order of the dataset; the first are listed.
        lang: `en` or `fr`.
        generated: when the page is written, timezone-aware.
        folder: of the audit, as the commands on the page name it.
        earlier: the audit of the dataset before; the page sets both side by side.

    Returns:
        the HTML, encodable as UTF-8 whatever the names contain.

    Raises:
        UsageError: the report is not written in `lang`.
    """
    wording = report_wording(lang)
    return _template().render(
        page=build_page(summary, matches, gaps, wording, generated, folder=folder, earlier=earlier),
        plot_height=PLOT_HEIGHT_PX,
        w=wording,
        t=wording.text,
        tn=wording.plural,
    )


def write_report(out_dir: Path, *, lang: str = "en", before: Path | None = None) -> Path:
    """Write `report.html` from the results in `out_dir`, whole or not at all.

    Args:
        out_dir: holds `summary.json`, `matches.parquet` and `not_compared.parquet`.
        lang: `en` or `fr`.
        before: folder of the audit of the dataset as it was; the page sets both side by side, with
            what its `purge.json` says, if a purge left one.

    Returns:
        the page's path.

    Raises:
        OutputMismatch: the results were written by another version's schema, or `before` has the
            purge of another audit.
        OutputUnreadable: a result file is missing or damaged.
        OutputUnwritable: the page cannot be written.
        UsageError: the report is not written in `lang`.
    """
    earlier = None
    if before is not None:
        summary = _read_summary(before)
        earlier = Earlier(_as_folder(before), summary, Removed.read(before, summary))
    html = render_report(
        _read_summary(out_dir),
        (
            MatchRow(**dict(zip(_MATCH_COLUMNS, row, strict=True)), matrix=None, sha256=None)
            for row in _read_rows(out_dir / "matches.parquet", _MATCH_COLUMNS)
        ),
        (GapRow(*row) for row in _read_rows(out_dir / "not_compared.parquet", _GAP_COLUMNS)),
        lang=lang,
        generated=datetime.now(UTC),
        folder=_as_folder(out_dir),
        earlier=earlier,
    )
    path = out_dir / REPORT_NAME
    _write_whole(path, html.encode("utf-8"))
    return path


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context

    def number(context: Mapping[str, Any], value: int) -> str:
        return str(context["w"].number(value))

    environment = Environment(
        loader=PackageLoader("egide.auditing.report", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"num": pass_context(number), "visible": visible_name}
    return environment.get_template("report.html.j2")


def _read_summary(out_dir: Path) -> dict[str, Any]:
    path = out_dir / "summary.json"
    try:
        summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputUnreadable(name=path, reason=_reason(error)) from error
    if (found := summary.get("schema_version")) != SUMMARY_SCHEMA:
        reason = f"summary schema {found}, this Egide reads {SUMMARY_SCHEMA}"
        raise OutputMismatch(name=out_dir, reason=reason)
    return summary


def _read_rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    """The rows of a Parquet file, a batch in memory at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=list(columns)):
                yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
    except (OSError, KeyError, pa.ArrowException) as error:
        raise OutputUnreadable(name=path, reason=_reason(error)) from error


def _write_whole(path: Path, content: bytes) -> None:
    try:
        with written_whole(path) as file:
            file.write(content)
    except OSError as error:
        raise OutputUnwritable(name=path, reason=_reason(error)) from error


def _as_folder(path: Path) -> str:
    """A folder as a person would type it."""
    return f"{path}/" if path.name else str(path)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
