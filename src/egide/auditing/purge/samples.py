"""What goes with an item: the rest of its sample in an archive, the files beside it in a folder."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import groupby
from typing import TYPE_CHECKING

from egide.media.containers import IMAGE_SUFFIXES, kind_by_name, suffix_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

MAX_PICTURES = 16
"""A run of more pictures under one key is no sample, but names such as `img.1.jpg`, `img.2.jpg`."""
LISTINGS = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""The tables of Hugging Face's ImageFolder, which list the files beside and below them."""


def sample_key(name: str) -> str:
    """Return the webdataset key: the path up to the first dot of its last part."""
    folder, slash, base = name.rpartition("/")
    return folder + slash + (base[:1] + base[1:].partition(".")[0])


def stem_of(name: str) -> str:
    """Return a path without its last suffix."""
    folder, slash, base = name.rpartition("/")
    stem, dot, _ = base.rpartition(".")
    return folder + slash + (stem if dot and stem else base)


def is_picture(name: str) -> bool:
    """Whether a name is a picture's."""
    return suffix_of(name) in IMAGE_SUFFIXES


def rest_of_samples(names: Sequence[str], removed: Collection[int]) -> set[int]:
    """Return the members of an archive that go with others.

    A sample is a run of members with one key, as webdataset has it: it goes as a whole. Files of
    the same key elsewhere go too, if no picture of that key stays: then they described what went.

    Args:
        names: of all members in order; '' for what belongs to none.
        removed: positions of the items that go.
    """
    more: set[int] = set()
    if not removed:
        return more
    gone = {sample_key(names[at]) for at in removed}
    elsewhere: dict[str, list[int]] = defaultdict(list)
    stays: set[str] = set()
    for key, group in groupby(range(len(names)), key=lambda at: sample_key(names[at])):
        run = list(group)
        if key not in gone or not names[run[0]]:
            continue
        pictures = [at for at in run if is_picture(names[at])]
        matched = [at for at in run if at in removed]
        if matched and len(pictures) <= MAX_PICTURES:
            more.update(run)
        elif matched:
            more |= _same_stems(names, run, removed)
            stays.add(key)
        elif pictures:
            stays.add(key)
        else:
            elsewhere[key] += run
    for key, run in elsewhere.items():
        if key not in stays:
            more.update(run)
    return more - set(removed)


def _same_stems(names: Sequence[str], run: Sequence[int], removed: Collection[int]) -> set[int]:
    gone = [names[at] for at in run if at in removed]
    others = [names[at] for at in run if at not in removed]
    found = set(sidecars(others, gone))
    return {at for at in run if names[at] in found}


def sidecars(others: Iterable[str], removed: Iterable[str]) -> list[str]:
    """Return the files of a folder that go with pictures that go.

    These are files of the same stem, such as `a.txt` with `a.jpg`, and of the whole name with
    more, such as `a.jpg.json`; no picture, archive or listing. If another picture of the stem
    stays, what they share stays with it.

    Args:
        others: all files that stay so far.
        removed: those that go.
    """
    whole = set(removed)
    stems = {stem_of(name) for name in whole}
    shared: set[str] = set()
    found: list[tuple[str, str]] = []
    for name in others:
        if name in whole:
            continue
        stem = stem_of(name)
        if is_picture(name):
            if stem in stems:
                shared.add(stem)
        elif kind_by_name(name) is not None or name.rpartition("/")[2] in LISTINGS:
            continue
        elif stem in whole:
            found.append((name, ""))
        elif stem in stems and stem != name:
            found.append((name, stem))
    return [name for name, stem in found if not stem or stem not in shared]


def count_rest(names: Sequence[str], more: Collection[int]) -> Counter[str]:
    """Count what goes besides: other pictures of a sample, and files that are none."""
    return Counter("sample-picture" if is_picture(names[at]) else "sidecar" for at in more)
