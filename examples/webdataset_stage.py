"""Leave out of webdataset shards what matches a bank: a stage of a pipeline, and a copy.

python examples/webdataset_stage.py 'shards/{000..009}.tar' OUT [--store sqlite:///egide.db]
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import webdataset

import egide


def guarded(shards: str | list[str], store: str, **settings: Any) -> webdataset.WebDataset:
    """Return the samples that pass, as bytes: `decode` and `to_tuple` may follow.

    Args:
        shards: addresses, with `{000..009}` for several.
        store: the address of a store; each worker of a loader opens it by itself.
        settings: of `egide.guard`; in a loader's workers `on_end` is the way to the summaries.
    """
    stage = partial(egide.guard, store=store, **settings)
    return webdataset.WebDataset(shards, shardshuffle=False).compose(stage)


def main(arguments: list[str] | None = None) -> None:
    """Copy what passes to new shards, and say both halves."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("shards")
    parser.add_argument("out", type=Path)
    parser.add_argument("--store", default="sqlite:///egide.db")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True)
    summaries: list[egide.GuardSummary] = []
    with webdataset.ShardWriter(str(given.out / "%05d.tar"), verbose=0) as writer:
        for sample in guarded(given.shards, given.store, on_end=summaries.append):
            writer.write(sample)
    print(sum(summaries, egide.GuardSummary()).sentence)


if __name__ == "__main__":
    main()
