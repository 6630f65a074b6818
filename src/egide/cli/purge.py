"""`egide purge`: take what an audit found out of the dataset."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from egide.cli.executing import RayOption, WorkersOption, joined_cluster, worker_count
from egide.cli.terminal import (
    DEFAULT_STORE,
    EndpointOption,
    Exit,
    JsonOption,
    ProfileOption,
    StoreOption,
    counted,
    examples,
    is_watched,
    on_command_line,
    print_json,
    print_table,
    progress_bar,
    refuse,
    say,
    warn,
)
from egide.errors import PurgeOtherStore, StoreMissing, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import egide

_SHOWN = 20
_WITH_THEM = {
    "sample-picture": "other pictures of the same samples or rows",
    "sidecar": "files that belong to them",
    "link": "links to them",
    "listed-row": "rows of listings that name them",
}
_LEFT = {
    "unverified": "their entries are not confirmed: review them, or add --include-review",
    "disputed": "their entries are disputed: review them, or add --include-review",
    "by-part": "found by a part of the picture only: look at them, or add --include-review",
    "withdrawn": "the entry was withdrawn since the audit",
    "expired": "the entry has expired",
    "tombstoned": "the entry was a false positive",
    "entry-missing": "the register has no such entry now",
    "bank-disabled": "the bank is disabled now",
    "nested": "they stand within another file: unpack it, audit again, then purge",
    "unsupported": "such files cannot be rewritten: take the items out by hand",
    "changed": "the container changed since the audit: audit it again",
    "missing": "the container is missing or cannot be read: bring it back",
    "link": "links that lead out of the set: purge where they lead",
    "not-listed": "links and folders that the audit did not look into: they were not copied",
    "unreadable": "files that cannot be read: they were not copied",
    "not-audited": "files that came after the audit, not copied into a copy: audit again",
    "not-compared": "the audit could not compare them in full: its report says which and why",
    "left": "they cannot stand there: see above",
}


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(
        "purge",
        epilog=examples(
            "egide purge audit/ --to clean/            # shows what would go",
            "egide purge audit/ --to clean/ --yes",
            "egide purge audit/ --to s3://bucket/clean/ --yes --ray auto",
            "egide purge audit/ --in-place --yes ; egide purge audit/ --undo",
            "egide purge audit/ --manifest drop.jsonl",
        ),
    )(purge)


def purge(
    context: typer.Context,
    audit: Annotated[Path, typer.Argument(metavar="AUDIT", help="The --out folder of an audit.")],
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="FOLDER", help="Write a clean copy here: a path, or a URL."),
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Change the set itself; --undo puts all back.")
    ] = False,
    manifest: Annotated[
        Path | None,
        typer.Option("--manifest", metavar="FILE", help="Only write a list of what to drop."),
    ] = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Put back what --in-place took out, byte for byte.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it. Without this only what would go is shown.")
    ] = False,
    include_review: Annotated[
        bool,
        typer.Option(
            "--include-review",
            help="Also matches that a person should look at: of entries that are not confirmed, "
            "and by a part of a picture.",
        ),
    ] = False,
    quarantine: Annotated[
        Path | None,
        typer.Option(
            "--quarantine",
            metavar="FOLDER",
            help="Where --in-place keeps what it takes out; by default AUDIT/quarantine.",
        ),
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="A manifest without neutral rows: it points at images.")
    ] = False,
    store: StoreOption = DEFAULT_STORE,
    without_store: Annotated[
        bool,
        typer.Option(
            "--without-store",
            help="Take the audit's word for entries that may have been withdrawn since.",
        ),
    ] = False,
    workers: WorkersOption = None,
    ray: RayOption = None,
    endpoint_url: EndpointOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> None:
    """Take what an audit found out of the dataset: into a clean copy, or in place.

    Without --yes it only shows what would go. By default only matches of confirmed entries go, and
    none by a part of a picture. The store is asked whether each entry still stands. Each container
    is compared with its audit first, and what is written is read back. Interrupted, the same
    command goes on. Exits with 0 if all went that should, 1 if something stayed that matched or
    was not known, 3 if it could not be done.
    """
    import egide
    from egide.auditing.sources import access
    from egide.settings import limits_from_environment

    chosen = [to is not None, in_place, manifest is not None, undo]
    if sum(chosen) != 1:
        raise UsageError(reason="choose one of --to, --in-place, --manifest and --undo")
    of_a_store = {"--store": on_command_line(context, "store"), "--without-store": without_store}
    if all(of_a_store.values()):
        raise UsageError(reason="--without-store asks no store: leave out --store")
    if manifest is None:
        refuse({"--plain": plain}, "{} is for --manifest")
    else:
        refuse({"--yes": yes}, "{} is not for --manifest, which only writes a list")
    if not in_place:
        refuse({"--quarantine": quarantine}, "{} is for --in-place")
    if manifest is not None or undo:
        refuse({"--ray": ray}, "{} is for --to and --in-place: the rest is done here")
    if undo:
        others = {"--include-review": include_review, "--yes": yes, "--profile": profile}
        refuse(
            {**others, "--endpoint-url": endpoint_url, **of_a_store},
            "{} is not for --undo, which puts all back that stands in the quarantine",
        )
        _undo(audit, json=json)
    with (
        access(endpoint_url=endpoint_url, profile=profile),
        joined_cluster(ray, workers) as cluster,
        _opened(audit, store, without=without_store) as opened,
        _progress(quiet=json) as on_progress,
    ):
        purging = egide.purge(
            audit,
            opened,
            to=to,
            in_place=in_place,
            quarantine=quarantine,
            include_review=include_review,
            limits=limits_from_environment(),
            workers=worker_count(workers, cluster),
            executor=cluster.executor if cluster else None,
            on_progress=on_progress,
        )
        if manifest is not None:
            if plain:
                warn("A plain list points at the images: keep it as private as the audit.")
            report = purging.manifest(manifest, plain=plain)
        else:
            report = purging.run() if yes else purging.look()
    if json:
        print_json({"dry_run": report.dry, **report.to_json()})
    else:
        _print(report)
    raise typer.Exit(Exit.FOUND if report.left_out else Exit.OK)


def _undo(audit: Path, *, json: bool) -> None:
    import egide

    undone = egide.undo_purge(audit)
    if json:
        print_json({"files": undone.files, "left": dict(undone.left)})
    else:
        say(f"Put back: {counted(undone.files, 'file')}, byte for byte.")
        for reason, count in undone.left.items():
            what = (
                "something else stands in their place now; they stay in the quarantine"
                if reason == "changed"
                else "the quarantine does not have them as they were"
            )
            warn(f"Not put back: {count:,} ({what}). [{reason}]")
    raise typer.Exit(Exit.FOUND if undone.left else Exit.OK)


@contextmanager
def _opened(audit: Path, store: str, *, without: bool) -> Iterator[egide.Store | None]:
    import egide

    if without:
        yield None
        return
    try:
        opened = egide.open_store(store)
    except StoreMissing as error:
        raise PurgeOtherStore(name=audit) from error
    with opened:
        yield opened


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[egide.PurgeProgress], None]]:
    if quiet or not is_watched():
        yield lambda _progress: None
        return
    with progress_bar() as change:
        yield lambda one: change(
            "purging",
            f"{one.containers_done:,} of {one.containers:,} containers",
            one.bytes,
            one.bytes_done,
        )


def _print(report: egide.PurgeReport) -> None:
    changed = [one for one in report.outcomes if one.items_removed or +one.with_them or one.said]
    if changed:
        print_table(
            "Containers"
            if len(changed) <= _SHOWN
            else f"First {_SHOWN} of {len(changed):,} containers",
            [
                ("container", "left"),
                ("kind", "left"),
                ("items", "right"),
                (_verb(report).split()[-1].lower(), "right"),
                ("with them", "right"),
            ],
            (
                [
                    one.name,
                    one.kind,
                    f"{one.items_before:,}",
                    f"{one.items_removed:,}",
                    f"{one.with_them.total():,}",
                ]
                for one in changed[:_SHOWN]
            ),
        )
    for one in report.outcomes:
        for code, message in one.said:
            warn(f"Left: {message} [{code}]")
    items, containers = report.removed_items, len(report.outcomes)
    say(
        f"{_verb(report)}: {counted(items, 'item')}, from {len(changed):,} of "
        f"{counted(containers, 'container')}."
    )
    for what, count in report.with_them.items():
        say(f"With them, {_WITH_THEM[what]}: {count:,}.")
    for reason, count in sorted(report.left.items()):
        say(f"Left: {count:,} ({_LEFT[reason]}). [{reason}]")
    if report.dry:
        say("Nothing was done: add --yes to do it.")
    elif report.mode == "copy":
        say(f"Clean copy: {report.place}. Every file of it was read back.")
    elif report.mode == "in-place":
        say(
            f"What went is kept in {report.place}: --undo puts it back. Delete that folder once "
            "all is well: until then the images are still on this disk."
        )
    else:
        _print_manifest(report)


def _verb(report: egide.PurgeReport) -> str:
    if report.mode == "manifest":
        return "To drop"
    return "Would go" if report.dry else "Went"


def _print_manifest(report: egide.PurgeReport) -> None:
    total = report.removed_items + report.neutral
    say(f"Manifest: {report.place}, {counted(total, 'row')}.")
    if report.neutral:
        say(
            f"Neutral rows among them, drawn at random from the same set: {report.neutral:,}. So "
            "the list does not point at the images. Who drops the list loses these too."
        )
