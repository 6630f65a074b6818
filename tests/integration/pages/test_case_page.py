"""What the page of a case says: a summary, removals first, lines alike as one; which is which."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from case_samples import image, submission
from egide.domain.access import Role
from egide.domain.cases import Case, image_tag, new_number
from egide.domain.model import FeedbackKind, State
from egide.server.pages.person.session import IDLE_S, LONGEST_S
from egide.server.pages.site.page import COOKIE
from egide.store.changing import ChangingStore as Store
from egide.store.tables.cases import partner_reads
from egide.store.tables.register import entries
from page_visits import Visitor
from server_samples import Served, serve

DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(microsecond=0)
PARTNERS = {"rivage": "Rivage", "kiosque": "Kiosque"}
KINDS = FeedbackKind


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("pages")
    with serve(folder, pages=True, pages_partners=PARTNERS) as running:
        for name in ("rivage", "kiosque", "internal"):
            running.service.store.keys.create(name, Role.PARTNER, name)
        yield running


@pytest.fixture
def store(served: Served) -> Store:
    return Store.of(served.service.store)


class Owner:
    """Somebody who is signed in to a case of their own."""

    _made = 0

    def __init__(self, served: Served, store: Store, count: int, lang: str = "en") -> None:
        Owner._made += 1
        self.numbers = [100 * Owner._made + at for at in range(count)]
        self.store = store
        opened = store.cases.open(
            "helpline", [image(number) for number in self.numbers], new_number=new_number,
            pin_hash="$none$", lifetime=730 * DAY, submission=submission(Owner._made),
        )  # fmt: skip
        self.id = opened.case_id
        self.service = served.service
        self.visitor = Visitor(served, lang)
        token = store.sessions.start("case", self.id, idle_s=IDLE_S, longest_s=LONGEST_S)
        self.visitor.client.cookies.set(COOKIE, token)

    @property
    def case(self) -> Case:
        return self.service.casework.get(self.id)

    def said(self, partner: str, kind: FeedbackKind, *images: int, at: datetime = NOW) -> None:
        entries = [self.case.images[number - 1].entry for number in images]
        items = [(entry, kind, at) for entry in entries]
        self.store.feedback.add_all("helpline", items, partner=partner)

    def sent(self, partner: str, images: Sequence[int], at: datetime = NOW) -> None:
        key = self.store.keys.get(partner)
        entries = {self.case.images[number - 1].entry for number in images}
        held = [one for one in self.store.entries.list("helpline") if one.id in entries]
        self.store.given.entries(key, held, way="changes")
        own = [self.case.images[number - 1].id for number in images]
        with self.store._database.write() as connection:
            connection.execute(
                sa.update(partner_reads)
                .where(partner_reads.c.image_id.in_(own), partner_reads.c.key_id == key.id)
                .values(at=int(at.timestamp()))
            )

    def page(self) -> str:
        answer = self.visitor.get("case")
        assert answer.status_code == 200
        return html.unescape(answer.text)

    def summary(self) -> str:
        found = re.search(r'class="case-summary">(.*?)<', self.page())
        assert found is not None
        return found[1]

    def events(self) -> list[tuple[str, str, str]]:
        """State, text and images of each line."""
        found = re.findall(
            r'<li class="event ([a-z-]+)"><span class="event-what">(.*?)</span>\s*'
            r'<span class="soft">(.*?)</span>',
            self.page(),
        )
        return [(state, text, images) for state, text, images in found]

    def standing(self, number: int) -> str:
        found = re.search(rf'id="image-{number}">(.*?)</li>', self.page(), re.DOTALL)
        assert found is not None
        return " ".join(re.sub("<[^>]+>", " ", found[1]).split())


@pytest.mark.parametrize(
    ("lang", "summary"),
    [
        ("en", "5 images · 3 partners · 1 copy removed · 2 copies found"),
        ("fr", "5 images · 3 partenaires · 1 copie retirée · 2 copies trouvées"),
    ],
)
def test_the_case_begins_with_a_summary(
    served: Served, store: Store, lang: str, summary: str
) -> None:
    owner = Owner(served, store, 5, lang)
    owner.said("rivage", KINDS.MATCHED, 1)
    owner.said("rivage", KINDS.REMOVED, 1)
    owner.said("kiosque", KINDS.MATCHED, 1, 2)
    assert owner.summary() == summary


def test_removals_come_first_and_lines_alike_are_one(served: Served, store: Store) -> None:
    owner = Owner(served, store, 6)
    owner.sent("kiosque", range(1, 7), at=NOW - 20 * DAY)
    owner.sent("rivage", (1, 2, 3, 5), at=NOW - 2 * DAY)
    owner.said("rivage", KINDS.MATCHED, 2, at=NOW)
    owner.said("rivage", KINDS.REMOVED, 2, 1, at=NOW - DAY)
    owner.said("internal", KINDS.DECLINED, 6)
    events = owner.events()
    assert [(state, images) for state, _, images in events] == [
        ("removed", "Images 1 and 2"),
        ("matched", "Image 2"),
        ("declined", "Image 6"),
        ("no-answer", "All your images"),
        ("sent", "Images 1–3 and 5"),
        ("sent", "All your images"),
    ]
    assert events[0][1].startswith("Copy removed: Rivage, on ")
    assert events[2][1].startswith("Copy checked and left in place: a partner, on ")
    assert "internal" not in owner.page()


def test_no_answer_has_the_day_until_which_there_was_none(served: Served, store: Store) -> None:
    owner = Owner(served, store, 1)
    owner.sent("kiosque", (1,), at=datetime(2026, 3, 1, 12, tzinfo=UTC))
    texts = [text for _, text, _ in owner.events()]
    assert texts == [
        "No answer from: Kiosque, by 15 March 2026",
        "Fingerprints sent to: Kiosque, on 1 March 2026",
    ]


def test_after_a_removal_nobody_reads_that_nothing_was_checked(
    served: Served, store: Store
) -> None:
    owner = Owner(served, store, 3)
    owner.said("rivage", KINDS.REMOVED, 1)
    owner.sent("rivage", (1, 2))
    assert "A copy was removed. Other copies are still looked for." in owner.standing(1)
    assert "confirmed" not in owner.standing(1)
    assert "It is being looked for. Not confirmed yet." in owner.standing(2)
    # Nobody asks here at each look, and nobody has fetched it.
    assert "on their way" in owner.standing(3)


def test_what_is_no_longer_looked_for_can_be_taken_out(served: Served, store: Store) -> None:
    owner = Owner(served, store, 2)
    store.entries.tombstone("helpline", [owner.case.images[0].entry])
    assert "no longer looked for" in owner.standing(1)
    assert "So they are erased." in owner.standing(1)
    assert "Take out Image 1" in owner.standing(1)
    asked = owner.visitor.get(f"case/withdraw?image={owner.case.images[0].id}")
    assert "Take Image 1 out?" in asked.text


def tags(page: str) -> tuple[bytes, list[str]]:
    found = re.search(r'data-salt="([0-9a-f]{64})" data-tags="([0-9a-f -]+)"', page)
    assert found is not None
    return bytes.fromhex(found[1]), found[2].split(" ")


def test_images_are_told_apart_by_tags_that_are_no_fingerprints(
    served: Served, store: Store
) -> None:
    owner = Owner(served, store, 3)
    store.cases.withdraw_image(owner.id, owner.case.images[1].id)
    page = owner.page()
    salt, found = tags(page)
    first, _, third = (image(number) for number in owner.numbers)
    assert found == [image_tag(first.sha256, salt), "-", image_tag(third.sha256, salt)]
    assert all(len(tag) in {1, 5} for tag in found)
    for one in (first, third):
        for fingerprint in (one.sha256, one.pdq or b""):
            assert fingerprint.hex()[:8] not in page
    # The same visit tells no more; another one, by another value, does not add up with it either.
    assert tags(owner.page()) == (salt, found)
    token = store.sessions.start("case", owner.id, idle_s=IDLE_S, longest_s=LONGEST_S)
    owner.visitor.client.cookies.clear()
    owner.visitor.client.cookies.set(COOKIE, token)
    assert tags(owner.page())[0] != salt


def test_an_ended_case_has_nothing_to_compare_with(served: Served, store: Store) -> None:
    owner = Owner(served, store, 2)
    owner.said("rivage", KINDS.REMOVED, 1)
    store.cases.withdraw(owner.id)
    page = owner.page()
    assert "data-salt" not in page
    assert "Copy removed: Rivage" in page


@pytest.mark.parametrize("alone", [True, False])
def test_taking_out_reaches_what_was_no_longer_looked_for(
    served: Served, store: Store, alone: bool
) -> None:
    owner = Owner(served, store, 3)
    tombstoned, expired, _ = (one.entry for one in owner.case.images)
    store.entries.tombstone("helpline", [tombstoned])
    with store._database.write() as connection:
        connection.execute(sa.update(entries).where(entries.c.id == expired).values(expires=1))
    store.entries.expire()
    states = [one.state for one in owner.case.images]
    assert states == [State.TOMBSTONED, State.EXPIRED, State.ACTIVE]
    for taken in owner.case.images[:2] if alone else [None]:
        fields = {} if taken is None else {"image": str(taken.id)}
        done = owner.visitor.post("case/withdraw", fields, form="case/withdraw")
        assert done.status_code == 303
    assert [one.state for one in owner.case.images] == [
        State.WITHDRAWN, State.WITHDRAWN, State.ACTIVE if alone else State.WITHDRAWN,
    ]  # fmt: skip
    assert ("Their fingerprints are erased here" in owner.page()) is not alone
