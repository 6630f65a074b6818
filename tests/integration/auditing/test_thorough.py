"""Both tiers from registering to the report: found, explained, or said why not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageOps

import egide
from commands import Result, egide_in
from pictures import encoded, pictures

SIZE = (640, 480)
NO_KEY = {"EGIDE_PATCH_KEY_FILE": "", "XDG_CONFIG_HOME": "nowhere"}


def photo(number: int) -> Image.Image:
    """A drawn picture; 2 and 3 have more than flat colours, so anchored hashes too."""
    return pictures(8)[(0, 1, 3, 4, 5, 2, 6, 7)[number]].resize(SIZE)


def phone_collage(image: Image.Image, *others: Image.Image) -> Image.Image:
    """A mirrored crop of `image` among others, in a phone's frame."""
    page = Image.new("RGB", (540, 1100), (18, 18, 20))
    width, height = image.size
    crop = image.crop((width // 6, height // 8, width, height - height // 8))
    tiles = [ImageOps.mirror(crop), *others]
    for place, tile in zip([(20, 80), (275, 80), (20, 560), (275, 560)], tiles, strict=False):
        page.paste(tile.resize((245, 200)), place)
    page.paste((240, 240, 240), (0, 0, 540, 50))
    return page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos 0 to 2 in a bank with keypoints, 3 without; copies of them in `dataset`."""
    tmp_path = tmp_path_factory.mktemp("thorough")
    photos, dataset = tmp_path / "photos", tmp_path / "dataset"
    photos.mkdir()
    dataset.mkdir()
    for number in range(4):
        (photos / f"{number}.png").write_bytes(encoded(photo(number), "PNG"))
    (dataset / "collage.jpg").write_bytes(
        encoded(phone_collage(photo(0), photo(5), photo(6), photo(7)))
    )
    page = ImageOps.expand(photo(1), border=60, fill=(250, 250, 250))
    (dataset / "border.jpg").write_bytes(encoded(page))
    (dataset / "copy.jpg").write_bytes(encoded(photo(2), quality=60))
    crop = photo(2).crop((150, 100, 560, 400))
    (dataset / "crop.jpg").write_bytes(encoded(crop))
    (dataset / "crop-of-3.jpg").write_bytes(encoded(photo(3).crop((150, 100, 560, 400))))
    (dataset / "other.jpg").write_bytes(encoded(photo(4)))
    (dataset / "sky.jpg").write_bytes(encoded(Image.linear_gradient("L").resize(SIZE)))
    made = run(tmp_path, "key", "patches")
    assert made.code == 0, made.err
    assert run(tmp_path, "bank", "create", "helpline").code == 0
    added = run(
        tmp_path, "bank", "add", "helpline", "--patches", *(f"photos/{n}.png" for n in range(3))
    )
    assert added.code == 0, added.err
    assert run(tmp_path, "bank", "add", "helpline", "photos/3.png").code == 0
    return tmp_path


def run(folder: Path, *arguments: object, **environment: str) -> Result:
    return egide_in(folder, *arguments, **{"EGIDE_PATCH_KEY_FILE": "key", **environment})


def matched(result: Result) -> dict[str, list[tuple[int, str]]]:
    return {
        line["query"].rpartition("/")[2]: [(m["entry"], m["signal"]) for m in line["matches"]]
        for line in result.lines()
    }


def test_match_finds_edited_copies_by_both_tiers(folder: Path) -> None:
    result = run(folder, "match", "--json", "dataset")
    found = matched(result)
    assert result.code == 1
    assert found["border.jpg"] == [(2, "pdq")]
    assert found["copy.jpg"] == [(3, "pdq")]
    assert found["crop.jpg"] == [(3, "patches")]
    assert [entry for entry, _ in found["collage.jpg"]] == [1]
    assert found["crop-of-3.jpg"] == [(4, "pdq-anchored")]
    assert found["other.jpg"] == found["sky.jpg"] == []
    said = {line["query"].rpartition("/")[2]: line["patches"] for line in result.lines()}
    assert said["other.jpg"] == "searched"
    assert said["sky.jpg"] == "not-enough-detail"


def test_match_explains_where_and_why(folder: Path) -> None:
    crop = run(folder, "match", "dataset/crop.jpg")
    assert "keypoints agree that it is shown at 100% of its size" in crop.out
    border = run(folder, "match", "dataset/border.jpg")
    assert "Entry 2: found in the rectangle" in border.out
    assert "of 760×600 pixels" in border.out
    (line,) = run(folder, "match", "--json", "dataset/crop.jpg").lines()
    (found,) = line["matches"]
    assert (found["tier"], found["distance"], found["rectangle"]) == (1, None, None)
    assert found["evidence"]["matrix"][2] == pytest.approx(-150, abs=3)
    assert found["evidence"]["matrix"][5] == pytest.approx(-100, abs=3)


def test_without_keypoints_the_others_answer_alone(folder: Path) -> None:
    result = run(folder, "match", "--json", "--no-patches", "dataset/crop.jpg", "dataset/copy.jpg")
    assert matched(result) == {"crop.jpg": [(3, "pdq-anchored")], "copy.jpg": [(3, "pdq")]}
    assert "patches" not in result.lines()[0]


MATCH, AUDIT = ["match"], ["audit", "--thorough"]
INVALID, WRONG = {"EGIDE_PATCH_KEY": "no key"}, {"EGIDE_PATCH_KEY": "A" * 43}


@pytest.mark.parametrize(
    ("command", "key", "code"),
    [
        (MATCH, NO_KEY, "patch-key-missing"),
        (MATCH, INVALID, "patch-key-invalid"),
        (AUDIT, WRONG, "patch-key-wrong"),
        # Both commands look for the key at the same place.
        pytest.param(AUDIT, NO_KEY, "patch-key-missing", marks=pytest.mark.slow),
        pytest.param(AUDIT, INVALID, "patch-key-invalid", marks=pytest.mark.slow),
        pytest.param(MATCH, WRONG, "patch-key-wrong", marks=pytest.mark.slow),
    ],
)
def test_a_key_that_is_lost_or_wrong_is_said_and_the_first_tier_goes_on(
    folder: Path, command: list[str], key: dict[str, str], code: str
) -> None:
    if "EGIDE_PATCH_KEY" in key:
        key = {**key, "EGIDE_PATCH_KEY_FILE": ""}
    found = run(folder, *command, "dataset/copy.jpg", **key)
    assert (found.code, f"[{code}]" in found.err) == (1, True), found.err
    assert "the whole picture" in found.out
    # Nothing found and something not searched is no answer.
    missed = run(folder, *command, "dataset/other.jpg", **key)
    assert (missed.code, f"[{code}]" in missed.err) == (3, True), missed.err


def test_a_thorough_audit_says_which_tier_found_what(folder: Path) -> None:
    plain = run(folder, "audit", "dataset", "--out", "plain")
    assert "by keypoints" not in plain.out
    thorough = run(folder, "audit", "dataset", "--thorough", "--out", "out", "--workers", "2")
    assert thorough.code == 1, thorough.err
    summary = json.loads((folder / "out/summary.json").read_text())
    assert summary["patches"] == {
        "searched": True, "code": None, "pictures": 3, "damaged": 0, "not_enough_detail": 1,
    }  # fmt: skip
    assert summary["ways"]["whole"] == 1
    assert summary["ways"]["patches"] >= 1
    assert summary["ways"]["anchored"] == 1
    assert summary["anchored"] == {"searched": True, "entries": 3, "items_without": 2}
    assert sum(summary["ways"].values()) == summary["matches"] == 5
    rows = {
        row["item"].rpartition("/")[2]: row
        for row in pq.read_table(folder / "out/matches.parquet").to_pylist()
    }
    assert rows.keys() == {
        "border.jpg", "collage.jpg", "copy.jpg", "crop.jpg", "crop-of-3.jpg",
    }  # fmt: skip
    crop = rows["crop.jpg"]
    assert (crop["tier"], crop["signal"], crop["distance"]) == (1, "patches", None)
    assert crop["inliers"] >= 6
    assert len(crop["matrix"]) == 6
    assert len(crop["polygon"]) >= 6
    page = (folder / "out/report.html").read_text()
    assert "keypoints of 3 registered pictures" in page
    assert "1 item has not enough detail" in page


def test_an_audit_whose_second_tier_was_in_the_way_says_so_in_its_report(folder: Path) -> None:
    run(folder, "audit", "dataset", "--thorough", "--out", "without", **NO_KEY)
    page = (folder / "without/report.html").read_text()
    assert "edited copies were not searched for by keypoints" in page
    assert "the key to them was not given" in page
    # With the key, the same command is another audit and scans again.
    again = run(folder, "audit", "dataset", "--thorough", "--out", "without")
    assert "Found by keypoints only" in again.out
    # To audit again what was hindered is hindered as well, whatever this command says itself.
    run(folder, "audit", "dataset/other.jpg", "--thorough", "--out", "missed", **NO_KEY)
    assert run(folder, "audit", "--again", "missed", **NO_KEY).code == 3


def test_withdrawn_entries_are_found_by_neither_tier(folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folder, tmp_path / "copy"))
    assert run(folder, "bank", "withdraw", "helpline", "1", "2", "3").code == 0
    result = run(folder, "match", "--json", "dataset")
    assert {entry for found in matched(result).values() for entry, _ in found} == {4}


def test_the_library_uses_both_tiers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGIDE_PATCH_KEY_FILE", str(folder / "key"))
    with egide.open_store(f"sqlite:///{folder}/egide.db") as store:
        query = egide.fingerprint(folder / "dataset/crop.jpg", keypoints=True)
        ((match,),) = egide.match(store, [query])
        assert (match.entry, match.tier, match.signal) == (3, 1, egide.Signal.KEYPOINTS)
        assert match.evidence is not None
        audit = egide.audit([folder / "dataset"], store, thorough=True)
        tiers = {row.item.rpartition("/")[2]: row.tier for row in audit}
        assert (tiers["copy.jpg"], tiers["crop.jpg"]) == (0, 1)
        monkeypatch.setenv("EGIDE_PATCH_KEY", "A" * 43)
        monkeypatch.delenv("EGIDE_PATCH_KEY_FILE")
        with pytest.raises(egide.KeypointsError):
            egide.match(store, [query])
        with pytest.raises(egide.KeypointsError):
            next(iter(egide.audit([folder / "dataset"], store, thorough=True)))
        hindrances: list[egide.KeypointsError] = []
        assert egide.match(store, [query], on_keypoints_error=hindrances.append) == [[]]
        assert [hindrance.code for hindrance in hindrances] == ["patch-key-wrong"]
