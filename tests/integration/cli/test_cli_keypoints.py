"""Keypoints as the users of the command line meet them: the key, registering, showing, dropping."""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

import egide as library
from commands import Result, egide_in
from egide.security.sealing import KeypointKey
from egide.store.changing import ChangingStore
from keypoint_samples import keypoint_set
from pictures import encoded, pictures

# What Python loads before all else: whatever this names cannot be imported.
_BLOCKER = """
import sys
sys.modules.update(dict.fromkeys({names!r}))
"""


def egide(folder: Path, *arguments: object, **environment: str) -> Result:
    """Run a command whose configuration is in the folder's `config`."""
    home = {"XDG_CONFIG_HOME": str(folder / "config")}
    return egide_in(folder, *arguments, **home, **environment)


def without(folder: Path, *names: str) -> dict[str, str]:
    """Return an environment in which these modules are missing."""
    (folder / "blocked").mkdir(exist_ok=True)
    (folder / "blocked" / "sitecustomize.py").write_text(_BLOCKER.format(names=names))
    known = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(folder / "blocked"), *([known] if known else [])])}


def make_key(folder: Path) -> KeypointKey:
    """Make the key that the commands find."""
    key = KeypointKey.generate()
    key.write(folder / "config" / "egide" / "patches.key")
    return key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bank `helpline`, and four pictures in `photos`."""
    (tmp_path / "photos").mkdir()
    for number, image in enumerate(pictures(8)[:4]):
        (tmp_path / "photos" / f"{number}.png").write_bytes(encoded(image, "PNG"))
    with library.open_store(f"sqlite:///{tmp_path}/egide.db", create=True) as store:
        ChangingStore.of(store).banks.create("helpline")
    return tmp_path


@pytest.fixture
def registered(folder: Path) -> Path:
    """A key, two pictures registered with keypoints (entries 1 and 2), one without (3)."""
    key = make_key(folder)
    photos = [folder / "photos" / f"{number}.png" for number in range(3)]
    with library.open_store(f"sqlite:///{folder}/egide.db") as store:
        for _ in library.register(store, "helpline", photos[:2], keypoints=True, keypoint_key=key):
            pass
        for _ in library.register(store, "helpline", photos[2:]):
            pass
    return folder


# --- the key --------------------------------------------------------------------------------


def test_a_key_is_made_once_and_never_printed(folder: Path) -> None:
    made = egide(folder, "key", "patches")
    path = folder / "config" / "egide" / "patches.key"
    assert made.code == 0
    assert str(path) in made.out
    assert "apart from the store" in made.out
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = path.read_text().strip()
    again = egide(folder, "key", "patches")
    assert again.code == 3
    assert "[patch-key-exists]" in again.err
    assert path.read_text().strip() == secret
    shown = egide(folder, "key", "patches", "--show-id")
    shown_id = shown.out.split()[-1]
    assert shown_id in made.out
    by_variable = egide(folder, "key", "patches", "--show-id", "--json", EGIDE_PATCH_KEY=secret)
    assert by_variable.json() == {"key_id": shown_id}
    for result in (made, again, shown, by_variable):
        assert secret[:12] not in result.out + result.err


def test_a_key_elsewhere_tells_how_to_use_it(folder: Path) -> None:
    made = egide(folder, "key", "patches", "--out", "keys/mine")
    assert f"EGIDE_PATCH_KEY_FILE={folder}/keys/mine" in made.out
    named = {"EGIDE_PATCH_KEY_FILE": "keys/other"}
    other = egide(folder, "key", "patches", "--json", **named)
    assert other.json()["file"] == "keys/other"
    third = {"EGIDE_PATCH_KEY_FILE": str(folder / "keys" / "third")}
    assert "To use it" not in egide(folder, "key", "patches", **third).out
    assert egide(folder, "key", "patches", "--show-id", "--out", "x").code == 2
    assert egide(folder, "key", "patches", "--show-id").code == 3


# --- registering ----------------------------------------------------------------------------


def test_keypoints_are_stored_on_request_only(registered: Path) -> None:
    entries = egide(registered, "bank", "show", "helpline", "--json").json()
    assert entries["with_patches"] == 2
    assert entries["entries_with_patches"] == [1, 2]
    key_id = egide(registered, "key", "patches", "--show-id", "--json").json()["key_id"]
    assert entries["patch_key_id"] == key_id
    one, three = (
        egide(registered, "bank", "show", "helpline", number, "--json").json() for number in (1, 3)
    )
    assert [set(each["signals"]) - {"pdq-anchored"} for each in (one, three)] == [
        {"pdq", "sha256", "md5", "patches"},
        {"pdq", "sha256", "md5"},
    ]
    page = egide(registered, "bank", "show", "helpline").out
    assert "with_patches         2" in page
    assert "entries_with_patches 1, 2" in page
    table = egide(registered, "bank", "entries", "helpline").out
    assert "patches" in table
    assert table.count("yes") == 2
    listed = egide(registered, "bank", "entries", "helpline", "--json").json()
    assert ["patches" in entry["signals"] for entry in listed] == [True, True, False]


def test_each_file_is_told_what_was_kept_of_it(folder: Path) -> None:
    make_key(folder)
    flat = Image.linear_gradient("L").resize((400, 300))
    (folder / "photos" / "flat.png").write_bytes(encoded(flat, "PNG"))
    (folder / "photos" / "bad.png").write_text("no picture")
    add = ("bank", "add", "helpline", "photos", "--patches")
    result = egide(folder, *add, "--json")
    assert result.code == 1
    told = {Path(line["file"]).stem: line["patches"] for line in result.lines()}
    assert told == dict.fromkeys("0123", "stored") | {"flat": "not-enough-detail", "bad": ""}
    words = egide(folder, *add).out
    assert "photos/0.png: entry 1, known, keypoints stored" in words
    assert "flat.png: entry 5, known, too little detail for keypoints: none stored" in words
    plain = egide(folder, "bank", "add", "helpline", "photos/0.png", "--json").json()
    assert plain["patches"] == ""
    assert egide(folder, "bank", "show", "helpline", "--json").json()["with_patches"] == 4


def test_what_is_refused_keeps_no_keypoints(registered: Path) -> None:
    egide(registered, "bank", "withdraw", "helpline", 1)
    refused = egide(registered, "bank", "add", "helpline", "photos/0.png", "--patches", "--json")
    assert refused.json()["outcome"] == "refused"
    assert refused.json()["patches"] == ""
    assert egide(registered, "bank", "show", "helpline", "--json").json()["with_patches"] == 1


def fails(folder: Path, code: str, *names: str, **environment: str) -> str:
    """Registering with keypoints ends with this error before a file is looked at."""
    result = egide(
        folder, "bank", "add", "helpline", "no-such-file.png", "--patches",
        **environment, **(without(folder, *names) if names else {}),
    )  # fmt: skip
    assert result.code == 3
    assert f"[{code}]" in result.err
    assert "no-such-file" not in result.err
    assert "Traceback" not in result.err
    return result.err


def test_without_a_key_no_file_is_read(folder: Path) -> None:
    assert "egide key patches" in fails(folder, "patch-key-missing")
    fails(folder, "patch-key-invalid", EGIDE_PATCH_KEY="much too short")
    fails(folder, "patch-key-invalid", EGIDE_PATCH_KEY_FILE="nowhere")


def test_another_key_is_told_before_a_file_is_read(registered: Path) -> None:
    other = registered / "other.key"
    egide(registered, "key", "patches", "--out", other)
    told = fails(registered, "patch-key-wrong", EGIDE_PATCH_KEY_FILE=str(other))
    assert "egide bank drop-patches" in told


@pytest.mark.parametrize("name", ["cv2", pytest.param("cryptography", marks=pytest.mark.slow)])
def test_without_the_extra_it_is_named_and_the_rest_works(folder: Path, name: str) -> None:
    make_key(folder)
    assert "pip install 'egide[patches]'" in fails(folder, "patches-unavailable", name)
    plain = egide(folder, "bank", "add", "helpline", "photos/0.png", **without(folder, name))
    assert plain.code == 0
    shown = egide(folder, "bank", "show", "helpline", 1, **without(folder, name))
    assert shown.code == 0


def test_a_lost_key_leaves_a_way_out(registered: Path) -> None:
    (registered / "config" / "egide" / "patches.key").unlink()
    assert egide(registered, "key", "patches").code == 0
    fails(registered, "patch-key-wrong")
    asked = egide(registered, "bank", "drop-patches", "helpline")
    assert (asked.code, "the keypoints of 2 entries in bank helpline" in asked.err) == (2, True)
    dropped = egide(registered, "bank", "drop-patches", "helpline", "--yes", "--json").json()
    assert dropped["dropped"] == 2
    again = egide(registered, "bank", "add", "helpline", "photos/0.png", "--patches", "--json")
    assert (again.json()["outcome"], again.json()["patches"]) == ("known", "stored")


# --- erasing, and what never leaves ---------------------------------------------------------


def test_keypoints_are_dropped_and_the_entry_stays(registered: Path) -> None:
    result = egide(registered, "bank", "drop-patches", "helpline", 2, 3)
    assert "Keypoints of 1 entry erased" in result.out
    shown = egide(registered, "bank", "show", "helpline", 2, "--json").json()
    assert shown["state"] == "active"
    assert shown["signals"] == ["pdq", "sha256", "md5"]
    assert egide(registered, "bank", "drop-patches", "helpline", 99).code == 3
    assert egide(registered, "bank", "drop-patches", "helpline", "x").code == 2


def test_withdrawing_needs_no_key_and_drops_them(registered: Path) -> None:
    (registered / "config" / "egide" / "patches.key").unlink()
    assert egide(registered, "bank", "withdraw", "helpline", 1).code == 0
    shown = egide(registered, "bank", "show", "helpline", "--json").json()
    assert shown["entries_with_patches"] == [2]


def test_an_export_has_no_trace_of_them(registered: Path) -> None:
    plain = egide(registered, "bank", "export", "helpline")
    assert plain.code == 0
    kinds = Counter(line.partition(",")[0] for line in plain.out.splitlines()[1:])
    assert kinds == {"pdq": 3, "sha256": 3, "md5": 3, "pdq-anchored": 1}
    assert "patch" not in plain.out
    assert egide(registered, "bank", "drop-patches", "helpline", "--yes").code == 0
    assert egide(registered, "bank", "export", "helpline").out == plain.out


def test_numbers_shown_are_bounded(folder: Path) -> None:
    key = KeypointKey.generate()
    with library.open_store(f"sqlite:///{folder}/egide.db") as store:
        some = (
            library.Registration(pdqs=(bytes([number]) * 32,), keypoints=keypoint_set(number))
            for number in range(29)
        )
        ChangingStore.of(store).entries.register("helpline", some, keypoint_key=key)
    shown = egide(folder, "bank", "show", "helpline", "--json").json()
    assert shown["with_patches"] == 29
    assert shown["entries_with_patches"] == list(range(1, 21))
    assert shown["patch_key_id"] == key.key_id.hex()
    assert "19, 20, …" in egide(folder, "bank", "show", "helpline").out


def test_no_output_holds_keypoints_or_the_key(registered: Path) -> None:
    key = KeypointKey.read(registered / "config" / "egide" / "patches.key")
    with library.open_store(f"sqlite:///{registered}/egide.db") as store:
        with store.keypoints.read(key) as sealed:
            sets = dict(sealed)
        row = bytes(next(iter(sets.values())).descriptors)
    for arguments in (
        ("bank", "show", "helpline", "1", "--json"),
        ("bank", "entries", "helpline", "--json"),
        ("bank", "export", "helpline"),
        ("store", "info"),
    ):
        out = egide(registered, *arguments).out
        assert row[:8].hex() not in out
        assert json.dumps(key.secret.hex())[1:17] not in out
