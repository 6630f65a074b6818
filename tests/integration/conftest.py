"""A store with registered pictures and a dataset with copies of them."""

from __future__ import annotations

import gc
import shutil
import subprocess
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import egide
from egide.store.changing import ChangingStore
from pictures import encoded, pictures, write_tar
from store_samples import copy_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def registered_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `store` copies: fingerprints take half a second."""
    made = tmp_path_factory.mktemp("registered")
    folder = made / "photos"
    folder.mkdir()
    for number, image in enumerate(pictures(8)[:4]):
        (folder / f"{number}.png").write_bytes(encoded(image, "PNG"))
    with egide.open_store(f"sqlite:///{made}/egide.db", create=True) as opened:
        ChangingStore.of(opened).banks.create("helpline")
        results = list(egide.register(opened, "helpline", sorted(folder.iterdir())))
        assert [result.outcome for result in results] == ["added"] * 4
    return made


@pytest.fixture
def store(tmp_path: Path, registered_once: Path) -> Iterator[egide.Store]:
    """A bank `helpline` with four of eight pictures, entries 1 to 4."""
    shutil.copytree(registered_once / "photos", tmp_path / "photos")
    copy_store(registered_once / "egide.db", tmp_path / "egide.db")
    with egide.open_store(f"sqlite:///{tmp_path}/egide.db") as opened:
        yield opened


@pytest.fixture(scope="session")
def dataset_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `dataset` copies."""
    made = tmp_path_factory.mktemp("datasets")
    images = pictures(8)
    folder = made / "dataset"
    folder.mkdir()
    for number, image in enumerate(images):
        (folder / f"{number}.jpg").write_bytes(encoded(image, quality=70))
    (folder / "broken.jpg").write_bytes(encoded(images[0])[:500])
    (folder / "text.jpg").write_text("no picture")
    (folder / "caption.txt").write_text("words")
    mirrored = [image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for image in images]
    members = {f"{n:04}.webp": encoded(im, "WEBP", quality=80) for n, im in enumerate(mirrored)}
    write_tar(made / "shard-000.tar", members)
    turned = [image.transpose(Image.Transpose.ROTATE_270) for image in images]
    rows = [{"bytes": encoded(im, "PNG"), "path": f"{n}.png"} for n, im in enumerate(turned)]
    pq.write_table(pa.table({"image": rows}), made / "train.parquet")
    return made


@pytest.fixture
def dataset(tmp_path: Path, dataset_once: Path) -> list[str]:
    """A folder, a tar and a Parquet file; each has a copy of all eight pictures."""
    shutil.copytree(dataset_once, tmp_path, dirs_exist_ok=True)
    return [str(tmp_path / name) for name in ("dataset", "shard-000.tar", "train.parquet")]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    mount = tmp_path / "small"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode != 0:
        pytest.skip("mounting a small file system is not permitted here: a full disk was not tried")
    yield mount
    gc.collect()  # what failed on it holds it for as long as its error is known
    subprocess.run(["umount", str(mount)], check=True)
