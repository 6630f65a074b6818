"""Whatever is wrong with a file is said by one stable code, and nothing else is ever raised."""

import io
import os
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drawings import drawings
from egide.domain.model import Limits, Mode
from egide.errors import (
    DecodeFailed,
    FileEmpty,
    FileMissing,
    FileTooLarge,
    FileUnreadable,
    FormatUnsupported,
    ImageTooLarge,
    ImageTooSmall,
    ImageTruncated,
    ItemError,
    NotAnImage,
    UsageError,
)
from egide.hashing import fingerprint
from egide.media.quiet import quiet

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP", "PPM")
both_modes = pytest.mark.parametrize("mode", list(Mode))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return next(drawings(1, size=(160, 120)))[1]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)


@both_modes
@pytest.mark.parametrize("kind", sorted(set(FORMATS) - {"JPEG"}))
def test_truncated_file_of_each_format(picture, kind, mode):
    whole = saved(picture, kind)
    for cut in (0.5, 0.9):
        with pytest.raises((ImageTruncated, DecodeFailed)) as raised:
            fingerprint(whole[: int(len(whole) * cut)], name="cut", mode=mode)
        assert "cut" in raised.value.message
        # libtiff says only that a strip could not be read.
        assert raised.value.code == "image-truncated" or kind == "TIFF"


@both_modes
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF"])
def test_damaged_header_is_named(picture, kind, mode):
    whole = bytearray(saved(picture, kind))
    whole[8:200] = bytes(192)
    with pytest.raises(ItemError) as raised:
        fingerprint(bytes(whole), name="bad.bin", mode=mode)
    assert raised.value.code in {"decode-failed", "image-truncated", "image-too-small"}
    assert "bad.bin" in raised.value.message
    assert "0x" not in raised.value.message


@both_modes
def test_text_named_jpg_is_not_an_image(tmp_path, mode):
    path = tmp_path / "note.jpg"
    path.write_text("BM is how a bitmap begins, and P5 a grey map; this is neither.")
    with pytest.raises(NotAnImage):
        fingerprint(path, mode=mode)


@pytest.mark.parametrize(
    "data", [b"%!PS-Adobe-3.0 EPSF-3.0\n", b"%PDF-1.7\n", b"<svg/>", b"\0\0\1\0\1\0"]
)
def test_formats_that_run_programs_or_are_no_pictures_are_refused(data):
    with pytest.raises(NotAnImage):
        fingerprint(data + bytes(100))


@pytest.mark.parametrize("source", [np.zeros((64, 64, 3), np.uint8), bytearray(b"x"), None, 7])
def test_what_is_no_picture_at_all_is_told_what_is_taken(source):
    with pytest.raises(UsageError, match=f"not of {type(source).__name__}; PIL"):
        fingerprint(source)


def test_empty_file(tmp_path):
    (tmp_path / "none.png").touch()
    with pytest.raises(FileEmpty):
        fingerprint(tmp_path / "none.png")
    with pytest.raises(FileEmpty):
        fingerprint(b"", name="none")


def test_missing_file_folder_and_pipe(tmp_path):
    with pytest.raises(FileMissing):
        fingerprint(tmp_path / "gone.png")
    with pytest.raises(FileUnreadable, match="folder"):
        fingerprint(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileUnreadable, match="regular"):
        fingerprint(tmp_path / "pipe")
    with pytest.raises(FileUnreadable):
        fingerprint(Path("nul\0byte"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_file_without_permission(tmp_path):
    path = tmp_path / "locked.png"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(FileUnreadable, match="ermission"):
        fingerprint(path)


def test_file_over_the_limit_is_not_read(tmp_path):
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(FileTooLarge, match="1099511627776"):
        fingerprint(path)
    with pytest.raises(FileTooLarge):
        fingerprint(bytes(11), limits=Limits(max_file_bytes=10))


@both_modes
def test_header_of_500_megapixels_is_refused_before_decoding(picture, mode):
    bomb = png_header(25_000, 20_000) + png_chunk(b"IDAT", zlib.compress(bytes(1000)))
    with pytest.raises(ImageTooLarge, match="25000×20000"):
        fingerprint(bomb, mode=mode)
    jpeg = bytearray(saved(picture, "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 25_000, 20_000)
    with pytest.raises(ImageTooLarge):
        fingerprint(bytes(jpeg), mode=mode)


def test_large_picture_within_the_limit_needs_no_change_of_pillows_limit(monkeypatch, picture):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for kind in set(FORMATS) - {"GIF", "WEBP", "TIFF"}:
        assert fingerprint(saved(picture, kind)).width == 160


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP"])
def test_pillows_limit_where_its_reader_insists_is_said_in_our_words(monkeypatch, picture, kind):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageTooLarge, match="160×120 pixels, over the limit of 200"):
        fingerprint(saved(picture, kind))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert fingerprint(saved(picture, kind)).width == 160


def test_default_limit_is_under_pillows():
    assert Limits().max_pixels <= 2 * Image.MAX_IMAGE_PIXELS


def test_gif_frame_that_unfolds_beyond_its_header_is_an_item_error(picture):
    whole = bytearray(saved(picture, "GIF"))
    frame = whole.index(b"\x2c\0\0\0\0\xa0\0\x78\0")
    struct.pack_into("<HH", whole, frame + 5, 25_000, 20_000)
    with pytest.raises(DecodeFailed, match="larger than its header says"):
        fingerprint(bytes(whole))


def test_webp_over_the_limit_is_named_with_its_size(picture):
    for options in ({}, {"lossless": True}, {"save_all": True, "append_images": [picture.copy()]}):
        with pytest.raises(ImageTooLarge, match="160×120"):
            fingerprint(saved(picture, "WEBP", **options), limits=Limits(max_pixels=100))


@both_modes
@pytest.mark.parametrize("size", [(1, 1), (4, 200), (200, 4), (1, 20_000)])
def test_picture_too_small_to_hash(size, mode):
    for kind in ("PNG", "JPEG", "BMP"):
        with pytest.raises(ImageTooSmall, match=f"{size[0]}×{size[1]}"):
            fingerprint(saved(Image.new("RGB", size), kind), mode=mode)
    with pytest.raises(ImageTooSmall):
        fingerprint(Image.new("L", size), mode=mode)


def test_compressed_text_bomb_in_png_is_not_unpacked(picture):
    whole = saved(picture, "PNG")
    bomb = png_chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(64 << 20)))
    assert fingerprint(whole[:33] + bomb + whole[33:]).pdq == fingerprint(picture).pdq


def test_damaged_colour_profile_and_exif_do_not_cost_the_picture(picture):
    plain = fingerprint(saved(picture, "PNG")).pdq
    assert fingerprint(saved(picture, "PNG", icc_profile=b"junk" * 50)).pdq == plain
    assert fingerprint(saved(picture, "PNG", exif=b"Exif\0\0junk" * 5)).pdq == plain


def test_tiff_with_a_huge_tag_is_an_item_error(picture):
    whole = bytearray(saved(picture, "TIFF"))
    directory = struct.unpack_from("<I", whole, 4)[0]
    struct.pack_into("<I", whole, directory + 2 + 4, 0xFFFFFFF0)
    with pytest.raises(ItemError):
        fingerprint(bytes(whole))


def test_heic_without_its_extra_names_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pi_heif", None)
    data = struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(50)
    with pytest.raises(FormatUnsupported, match=r"egide\[heic\]"):
        fingerprint(data)


def test_jpeg_xl_without_its_extra_names_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pylibjxl", None)
    with pytest.raises(FormatUnsupported, match=r"egide\[jxl\]"):
        fingerprint(b"\xff\x0a" + bytes(50))


def test_warnings_of_pillow_stay_silent_and_those_of_others_do_not():
    filters = list(warnings.filters)
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with quiet():
            entered.set()
            leave.wait(5)

    thread = threading.Thread(target=hold)
    with quiet():
        thread.start()
        entered.wait(5)
    leave.set()
    thread.join()
    assert list(warnings.filters) == filters
    with quiet():
        warnings.warn_explicit("x", UserWarning, "f.py", 1, module="PIL.Image")
        with pytest.raises(UserWarning):
            warnings.warn_explicit("x", UserWarning, "f.py", 1, module="mine")
