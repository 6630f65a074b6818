"""What every source must do: the same shards again, every item once, and no silence on damage."""

from __future__ import annotations

import json
import multiprocessing
import random
import struct
import sys
import tracemalloc
import zlib
from abc import ABC, abstractmethod
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar

import pytest

from egide.auditing.sources import Item, Shard, open_source
from egide.domain.coverage import Gap
from egide.domain.model import DEFAULT_LIMITS, Limits
from egide.errors import FileTooLarge, ItemError, SourceError, SourceExpands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from egide.auditing.sources import Read, Source
    from egide.domain.model import Fingerprint

    Reader = Callable[[Shard, Limits], Iterator[Read]]

KIB = 1024
MIB = 1024 * 1024
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
BROKEN = _SIGNATURE + b"and then nothing that a decoder knows"
"""A file that claims to be a picture and is none."""


def _noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)  # noqa: S311 - drawn, and the same each time


def picture(number: int) -> bytes:
    """Return a PNG of 64×64 grey pixels of noise, some 4 KB that no packer makes smaller."""
    noise = _noise(64 * 64, number)
    rows = b"".join(b"\0" + noise[start : start + 64] for start in range(0, len(noise), 64))
    header = struct.pack(">2I5B", 64, 64, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


class SourceContract(ABC):
    """Subclass it as `TestYours`, and say how your source is written and opened.

    Attributes:
        most_items: how many items it can hold, where it cannot hold as many as one likes.
        held_items: how many items it holds in memory at once. One, unless its format gives more.
    """

    most_items: ClassVar[int] = 1000
    held_items: ClassVar[int] = 1

    @abstractmethod
    def write(self, folder: Path, files: Mapping[str, bytes]) -> Path:
        """Write a source of these files, in this order, and return its path below `folder`.

        Called again with the same folder, it replaces what stands there.
        """

    def open(self, path: Path) -> Source:
        """Return your source for a path; by default the one that Egide picks.

        Raises:
            SourceError: nothing stands there, or it is no such source.
        """
        return open_source(str(path))

    def expected(self, content: bytes) -> bytes | Fingerprint:
        """Return what an item of this content must hold: the bytes of the file."""
        return content

    def hostile_names(self, secret: Path) -> list[str]:
        """Names that would lead out of the source, were they more than labels, in its order.

        Args:
            secret: a file two folders above the one that `write` is given.
        """
        names = [str(secret), f"../../{secret.name}", "C:\\..\\x.png", "two\nlines.png"]
        return [*names, f"file://{secret}", "%2e%2e%2fx.png", "-rf.png"]

    def test_each_item_is_read_once_and_in_order(self, tmp_path: Path) -> None:
        files = self._pictures(5)
        items = self._items(self.write(tmp_path, files))
        assert [item.content for item in items] == self._expected(files)
        assert all(item.name for item in items)
        assert len({(item.name, item.key) for item in items}) == len(files)

    def test_its_shards_are_the_same_again(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, self._pictures(5))
        shards = list(self.open(path).shards())
        assert list(self.open(path).shards()) == shards
        assert {shard.kind for shard in shards} == {self.open(path).kind}
        assert len({shard.id("") for shard in shards}) == len(shards)

    def test_what_has_changed_is_another_shard(self, tmp_path: Path) -> None:
        before = {shard.id("") for shard in self._shards(self.write(tmp_path, self._pictures(5)))}
        changed = {name: content + b"more" for name, content in self._pictures(5).items()}
        assert {shard.id("") for shard in self._shards(self.write(tmp_path, changed))} != before

    def test_a_shard_is_read_in_another_process_from_its_json(self, tmp_path: Path) -> None:
        source = self.open(self.write(tmp_path, self._pictures(5)))
        shards = [json.dumps(shard.to_json()) for shard in source.shards()]
        here = [_told(type(source).read, shard) for shard in shards]
        pool = _another_process(tuple(sys.path))
        there = [pool.submit(_told, type(source).read, shard).result(60) for shard in shards]
        assert there == here
        assert sum(map(len, here)) == len(self._pictures(5))

    def test_a_broken_picture_costs_only_its_row(self, tmp_path: Path) -> None:
        files = self._pictures(5)
        broken = len(files) // 2
        files[list(files)[broken]] = BROKEN
        found = [item.content for item in self._items(self.write(tmp_path, files))]
        assert found[broken] == BROKEN or isinstance(found[broken], ItemError)
        found[broken] = self.expected(BROKEN)
        assert found == self._expected(files)

    @pytest.mark.parametrize("when", ["before it is opened", "once opened", "once planned"])
    def test_a_source_that_is_gone_is_told(self, tmp_path: Path, when: str) -> None:
        path = self.write(tmp_path, self._pictures(5))
        away = path.with_name("elsewhere")
        source: Source | None = None
        shards: list[Shard] | None = None
        if when != "before it is opened":
            source = self.open(path)
        if source and when == "once planned":
            shards = list(source.shards())
        path.rename(away)
        items: list[Item] = []
        error: SourceError | None = None
        try:
            source = source or self.open(path)
            for shard in source.shards() if shards is None else shards:
                items += _only_items(source.read(shard, DEFAULT_LIMITS))
        except SourceError as caught:
            error = caught
        _assert_told(items, error, path)
        assert not [item for item in items if not isinstance(item.content, ItemError)]

    def test_hostile_names_lead_nowhere(self, tmp_path: Path) -> None:
        secret = tmp_path / "secret.png"
        secret.write_bytes(picture(99))
        folder = tmp_path / "a" / "b"
        folder.mkdir(parents=True)
        names = self.hostile_names(secret)[: self.most_items]
        files = {name: picture(number) for number, name in enumerate(names)}
        path = self.write(folder, files)
        before = sorted(tmp_path.rglob("*"))
        assert [item.content for item in self._items(path)] == self._expected(files)
        assert sorted(tmp_path.rglob("*")) == before

    def test_an_item_over_the_limit_costs_only_its_row(self, tmp_path: Path) -> None:
        files = self._pictures(5)
        large = len(files) // 2
        name = list(files)[large]
        files[name] += bytes(200 * KIB)
        limits = replace(DEFAULT_LIMITS, max_file_bytes=100 * KIB)
        found = [item.content for item in self._items(self.write(tmp_path, files), limits)]
        assert isinstance(found[large], FileTooLarge)
        found[large] = self.expected(files[name])
        assert found == self._expected(files)

    def test_few_items_are_in_memory_at_once(self, tmp_path: Path) -> None:
        size = 128 * KIB
        source = self.open(
            self.write(tmp_path, self._pictures(24 + 2 * self.held_items, fill=_noise(size)))
        )
        shards = list(source.shards())
        _exhaust(source, shards)  # once before, for what is imported on the way
        tracemalloc.start()
        try:
            _exhaust(source, shards)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        # The one before is let go when the next is there, and copied once on its way.
        assert peak < (self.held_items + 3) * size + 3 * MIB // 2

    def _pictures(self, count: int, *, fill: bytes = b"") -> dict[str, bytes]:
        """At most so many, each with the same bytes after its own."""
        count = min(count, self.most_items)
        return {f"{number:02}.png": picture(number) + fill for number in range(count)}

    def _expected(self, files: Mapping[str, bytes]) -> list[bytes | Fingerprint]:
        return [self.expected(content) for content in files.values()]

    def _shards(self, path: Path) -> list[Shard]:
        return list(self.open(path).shards())

    def _items(self, path: Path, limits: Limits = DEFAULT_LIMITS) -> list[Item]:
        items, error = self._read(path, limits)
        assert error is None
        return items

    def _read(
        self, path: Path, limits: Limits = DEFAULT_LIMITS
    ) -> tuple[list[Item], SourceError | None]:
        items: list[Item] = []
        try:
            source = self.open(path)
            for shard in source.shards():
                assert Shard.from_json(json.loads(json.dumps(shard.to_json()))) == shard
                # One by one: what came before an error stands.
                items.extend(_only_items(source.read(shard, limits)))
        except SourceError as error:
            return items, error
        return items, None


class ArchiveContract(SourceContract):
    """The same, and more, for a source that is one file of many items."""

    @pytest.mark.parametrize("kept", [1 / 3, 0.47, 2 / 3])
    def test_a_file_that_is_cut_is_told(self, tmp_path: Path, kept: float) -> None:
        files = self._pictures(5)
        path = self.write(tmp_path, files)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * kept)])
        items, error = self._read(path)
        _assert_told(items, error, path)
        sound = [item.content for item in items if not isinstance(item.content, ItemError)]
        assert sound == self._expected(files)[: len(sound)]
        assert len(sound) < len(files)

    def test_what_is_nothing_of_the_kind_is_told(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, self._pictures(5))
        path.write_bytes(b"nothing of the kind" * 100)
        items, error = self._read(path)
        _assert_told(items, error, path)
        assert not [item for item in items if not isinstance(item.content, ItemError)]

    @pytest.mark.parametrize("filled", [bytes, _noise], ids=["zeros", "noise"])
    def test_it_expands_no_further_than_allowed(
        self, tmp_path: Path, filled: Callable[[int], bytes]
    ) -> None:
        limits = replace(DEFAULT_LIMITS, max_expansion=4, expansion_floor_bytes=2 * MIB)
        files = self._pictures(6, fill=filled(MIB))
        path = self.write(tmp_path, files)
        allowed = max(limits.max_expansion * path.stat().st_size, limits.expansion_floor_bytes)
        items, error = self._read(path, limits)
        contents = [item.content for item in items if isinstance(item.content, bytes)]
        if sum(map(len, files.values())) > allowed:
            assert isinstance(error, SourceExpands)
            assert sum(map(len, contents)) <= allowed
        else:
            assert error is None
            assert contents == list(files.values())


def _only_items(read: Iterable[Read]) -> Iterator[Item]:
    """The items, and each gap as an item that could not be read."""
    for one in read:
        if isinstance(one, Gap):
            yield Item(one.name, ItemError(name=one.name, reason=one.message))
        elif isinstance(one, Item):
            yield one


def _exhaust(source: Source, shards: Iterable[Shard]) -> None:
    for shard in shards:
        for _ in source.read(shard, DEFAULT_LIMITS):
            pass


def _assert_told(items: list[Item], error: SourceError | None, path: Path) -> None:
    """Damage is an error that names the source, or an item that says what is wrong."""
    if error is None:
        assert any(isinstance(item.content, ItemError) for item in items), "passed over in silence"
    else:
        assert path.name in str(error)


@cache
def _another_process(_path: tuple[str, ...]) -> ProcessPoolExecutor:
    """One that was spawned: of a source it has only what a shard says. Starting it takes 1 s."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def _told(read: Reader, shard: str) -> list[tuple[object, ...]]:
    """Read a shard from its JSON; return what can be compared between processes."""
    items = _only_items(read(Shard.from_json(json.loads(shard)), DEFAULT_LIMITS))
    return [
        (item.name, item.key, item.offset, sha256(repr(item.content).encode()).hexdigest())
        for item in items
    ]
