"""Train on pictures of a folder that match no bank: a dataset for PyTorch's `DataLoader`.

    loader = DataLoader(GuardedPictures("photos/", "sqlite:///egide.db"), num_workers=4)

PyTorch is only needed for the loader: without it, iterate over the dataset itself.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

import egide

if TYPE_CHECKING:
    from collections.abc import Iterator

_HAS_TORCH = find_spec("torch") is not None
if _HAS_TORCH:
    from torch.utils.data import IterableDataset, get_worker_info
else:
    IterableDataset = object


class GuardedPictures(IterableDataset):  # type: ignore[misc]
    """The pictures below a folder that pass, as Pillow images.

    Each worker of a loader takes its share of the files and opens the store by itself. An epoch
    searches the store as it is when the epoch begins.
    """

    def __init__(self, folder: str | Path, store: str, **settings: Any) -> None:
        """List the files.

        Args:
            folder: of pictures.
            store: the address of a store.
            settings: of `egide.guard`.
        """
        super().__init__()
        self._files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        self._store = store
        self._settings = {"on_end": say, **settings}

    def __iter__(self) -> Iterator[Image.Image]:
        """Go once through this worker's share."""
        worker = get_worker_info() if _HAS_TORCH else None
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for path in egide.guard(self._files[first::step], self._store, **self._settings):
            with Image.open(path) as image:
                yield image.convert("RGB")


def say(summary: egide.GuardSummary) -> None:
    """Say both halves, of each worker and epoch."""
    print(summary.sentence, file=sys.stderr)
