"""A stream of samples, and what of it a guard lets pass."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from itertools import count, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import egide
from egide.domain.model import BankKind
from egide.errors import BankMissing, NothingToCompare, RadiusInvalid, StoreReadOnly, UsageError
from egide.hashing import fingerprint as real_fingerprint
from egide.live.searching import HeldSearch
from egide.usecases.guard import BATCH_SAMPLES
from pictures import encoded, pictures

REGISTERED, OTHERS = range(4), range(4, 8)


def jpeg(number: int) -> bytes:
    return encoded(pictures(8)[number], quality=70)


def stream() -> list[tuple[str, bytes]]:
    """Pictures 0 to 7, of which the first four are registered, and two that cannot be read."""
    good = [(f"{number}.jpg", jpeg(number)) for number in range(8)]
    return [*good[:5], ("cut.jpg", jpeg(5)[:300]), *good[5:], ("no.jpg", b"no picture")]


def names(samples: Iterator[tuple[str, bytes]] | egide.Guard[tuple[str, bytes]]) -> list[str]:
    return [name for name, _ in samples]


def test_samples_that_match_or_cannot_be_read_are_left_out_in_order(store: egide.Store) -> None:
    matched: list[tuple[str, list[int]]] = []
    unread: list[tuple[str, str]] = []
    guard = egide.guard(
        stream(),
        store,
        on_match=lambda sample, found: matched.append((sample[0], [m.entry for m in found])),
        on_gap=lambda sample, gap: unread.append((sample[0], gap.code)),
    )
    assert names(guard) == ["4.jpg", "5.jpg", "6.jpg", "7.jpg"]
    assert matched == [(f"{number}.jpg", [number + 1]) for number in REGISTERED]
    assert unread == [("cut.jpg", "image-truncated"), ("no.jpg", "not-an-image")]
    found = guard.summary
    assert (found.samples, found.passed, found.matched, found.unread) == (10, 4, 4, 2)
    assert [(gap.code, gap.count) for gap in found.gaps] == [
        ("image-truncated", 1),
        ("not-an-image", 1),
    ]
    assert found.sentence == (
        f"4 of 10 samples passed; 4 match bank helpline at revision {store.revision()}; "
        "2 could not be looked at."
    )
    assert names(guard) == ["4.jpg", "5.jpg", "6.jpg", "7.jpg"]
    assert guard.summary == found


def test_what_could_not_be_read_passes_if_the_caller_wants_it(store: egide.Store) -> None:
    guard = egide.guard(stream(), store, keep_unread=True)
    assert names(guard) == ["4.jpg", "cut.jpg", "5.jpg", "6.jpg", "7.jpg", "no.jpg"]
    assert (guard.summary.passed, guard.summary.unread) == (6, 2)
    assert "2 could not be looked at and passed all the same." in guard.summary.sentence


def test_a_picture_read_only_in_part_is_left_out(store: egide.Store) -> None:
    frames = [pictures(8)[number].reduce(4) for number in (4, 5, 6)]
    animation = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    cut = jpeg(7)[: len(jpeg(7)) * 2 // 3]
    limits = egide.Limits(max_frames=2)
    guard = egide.guard([animation, cut], store, limits=limits)
    assert list(guard) == []
    assert {gap.code for gap in guard.summary.gaps} == {"frames-skipped", "pixels-missing"}
    assert guard.summary.unread == 2


def test_one_bad_picture_leaves_out_a_sample_and_a_match_outranks_it(store: egide.Store) -> None:
    samples = [
        {"left.jpg": jpeg(4), "right.jpg": jpeg(5)},
        {"left.jpg": jpeg(4), "right.jpg": b"broken"},
        {"left.jpg": b"broken", "right.jpg": jpeg(0)},
        {"text": b"nothing"},
    ]
    guard = egide.guard(samples, store)
    assert list(guard) == samples[:1]
    assert (guard.summary.matched, guard.summary.unread) == (1, 2)


def test_samples_of_all_kinds_come_out_as_they_went_in(store: egide.Store, tmp_path: Path) -> None:
    for number in (0, 4):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(number))
    for shape in (
        jpeg,
        lambda n: tmp_path / f"{n}.jpg",
        lambda n: str(tmp_path / f"{n}.jpg"),
        lambda n: pictures(8)[n],
        lambda n: (pictures(8)[n], n),
        lambda n: {"image": {"bytes": jpeg(n), "path": None}, "label": n},
        lambda n: {"__key__": "k", "jpg": jpeg(n), "txt": b"words"},
    ):
        matching, other = shape(0), shape(4)
        (passed,) = egide.guard([matching, other], store)
        assert passed is other


def test_get_says_where_the_picture_is(store: egide.Store) -> None:
    samples: list[dict[str, Any]] = [{"a": jpeg(4), "b": jpeg(0)}, {"a": jpeg(0), "b": 1}, {"b": 1}]
    guard = egide.guard(samples, store, get=itemgetter("a"))
    assert list(guard) == samples[:1]
    assert (guard.summary.matched, guard.summary.unread) == (1, 1)
    assert "looking for it failed, KeyError" in guard.summary.gaps[0].message


def test_whatever_a_decoder_raises_costs_one_sample(
    store: egide.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[BaseException] = [MemoryError(), ValueError("jane.jpg"), RecursionError()]

    def failing(source: Any, **settings: Any) -> Any:
        if source == b"bad":
            raise raised.pop()
        return real_fingerprint(source, **settings)

    monkeypatch.setattr(import_module("egide.hashing.fingerprint"), "fingerprint", failing)
    guard = egide.guard([b"bad", jpeg(4), b"bad", b"bad"], store)
    assert list(guard) == [jpeg(4)]
    assert guard.summary.gaps[0].count == 3
    assert "jane" not in guard.summary.gaps[0].message


class OwnPath:
    """A path of a library's own, of which only what it gives is known."""

    def __init__(self, given: bytes | Exception) -> None:
        self.given = given

    def __fspath__(self) -> bytes:
        if isinstance(self.given, Exception):
            raise self.given
        return self.given


def test_a_path_of_another_type_ends_no_stream(store: egide.Store, tmp_path: Path) -> None:
    (tmp_path / "0.jpg").write_bytes(jpeg(0))
    path = os.fsencode(tmp_path / "0.jpg")
    guard = egide.guard([OwnPath(path), OwnPath(ValueError()), jpeg(4)], store)
    assert list(guard) == [jpeg(4)]
    assert (guard.summary.matched, guard.summary.unread) == (1, 1)


@pytest.mark.parametrize("wrong", [{"mode": "quick"}, {"radius_bits": "9"}, {"limits": None}])
def test_an_argument_of_another_kind_is_wrong_usage(
    store: egide.Store, wrong: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        egide.guard([], store, **wrong)


def test_trusts_narrow_what_is_left_out(store: egide.Store) -> None:
    egide.confirm(store, "helpline", [1])
    egide.dispute(store, "helpline", [2])
    samples = [jpeg(number) for number in (0, 1, 2, 4)]
    assert list(egide.guard(samples, store)) == samples[3:]
    guard = egide.guard(samples, store, trusts=[egide.Trust.CONFIRMED])
    assert list(guard) == samples[1:]
    assert (guard.summary.matched, guard.summary.spared) == (1, 2)
    said = f"3 of 4 samples passed; 1 matches bank helpline at revision {store.revision()}"
    assert guard.summary.sentence == (
        f"{said} and was left out; 0 could not be looked at; "
        "2 match entries of other trusts alone, and passed."
    )


def test_what_a_negative_bank_vetoes_passes(store: egide.Store, tmp_path: Path) -> None:
    (tmp_path / "harmless.jpg").write_bytes(jpeg(0))
    egide.create_bank(store, "harmless", kind=BankKind.NEGATIVE)
    list(egide.register(store, "harmless", [tmp_path / "harmless.jpg"]))
    guard = egide.guard([jpeg(0), jpeg(1)], store)
    assert list(guard) == [jpeg(0)]
    assert (guard.summary.vetoed, guard.summary.banks) == (1, ("helpline",))


def test_nothing_passes_where_there_is_nothing_to_compare_with(store: egide.Store) -> None:
    def unread() -> Iterator[bytes]:
        pytest.fail("a sample was read")
        yield b""

    egide.create_bank(store, "empty")
    for settings, error in (
        ({"banks": ["empty"]}, NothingToCompare),
        ({"banks": ["gone"]}, BankMissing),
        ({"radius_bits": 64}, RadiusInvalid),
    ):
        with pytest.raises(error):
            next(iter(egide.guard(unread(), store, **settings)))  # type: ignore[arg-type]
    egide.update_bank(store, "helpline", enabled=False)
    with pytest.raises(NothingToCompare, match="the bank helpline is disabled"):
        next(iter(egide.guard(unread(), store, banks=["helpline"])))


@pytest.mark.parametrize(
    "wrong",
    [
        {"iterable": b"bytes"},
        {"iterable": 3},
        {"banks": "helpline"},
        {"trusts": "confirmed"},
        {"trusts": ["sure"]},
        {"trusts": []},
        {"follow_s": -1},
        {"follow_s": float("nan")},
    ],
)
def test_wrong_arguments_are_refused_at_once(store: egide.Store, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        egide.guard(**{"iterable": [], "store": store, **wrong})


def test_a_followed_store_takes_effect_while_samples_pass(store: egide.Store) -> None:
    def samples() -> Iterator[bytes]:
        yield jpeg(0)
        egide.withdraw(store, "helpline", [1])
        yield jpeg(0)
        yield jpeg(1)

    before = store.revision()
    held = egide.guard(samples(), store)
    assert list(held) == []
    assert held.summary.revisions == (before, before)
    egide.withdraw(store, "helpline", [2])
    followed = egide.guard([jpeg(0), jpeg(1), jpeg(2)], store, follow_s=0)
    seen = []
    for number, sample in enumerate(followed):
        seen.append(sample)
        if not number:
            egide.withdraw(store, "helpline", [3])
    assert seen == [jpeg(0), jpeg(1), jpeg(2)]
    assert followed.summary.revisions == (store.revision() - 1, store.revision())
    assert f"revisions {store.revision() - 1} to {store.revision()}" in followed.summary.sentence


def test_a_store_that_cannot_be_followed_is_said_and_the_last_state_searched(
    store: egide.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def renew(self: HeldSearch) -> None:
        raise StoreReadOnly(store="x")

    monkeypatch.setattr(HeldSearch, "renew", renew)
    guard = egide.guard([jpeg(0), jpeg(4)], store, follow_s=0)
    assert list(guard) == [jpeg(4)]
    assert guard.summary.behind == "store-read-only"
    assert "later changes of the store are not seen (store-read-only)" in guard.summary.sentence
    monkeypatch.undo()
    list(guard)
    assert guard.summary.behind is None


def test_a_followed_bank_that_becomes_empty_ends_the_stream(store: egide.Store) -> None:
    samples = iter(egide.guard(map(jpeg, [4, 5, 6]), store, follow_s=0))
    assert next(samples) == jpeg(4)
    egide.withdraw(store, "helpline", [1, 2, 3, 4])
    with pytest.raises(NothingToCompare):
        next(samples)


def test_an_endless_stream_is_read_ahead_by_a_bounded_number(store: egide.Store) -> None:
    read = count()

    def endless() -> Iterator[bytes]:
        for _ in read:
            yield b"no picture"

    ended: list[egide.GuardSummary] = []
    guard = egide.guard(endless(), store, keep_unread=True, on_end=ended.append)
    assert len(list(islice(guard, 200))) == 200
    assert next(read) <= 200 + BATCH_SAMPLES
    del guard
    assert [one.samples for one in ended] == [200]


def test_an_early_end_closes_what_the_guard_opened(tmp_path: Path, store: egide.Store) -> None:
    closed: list[str] = []

    class Samples:
        def __iter__(self) -> Iterator[bytes]:
            try:
                yield from [jpeg(4)] * 3
            finally:
                closed.append("samples")

    guard = egide.guard(
        Samples(), f"sqlite:///{tmp_path}/egide.db", on_end=lambda _: closed.append("end")
    )
    running = iter(guard)
    assert isinstance(running, Iterator)
    assert next(running) == jpeg(4)
    running.close()  # type: ignore[attr-defined]
    assert closed == ["samples", "end"]
    assert guard.summary.samples == 1


def test_an_error_of_the_samples_comes_after_those_before_it(store: egide.Store) -> None:
    def failing() -> Iterator[bytes]:
        yield from map(jpeg, [4, 0, 5, 6])
        raise OSError("the disk is gone")

    passed: list[bytes] = []
    with pytest.raises(OSError, match="the disk is gone"):
        passed.extend(egide.guard(failing(), store))
    assert passed == [jpeg(4), jpeg(5), jpeg(6)]


def test_a_guard_with_an_address_goes_to_other_processes(
    tmp_path: Path, store: egide.Store
) -> None:
    guard = egide.guard(
        [jpeg(0), jpeg(4)], f"sqlite:///{tmp_path}/egide.db", get=itemgetter(slice(None))
    )
    sent = pickle.loads(pickle.dumps(guard))
    sent._opened_in -= 1
    assert list(sent) == list(guard) == [jpeg(4)]
    both = sent.summary + guard.summary
    assert (both.samples, both.passed, both.matched) == (4, 2, 2)
    assert both.sentence.startswith("2 of 4 samples passed; 2 match bank helpline at revision")
    assert sent.summary + egide.GuardSummary() == sent.summary
    assert egide.GuardSummary().sentence == "No sample was compared."


def test_an_open_store_does_not_leave_its_process(store: egide.Store) -> None:
    guard = egide.guard([jpeg(4)], store)
    with pytest.raises(UsageError, match="give the guard the store's address"):
        pickle.dumps(guard)
    guard._opened_in -= 1  # as in a process that was forked
    with pytest.raises(UsageError, match="give the guard the store's address"):
        list(guard)


def test_two_threads_may_iterate_over_one_guard(store: egide.Store) -> None:
    guard = egide.guard([jpeg(number) for number in range(8)], store)
    with ThreadPoolExecutor(2) as threads:
        for passed in threads.map(lambda _: list(guard), range(2)):
            assert passed == [jpeg(number) for number in OTHERS]


def test_thorough_finds_what_only_anchored_hashes_find(store: egide.Store) -> None:
    image = pictures(8)[0]
    crop = encoded(image.crop((60, 40, 340, 230)).resize((560, 380), Image.Resampling.LANCZOS))
    assert list(egide.guard([crop], store)) == [crop]
    guard: egide.Guard[bytes] = egide.guard([crop], store, thorough=True)
    by: list[Sequence[egide.Match]] = []
    guard._on_match = lambda _, matches: by.append(matches)
    assert list(guard) == []
    assert {match.signal for matches in by for match in matches} == {egide.Signal.ANCHORED}


def test_nothing_is_logged(store: egide.Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    list(egide.guard([*stream(), ("gone", Path("jane.jpg"))], store))  # type: ignore[list-item]
    assert not [record for record in caplog.records if record.name.startswith("egide")]
