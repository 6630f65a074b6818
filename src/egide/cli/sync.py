"""`egide sync …`: follow a partner's register."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egide.cli.terminal import (
    DEFAULT_STORE,
    Exit,
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
    warn,
)
from egide.domain.model import State, Trust
from egide.errors import EgideError, UsageError

if TYPE_CHECKING:
    from egide.domain.partners import Upstream
    from egide.store import Store
    from egide.usecases.sync import SyncReport

_SAID = {
    "completed": "given anchored hashes",
    "anchored_refused": "taken without anchored hashes, which are none",
}
"""What the terminal says of a count whose name alone would not tell."""
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The partner's name here.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(
        "add",
        epilog=examples(
            "egide sync add helpline https://register.example.org --key-file helpline.key "
            "--from ncii --into partners",
            "egide sync add helpline https://… --key-file … --from ncii --into partners "
            "--trust confirmed=confirmed",
        ),
    )(add)
    app.command("list", epilog=examples("egide sync list --json"))(list_upstreams)
    app.command(
        "run",
        epilog=examples("egide sync run", "egide sync run helpline", "egide sync run --watch"),
    )(run)
    app.command("pause", epilog=examples("egide sync pause helpline"))(pause)
    app.command("resume", epilog=examples("egide sync resume helpline"))(resume)
    app.command(
        "remove", epilog=examples("egide sync remove helpline", "egide sync remove helpline --yes")
    )(remove)


def add(
    name: NameArgument,
    url: Annotated[str, typer.Argument(metavar="URL", help="The register, without /v1.")],
    key_file: Annotated[
        Path,
        typer.Option(
            "--key-file", metavar="FILE", help="Holds the key for it; only you may read it."
        ),
    ],
    remote_bank: Annotated[str, typer.Option("--from", metavar="BANK", help="The bank there.")],
    bank: Annotated[str, typer.Option("--into", metavar="BANK", help="The bank here.")],
    trust: Annotated[
        list[str] | None,
        typer.Option(
            "--trust",
            metavar="THERE=HERE",
            help="Trust here for a trust there, such as confirmed=confirmed. "
            "By default no entry of a partner is confirmed here.",
        ),
    ] = None,
    allow_http: Annotated[
        bool,
        typer.Option("--allow-http", help="Allow http: everyone on the way can read the key."),
    ] = False,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Follow a partner's register from now on.

    `egide serve` follows it by itself; `egide sync run` does so once. The key stays in its file.
    """
    import egide
    from egide.partners.client import partner_policy
    from egide.usecases.sync import read_key_file

    trusts = dict(_trust_of(text) for text in trust or ())
    partner_policy(url, allow_http=allow_http)
    path = key_file.absolute()
    read_key_file(path, name)
    with egide.open_store(store) as opened:
        upstream = opened.upstreams.add(
            name, url, str(path), remote_bank=remote_bank, bank=bank, trust_map=trusts
        )
    if json:
        print_json(_values(upstream))
    else:
        say(f"Following bank {remote_bank} of {name} into bank {bank}.")
        say("`egide serve` does so by itself; without it, run `egide sync run --watch`.")


def list_upstreams(store: StoreOption = DEFAULT_STORE, json: JsonOption = False) -> None:
    """List the registers that this one follows, and the progress with each."""
    import egide

    with egide.open_store(store) as opened:
        rows = [_values(upstream) for upstream in opened.upstreams.list()]
    if json:
        print_list(rows)
        return
    if not rows:
        say("No partners yet: follow one with egide sync add.")
        return
    print_table(
        "",
        [
            ("name", "left"),
            ("from", "left"),
            ("into", "left"),
            ("state", "left"),
            ("revision", "right"),
            ("last success", "left"),
            ("failures", "right"),
            ("last error", "left"),
        ],
        (
            [
                row["name"],
                row["from"],
                row["into"],
                row["state"],
                str(row["revision"]),
                row["last_success"] or "never",
                str(row["failures"]),
                row["last_error"] or "–",
            ]
            for row in rows
        ),
    )


def run(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Only this partner; by default all.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Continue until interrupted.")] = False,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Take over the changes of partners now; with --watch, also all later ones.

    Each page is one transaction: after an interruption, the next run continues from there.
    """
    import egide
    from egide.net.addresses import own_networks
    from egide.usecases.sync import sync_once

    with egide.open_store(store) as opened:
        if watch:
            if name is not None:
                raise UsageError(reason="--watch follows all partners: leave out the name")
            _watch(opened, json)
            return
        names = (
            [one.name for one in opened.upstreams.list() if one.enabled] if name is None else [name]
        )
        failed = 0
        for one in names:
            try:
                _show(sync_once(opened, one, allowed_networks=own_networks()), json)
            except EgideError as error:
                if name is not None:
                    raise
                failed += 1
                _show_error(one, error, json)
    if failed:
        raise typer.Exit(Exit.FAILED if failed == len(names) else Exit.FOUND)


def pause(name: NameArgument, store: StoreOption = DEFAULT_STORE, json: JsonOption = False) -> None:
    """Pause following a partner. Its withdrawals do not arrive meanwhile."""
    _set_enabled(name, store, json, enabled=False)


def resume(
    name: NameArgument, store: StoreOption = DEFAULT_STORE, json: JsonOption = False
) -> None:
    """Resume following a partner from where it stopped."""
    _set_enabled(name, store, json, enabled=True)


def remove(
    name: NameArgument,
    yes: YesOption = False,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Stop following a partner, and erase its entries here.

    Withdrawals would no longer arrive, so the entries cannot stay. If the partner is added again,
    they come back. It tells the number and asks; without a terminal it needs --yes.
    """
    import egide
    from egide.usecases.sync import remove_upstream

    with egide.open_store(store) as opened:
        upstream = opened.upstreams.get(name)
        entries = opened.entries.list(upstream.bank, source=upstream.source, state=State.ACTIVE)
        if held := sum(1 for _ in entries):
            confirm_erasing(
                f"{counted(held, 'entry', 'entries')} of {name} in bank {upstream.bank}", yes=yes
            )
        erased = remove_upstream(opened, name)
    if json:
        print_json({"name": name, "erased": erased})
    else:
        say(f"{name} is no longer followed; of its entries, {erased:,} erased.")


def _trust_of(text: str) -> tuple[Trust, Trust]:
    there, _, here = text.partition("=")
    try:
        return Trust(there), Trust(here)
    except ValueError:
        known = ", ".join(Trust)
        raise UsageError(
            reason=f"--trust {text} does not say THERE=HERE, each one of {known}"
        ) from None


def _watch(store: Store, json: bool) -> None:
    from functools import partial

    from egide.net.addresses import own_networks
    from egide.usecases.follow import Follower
    from egide.usecases.sync import connect

    def show(name: str, outcome: SyncReport | EgideError) -> None:
        if isinstance(outcome, EgideError):
            _show_error(name, outcome, json)
        else:
            _show(outcome, json)

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # a background job ignores it
            signal.signal(number, lambda *_: stopped.set())
    follower = Follower(
        store, connect=partial(connect, allowed_networks=own_networks()), on_round=show
    )
    follower.start()
    try:
        stopped.wait()
    finally:
        follower.stop()


def _set_enabled(name: str, store: str, json: bool, *, enabled: bool) -> None:
    import egide

    with egide.open_store(store) as opened:
        upstream = opened.upstreams.set_enabled(name, enabled)
    if json:
        print_json(_values(upstream))
    else:
        say(f"{name} is followed again." if enabled else f"{name} is paused.")


def _show(report: SyncReport, json: bool) -> None:
    counts = report.applied.counts()
    if json:
        print_json({"name": report.upstream, "revision": report.revision, **counts})
    else:
        said = ", ".join(f"{count:,} {_SAID.get(word, word)}" for word, count in counts.items())
        say(f"{report.upstream}: {said or 'nothing new'}, at its revision {report.revision}")


def _show_error(name: str, error: EgideError, json: bool) -> None:
    if json:
        print_json({"name": name, "error": {"code": error.code, "message": str(error)}})
    else:
        warn(f"egide: {error} [{error.code}]")


def _values(upstream: Upstream) -> dict[str, Any]:
    success = upstream.last_success
    state = "paused" if not upstream.enabled else "failing" if upstream.failures else "following"
    return {
        "name": upstream.name,
        "from": upstream.remote_bank,
        "into": upstream.bank,
        "state": state if success or not upstream.enabled or upstream.failures else "new",
        "revision": upstream.position.since,
        "last_success": None if success is None else success.isoformat(),
        "failures": upstream.failures,
        "last_error": upstream.last_error,
        "trust": {there.value: here.value for there, here in upstream.trust_map.items()},
    }
