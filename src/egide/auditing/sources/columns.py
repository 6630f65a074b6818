"""The columns of an Arrow table: which can hold pictures, and where in nested ones they stand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

_NAMES = ("path", "filename", "file_name", "name", "url")
"""Fields that name the file beside the field with its bytes."""
_MIN_FIXED_BYTES = 48


class Holds(Enum):
    """What the values of a column are, where one of them can be a picture."""

    BYTES = "bytes"
    TEXT = "text"
    NUMBERS = "numbers"
    """A list of whole numbers: the bytes of a file, one by one."""


@dataclass(frozen=True, slots=True)
class Column:
    """One leaf of a table's type.

    Attributes:
        path: as reports show it, such as `messages[].image.bytes`.
        top: the number of its top-level column.
        leaves: to read for it, as numbers among those of the whole table, in Parquet's order: its
            own, and those without which a map would be another type.
        claims: its place says that it is a picture: `bytes` beside `path`, or the caller named it.
        pixels: bytes in nested lists, which are no file.
    """

    path: str
    top: int
    leaves: tuple[int, ...]
    holds: Holds
    claims: bool = False
    pixels: bool = False

    @property
    def optional(self) -> bool:
        """Whether it is a part of things in a list, of which not each needs to have a picture."""
        return "[]." in self.path.removesuffix(".bytes")


@dataclass(frozen=True, slots=True)
class Leaf:
    """Values of one column in a batch. Nothing is copied: `positions` lead into `array`.

    Attributes:
        rows: of each value, in the batch.
        indexes: of each value in the lists around it, outermost first.
        names: the names that stand beside the values, and their positions.
    """

    path: str
    array: Any
    positions: NDArray[np.int64]
    rows: NDArray[np.int64]
    indexes: tuple[NDArray[np.int64], ...] = ()
    names: tuple[Any, NDArray[np.int64]] | None = None

    def key(self, number: int) -> str:
        """The path of one value, with its places in the lists."""
        first, *rest = self.path.rsplit("[]", len(self.indexes))
        places = zip(self.indexes, rest, strict=True)
        return first + "".join(f"[{index[number]}]{part}" for index, part in places)

    def name(self, number: int) -> str | None:
        """The name beside a value."""
        if self.names is None:
            return None
        array, positions = self.names
        return text_of(array, int(positions[number]))

    def kept(self, mask: NDArray[np.bool_]) -> Leaf:
        """Return the values of a mask alone."""
        return replace(
            self,
            positions=self.positions[mask],
            rows=self.rows[mask],
            indexes=tuple(index[mask] for index in self.indexes),
            names=self.names and (self.names[0], self.names[1][mask]),
        )


def columns_of(schema: Any, wanted: Sequence[str] = ()) -> tuple[list[Column], int]:
    """Return the columns that can hold pictures, and how many leaves the type has.

    Args:
        schema: Arrow's.
        wanted: paths or their beginnings; empty for all.
    """
    found: list[Column] = []
    count = 0
    for top, (part, path) in enumerate(zip(schema, unique(schema.names), strict=True)):
        inside = list(_leaves(part.type, path, claims=False, depth=0))
        every = tuple(range(count, count + len(inside))) if "map<" in str(part.type) else None
        for number, (holds, below, claims, pixels) in enumerate(inside, count):
            if holds is None or not _is_asked_for(below, part.name, path, wanted):
                continue
            named = claims or (bool(wanted) and holds is Holds.BYTES)
            found.append(Column(below, top, every or (number,), holds, named, pixels))
        count += len(inside)
    return found, count


def unique(names: Sequence[str]) -> list[str]:
    """Return the names of columns; of a second one of the same name with its number."""
    seen: dict[str, int] = {}
    paths = []
    for name in names:
        seen[name] = number = seen.get(name, 0) + 1
        paths.append(name if number == 1 else f"{name}#{number}")
    return paths


def _is_asked_for(path: str, name: str, top: str, wanted: Sequence[str]) -> bool:
    """Whether a column is, or is part of, one that was named; brackets may be left out."""
    paths = {full.replace("[]", "") for full in (path, name + path[len(top) :])}
    asked = [one.replace("[]", "") for one in wanted]
    return not asked or any(
        full == one or full.startswith(one + ".") for full in paths for one in asked
    )


def _leaves(
    kind: Any, path: str, *, claims: bool, depth: int
) -> Iterator[tuple[Holds | None, str, bool, bool]]:
    """Yield each leaf of a type, in Parquet's order: what it holds, and its path."""
    import pyarrow as pa
    from pyarrow import types

    if isinstance(kind, pa.BaseExtensionType) and "tensor" in kind.extension_name:
        depth = 1
    kind = _bare(kind)
    if types.is_struct(kind):
        parts = [kind.field(index) for index in range(kind.num_fields)]
        named_beside = any(part.name in _NAMES for part in parts)
        for part, name in zip(parts, unique([part.name for part in parts]), strict=True):
            image = part.name == "bytes" and (named_beside or len(parts) == 1)
            yield from _leaves(part.type, f"{path}.{name}", claims=image, depth=0)
    elif types.is_map(kind):
        yield from _leaves(kind.key_type, f"{path}[].key", claims=False, depth=0)
        yield from _leaves(kind.item_type, f"{path}[].value", claims=False, depth=0)
    elif is_list(kind):
        value = _bare(kind.value_type)
        if types.is_integer(value):
            pixels = depth > 0 and value.bit_width == 8
            yield Holds.NUMBERS, path, False, pixels
        else:
            yield from _leaves(value, f"{path}[]", claims=claims, depth=depth + 1)
    elif types.is_union(kind):
        for index in range(kind.num_fields):
            part = kind.field(index)
            yield from _leaves(part.type, f"{path}.{part.name}", claims=False, depth=0)
    else:
        yield _holds(kind), path, claims, False


def _holds(kind: Any) -> Holds | None:
    from pyarrow import types

    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind):
        return Holds.BYTES
    if types.is_fixed_size_binary(kind) and not types.is_decimal(kind):
        return Holds.BYTES if kind.byte_width >= _MIN_FIXED_BYTES else None
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return Holds.TEXT
    return None


def _bare(kind: Any) -> Any:
    """A type without what only stores it in another way."""
    import pyarrow as pa
    from pyarrow import types

    while True:
        if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
            kind = kind.value_type
        elif isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        else:
            return kind


def is_list(kind: Any) -> bool:
    """Whether a type is one of Arrow's lists."""
    from pyarrow import types

    tests: tuple[Callable[[Any], bool], ...] = (
        *(types.is_list, types.is_large_list, types.is_fixed_size_list),
        *(types.is_list_view, types.is_large_list_view),
    )
    return any(test(kind) for test in tests)


def leaves_of(array: Any, path: str, take: Callable[[int], None]) -> Iterator[Leaf]:
    """Yield the leaves of a column of a batch; nulls are left out of nested ones only.

    Args:
        array: the column.
        path: of the column.
        take: is told how many values lists hold, before they are counted out.
    """
    positions = np.arange(len(array), dtype=np.int64)
    yield from _walk(Leaf(path, array, positions, positions), take)


def _walk(at: Leaf, take: Callable[[int], None]) -> Iterator[Leaf]:
    import pyarrow as pa
    from pyarrow import types

    array, kind = at.array, at.array.type
    if isinstance(kind, pa.BaseExtensionType):
        yield from _walk(replace(at, array=array.storage), take)
    elif types.is_dictionary(kind):
        at = at.kept(_valid(array)[at.positions])
        codes = array.indices.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        yield from _walk(replace(at, array=array.dictionary, positions=codes[at.positions]), take)
    elif types.is_run_end_encoded(kind):
        ends = array.run_ends.to_numpy(zero_copy_only=False)
        runs = np.searchsorted(ends, at.positions + array.offset, side="right").astype(np.int64)
        yield from _walk(replace(at, array=array.values, positions=runs), take)
    elif types.is_struct(kind):
        at = at.kept(_valid(array)[at.positions])
        yield from _walk_struct(at, take)
    elif types.is_union(kind):
        yield from _walk_union(at, take)
    elif (types.is_map(kind) or is_list(kind)) and not _is_numbers(kind):
        at = at.kept(_valid(array)[at.positions])
        starts, lengths = spans(array)
        starts, lengths = starts[at.positions], lengths[at.positions]
        take(int(lengths.sum()))
        parents = np.repeat(np.arange(len(lengths)), lengths)
        index = np.arange(len(parents)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        below = Leaf(
            f"{at.path}[]",
            array.values,
            starts[parents] + index,
            at.rows[parents],
            (*(outer[parents] for outer in at.indexes), index),
        )
        if types.is_map(kind):
            for number, name in enumerate(("key", "value")):
                part = array.values.field(number)
                yield from _walk(replace(below, path=f"{below.path}.{name}", array=part), take)
        else:
            yield from _walk(below, take)
    else:
        yield at


def _walk_struct(at: Leaf, take: Callable[[int], None]) -> Iterator[Leaf]:
    kind = at.array.type
    parts = [kind.field(index).name for index in range(kind.num_fields)]
    beside = next((parts.index(name) for name in _NAMES if name in parts), None)
    for index, name in enumerate(unique(parts)):
        names = None
        if beside is not None and beside != index:
            names = (at.array.field(beside), at.positions)
        part = replace(
            at, path=f"{at.path}.{name}", array=at.array.field(index), names=names or at.names
        )
        yield from _walk(part, take)


def _walk_union(at: Leaf, take: Callable[[int], None]) -> Iterator[Leaf]:
    array, kind = at.array, at.array.type
    codes = array.type_codes.to_numpy(zero_copy_only=False)
    for index in range(kind.num_fields):
        mask = codes[at.positions] == kind.type_codes[index]
        part = replace(
            at.kept(mask), path=f"{at.path}.{kind.field(index).name}", array=array.field(index)
        )
        if kind.mode == "dense":
            offsets = array.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
            part = replace(part, positions=offsets[part.positions])
        yield from _walk(part, take)


def spans(array: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each list of an array starts in its values, and how long it is."""
    from pyarrow import types

    kind = array.type
    if types.is_fixed_size_list(kind):
        starts = (np.arange(len(array), dtype=np.int64) + array.offset) * kind.list_size
        return starts, np.full(len(array), kind.list_size, np.int64)
    starts = array.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    if types.is_list_view(kind) or types.is_large_list_view(kind):
        return starts, array.sizes.to_numpy(zero_copy_only=False).astype(np.int64)
    return starts[:-1], np.diff(starts)


def _valid(array: Any) -> NDArray[np.bool_]:
    if array.null_count == 0:
        return np.ones(len(array), np.bool_)
    valid: NDArray[np.bool_] = array.is_valid().to_numpy(zero_copy_only=False)
    return valid


def _is_numbers(kind: Any) -> bool:
    from pyarrow import types

    return is_list(kind) and bool(types.is_integer(_bare(kind.value_type)))


def text_of(array: Any, position: int) -> str | None:
    """A text at a position, whatever stores it; None for a null or something else."""
    from pyarrow import types

    value = array[position]
    if types.is_dictionary(array.type):
        value = value.value if value.is_valid else value
    try:
        text = value.as_py()
    except UnicodeDecodeError:
        return None
    return text if isinstance(text, str) and text else None


def numbers_at(array: Any, position: int, limit: int | None = None) -> bytes | None:
    """The bytes that a list of numbers spells; None if they are none."""
    from pyarrow import types

    values = array[position].values
    if values is None:
        return None
    if limit is not None:
        values = values[:limit]
    if types.is_dictionary(values.type) or values.null_count:
        return None
    numbers = values.to_numpy(zero_copy_only=False)
    if (
        numbers.dtype.itemsize > 1
        and len(numbers)
        and not (numbers.min() > -129 and numbers.max() < 256)
    ):
        return None
    return bytes(numbers.astype(np.uint8).tobytes())
