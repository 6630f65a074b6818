"""Put back what a purge in place took out, byte for byte."""

from __future__ import annotations

import os
import stat as stat_flags
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from egide.auditing.purge.disk import copy_whole, digest_at, move, sweep
from egide.auditing.purge.journal import Journal, writing
from egide.errors import PurgeNothingToUndo
from egide.files import sync_folder


@dataclass(slots=True)
class Undone:
    """What was put back.

    Attributes:
        files: that stand as they did.
        left: files that could not be put back, by the reason: `changed`, where something else
            stands in the place now; `missing`, where the quarantine has it no more.
    """

    files: int = 0
    left: Counter[str] = field(default_factory=Counter)


def undo_purge(audit: str | Path) -> Undone:
    """Put back what a purge in place took out, and forget the purge.

    Interrupted, the same call goes on. What cannot be put back stays in the quarantine.

    Raises:
        PurgeNothingToUndo: there was none.
        PurgeBusy: a purge is running.
        TargetUnwritable: the set cannot be written.
    """
    journal = Journal(Path(audit))
    if not (journal.path / "state.json").exists():
        raise PurgeNothingToUndo(name=audit)
    with journal.opened():
        state = journal.state
        if state is None or state["quarantine"] is None:
            raise PurgeNothingToUndo(name=audit)
        undone = Undone()
        for work_id, record in list(journal.records()):
            before = undone.left.total()
            for one in record.get("moved", ()):
                _count(undone, _move_back(one))
            for one in record.get("replaced", ()):
                sweep(Path(one["path"]).parent, work_id)
                _count(undone, _put_back(one))
            if undone.left.total() == before:
                journal.drop(work_id)
        if not undone.left:
            journal.forget()
            quarantine = Path(state["quarantine"])
            for folder in sorted(quarantine.glob("*")) if quarantine.is_dir() else ():
                with suppress(OSError):
                    folder.rmdir()
            with suppress(OSError):
                quarantine.rmdir()
        return undone


def _count(undone: Undone, reason: str | None) -> None:
    if reason is None:
        undone.files += 1
    else:
        undone.left[reason] += 1


def _move_back(one: dict[str, Any]) -> str | None:
    """Put a file back; return why it could not be."""
    path, kept = Path(one["path"]), Path(one["kept"])
    with writing(path):
        there = digest_at(path)
        if there is not None:
            if there != one["before"]:
                return "changed"
            if os.path.lexists(kept):
                kept.unlink()
            return None
        if digest_at(kept) != one["before"]:
            return "missing"
        _restore_mode(kept, one["mode"])
        move(kept, path)
    return None


def _put_back(one: dict[str, Any]) -> str | None:
    """Put a file back in the place of its purged form; return why it could not be."""
    path, kept = Path(one["path"]), Path(one["kept"])
    with writing(path):
        there = digest_at(path)
        if there == one["before"]:
            if os.path.lexists(kept) and not _same_file(path, kept):
                kept.unlink()
            elif os.path.lexists(kept):
                _restore_mode(path, one["mode"])
                kept.unlink()
            return None
        if there is not None and there != one.get("after"):
            return "changed"
        if digest_at(kept) != one["before"]:
            return "missing"
        _restore_mode(kept, one["mode"])
        try:
            os.replace(kept, path)  # noqa: PTH105
        except OSError:  # on another disk
            copy_whole(kept, path)
            kept.unlink()
        sync_folder(path.parent)
    return None


def _same_file(path: Path, other: Path) -> bool:
    return os.path.samestat(path.lstat(), other.lstat())


def _restore_mode(path: Path, mode: int) -> None:
    if not stat_flags.S_ISLNK(path.lstat().st_mode):
        path.chmod(mode)
