"""All edits of the benchmark."""

from __future__ import annotations

from edits import compositions, geometric, overlays, photometric, replaced
from edits.edit import Edit, Group

_ALL = (
    *photometric.EDITS,
    *geometric.EDITS,
    *overlays.EDITS,
    *compositions.EDITS,
    *replaced.EDITS,
)
EDITS: tuple[Edit, ...] = tuple(edit for group in Group for edit in _ALL if edit.group is group)
"""In the order of the groups."""
