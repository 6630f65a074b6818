"""The whole benchmark in one run: edits, distinct pairs, shared overlays, low texture, a bank."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from edits import shared, tasks
from edits.bank import Bank, Kept, keep
from edits.corpus import HALVES, half
from edits.low_texture import low_texture
from edits.pairwise import Pairwise, edited_file, query_fingerprint
from edits.photometric import encoded
from edits.plan import Plan
from edits.results import Results
from edits.shared_overlays import OVERLAYS
from edits.speed import measure_speed
from edits.suite import EDITS
from edits.tally import Outcome, tallies
from edits.tasks import INHERITED, Query

_Work = TypeVar("_Work")
_Done = TypeVar("_Done")


def run(plan: Plan) -> Results:
    """Measure everything."""
    started = time.perf_counter()
    results = Results(plan)
    _choose(plan.half)
    photos = INHERITED.half.photos
    results.pictures = len(photos)
    with TemporaryDirectory(prefix="egide-bench-") as folder:
        kept = list(_pooled(tasks.registering, photos, "pictures registered"))
        missing = range(max(0, plan.bank - len(kept)))
        bank = [*kept, *_pooled(tasks.distracting, missing, "distractors registered")]
        INHERITED.pairwise = Pairwise([(photo.key, photo.data) for photo in photos])
        building = time.perf_counter()
        INHERITED.bank = Bank(bank, Path(folder) / "bank.snapshot")
        build_s = time.perf_counter() - building
        _search_edits(plan, results)
        results.speed = measure_speed(INHERITED.bank, build_s, _timed_queries(plan.timed))
        INHERITED.bank = None
        _search_overlays(plan, results, kept, Path(folder) / "overlays.snapshot")
    _search_low_texture(plan, results)
    results.seconds = time.perf_counter() - started
    return results


def _choose(name: str) -> None:
    """Set the pictures; distractors are made of pictures that are not registered.

    On the half to report on they come from the other one. To develop, they come from the last
    pictures of the same half, which are not registered then: the half to report on stays unseen.
    """
    chosen = half(name)
    sources = half(HALVES[0]).photos
    if name == HALVES[0]:
        cut = len(chosen.photos) * 3 // 5
        chosen, sources = type(chosen)(chosen.photos[:cut], chosen.fillers), sources[cut:]
    INHERITED.half = chosen
    INHERITED.fillers = [photo.image() for photo in chosen.fillers]
    INHERITED.sources = [photo.image() for photo in sources]


def _search_edits(plan: Plan, results: Results) -> None:
    single: list[Outcome] = []
    banked: list[Outcome] = []
    single_of_banked: list[Outcome] = []
    for one, through in _pooled(tasks.edited, list(_queries(plan)), "edits searched for"):
        single += one
        banked += through
        single_of_banked += one if through else []
    results.single = tallies(single)
    results.banked = tallies(banked)
    results.single_of_banked = tallies(single_of_banked)


def _queries(plan: Plan) -> Iterator[Query]:
    """Each edit on its share of the pictures, other ones than the edit before."""
    count = len(INHERITED.half.photos)
    step, bank_step = (max(1, round(1 / share)) for share in (plan.share, plan.bank_share))
    for number in range(len(EDITS)):
        for turn, place in enumerate(range(number % step, count, step)):
            yield Query(number, place, plan.others, (turn + number) % bank_step == 0)


def _timed_queries(count: int) -> list[bytes]:
    photos = INHERITED.half.photos
    return [
        edited_file(EDITS[n % len(EDITS)], photos[n * 5 % len(photos)], INHERITED.fillers)
        for n in range(count)
    ]


def _search_overlays(plan: Plan, results: Results, kept: Sequence[Kept], path: Path) -> None:
    photos = INHERITED.half.photos[: plan.under_overlay]
    overlays = list(OVERLAYS)[: plan.overlays]
    under = list(kept)
    for overlay in overlays:
        files = shared.registered(overlay, photos)
        INHERITED.overlays[overlay] = Pairwise(files)
        under += [keep(key, data) for key, data in files]
    INHERITED.overlay_bank = Bank(under, path)
    single: list[Outcome] = []
    banked: list[Outcome] = []
    work = [(overlay, photo) for overlay in overlays for photo in photos]
    for one, through in _pooled(tasks.under_overlay, work, "pictures under overlays"):
        single += one
        banked += through
    results.overlays = tallies(single)
    results.overlays_banked = tallies(banked)


def _search_low_texture(plan: Plan, results: Results) -> None:
    images = [photo.image() for photo in INHERITED.half.photos]
    files = [(key, encoded(image)) for key, image in low_texture(plan.low_texture, images)]
    pairwise = Pairwise(files)
    everything = range(len(files))
    outcomes: list[Outcome] = []
    for key, data in files:
        outcomes += pairwise.examine(key.partition("-")[0], key, data, everything)
        keypoints = query_fingerprint(data).keypoints
        results.not_enough_detail += keypoints is None or not keypoints.straight.searchable
    results.low_pictures = len(files)
    results.low = tallies(outcomes)


def _pooled(task: Callable[[_Work], _Done], work: Collection[_Work], what: str) -> Iterator[_Done]:
    """Do the work on all cores, saying how far it has come."""
    cores = len(os.sched_getaffinity(0))
    started = time.perf_counter()
    # Forked, so that what is registered is there without being sent.
    with multiprocessing.get_context("fork").Pool(cores) as pool:
        for number, done in enumerate(pool.imap_unordered(task, work, chunksize=4), 1):
            if number % 200 == 0 or number == len(work):
                taken_s = time.perf_counter() - started
                print(f"{what}: {number}/{len(work)}, {taken_s:.0f} s", file=sys.stderr)
            yield done
