"""Where the pictures of a sample are looked for."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from egide.usecases.samples import look_at, pictures_in
from pictures import encoded, pictures

JPEG = encoded(pictures(2)[0])
PNG = encoded(pictures(2)[1], "PNG")
IMAGE = pictures(1)[0]


def a_zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.jpg", JPEG)
    return stream.getvalue()


def holding_itself() -> list[Any]:
    held: list[Any] = [JPEG]
    held.append(held)
    return held


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (JPEG, [JPEG]),
        (bytearray(JPEG), [JPEG]),
        (memoryview(JPEG), [JPEG]),
        (b"no picture", [b"no picture"]),
        ("a/photo", ["a/photo"]),
        (Path("a/photo"), [Path("a/photo")]),
        (IMAGE, [IMAGE]),
        ((IMAGE, 3), [IMAGE]),
        ((JPEG, "a caption"), [JPEG]),
        (("a.jpg", 3), ["a.jpg"]),
        (("a.jpg", b"no picture"), [b"no picture"]),
        ([Path("a.JPG"), "b.png"], [Path("a.JPG"), "b.png"]),
        ({"image": {"bytes": JPEG, "path": None}}, [JPEG]),
        ({"image": {"bytes": b"broken", "path": "a.jpg"}}, [b"broken"]),
        ({"bytes": b"broken", "path": None}, [b"broken"]),
        ({"image": {"bytes": None, "path": "a.jpg"}}, ["a.jpg"]),
        ({"image": None, "label": 1}, []),
        ({"audio": {"bytes": b"RIFF\0\0\0\0WAVE", "path": "a.wav"}, "image": IMAGE}, [IMAGE]),
        ({"__key__": "0.jpg", "__url__": "x.tar", "jpg": JPEG, "txt": b"words", "cls": 3}, [JPEG]),
        ({"__key__": "0.jpg", "txt": "words"}, []),
        ({"left.jpg": b"broken", "right.PNG": PNG}, [b"broken", PNG]),
        ({"blob": PNG, "text": b"words"}, [PNG]),
        ({"images": [{"bytes": JPEG, "path": None}, IMAGE]}, [JPEG, IMAGE]),
        ({"turns": [{"parts": ({"type": "image", "image": PNG},)}]}, [PNG]),
        ({"jpg": JPEG, "filename": "gone.jpg"}, [JPEG]),
        ({"file": "a.jpg", "url": "https://example.org/a.jpg"}, ["a.jpg"]),
        ({"url": "https://example.org/a.jpg"}, ["https://example.org/a.jpg"]),
        ({"pixels": [[0] * 3] * 3, "text": "see a.jpg there, and more"}, []),
        (holding_itself(), [JPEG]),
        (None, []),
        (object(), []),
    ],
)
def test_pictures_of_a_sample_are_found(sample: object, expected: list[object]) -> None:
    found = pictures_in(sample)
    assert found.pictures == expected
    assert not found.unopened


def test_what_else_holds_pictures_is_said() -> None:
    found = pictures_in({"jpg": JPEG, "mp4": b"\0\0\0\x20ftypisom" + bytes(40), "extra": a_zip()})
    assert found.pictures == [JPEG]
    assert [gap.code for gap in look_at("sample 0", found).gaps] == ["archive-unsupported"] * 2


def test_messages_name_the_sample_and_no_file(tmp_path: Path) -> None:
    private = tmp_path / "jane.jpg"
    (tmp_path / "cut.png").write_bytes(PNG[:200])
    samples: list[object] = [
        private,
        tmp_path / "cut.png",
        tmp_path,
        "https://example.org/jane.jpg",
    ]
    looked = [look_at("sample 7", pictures_in(sample)) for sample in [*samples, samples]]
    codes = [gap.code for one in looked[:-1] for gap in one.gaps]
    assert codes == ["file-missing", "image-truncated", "file-unreadable", "value-missing"]
    for one in looked:
        assert not one.prints
        assert all("sample 7" in gap.message for gap in one.gaps)
        assert "jane" not in str(one.gaps)
        assert str(tmp_path) not in str(one.gaps)
