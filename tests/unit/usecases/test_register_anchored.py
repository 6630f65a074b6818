"""What registering keeps of a picture's anchored hashes."""

from dataclasses import replace
from pathlib import Path

import pytest

import egide
from egide.domain.model import AnchoredQuery, Fingerprint
from egide.store.changing import ChangingStore
from pictures import encoded, pictures
from store_samples import anchored


def test_they_are_kept_and_an_old_entry_gets_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query: AnchoredQuery | None = None

    def with_anchored(path: Path, **options: object) -> Fingerprint:
        return replace(egide.fingerprint(path), anchored=query)

    monkeypatch.setattr("egide.usecases.register.fingerprint_or_error", with_anchored)
    files = [tmp_path / f"{number}.png" for number in range(2)]
    for file, picture in zip(files, pictures(2), strict=True):
        file.write_bytes(encoded(picture, "PNG"))
    with egide.open_store(f"sqlite:///{tmp_path}/egide.db", create=True) as store:
        ChangingStore.of(store).banks.create("b")
        [old] = egide.register(store, "b", files[:1])
        assert (old.outcome, old.anchored_count) == ("added", 0)
        codes = [*anchored(1)]
        query = AnchoredQuery(codes[2] + codes[0] + anchored(2).codes[:32], bytes([1, 0, 1]))
        told = [*egide.register(store, "b", files)]
        assert [(one.outcome, one.anchored_count) for one in told] == [("known", 2), ("added", 2)]
        kept = store.anchored.of([1, 2])
        assert [*kept[1]] == [*kept[2]] == sorted([codes[2], codes[0]])
