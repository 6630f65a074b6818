"""The columns of an Arrow table: which of them can hold pictures or hashes, by their types."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from egide.auditing.sources.hash_columns import DIGEST_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

NAMES = ("path", "filename", "file_name", "name", "url")
"""Fields that name the file beside the field with its bytes."""
_MIN_FIXED_BYTES = 48


class Holds(Enum):
    """What the values of a column are, where one of them can be a picture or a hash."""

    BYTES = "bytes"
    TEXT = "text"
    NUMBERS = "numbers"
    """A list of whole numbers: the bytes of a file, one by one."""
    DIGEST = "digest"
    """Bytes of a digest's length, too short for a picture."""


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


def columns_of(schema: Any, wanted: Sequence[str] = ()) -> tuple[list[Column], int]:
    """Return the columns that can hold something, and how many leaves the type has.

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


def missing_columns(
    names: Sequence[str], columns: Sequence[Column], wanted: Sequence[str]
) -> list[str]:
    """Return those of the columns that were named which a table does not have."""
    tops = unique(names)
    return [
        one
        for one in wanted
        if not any(
            _is_asked_for(column.path, names[column.top], tops[column.top], [one])
            for column in columns
        )
    ]


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
    kind = bare(kind)
    if types.is_struct(kind):
        parts = [kind.field(index) for index in range(kind.num_fields)]
        named_beside = any(part.name in NAMES for part in parts)
        for part, name in zip(parts, unique([part.name for part in parts]), strict=True):
            image = part.name == "bytes" and (named_beside or len(parts) == 1)
            yield from _leaves(part.type, f"{path}.{name}", claims=image, depth=0)
    elif types.is_map(kind):
        yield from _leaves(kind.key_type, f"{path}[].key", claims=False, depth=0)
        yield from _leaves(kind.item_type, f"{path}[].value", claims=False, depth=0)
    elif is_list(kind):
        value = bare(kind.value_type)
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
        if kind.byte_width in DIGEST_BYTES:
            return Holds.DIGEST
        return Holds.BYTES if kind.byte_width >= _MIN_FIXED_BYTES else None
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return Holds.TEXT
    return None


def bare(kind: Any) -> Any:
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
