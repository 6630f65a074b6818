"""Purges killed with SIGKILL before each of their changes to the disk, and then gone on with.

A program: it loads once, and forks for each purge. Arguments: the audit's folder, the set, how many
changes to step over, the number of workers. It prints the number of kills, or says what was lost.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any

import egide
from egide.auditing.executors.local import LocalExecutor
from purging import contents

CHANGES = ("replace", "rename", "link", "unlink", "copy_file_range", "chmod")


def main(audit: Path, made: Path, step: int, workers: int) -> None:
    how: dict[str, Any] = {"workers": workers, "executor": LocalExecutor} if workers > 1 else {}
    egide.Purge, egide.undo_purge  # noqa: B018 - load them before the forks
    before = contents(made)
    spare, clean = made.with_name("spare"), made.with_name("clean")
    shutil.copytree(made, spare)
    shutil.copytree(audit, audit.with_name("spare-audit"))

    def afresh() -> None:
        for folder, kept in ((made, spare), (audit, audit.with_name("spare-audit"))):
            shutil.rmtree(folder)
            shutil.copytree(kept, folder)
        shutil.rmtree(clean, ignore_errors=True)

    def in_place() -> None:
        egide.purge(audit, None, in_place=True, **how).run()

    def undo() -> None:
        egide.undo_purge(audit)

    def copy() -> None:
        egide.purge(audit, None, to=clean, **how).run()

    assert not ended(in_place, None)
    after = contents(made)
    assert after != before
    kills = 0
    for act in (in_place, undo, copy):
        at = 0
        while True:
            afresh()
            if act is undo:
                assert not ended(in_place, None)
            if not ended(act, at):
                break  # it came to its end first
            kills += 1
            with suppress(FileNotFoundError), (audit / ".purge" / "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH)  # until its workers have ended
            if act is copy:
                check(contents(made) == before, "the original changed", act, at)
                whole = {k: v for k, v in contents(clean).items() if not k.endswith(".part")}
                check(whole.items() <= after.items(), "a copy that is not whole", act, at)
            else:
                check_all_there(audit, made, before, after, at)
            assert not ended(act, None)
            found = contents(clean if act is copy else made)
            wanted = before if act is undo else after
            check(found == wanted, f"{found.keys() ^ wanted.keys()}", act, at)
            at += step
    sys.stdout.write(f"{kills}\n")


def check_all_there(
    audit: Path, made: Path, before: dict[str, str], after: dict[str, str], at: int
) -> None:
    """Each file is the original or the whole result; and no original is lost."""
    kept = (
        set(contents(audit / "quarantine").values()) if (audit / "quarantine").exists() else set()
    )
    found = contents(made)
    for name, digest in before.items():
        here = found.get(name)
        check(here in {digest, after.get(name)}, f"{name} is neither", in_place_name, at)
        check(here == digest or digest in kept, f"{name} is lost", in_place_name, at)


def in_place_name() -> None:
    """Stands for a purge in place in a message."""


def check(right: bool, words: str, act: Callable[[], None], at: int) -> None:
    if not right:
        sys.exit(f"{act.__name__}, killed before change {at}: {words}")


def ended(act: Callable[[], None], kill_at: int | None) -> bool:
    """Run in a child, and return whether it was killed."""
    child = os.fork()
    if not child:
        try:
            if kill_at is not None:
                kill_before(kill_at)
            act()
        except BaseException as error:  # noqa: BLE001 - it must not go on as the parent
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        sys.exit(f"{act.__name__} failed")
    return os.WIFSIGNALED(status)


def kill_before(number: int) -> None:
    left = [number]
    for name in CHANGES:
        original = getattr(os, name)

        @wraps(original)
        def counted(*args: Any, original: Any = original, **options: Any) -> Any:
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return original(*args, **options)

        setattr(os, name, counted)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
