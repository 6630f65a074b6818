"""Who takes part is known, named in public, and said wherever looking is promised."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from case_samples import image, submission
from egide.domain.access import Role
from egide.domain.cases import new_number
from egide.errors import StoreError
from egide.server.pages.person.session import IDLE_S, LONGEST_S
from egide.server.pages.site import page as page_module
from egide.server.pages.site.page import COOKIE
from egide.store.changing import ChangingStore as Store
from egide.usecases.taking_part import TakingPart, taking_part
from page_visits import Visitor
from server_samples import Served, serve

NOBODY = TakingPart((), 0, asks_here=False)
NAMES = {"rivage": "Rivage", "rivage-uploads": "Rivage", "zoom": "à la Une"}
NONE = {"en": "No site or app takes part yet", "fr": "ne participe encore"}
PROMISES = {
    "en": re.compile(
        r"(?i)partners look for|are looked for|is being looked for|are still looked|take part now"
    ),
    "fr": re.compile(r"(?i)partenaires cherchent|On la recherche|On cherche|participent en ce"),
}
WHERE = ("", "how", "privacy", "register/images?adult=yes", "case", "case/card?new=yes")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/egide.db", create=True) as opened:
        opened.banks.create("helpline")
        opened.banks.create("other")
        yield opened


def test_no_key_is_nobody(store: Store) -> None:
    assert taking_part(store, "helpline", {}) == NOBODY
    assert taking_part(store, "missing", {}) == NOBODY


@pytest.mark.parametrize(
    ("role", "banks", "found"),
    [
        (Role.PARTNER, None, TakingPart(("Rivage",), 0, asks_here=False)),
        (Role.PARTNER, ("other", "helpline"), TakingPart(("Rivage",), 0, asks_here=False)),
        (Role.MATCHER, ("helpline",), TakingPart(("Rivage",), 0, asks_here=True)),
        (Role.PARTNER, ("other",), NOBODY),
        (Role.MATCHER, ("other",), NOBODY),
        (Role.CURATOR, None, NOBODY),
        (Role.MODERATOR, None, NOBODY),
        (Role.ADMIN, None, NOBODY),
    ],
)
def test_partners_and_whoever_asks_about_uploads_take_part_where_they_reach(
    store: Store, role: Role, banks: tuple[str, ...] | None, found: TakingPart
) -> None:
    store.keys.create("rivage", role, "Anna", banks=banks)
    assert taking_part(store, "helpline", NAMES) == found


def test_a_key_that_opens_nothing_takes_no_part(store: Store) -> None:
    now = datetime.now(UTC)
    store.keys.create("rivage", Role.PARTNER, "Anna", expires=now + timedelta(days=1))
    store.keys.create("zoom", Role.MATCHER, "Ben")
    store.keys.revoke("zoom")
    assert taking_part(store, "helpline", NAMES, now=now).names == ("Rivage",)
    assert taking_part(store, "helpline", NAMES, now=now + timedelta(days=1)) == NOBODY


def test_two_keys_of_one_partner_are_one_and_keys_without_a_name_are_counted(
    store: Store,
) -> None:
    for name, holder in (
        ("zoom", "Zoé"), ("rivage", "Anna"), ("rivage-uploads", "Ben"), ("rivage-old", " anna "),
        ("secret-1", "Cleo"), ("secret-2", "Cleo"), ("secret-3", "Dan"),
    ):  # fmt: skip
        store.keys.create(name, Role.PARTNER, holder)
    found = taking_part(store, "helpline", NAMES)
    assert (set(found.names), found.unnamed, found.count) == ({"Rivage", "à la Une"}, 2, 4)


def test_a_bank_that_is_not_searched_is_asked_in_vain(store: Store) -> None:
    store.keys.create("zoom", Role.MATCHER, "Zoé")
    store.banks.update("helpline", enabled=False)
    assert taking_part(store, "helpline", NAMES) == NOBODY


# --- on the pages ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(
        tmp_path_factory.mktemp("pages"), pages=True, pages_partners={"rivage-key": "Rivage <b>"}
    ) as running:
        yield running


def signed_in(served: Served, lang: str) -> Visitor:
    store = Store.of(served.service.store)
    opened = store.cases.open(
        "helpline", [image(1), image(2)], new_number=new_number, pin_hash="$none$",
        lifetime=timedelta(days=730), submission=submission(len(store.keys.list()) * 2 + len(lang)),
    )  # fmt: skip
    token = store.sessions.start("case", opened.case_id, idle_s=IDLE_S, longest_s=LONGEST_S)
    visitor = Visitor(served, lang)
    visitor.client.cookies.set(COOKIE, token)
    return visitor


def read(visitor: Visitor, path: str) -> str:
    answer = visitor.get(path)
    assert answer.status_code == 200, path
    return " ".join(re.sub(r"<script.*?</script>", "", answer.text, flags=re.DOTALL).split())


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_pages_promise_looking_only_while_somebody_takes_part(
    served: Served, lang: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = served.service.store
    for key in store.keys.list():
        if key.role in {Role.PARTNER, Role.MATCHER} and key.revoked is None:
            store.keys.revoke(key.name)
    visitor = signed_in(served, lang)
    for path in WHERE:
        page = read(visitor, path)
        assert NONE[lang] in page, path
        assert PROMISES[lang].search(page) is None, path

    def unreadable(*_: object, **__: object) -> None:
        raise StoreError(store="it", reason="locked")

    with monkeypatch.context() as patch:
        patch.setattr(page_module, "taking_part", unreadable)
        for path in WHERE:
            page = read(visitor, path)
            assert PROMISES[lang].search(page) is None, path
            assert NONE[lang] not in page, path

    # The name of a key may be given once, so each language has one of its own that is unnamed.
    store.keys.create(f"internal-{lang}", Role.MATCHER, f"Uma {lang}")
    for path in WHERE:
        page = read(visitor, path)
        assert NONE[lang] not in page, path
        assert "internal-" not in page, path
    assert PROMISES[lang].search(read(visitor, "case/card?new=yes"))
    for path in ("", "how", "case", "register/images?adult=yes"):
        page = read(visitor, path)
        assert PROMISES[lang].search(page), path
        assert {"en": "1 partner that", "fr": "1 partenaire qui"}[lang] in page, path


def test_a_partner_is_shown_by_its_public_name_and_nothing_else(served: Served) -> None:
    served.service.store.keys.create("rivage-key", Role.PARTNER, "Anna of Rivage")
    visitor = signed_in(served, "en")
    for path in ("", "how", "privacy", "register/images?adult=yes", "case"):
        page = read(visitor, path)
        assert "<li>Rivage &lt;b&gt;</li>" in page, path
        assert "rivage-key" not in page
        assert "Anna" not in page


def test_a_key_that_stands_for_networks_counts_while_they_are_let_in(tmp_path: Path) -> None:
    for number, enabled in enumerate((True, False)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with serve(
            folder, pages=True, hma_enabled=enabled, hma_networks=("10.0.0.0/8",),
        ) as served:  # fmt: skip
            served.service.store.keys.create("hma-matcher", Role.MATCHER, "HMA")
            said = NONE["en"] in read(Visitor(served), "")
            assert said is not enabled


@pytest.mark.parametrize(("lang", "contact"), [("en", "help@example.org"), ("fr", "")])
def test_a_lost_pin_leads_to_a_worker_and_a_lost_number_to_nobody(
    tmp_path: Path, lang: str, contact: str
) -> None:
    words = {
        "en": ("a worker of Aube can take your images out", "nobody can find your case"),
        "fr": ("l’équipe de Aube peut retirer vos images", "personne ne peut trouver votre"),
    }[lang]
    unreachable = {"en": "not yet said here how to reach", "fr": "pas encore dit ici comment"}[lang]
    with serve(tmp_path, pages=True, pages_name="Aube", pages_contact=contact) as served:
        visitor = signed_in(served, lang)
        for path in ("how", "help", "register/images?adult=yes", "case/card"):
            page = read(visitor, path)
            assert all(one in page for one in words), path
            assert (unreachable in page) is (not contact), path
        assert words[0] in read(Visitor(served, lang), "case")
