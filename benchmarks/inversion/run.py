"""The whole benchmark: pictures are fingerprinted, seen again in each way, and judged."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from edits.corpus import half
from egide.compiled import ANCHORED, prepare_compiled
from inversion import jigsaw
from inversion.dictionary import Dictionary
from inversion.judge import Judge, Verdict
from inversion.laying import laid
from inversion.learned import Effort, Learned
from inversion.pictures import Floats, Subject, crops, normal, subject, subjects
from inversion.signs import Signs

CANDIDATES = 100
"""Pictures that are seen again; each is looked for among all of them."""
SEED = 1
GRID_SHARE = 0.5
"""Of what the keypoints' coarse grid shows in a picture put together of it and the dictionary."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done.

    Attributes:
        photos: of the development half, to learn from.
        views: of each: whole, and crops.
        candidates: of the report half.
        placed, paired: of these, whose regions are laid on the PDQ, and against one another.
        effort: of the networks.
    """

    photos: int = 1000
    views: int = 6
    candidates: int = CANDIDATES
    placed: int = 40
    paired: int = 6
    effort: Effort = field(default_factory=Effort)


QUICK = Plan(30, 2, 12, 2, 1, Effort(4, 1, 500, 1, 1, 1))
"""To see that it runs."""


@dataclass(slots=True)
class Results:
    """All figures.

    Attributes:
        plan: what was done.
        known: pictures and crops learned from.
        thumbnails: tone, edges and choice of the thumbnails of each side.
        pictures: verdicts on pictures, by what is known and the way.
        region_thumbnails, regions: the same of single regions.
        placed_right, placed_right_elsewhere: share of regions that found their place on what the
            PDQ shows; and on another picture's PDQ, which is chance.
        pairs: regions laid against one another.
        seconds: of processor time.
        seen: what was seen, for the sheet.
    """

    plan: Plan
    known: int = 0
    thumbnails: dict[int, tuple[float, float, float]] = field(default_factory=dict)
    pictures: dict[str, Verdict] = field(default_factory=dict)
    region_thumbnails: dict[int, tuple[float, float, float]] = field(default_factory=dict)
    regions: dict[str, Verdict] = field(default_factory=dict)
    placed_right: float = 0.0
    placed_right_elsewhere: float = 0.0
    pairs: jigsaw.Pairs | None = None
    seconds: float = 0.0
    seen: dict[str, Floats] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """Return everything but what was seen."""
        everything = {name: getattr(self, name) for name in self.__slots__ if name != "seen"}
        kinds = ("plan", "pairs")
        return everything | {
            **{name: asdict(everything[name]) for name in kinds},
            **{
                name: {way: asdict(verdict) for way, verdict in everything[name].items()}
                for name in ("pictures", "regions")
            },
        }


def run(plan: Plan) -> Results:
    """Fingerprint the pictures, and measure."""
    compiling = prepare_compiled(ANCHORED)
    if compiling is not None:
        compiling.join()
    photos = half("dev").photos[: plan.photos]
    rng = np.random.default_rng(SEED)
    known = []
    for number, image in enumerate(crops(photos, plan.views, rng), 1):
        known.append(subject(image))
        if number % 200 == 0:
            _say(f"fingerprinted {number}/{len(photos) * plan.views}")
    return measure(plan, known, len(photos), subjects(half("report").photos[: plan.candidates]))


def measure(plan: Plan, known: Sequence[Subject], whole: int, asked: Sequence[Subject]) -> Results:
    """See pictures again in every way.

    Args:
        plan: how much to do.
        known: what is learned from, the first `whole` of them whole pictures.
        whole: how many.
        asked: pictures to be seen again.
    """
    results = Results(plan, len(known))
    signs = Signs(known)
    dictionary = Dictionary(known, known[:whole])
    learned = Learned(known, whole, signs, plan.effort, SEED)
    _say("learned")
    patches = [learned.regions(each.regions.bits) for each in asked]
    seen = results.seen
    seen["nothing: the mean picture"] = _each(
        [normal(np.mean([one.picture for one in known], axis=0))] * len(asked)
    )
    seen["PDQ, by signs"] = _each([signs.pdq(one.pdq) for one in asked])
    seen["PDQ, by dictionary"] = _each([dictionary.pdq(one.pdq) for one in asked])
    seen["PDQ, learned"] = learned.pdq([one.pdq for one in asked])
    seen["PDQ of another picture, learned"] = np.roll(seen["PDQ, learned"], 1, axis=0)
    seen["anchored, by dictionary"] = _each([dictionary.layout(one.regions.bits) for one in asked])
    seen["anchored, learned"] = learned.anchored(asked, with_pdq=False)
    seen["PDQ and anchored, learned"] = learned.anchored(asked, with_pdq=True)
    seen["PDQ and anchored, jigsaw"] = _each(
        [
            jigsaw.put_together(canvas, of_it, one.aspect)
            for canvas, of_it, one in zip(seen["PDQ, learned"], patches, asked, strict=True)
        ]
    )
    seen["anchored by signs, if places were known"] = _each(
        [laid(signs.regions(one.regions.bits), one.regions.places, one.aspect) for one in asked]
    )
    seen["anchored learned, if places were known"] = _each(
        [
            laid(of_it, one.regions.places, one.aspect)
            for of_it, one in zip(patches, asked, strict=True)
        ]
    )
    seen["keypoints, by signs of the grid"] = _each(
        [signs.keypoints(one.keypoints) for one in asked]
    )
    by_dictionary = _each([dictionary.keypoints(one.keypoints, one.size) for one in asked])
    seen["keypoints, by dictionary"] = normal(
        GRID_SHARE * seen["keypoints, by signs of the grid"] + (1 - GRID_SHARE) * by_dictionary
    )
    seen["keypoints, learned"] = learned.keypoints(asked)
    _say("seen again")
    judge = Judge(_each([one.picture for one in asked]))
    results.thumbnails = judge.yardstick
    results.pictures = {way: judge.verdict(each) for way, each in seen.items()}
    _judge_regions(results, asked, patches, signs, dictionary)
    _judge_places(results, asked, patches)
    seen["the picture"] = _each([one.picture for one in asked])
    results.seconds = time.process_time()
    return results


def _judge_regions(
    results: Results,
    asked: Sequence[Subject],
    patches: Sequence[Floats],
    signs: Signs,
    dictionary: Dictionary,
) -> None:
    """One region of each picture, another one each time."""
    chosen = [
        (one.regions, of_it, number % len(of_it))
        for number, (one, of_it) in enumerate(zip(asked, patches, strict=True))
        if len(of_it)
    ]
    bits = np.array([regions.bits[at] for regions, _, at in chosen])
    judge = Judge(np.array([regions.patches[at] for regions, _, at in chosen]))
    results.region_thumbnails = judge.yardstick
    results.regions = {
        "by signs": judge.verdict(signs.regions(bits)),
        "by dictionary": judge.verdict(dictionary.regions(bits)),
        "learned": judge.verdict(np.array([of_it[at] for _, of_it, at in chosen])),
    }


def _judge_places(results: Results, asked: Sequence[Subject], patches: Sequence[Floats]) -> None:
    canvases = results.seen["PDQ, learned"]
    here: list[jigsaw.Array] = []
    elsewhere: list[jigsaw.Array] = []
    for number, one in enumerate(asked[: results.plan.placed]):
        for canvas, found in ((canvases[number], here), (canvases[number - 1], elsewhere)):
            places, _ = jigsaw.on_canvas(canvas, patches[number], one.aspect)
            found.append(jigsaw.right(places, one.regions.places, one.aspect))
    results.placed_right = float(np.concatenate(here).mean())
    results.placed_right_elsewhere = float(np.concatenate(elsewhere).mean())
    _say("laid on what the PDQ shows")
    count = results.plan.paired
    results.pairs = jigsaw.against_one_another(asked[:count], patches[:count])


def _each(pictures: Sequence[Floats]) -> Floats:
    return np.array(pictures, np.float32)


def _say(what: str) -> None:
    print(f"{what}: {time.process_time():.0f} s", file=sys.stderr)
