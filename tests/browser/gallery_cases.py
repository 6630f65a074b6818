"""Made-up cases in every state, for the tour through all pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from case_samples import image, submission
from egide.domain.access import Role
from egide.domain.cases import Authority, Case, ImageKind, new_number
from egide.domain.model import FeedbackKind
from egide.errors import TooManyAttempts
from egide.store.changing import ChangingStore
from egide.store.tables.cases import cases, partner_reads
from egide.usecases.staff import Staffing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.domain.cases import NewImage
    from egide.server.service import Service

WORKER = "marguerite-de-la-tour"
LOCAL = "127.0.0.1"
BANK = "helpline"
PARTNERS = {
    "rivage": "Rivage",
    "bout-du-monde": "Photos du bout du monde",
    "long-name": "Association européenne des plateformes de partage de photos",
    "kiosque": "Kiosque",
    "tchat-23": "Tchat 23",
}
"""What the operator calls the keys of partners; others have no name on the pages."""
UNNAMED = ("a-key-without-a-name", "another-one")
LISTED = 53
"""One more than a page of the staff's list, with the others here."""


@dataclass(frozen=True)
class Prepared:
    """The store's numbers of cases, each in the state that its name says."""

    new: int
    answered: int
    ends_soon: int
    withdrawn: int
    expired: int
    full: int
    helped: int
    worker: int
    locked_number: str


class _Maker:
    def __init__(self, service: Service) -> None:
        self.store = service.store
        self.casework = service.casework
        self._made = 0

    def image(self, kind: ImageKind = ImageKind.STILL) -> NewImage:
        self._made += 1
        return image(1000 + self._made, kind)

    def case(
        self,
        images: Sequence[NewImage],
        authority: Authority = Authority.SELF,
        opened_by: str | None = None,
    ) -> Case:
        """Open a case whose PIN nobody knows: hashing one takes longer than all the rest."""
        self._made += 1
        opened = ChangingStore.of(self.store).cases.open(
            BANK,
            images,
            new_number=new_number,
            pin_hash="$none$",
            lifetime=timedelta(days=730),
            submission=submission(self._made),
            authority=authority,
            opened_by=opened_by,
        )
        return self.casework.get(opened.case_id)

    def date(self, case: Case, **moments: datetime) -> None:
        """Change what the store says of when a case was opened or ends."""
        values = {name: int(moment.timestamp()) for name, moment in moments.items()}
        with self.store._database.write() as connection:
            connection.execute(sa.update(cases).where(cases.c.id == case.id).values(values))


def prepare(service: Service) -> Prepared:
    """Fill the store of a service with cases, partners and a worker."""
    maker = _Maker(service)
    now = datetime.now(UTC)
    worker = Staffing(service.store).create(WORKER).staff
    new = maker.case([maker.image() for _ in range(3)])
    answered = maker.case(
        [
            maker.image(),
            maker.image(ImageKind.FIRST_FRAME),
            maker.image(ImageKind.DIGEST_ONLY),
            *(maker.image() for _ in range(3)),
        ]
    )
    _answer(service, maker, answered)
    ends_soon = maker.case([maker.image()])
    maker.date(ends_soon, created=now - timedelta(days=710), expires=now + timedelta(days=20))
    withdrawn = maker.case([maker.image(), maker.image()])
    maker.casework.withdraw(withdrawn.id)
    expired = maker.case([maker.image()])
    maker.date(expired, created=now - timedelta(days=732), expires=now - timedelta(days=2))
    full = maker.case([maker.image() for _ in range(service.settings.case_max_images)])
    helped = maker.case([maker.image(), maker.image()], Authority.BY_PHONE, WORKER)
    for _ in range(LISTED):
        maker.case([maker.image()])
    return Prepared(
        new=new.id,
        answered=answered.id,
        ends_soon=ends_soon.id,
        withdrawn=withdrawn.id,
        expired=expired.id,
        full=full.id,
        helped=helped.id,
        worker=worker.id,
        locked_number=lock(service),
    )


def lock(service: Service) -> str:
    """Try wrong PINs for a number that no case has until there is a wait; return the number."""
    number = new_number()
    for _ in range(100):
        try:
            service.store.attempts.begin(number, LOCAL)
        except TooManyAttempts:
            return number
    raise AssertionError("nobody is ever made to wait")


def _answer(service: Service, maker: _Maker, case: Case) -> None:
    """Have partners fetch the images of a case and say all that can be said of them."""
    store = service.store
    given = [
        entry
        for entry in store.entries.list(BANK)
        if entry.id in {one.entry for one in case.images}
    ]
    names = (*PARTNERS, *UNNAMED)
    partners = [store.keys.create(name, Role.PARTNER, name)[0] for name in names]
    for partner in partners[:3]:
        store.given.entries(partner, given, way="changes")
    store.given.entries(partners[-1], given[:2], way="changes")
    store.given.entries(partners[3], given[1:], way="changes")
    with store._database.write() as connection:  # long enough ago to be called no answer
        connection.execute(
            sa.update(partner_reads)
            .where(partner_reads.c.key_id == partners[3].id)
            .values(at=partner_reads.c.at - 20 * 24 * 3600)
        )
    first, second, third, fourth, fifth, sixth = (one.entry for one in case.images)
    said = datetime.now(UTC).replace(microsecond=0)
    matched, removed = FeedbackKind.MATCHED, FeedbackKind.REMOVED
    for partner, items in (
        (names[0], [(one, kind) for one in (first, fourth) for kind in (matched, removed)]),
        (names[1], [(second, FeedbackKind.DECLINED), (first, removed)]),
        (names[2], [(third, FeedbackKind.FALSE_POSITIVE)]),
        (names[-1], [(fifth, matched)]),
    ):
        store.feedback.add_all(
            BANK, [(entry, kind, said) for entry, kind in items], partner=partner
        )
    changing = ChangingStore.of(store)
    changing.entries.dispute(BANK, [second])
    changing.entries.tombstone(BANK, [third])
    changing.entries.confirm(BANK, [fourth])
    changing.entries.withdraw(BANK, [sixth])
