"""The texts of a case's page on its images and partners: removals first, equal lines merged."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from egide.domain.cases import PartnerState
from egide.domain.model import State, Trust

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from egide.domain.cases import Case, CaseImage, PartnerStatus
    from egide.server.pages.site.page import Page
    from egide.text.wording import Wording
    from egide.usecases.taking_part import TakingPart

_FIRST_TOLD = (
    PartnerState.REMOVED,
    PartnerState.MATCHED,
    PartnerState.DECLINED,
    PartnerState.FALSE_POSITIVE,
    PartnerState.NO_ANSWER,
    PartnerState.SENT,
)
_RUN = 3
"""A row of at least this many numbers is named by its first and last."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One act of one partner on one day, with all its images.

    Attributes:
        state: the act.
        text: the act in words, with the partner and the day.
        images: the images in words.
    """

    state: PartnerState
    text: str
    images: str


def happenings(
    page: Page, case: Case, statuses: Mapping[int, Sequence[PartnerStatus]]
) -> list[Happening]:
    """What partners did with a case: removals first, then matches and the rest; latest first."""
    words = page.words
    numbers = {image.id: number for number, image in enumerate(case.images, start=1)}
    folded: dict[tuple[PartnerState, str, str], tuple[float, set[int]]] = {}
    for image_id, own in statuses.items():
        for status in own:
            alike = (status.state, page.partner_name(status.partner), words.day(status.at))
            at, images = folded.get(alike, (0.0, set()))
            folded[alike] = (max(at, status.at.timestamp()), images | {numbers[image_id]})
    order = sorted(
        folded.items(),
        key=lambda item: (_FIRST_TOLD.index(item[0][0]), -item[1][0], item[0][1]),
    )
    return [
        Happening(
            state,
            words.text(f"case.partners.{state.replace('-', '_')}", partner=partner, date=day),
            _named(words, images, len(case.images)),
        )
        for (state, partner, day), (_, images) in order
    ]


def summary(
    page: Page,
    case: Case,
    statuses: Mapping[int, Sequence[PartnerStatus]],
    taking_part: TakingPart | None,
) -> list[str]:
    """The summary of a case: how many images and partners, and what partners removed and found.

    Each pair of image and partner counts once: partners do not tell the number of copies. A removed
    copy is not counted again as found.
    """
    words = page.words
    standing = [image for image in case.images if image.state is not State.WITHDRAWN]
    told = [words.plural("case.summary.images", len(standing))]
    if taking_part is not None:
        told.append(
            words.plural("case.summary.partners", taking_part.count)
            if taking_part.count
            else words.text("case.summary.no_partner")
        )
    removed = _pairs(statuses, PartnerState.REMOVED)
    for state, count in (
        (PartnerState.REMOVED, len(removed)),
        (PartnerState.MATCHED, len(_pairs(statuses, PartnerState.MATCHED) - removed)),
    ):
        if count:
            told.append(words.plural(f"case.summary.{state}", count))
    return told


def standing(
    page: Page,
    image: CaseImage,
    statuses: Iterable[PartnerStatus],
    taking_part: TakingPart | None,
) -> str:
    """The present status of one image of an open case, in words."""
    words = page.words
    if image.state is not State.ACTIVE:
        return words.text(f"case.image.{image.state}")
    seen = {status.state for status in statuses}
    told = []
    if PartnerState.REMOVED in seen:
        told.append(words.text("case.image.removed"))
    elif PartnerState.MATCHED in seen:
        told.append(words.text("case.image.matched"))
    if taking_part is None:
        told.append(words.text("case.image.registered"))
    elif not taking_part.count:
        told.append(words.text("case.image.waits"))
    elif not taking_part.asks_here and not seen:
        told.append(words.text("case.image.on_the_way"))
    else:
        told.append(words.text("case.image.active_still" if told else "case.image.active"))
    # After a removal, a partner has reviewed the image: do not say that nobody has.
    if image.trust is not Trust.UNVERIFIED or PartnerState.REMOVED not in seen:
        told.append(words.text(f"case.image.{image.trust}"))
    return " ".join(told)


def _pairs(
    statuses: Mapping[int, Sequence[PartnerStatus]], state: PartnerState
) -> set[tuple[int, str]]:
    """The pairs of image id and partner with this state."""
    return {
        (image_id, one.partner)
        for image_id, own in statuses.items()
        for one in own
        if one.state is state
    }


def _named(words: Wording, numbers: set[int], total: int) -> str:
    """Images in words: "Image 2", "Images 1, 4 and 6–9", "All your images"."""
    if len(numbers) == total > 1:
        return words.text("case.happening.all")
    parts: list[str] = []
    for _, run in groupby(enumerate(sorted(numbers)), key=lambda pair: pair[1] - pair[0]):
        row = [number for _, number in run]
        parts += [f"{row[0]}–{row[-1]}"] if len(row) >= _RUN else map(str, row)
    form = "one" if len(numbers) == 1 else "other"
    return words.text(f"case.happening.{form}", numbers=words.listed(parts))
