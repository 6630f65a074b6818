"""The examples of people's own pipelines, run as they stand."""

from __future__ import annotations

import json
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from egide.store import Store
from pictures import encoded, pictures, write_tar

HALVES = "4 of 9 samples passed; 4 match bank helpline at revision {}; 1 could not be looked at.\n"


def jpegs() -> list[bytes]:
    """Copies of eight pictures, of which four are registered, and one that cannot be read."""
    return [*(encoded(image, quality=70) for image in pictures(8)), b"no picture"]


def example(name: str, library: str) -> Any:
    if find_spec(library) is None:
        pytest.skip(f"no {library} here: examples/{name}.py was not run")
    return import_module(name)


@pytest.fixture
def address(store: Store, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/egide.db"


def members(number: int, content: bytes) -> dict[str, bytes]:
    key = f"0000000{number:02}"
    return {f"{key}.jpg": content, f"{key}.json": b'{"key": "%d"}' % number, f"{key}.txt": b"words"}


def shard(path: Path) -> Path:
    made = [members(number, content) for number, content in enumerate(jpegs())]
    return write_tar(path, {name: file for each in made for name, file in each.items()})


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it closes no tar
def test_webdataset_stage(
    address: str, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = example("webdataset_stage", "webdataset")
    shard(tmp_path / "000.tar")
    stage.main([str(tmp_path / "000.tar"), str(tmp_path / "out"), "--store", address])
    assert capsys.readouterr().out == HALVES.format(store.revision())
    kept = list(stage.guarded(str(tmp_path / "out" / "00000.tar"), address))
    assert [sample["__key__"] for sample in kept] == [f"0000000{n:02}" for n in range(4, 8)]
    assert [sample["jpg"] for sample in kept] == jpegs()[4:8]
    assert all(sample["txt"] == b"words" for sample in kept)


@pytest.mark.slow
def test_huggingface_filter(
    address: str,
    store: Store,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    filter_ = example("huggingface_filter", "datasets")
    datasets: Any = import_module("datasets")
    rows = [{"bytes": content, "path": None} for content in jpegs()]
    features = datasets.Features(
        {"image": datasets.Image(decode=False), "label": datasets.Value("int64")}
    )
    made = datasets.Dataset.from_dict({"image": rows, "label": range(9)}, features)
    made = made.cast_column("image", datasets.Image())
    made.save_to_disk(tmp_path / "made")
    filter_.main([str(tmp_path / "made"), str(tmp_path / "out"), "--store", address])
    assert capsys.readouterr().out == HALVES.format(store.revision())
    kept = datasets.load_from_disk(tmp_path / "out")
    assert kept["label"][:] == [4, 5, 6, 7]
    assert kept.features["image"] == datasets.Image()
    assert kept[0]["image"].size == pictures(8)[4].size


def test_pytorch_loader_without_pytorch(
    address: str, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loader: Any = import_module("pytorch_loader")
    folder = tmp_path / "files"
    folder.mkdir()
    for number, content in enumerate(jpegs()):
        (folder / f"{number}.jpg").write_bytes(content)
    passed = list(loader.GuardedPictures(folder, address))
    assert [image.mode for image in passed] == ["RGB"] * 4
    assert capsys.readouterr().err == HALVES.format(store.revision())


def test_after_img2dataset(
    address: str, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    after: Any = import_module("after_img2dataset")
    folder = tmp_path / "fetched"
    folder.mkdir()
    keys = [f"0000000{number:02}" for number in range(9)]
    plain = {"key": keys, "url": ["https://example.org/a.jpg"] * 9, "status": ["success"] * 9}
    shard(folder / "00000.tar")
    pq.write_table(pa.table(plain), folder / "00000.parquet")
    # One row whose picture could not be fetched.
    rows = {**plain, "jpg": jpegs()}
    rows = {name: [*values, values[0]] for name, values in rows.items()}
    rows["key"][-1], rows["jpg"][-1] = "000000009", None
    schema = pa.schema([(name, pa.binary() if name == "jpg" else pa.string()) for name in rows])
    pq.write_table(pa.table(rows, schema), folder / "00001.parquet")
    shard(folder / "00002.tar")  # not finished
    for number in (0, 1):
        (folder / f"0000{number}_stats.json").write_text(json.dumps({"successes": 9}))
    before = {path: path.read_bytes() for path in folder.iterdir()}

    after.main([str(folder), "--list", "--store", address])
    *listed, said = capsys.readouterr().out.splitlines()
    assert listed == [*keys[:4], keys[8]] * 2
    assert said.startswith("8 of 18 samples passed; 8 match bank helpline at revision")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before

    after.main([str(folder), "--store", address])
    assert "8 of 18 samples passed" in capsys.readouterr().out
    assert pq.read_table(folder / "00000.parquet")["key"].to_pylist() == keys[4:8]
    table = pq.read_table(folder / "00001.parquet")
    assert table.schema.equals(schema)
    assert table["key"].to_pylist() == [*keys[4:8], "000000009"]
    assert (folder / "00002.tar").read_bytes() == before[folder / "00002.tar"]
    left = {path.name for path in folder.iterdir()} - {path.name for path in before}
    assert left == {"00000_guarded.txt", "00001_guarded.txt"}
    after.main([str(folder), "--store", address])
    assert capsys.readouterr().out == "No sample was compared.\n"
    after.main([str(folder), "--again", "--store", address])
    assert capsys.readouterr().out.startswith("8 of 8 samples passed; 0 match bank helpline")
