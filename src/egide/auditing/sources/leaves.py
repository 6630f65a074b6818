"""The values in the columns of an Arrow table, however they are nested or stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from egide.auditing.sources.columns import NAMES, bare, is_list, unique

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray


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
    beside = next((parts.index(name) for name in NAMES if name in parts), None)
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

    return is_list(kind) and bool(types.is_integer(bare(kind.value_type)))


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
