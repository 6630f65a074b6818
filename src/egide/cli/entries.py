"""`egide bank …`: show entries, and change their state or trust."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from egide.cli.bank import BankArgument
from egide.cli.terminal import (
    DEFAULT_STORE,
    AfterOption,
    JsonOption,
    StoreOption,
    YesOption,
    confirm_erasing,
    counted,
    examples,
    print_json,
    print_list,
    print_table,
    say,
)
from egide.domain.model import Signal, State, Trust
from egide.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from egide.domain.model import Entry
    from egide.store import Store

EntriesArgument = Annotated[
    list[int],
    typer.Argument(metavar="ENTRY", min=1, help="Numbers, as `bank entries` shows them."),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(
        "entries", epilog=examples("egide bank entries helpline --state active --limit 50")
    )(list_entries)
    app.command("show", epilog=examples("egide bank show helpline", "egide bank show helpline 17"))(
        show
    )
    app.command(
        "withdraw",
        epilog=examples(
            "egide bank withdraw helpline 17 18",
            "egide bank withdraw helpline --source case-17",
            "egide bank withdraw helpline --source case-17 --yes",
        ),
    )(withdraw)
    app.command(
        "drop-patches",
        epilog=examples(
            "egide bank drop-patches helpline 17",
            "egide bank drop-patches helpline",
            "egide bank drop-patches helpline --yes",
        ),
    )(drop_keypoints)
    app.command("confirm", epilog=examples("egide bank confirm helpline 17"))(confirm_entries)
    app.command("dispute", epilog=examples("egide bank dispute helpline 17"))(dispute_entries)
    app.command("tombstone", epilog=examples("egide bank tombstone helpline 17"))(tombstone_entries)
    app.command("expire", epilog=examples("egide bank expire", "egide bank expire helpline"))(
        expire
    )


def list_entries(
    name: BankArgument,
    state: Annotated[State | None, typer.Option("--state", help="Only these.")] = None,
    trust: Annotated[Trust | None, typer.Option("--trust", help="Only these.")] = None,
    source: Annotated[str | None, typer.Option("--source", help="Only of this source.")] = None,
    after: AfterOption = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most entries to list.")] = 100,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """List entries by number, without fingerprints; `bank export` writes those."""
    import egide

    with egide.open_store(store) as opened:
        found = list(
            opened.entries.list(
                name, state=state, trust=trust, source=source, after=after, limit=limit
            )
        )
    if json:
        print_list(map(_values, found))
        return
    print_table(
        "",
        [("entry", "right"), ("state", "left"), ("trust", "left"), ("quality", "right"),
         ("anchored", "right"), ("patches", "left"), ("source", "left"), ("added", "left"),
         ("expires", "left"), ("note", "left")],
        (
            [
                str(entry.id), entry.state, entry.trust,
                "" if entry.quality is None else str(entry.quality),
                str(entry.anchored_count or ""), "yes" if entry.has_keypoints else "", entry.source,
                f"{entry.added:%Y-%m-%d}", f"{entry.expires:%Y-%m-%d}" if entry.expires else "",
                entry.note,
            ]
            for entry in found
        ),
    )  # fmt: skip
    if len(found) == limit:
        say(f"There may be more: --after {found[-1].id}")


def show(
    name: BankArgument,
    entry: Annotated[
        int | None, typer.Argument(metavar="ENTRY", help="One of its entries.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Show a bank, or one of its entries."""
    import egide
    from egide.cli.bank import bank_values, keypoint_values

    with egide.open_store(store) as opened:
        if entry is None:
            bank = opened.banks.get(name)
            values = {
                **bank_values(opened, bank),
                "with_anchored": opened.anchored.count(name),
                **keypoint_values(opened, bank),
            }
        else:
            values = _values(opened.entries.get(name, entry))
    if json:
        print_json(values)
        return
    for key, value in values.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        if key == "entries_with_patches" and len(value) < values["with_patches"]:
            shown += ", …"
        say(f"{key:{max(map(len, values))}} {'' if shown is None else shown}")


def withdraw(
    name: BankArgument,
    entries: Annotated[
        list[int] | None,
        typer.Argument(metavar="ENTRY", help="Numbers, as `bank entries` shows them."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", help="Instead of numbers: all entries of this source."),
    ] = None,
    yes: YesOption = False,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Withdraw entries: they stop matching and are erased.

    Their fingerprints, keypoints and notes are erased, here and in the search snapshot.
    This cannot be undone: only the pictures can be registered again.
    With --source it tells the number and asks; without a terminal it needs --yes.
    """
    import egide

    if bool(entries) == (source is not None):
        raise UsageError(reason="name either entries or --source")

    def act(opened: Store) -> int:
        if source is None:
            return egide.withdraw(opened, name, entries or [])
        held = sum(
            entry.state is not State.WITHDRAWN for entry in opened.entries.list(name, source=source)
        )
        if held:
            confirm_erasing(
                f"{counted(held, 'entry', 'entries')} of source {source} in bank {name}", yes=yes
            )
        return egide.withdraw_source(opened, name, source)

    _change(store, name, act, "withdrawn", json)


def drop_keypoints(
    name: BankArgument,
    entries: Annotated[
        list[int] | None,
        typer.Argument(metavar="ENTRY", min=1, help="Numbers; by default the whole bank."),
    ] = None,
    yes: YesOption = False,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Erase the keypoints of entries and keep the entries.

    The entries still match by their other fingerprints. Works without the key, so also if it is
    lost. For a whole bank it tells the number and asks; without a terminal it needs --yes.
    """
    import egide
    from egide.usecases.withdraw import drop_keypoints

    with egide.open_store(store) as opened:
        if not entries and (held := opened.keypoints.count(name)):
            confirm_erasing(
                f"the keypoints of {counted(held, 'entry', 'entries')} in bank {name}", yes=yes
            )
        count = drop_keypoints(opened, name, entries or None)
        revision = opened.revision()
    if json:
        print_json({"dropped": count, "revision": revision})
    else:
        say(f"Keypoints of {counted(count, 'entry', 'entries')} erased at revision {revision}.")


def confirm_entries(
    name: BankArgument,
    entries: EntriesArgument,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Confirm entries after review.

    Only a match on a confirmed entry may block without another review.
    """
    from egide.usecases.withdraw import confirm

    _change(store, name, lambda opened: confirm(opened, name, entries), "confirmed", json)


def dispute_entries(
    name: BankArgument,
    entries: EntriesArgument,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Dispute entries.

    They still match, and their matches ask for review.
    """
    from egide.usecases.withdraw import dispute

    _change(store, name, lambda opened: dispute(opened, name, entries), "disputed", json)


def tombstone_entries(
    name: BankArgument,
    entries: EntriesArgument,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Mark entries as false positives.

    They never match again, even if imported again.
    """
    from egide.usecases.withdraw import tombstone

    _change(store, name, lambda opened: tombstone(opened, name, entries), "tombstoned", json)


def expire(
    name: Annotated[
        str | None, typer.Argument(metavar="BANK", help="By default all banks.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Erase expired entries.

    They stopped matching when they expired; this removes their fingerprints.
    """
    import egide

    with egide.open_store(store) as opened:
        count = egide.expire(opened, name)
        revision = opened.revision()
    if json:
        print_json({"expired": count, "revision": revision})
    else:
        say(f"{counted(count, 'entry', 'entries')} expired at revision {revision}.")


def _change(url: str, bank: str, change: Callable[[Store], int], word: str, json: bool) -> None:
    import egide

    with egide.open_store(url) as opened:
        before = opened.revision()
        revision = change(opened)
        made = opened.revision_info(revision) if revision > before else None
        # If this changed nothing, the last revision may be somebody else's.
        count = made.entries if made is not None and made.bank == bank else 0
    if json:
        print_json({"action": word, "entries": count, "revision": revision})
    else:
        say(f"{counted(count, 'entry', 'entries')} {word}, at revision {revision}.")


def _values(entry: Entry) -> dict[str, Any]:
    held = [
        *(signal.value for signal in entry.signals),
        *([Signal.KEYPOINTS.value] * entry.has_keypoints),
    ]
    return {
        "entry": entry.id,
        "bank": entry.bank,
        "state": entry.state.value,
        "trust": entry.trust.value,
        "signals": held,
        "frames": len(entry.pdqs),
        "video_ms": None if entry.video is None else entry.video.duration_ms,
        "anchored_count": entry.anchored_count,
        "quality": entry.quality,
        "source": entry.source,
        "note": entry.note,
        "added": entry.added.isoformat(),
        "changed": entry.changed.isoformat(),
        "expires": entry.expires.isoformat() if entry.expires else None,
        "revision": entry.revision,
    }
