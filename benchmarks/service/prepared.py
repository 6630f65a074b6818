"""A store of random codes, built once and kept; each measurement works on a copy."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import egide
from egide.domain.access import Role
from egide.domain.model import Registration
from egide.errors import StoreError
from egide.live.snapshots import open_snapshot
from egide.store.changing import ChangingStore
from entries import BANK
from service.plan import RADIUS_BITS
from service.progress import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_FILE = "egide.db"
_SEED = 1
_PROGRESS_ROWS = 100_000
_PLENTY_PER_S = 1_000_000
_PLENTY_PER_DAY = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Keys:
    """Tokens of keys that may ask as much as they like.

    Attributes:
        matcher: a platform's.
        curator: a helpline's, which registers and withdraws.
    """

    matcher: str
    curator: str


def codes_of(rows: int) -> NDArray[np.uint8]:
    """The codes that are registered, as the entries 1 to `rows`: uint8[rows, 32]."""
    return np.random.default_rng(_SEED).integers(0, 256, (rows, 32), dtype=np.uint8)


def prepare(cache: Path, rows: int) -> Path:
    """Return a store of that many entries with its snapshot, building it where there is none."""
    folder = cache / f"random-{rows}"
    path = folder / _FILE
    if _usable(path, rows):
        return path
    shutil.rmtree(folder, ignore_errors=True)
    cache.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=cache))
    try:
        say(f"building a store of {rows:,} entries, once; it is kept in {cache}")
        with egide.open_store(f"sqlite:///{building / _FILE}", create=True) as store:
            ChangingStore.of(store).banks.create(BANK, radius_bits=RADIUS_BITS)
            ChangingStore.of(store).entries.register(BANK, _registrations(rows))
            open_snapshot(store).close()
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return path


@contextmanager
def working_copy(prepared: Path) -> Iterator[Path]:
    """Copy a prepared store and its snapshot; the copy goes afterwards."""
    with tempfile.TemporaryDirectory(prefix="working-", dir=prepared.parents[1]) as folder:
        for file in prepared.parent.iterdir():
            shutil.copy2(file, folder)
        yield Path(folder) / prepared.name


def make_keys(url: str) -> Keys:
    """Make the keys of a run."""
    with egide.open_store(url) as store:

        def new(name: str, role: Role) -> str:
            return store.keys.create(
                name, role, name, per_second=_PLENTY_PER_S, per_day=_PLENTY_PER_DAY
            )[1]

        return Keys(new("bench-uploads", Role.MATCHER), new("bench-helpline", Role.CURATOR))


def _usable(path: Path, rows: int) -> bool:
    if not path.is_file():
        return False
    try:
        with egide.open_store(f"sqlite:///{path}") as store:
            open_snapshot(store).close()
            return store.banks.counts(BANK).total == rows
    except StoreError:
        return False  # of another version


def _registrations(rows: int) -> Iterator[Registration]:
    for number, code in enumerate(codes_of(rows)):
        if number and number % _PROGRESS_ROWS == 0:
            say(f"registered {number:,}")
        yield Registration(pdqs=(code.tobytes(),))
