"""What every store does with the times of videos' frames."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from egide.domain.model import Entry, OutcomeKind, State
from egide.domain.partners import RemoteChanges, RemoteVideo
from egide.domain.video import Track
from egide.errors import VideoInvalid
from egide.hashlist import HashLine, read_hash_list
from egide.hashlist.write import csv_pieces
from egide.net.answers import Node
from egide.partners.client import _fingerprint, _video
from egide.server.api.schemas.register import MAX_GIVEN_CODES, changed_entry
from egide.store.changing import ChangingStore as Store
from egide.store.entries import records
from egide.usecases.sync import follow_once
from erased import ended_with_fingerprints
from store_samples import film, picture
from sync_samples import Partner


def held(store: Store) -> list[Entry]:
    return list(store.entries.list("helpline"))


def test_a_video_is_kept_in_order_with_its_repeats_and_erased_with_its_entry(store: Store) -> None:
    store.entries.register("helpline", [film(1), picture(2), film(3), film(4)])
    first, still, *_ = held(store)
    assert (first.pdqs, first.video) == (film(1).pdqs, film(1).video)
    assert still.video is None
    assert store.entries.get("helpline", 1).video == film(1).video
    store.entries.withdraw("helpline", [1])
    store.entries.tombstone("helpline", [3])
    assert ended_with_fingerprints(store) == 0
    assert [one.video is None for one in held(store)] == [True, True, True, False]
    store.entries.register("helpline", [film(1)], again=True)
    assert held(store)[0].video == film(1).video


def test_an_old_entry_of_the_same_codes_gets_its_times_once(store: Store) -> None:
    store.entries.register("helpline", [replace(film(1), video=None)])
    before = store.revision()
    again = store.entries.register("helpline", [film(1)], outcomes=True)
    assert [one.kind for one in again.outcomes] == [OutcomeKind.KNOWN]
    assert store.revision() == before + 1
    assert held(store)[0].video == film(1).video
    other = Track((0,) * 5, (500,) * 5, 500)
    store.entries.register("helpline", [replace(film(1), video=other)])
    assert (store.revision(), held(store)[0].video) == (before + 1, film(1).video)


def test_times_that_are_not_of_its_codes_are_refused(store: Store) -> None:
    with pytest.raises(VideoInvalid, match="times for 5 frames and 4 codes"):
        store.entries.register("helpline", [replace(film(1), pdqs=film(1).pdqs[:4])])


def test_pages_end_early_where_videos_have_many_codes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.entries.register("helpline", [*map(film, range(1, 5)), picture(9)])
    store.entries.register("helpline", [*map(film, range(5, 8))])
    monkeypatch.setattr(records, "MAX_CODES_READ", 9)
    assert [one.id for one in held(store)] == [*range(1, 9)]
    assert [one.id for one in store.entries.list("helpline", limit=3)] == [1, 2, 3]
    assert [one.id for one in store.entries.changes(0)] == [*range(1, 9)]
    with store.entries.active() as view:
        assert [one.id for one in view.entries] == [*range(1, 9)]
    since, after, told = 0, None, []
    while (page := store.feed.page(since, after=after, limit=1000)).entries:
        told.append([one.id for one in page.entries])
        since, after = page.next.since, page.next.after
        assert page.more is (told[-1][-1] != 8)
    assert told == [[1, 2], [3, 4], [5, 6, 7], [8]]


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/remote.db", create=True) as opened:
        opened.banks.create("ncii")
        yield opened


class Old(Partner):
    """Answers as a register does that gives as many codes as older ones take, or no times."""

    videos = True

    def changes(self, *asked: object, **options: object) -> RemoteChanges:
        page = super().changes(*asked, **options)  # type: ignore[arg-type]
        return replace(
            page,
            entries=tuple(
                replace(
                    one,
                    pdqs=one.pdqs[::2],
                    video=one.video if self.videos else None,
                )
                for one in page.entries
            ),
        )


def test_a_partner_gives_videos_and_their_times_come_to_entries_of_before(
    store: Store, remote: Store
) -> None:
    store.upstreams.add(
        "partner", "https://partner.example", "/key", remote_bank="ncii", bank="helpline"
    )
    remote.entries.register("ncii", [film(1)])
    partner = Old(remote)
    partner.videos = False
    follow_once(store, "partner", partner.client)
    (one,) = held(store)
    assert (one.pdqs, one.video) == (film(1).pdqs[::2], None)
    partner.videos = True
    remote.entries.confirm("ncii", [1])
    follow_once(store, "partner", partner.client)
    (one,) = held(store)
    assert (one.pdqs, one.video) == (film(1).pdqs, film(1).video)
    remote.entries.withdraw("ncii", [1])
    follow_once(store, "partner", partner.client)
    assert [(one.state, one.video) for one in held(store)] == [(State.WITHDRAWN, None)]
    assert ended_with_fingerprints(store) == 0


def test_a_list_carries_videos(store: Store) -> None:
    long = film(2, frames=4500)
    store.entries.register("helpline", [film(1), picture(3), long])
    text = "".join(csv_pieces(held(store)))
    lines = read_hash_list(io.BytesIO(text.encode()), name="list")
    read = [one.registration(default_source="x") for one in lines if isinstance(one, HashLine)]
    assert [(one.pdqs, one.video) for one in read] == [
        (one.pdqs, one.video) for one in (film(1), picture(3), long)
    ]


def test_what_followers_get_of_a_long_video_is_what_old_and_new_ones_take(store: Store) -> None:
    store.entries.register("helpline", [film(1), film(2, frames=3000)])
    for entry in held(store):
        given = Node(
            json.loads(json.dumps(changed_entry(entry, negative=False), default=str)), "entry"
        ).get("fingerprint")
        pdqs, _ = _fingerprint(given)
        assert len(pdqs) == min(MAX_GIVEN_CODES, len(entry.pdqs))
        assert entry.video is not None
        assert _video(given, pdqs) == RemoteVideo(entry.pdqs, entry.video)
