"""What reading a table costs in memory and in values, for the limit on what it may expand to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egide.errors import FileTooLarge

if TYPE_CHECKING:
    from egide.auditing.sources.base import Expansion, Item

_COPIES = 4
"""Copies of a value while it is read: unpacked, in a growing decode buffer, and in the batch."""
_ITEM_BYTES = 1024
"""What an item costs besides its bytes."""
_VALUE_BYTES = 64
"""What a row costs without a picture, and a value in a list."""


class Measured:
    """Measures an expansion by its items and by the memory that Arrow allocated for them."""

    def __init__(self, expansion: Expansion) -> None:
        import pyarrow as pa

        self._expansion = expansion
        self._pool = pa.default_memory_pool()
        self._allocated = self._pool.total_bytes_allocated()
        self._held = 0

    def take_unpacked(self, held: int) -> None:
        """Count what was unpacked for a batch; the bytes it holds once its items counted theirs."""
        self.settle()
        allocated = self._pool.total_bytes_allocated()
        unpacked = (allocated - self._allocated) // _COPIES
        self._allocated = allocated
        self._held = held
        self._expansion.take(max(unpacked - self._held, 0))

    def settle(self) -> None:
        """Count the bytes of the last batch that were no item's."""
        self._expansion.take(max(self._held, 0))
        self._held = 0

    def take_values(self, count: int) -> None:
        """Count rows, or values in lists, that may hold nothing."""
        self._expansion.take(count * _VALUE_BYTES)

    def take_item(self, item: Item) -> None:
        """Count an item; even an empty one costs something.

        The batch's size would not do: a repeated value may be stored in it once.
        """
        content, size = item.content, 0
        if isinstance(content, bytes):
            size = len(content)
        elif isinstance(content, FileTooLarge):
            size = int(str(content.fields["size"]))
        self._held -= size
        self._expansion.take(max(size, _ITEM_BYTES))
        self._expansion.items += 1
