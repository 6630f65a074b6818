"""What registering keeps of a picture's keypoints."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import egide
from egide.errors import KeypointKeyMissing, KeypointKeyWrong, KeypointsUnavailable
from egide.hashing import keypoints
from egide.hashing.keypoints import registered
from egide.security.sealing import KeypointKey
from egide.store.changing import ChangingStore
from pictures import encoded, pictures

KEY = KeypointKey(b"k" * 32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "detail.png").write_bytes(encoded(pictures(1)[0], "PNG"))
    flat = Image.linear_gradient("L").resize((400, 300))
    (tmp_path / "flat.png").write_bytes(encoded(flat, "PNG"))
    (tmp_path / "bad.png").write_text("no picture")
    return tmp_path


def test_pictures_with_enough_detail_keep_keypoints_and_others_say_so(folder: Path) -> None:
    with egide.open_store(f"sqlite:///{folder}/egide.db", create=True) as store:
        ChangingStore.of(store).banks.create("b")
        files = [folder / f"{name}.png" for name in ("detail", "flat", "bad")]
        told = list(egide.register(store, "b", files, keypoints=True, keypoint_key=KEY))
        assert [one.keypoints for one in told] == ["stored", "not-enough-detail", ""]
        assert [one.outcome for one in told] == ["added", "added", "failed"]
        with store.keypoints.read(KEY) as sealed:
            found = dict(sealed)
        query = egide.fingerprint(files[0], keypoints=True).keypoints
        assert query is not None
        assert told[0].entry is not None
        assert found == {told[0].entry: registered(query)}
        again = list(egide.register(store, "b", files[:1]))
        assert [one.keypoints for one in again] == [""]
        assert store.keypoints.held()


def test_what_stands_in_the_way_is_told_before_a_file_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_args: object, **_options: object) -> None:
        raise AssertionError("a file was read")

    monkeypatch.setattr("egide.usecases.register.fingerprint_or_error", never)
    for name in ("EGIDE_PATCH_KEY", "EGIDE_PATCH_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    with egide.open_store(f"sqlite:///{folder}/egide.db", create=True) as store:
        ChangingStore.of(store).banks.create("b")

        def register(key: KeypointKey | None) -> None:
            list(
                egide.register(
                    store, "b", [folder / "detail.png"], keypoints=True, keypoint_key=key
                )
            )

        with pytest.raises(KeypointKeyMissing):
            register(None)
        query = egide.fingerprint(folder / "detail.png", keypoints=True).keypoints
        assert query is not None
        one = egide.Registration(pdqs=(bytes(range(32)),), keypoints=registered(query))
        ChangingStore.of(store).entries.register("b", [one], keypoint_key=KEY)
        with pytest.raises(KeypointKeyWrong):
            register(KeypointKey.generate())

        def missing() -> None:
            raise KeypointsUnavailable

        monkeypatch.setattr(keypoints, "_opencv", missing)
        with pytest.raises(KeypointsUnavailable, match=r"egide\[patches\]"):
            register(KEY)
        assert len(list(store.entries.list("b"))) == 1
