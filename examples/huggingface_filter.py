"""Leave out of a Hugging Face dataset what matches a bank.

    python examples/huggingface_filter.py DATASET OUT [--store sqlite:///egide.db] [--column image]

DATASET is a folder of pictures, one that `save_to_disk` wrote, or a name on the Hub.
"""

from __future__ import annotations

import argparse
from operator import itemgetter
from pathlib import Path
from typing import Any

import datasets

import egide


class EgideFilter:
    """Says of each picture of a batch whether it passes. Can be sent to other processes.

    Attributes:
        summary: of all batches of this process.
    """

    def __init__(self, store: str, revision: int, **settings: Any) -> None:
        """Prepare to filter.

        Args:
            store: the address of a store.
            revision: of the store. `datasets` takes the same filter's answers from its cache: with
                another revision, this is another filter.
            settings: of `egide.guard`.
        """
        self.store = store
        self.revision = revision
        self.settings = settings
        self.summary = egide.GuardSummary()

    def __call__(self, images: list[Any]) -> list[bool]:
        """Say which pictures pass, one value for each."""
        guard = egide.guard(enumerate(images), self.store, get=itemgetter(1), **self.settings)
        passing = {number for number, _ in guard}
        self.summary += guard.summary
        return [number in passing for number in range(len(images))]

    def __getstate__(self) -> dict[str, Any]:
        """What `datasets` tells filters apart by: not the counts."""
        return {**self.__dict__, "summary": egide.GuardSummary()}


def filtered(
    dataset: datasets.Dataset, store: str, *, column: str = "image", **settings: Any
) -> tuple[datasets.Dataset, egide.GuardSummary]:
    """Return the rows that pass, and the summary.

    Args:
        dataset: one split.
        store: the address of a store.
        column: of pictures, or of lists of them.
        settings: of `egide.guard`.
    """
    with egide.open_store(store) as opened:
        check = EgideFilter(store, opened.revision(), **settings)
    feature = dataset.features[column]
    if isinstance(feature, datasets.Image):  # the files as they are: exact digests are compared too
        dataset = dataset.cast_column(column, datasets.Image(decode=False))
    passed = dataset.filter(check, input_columns=column, batched=True, load_from_cache_file=False)
    return passed.cast_column(column, feature), check.summary


def main(arguments: list[str] | None = None) -> None:
    """Filter a dataset, write what passes, and say both halves."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("dataset")
    parser.add_argument("out", type=Path)
    parser.add_argument("--store", default="sqlite:///egide.db")
    parser.add_argument("--column", default="image")
    parser.add_argument("--split", default="train")
    given = parser.parse_args(arguments)
    folder = Path(given.dataset)
    if (folder / "dataset_info.json").exists():
        dataset = datasets.load_from_disk(given.dataset)
    elif folder.is_dir():
        dataset = datasets.load_dataset("imagefolder", data_dir=given.dataset, split=given.split)
    else:
        dataset = datasets.load_dataset(given.dataset, split=given.split)
    passed, summary = filtered(dataset, given.store, column=given.column)
    passed.save_to_disk(given.out)
    print(summary.sentence)


if __name__ == "__main__":
    main()
