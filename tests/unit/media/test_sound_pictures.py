"""Pictures that every viewer shows are compared; kinds that are not read are named as such."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from drawings import drawings
from egide.domain.model import Limits, Mode
from egide.errors import (
    DecodeFailed,
    FormatUnsupported,
    ImageTooLarge,
    ImageTruncated,
    ItemError,
    KindUnsupported,
)
from egide.hashing import fingerprint
from egide.media.formats import Format, sniff
from egide.media.picture import positions
from shared_folder import SHARED

FIELD = SHARED / "field"
FIELD_TOLERANCE_BITS = 4
"""A hundredth of a JPEG in grey costs so much."""
both_modes = pytest.mark.parametrize("mode", list(Mode))

PICTURE = next(drawings(2, size=(160, 120)))[1]
RGB = np.asarray(PICTURE)
GREY = np.asarray(PICTURE.convert("L"))


def expected() -> dict[str, dict[str, object]]:
    path = FIELD / "expected.json"
    if not path.is_file():
        return {}
    said = json.loads(path.read_text())
    suffixes = (".tif", ".png", ".jpg", ".gif", ".jxl")
    return {name: values for name, values in said.items() if name.endswith(suffixes)}


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def apart(data: bytes, other: object = PICTURE, mode: Mode = Mode.EXACT, **options: object) -> int:
    codes = [fingerprint(data, mode=mode, **options).pdq.code, fingerprint(other).pdq.code]
    return (int.from_bytes(codes[0]) ^ int.from_bytes(codes[1])).bit_count()


@pytest.mark.skipif(not expected(), reason="../shared/field is absent: nothing was compared")
@both_modes
@pytest.mark.parametrize("name", [*expected(), "folder/o0.jp2"])
def test_pictures_of_the_field_have_the_hash_of_what_is_in_them(name, mode):
    found = fingerprint(FIELD / name, mode=mode)
    wanted = expected().get(name, {}).get("pdq")
    if wanted is not None:
        distance = (int.from_bytes(found.pdq.code) ^ int(str(wanted), 16)).bit_count()
        assert distance <= FIELD_TOLERANCE_BITS
    if expected().get(name, {}).get("match") or name.endswith(".jp2"):
        registered = [fingerprint(path).pdq.code for path in sorted((FIELD / "reg").iterdir())]
        distances = [
            (int.from_bytes(frame.code) ^ int.from_bytes(code)).bit_count()
            for frame in found.frames
            for code in registered
        ]
        assert min(distances) <= 31


# PNG


def chunk(kind: bytes, body: bytes, *, broken: bool = False) -> bytes:
    check = zlib.crc32(kind + body) ^ broken
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def png_with(extra: bytes, *, late: bool = False) -> bytes:
    data = saved(PICTURE, "PNG")
    at = len(data) - 12 if late else 33
    return data[:at] + extra + data[at:]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    "kind", [b"tEXt", b"gAMA", b"iCCP", b"pHYs", b"sBIT", b"tIME", b"eXIf", b"tRNS", b"cICP"]
)
def test_png_with_a_damaged_helper_chunk_is_compared(kind, late):
    assert apart(png_with(chunk(kind, b"a\0b", broken=True), late=late)) == 0
    if kind != b"tRNS":
        assert apart(png_with(chunk(kind, b""), late=late)) == 0


@pytest.mark.parametrize("needed", [b"IHDR", b"PLTE"])
def test_png_whose_picture_has_a_damaged_chunk_is_refused(needed):
    data = saved(PICTURE.quantize(32), "PNG")
    parts = [chunk(kind, body, broken=kind == needed) for kind, body in chunks(data)]
    with pytest.raises(DecodeFailed):
        fingerprint(data[:8] + b"".join(parts))


def test_png_of_apple_is_named():
    with pytest.raises(KindUnsupported, match="Apple"):
        fingerprint(saved(PICTURE, "PNG")[:8] + chunk(b"CgBI", bytes(4)) + bytes(100))


def test_broken_animation_gives_its_still_picture_and_counts_the_rest():
    turned = [PICTURE.rotate(90 * k) for k in (1, 2, 3)]
    data = bytearray(saved(PICTURE, "PNG", save_all=True, append_images=turned))
    assert len(fingerprint(bytes(data)).frames) == 4
    second = data.index(b"fcTL", data.index(b"IDAT"))
    data[second + 4 : second + 8] = b"\0\0\0\x63"
    found = fingerprint(bytes(data))
    assert (len(found.frames), found.frames_skipped) == (1, 3)
    assert found.pdq == fingerprint(PICTURE).pdq


# JPEG


@both_modes
@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"subsampling": 0}],
    ids=["baseline", "progressive", "restarts", "444"],
)
@pytest.mark.parametrize("size", [(160, 120), (1700, 1610)], ids=["small", "scaled"])
def test_cut_jpeg_says_how_much_was_read(options, size, mode):
    if mode is Mode.EXACT and size[0] > 1000:
        pytest.skip("the same decoder as of a small one")
    picture = PICTURE.resize(size)
    data = saved(picture, "JPEG", quality=90, **options)
    whole = fingerprint(data, mode=mode)
    assert whole.share_read == 1
    without_end = fingerprint(data[:-2], mode=mode)
    assert without_end.pdq == whole.pdq
    assert 0.97 <= without_end.share_read < 1
    half = fingerprint(data[: len(data) // 2], mode=mode)
    assert half.share_read < 1
    if "progressive" not in options:
        assert 0.25 <= half.share_read <= 0.75
    with pytest.raises(ImageTruncated):
        fingerprint(data[:150], mode=mode)


@both_modes
def test_cmyk_jpeg_without_its_end_is_compared(mode):
    data = saved(PICTURE.convert("CMYK"), "JPEG", quality=90)
    found = fingerprint(data[:-2], mode=mode)
    assert found.share_read < 1
    assert found.pdq == fingerprint(data, mode=mode).pdq


def test_jpeg_of_200_megapixels_is_compared_and_not_decoded_in_full():
    # Only its header is so large: what is missing is grey.
    data = bytearray(saved(PICTURE.resize((1700, 1700)), "JPEG", quality=30)[:-2])
    frame = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, frame + 5, 12288, 16384)
    found = fingerprint(bytes(data), mode=Mode.FAST)
    assert (found.width, found.height) == (16384, 12288)
    assert 0 < found.share_read < 0.1
    for mode, limits in ((Mode.EXACT, Limits()), (Mode.FAST, Limits(max_scaled_pixels=10**8))):
        with pytest.raises(ImageTooLarge):
            fingerprint(bytes(data), mode=mode, limits=limits)


@pytest.mark.parametrize(("marker", "said"), [(0xC5, "hierarchical"), (0xF7, "JPEG-LS")])
def test_jpeg_of_a_rare_coding_is_named(marker, said):
    data = bytearray(saved(PICTURE, "JPEG"))
    data[data.index(b"\xff\xc0") + 1] = marker
    with pytest.raises(KindUnsupported, match=said):
        fingerprint(bytes(data))


@both_modes
def test_deep_and_lossless_jpeg(mode):
    codecs = pytest.importorskip("imagecodecs", reason="the extra codecs is not installed")
    deep = codecs.jpeg8_encode(RGB.astype(np.uint16) * 16, 95, bitspersample=12)
    assert apart(deep, mode=mode) <= 6
    exact = codecs.jpeg8_encode(GREY, lossless=True)
    assert apart(exact, PICTURE.convert("L"), mode=mode) == 0


def test_deep_jpeg_without_the_extra_names_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "imagecodecs", None)
    data = bytearray(saved(PICTURE, "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(FormatUnsupported, match=r"egide\[codecs\]"):
        fingerprint(bytes(data))


# TIFF

WIDE = RGB.astype(np.uint16) * 257
WIDE_GREY = GREY.astype(np.uint16) * 257
CMYK = np.asarray(PICTURE.convert("CMYK"))
CLEAR = np.full_like(GREY, 255)
KINDS = {
    "rgb 8": (RGB, {"photometric": "rgb"}),
    "rgb 16": (WIDE, {"photometric": "rgb"}),
    "planes 8": (np.moveaxis(RGB, 2, 0), {"photometric": "rgb", "planarconfig": "separate"}),
    "planes 16": (np.moveaxis(WIDE, 2, 0), {"photometric": "rgb", "planarconfig": "separate"}),
    "tiles 16": (WIDE, {"photometric": "rgb", "tile": (32, 32)}),
    "float rgb": ((RGB / 255).astype(np.float32), {"photometric": "rgb"}),
    "alpha 16": (
        np.dstack([WIDE, CLEAR.astype(np.uint16) * 257]),
        {"photometric": "rgb", "extrasamples": ["unassalpha"]},
    ),
    "cmyk": (CMYK, {"photometric": "separated"}),
    "cmyk 16": (CMYK.astype(np.uint16) * 257, {"photometric": "separated"}),
    "cmyk alpha": (
        np.dstack([CMYK, CLEAR]),
        {"photometric": "separated", "extrasamples": ["unassalpha"]},
    ),
    "webp": (
        RGB,
        {"photometric": "rgb", "compression": "webp", "compressionargs": {"lossless": True}},
    ),
    "jpeg 2000": (RGB, {"photometric": "rgb", "compression": "jpeg2000", "tile": (64, 64)}),
    "png": (RGB, {"photometric": "rgb", "compression": "png"}),
}
GREY_KINDS = {
    "grey 16": (WIDE_GREY, {"photometric": "minisblack"}),
    "white is 0": (255 - GREY, {"photometric": "miniswhite"}),
    "white is 0, 16": (65535 - WIDE_GREY, {"photometric": "miniswhite"}),
    "unsigned 32": (GREY.astype(np.uint32) * 16843009, {"photometric": "minisblack"}),
    "float 16": ((GREY / 255).astype(np.float16), {"photometric": "minisblack"}),
    "float 32": (GREY.astype(np.float32), {"photometric": "minisblack"}),
    "signed 16": (GREY.astype(np.int16) * 100, {"photometric": "minisblack"}),
    "alpha 16": (
        np.dstack([WIDE_GREY, np.full_like(WIDE_GREY, 65535)]),
        {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": ["unassalpha"]},
    ),
}


def tiff(samples: np.ndarray, **options: object) -> bytes:
    tifffile = pytest.importorskip("tifffile", reason="the extra codecs is not installed")
    file = io.BytesIO()
    tifffile.imwrite(file, np.ascontiguousarray(samples), metadata=None, **options)
    return file.getvalue()


@pytest.mark.parametrize("order", ["<", ">"], ids=["low", "high"])
@pytest.mark.parametrize("kind", [*KINDS, *(f"grey: {name}" for name in GREY_KINDS)])
def test_kinds_of_tiff_equal_the_picture(kind, order):
    of_grey = kind.startswith("grey: ")
    samples, options = GREY_KINDS[kind[6:]] if of_grey else KINDS[kind]
    other = PICTURE.convert("L") if of_grey else PICTURE
    shaped = [{"bigtiff": True}]
    if "compression" not in options:
        shaped.append({"compression": "zlib", "predictor": samples.dtype.kind == "u"})
    for more in shaped:
        assert apart(tiff(samples, byteorder=order, **{**options, **more}), other) <= 2


def test_transparent_16_bit_tiff_is_on_white():
    half = np.dstack([WIDE, np.full_like(WIDE_GREY, 65535)])
    half[:, :80, 3] = 0
    white = RGB.copy()
    white[:, :80] = 255
    data = tiff(half, photometric="rgb", extrasamples=["unassalpha"])
    assert apart(data, Image.fromarray(white)) == 0


def test_tiff_of_a_kind_that_nobody_shows_alike_is_named():
    with pytest.raises(KindUnsupported, match="compression 34887"):
        fingerprint(tiff(RGB, photometric="rgb", compression="lerc"))


@pytest.mark.parametrize("share", [0.1, 0.6, 0.95])
def test_cut_tiff_of_a_rare_kind_is_truncated_and_never_black(share):
    data = tiff(np.moveaxis(WIDE, 2, 0), photometric="rgb", planarconfig="separate")
    with pytest.raises(ImageTruncated):
        fingerprint(data[: int(len(data) * share)])


def test_tiff_whose_part_declares_more_than_its_page_is_not_decoded(monkeypatch):
    codecs = pytest.importorskip("imagecodecs")
    large = codecs.jpeg2k_encode(np.zeros((400, 500, 3), np.uint8))
    data = bytearray(tiff(RGB, photometric="rgb", compression="jpeg2000"))
    start = data.index(b"\xff\x4f\xff\x51")
    data[start : start + 40] = large[large.index(b"\xff\x4f\xff\x51") :][:40]
    monkeypatch.setattr(codecs, "jpeg2k_decode", None)
    with pytest.raises(KindUnsupported, match="exceeds"):
        fingerprint(bytes(data))


def test_tiff_of_a_rare_kind_without_the_extra_names_it(monkeypatch):
    data = tiff(65535 - WIDE_GREY, photometric="miniswhite")
    monkeypatch.setitem(__import__("sys").modules, "tifffile", None)
    with pytest.raises(FormatUnsupported, match=r"egide\[codecs\]"):
        fingerprint(data)


# Others


@pytest.mark.parametrize("kind", ["JPEG2000", "PCX", "TGA"])
def test_other_lossless_formats_are_equal(kind):
    data = saved(PICTURE, kind)
    assert apart(data) == 0
    for share in (0.3, 0.9):
        with pytest.raises(ItemError):
            fingerprint(data[: int(len(data) * share)])


@pytest.mark.parametrize("options", [{}, {"bitmap_format": "bmp"}])
def test_largest_picture_of_an_icon(options):
    icon = PICTURE.resize((128, 96))
    assert apart(saved(icon, "ICO", sizes=[(16, 12), (128, 96)], **options), icon) == 0


def test_tga_whose_alpha_is_not_declared_or_hides_it_all():
    clear = PICTURE.convert("RGBA")
    clear.putalpha(0)
    data = bytearray(saved(clear, "TGA"))
    assert apart(bytes(data)) == 0
    data[17] &= 0xF0
    assert apart(bytes(data)) == 0


def psd(
    planes: list[np.ndarray], *, bits: int = 8, coding: int = 0, resources: bytes = b""
) -> bytes:
    rows, columns = planes[0].shape
    head = struct.pack(">H6xHIIHH", 1, len(planes), rows, columns, bits, 3)
    return (
        b"8BPS"
        + head
        + bytes(4)
        + struct.pack(">I", len(resources))
        + resources
        + bytes(4)
        + struct.pack(">H", coding)
        + b"".join(plane.tobytes() for plane in planes)
    )


def version_info(*, composite: bool) -> bytes:
    return b"8BIM" + struct.pack(">H2xIIBx", 1057, 6, 1, composite)


def test_photoshop_file_with_a_picture_of_all_layers():
    planes = [RGB[:, :, k] for k in range(3)]
    assert apart(psd(planes, resources=version_info(composite=True))) == 0
    # A fourth channel is a selection, or the picture is on white already.
    assert apart(psd([*planes, np.zeros_like(GREY)])) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"resources": version_info(composite=False)}, "no picture of them all"),
        ({"bits": 16}, "16 bits"),
        ({"coding": 2}, "coding"),
    ],
)
def test_photoshop_file_without_such_a_picture_is_named(options, said):
    with pytest.raises(KindUnsupported, match=said):
        fingerprint(psd([RGB[:, :, k] for k in range(3)], **options))


@pytest.mark.parametrize("head", [b"v/1\x01", b"qoif", b"II\xbc\x01", b"icns", b"P7\n"])
def test_formats_without_a_reader_are_named_and_not_called_damaged(head):
    with pytest.raises(KindUnsupported):
        fingerprint(head + bytes(200))


@pytest.mark.parametrize(
    "data", [bytes(64), b"\0\0\2\0" + bytes(60), b"\n\nwords", b"\0\1\0\0\0\x0c", b"II*"]
)
def test_bytes_that_resemble_a_format_are_not_taken_for_it(data):
    assert sniff(data) is None


def test_animated_jpeg_xl_is_looked_at_whole_or_evenly():
    codecs = pytest.importorskip("imagecodecs", reason="the extra jxl is not installed")
    pytest.importorskip("pylibjxl", reason="the extra jxl is not installed")
    frames = np.stack([np.asarray(image) for _, image in drawings(5, size=(96, 64))])
    data = codecs.jpegxl_encode(frames, lossless=True)
    found = fingerprint(data)
    assert [frame.code for frame in found.frames] == [
        fingerprint(Image.fromarray(frame)).pdq.code for frame in frames
    ]
    few = fingerprint(data, limits=Limits(max_pixels=96 * 64))
    assert (len(few.frames), few.frames_skipped) == (2, 3)
    assert few.frames[1] == found.frames[4]


def test_raw_photo_gives_its_preview():
    pytest.importorskip("rawpy", reason="the extra raw is not installed")
    tifffile = pytest.importorskip("tifffile", reason="the extra codecs is not installed")
    plain = {"metadata": None}
    dng = [(50706, "B", 4, (1, 4, 0, 0), True), (50708, "s", 0, "Drawn", True)]
    pattern = [(33421, "H", 2, (2, 2), True), (33422, "B", 4, (0, 1, 1, 2), True)]
    file = io.BytesIO()
    with tifffile.TiffWriter(file, byteorder="<") as out:
        small = np.asarray(PICTURE.resize((64, 48)))
        out.write(small, photometric="rgb", subfiletype=1, subifds=2, extratags=dng, **plain)
        out.write(np.zeros((480, 640), np.uint16), photometric=32803, extratags=pattern, **plain)
        preview = np.asarray(PICTURE.convert("YCbCr"))
        jpeg = {"photometric": "ycbcr", "compression": "jpeg", "rowsperstrip": 120}
        out.write(preview, subfiletype=1, **jpeg, **plain)
    found = fingerprint(file.getvalue())
    assert (found.width, found.height) == (160, 120)
    assert apart(file.getvalue()) <= 10
    with pytest.raises(KindUnsupported, match="no preview"):
        fingerprint(b"FUJIFILMCCD-RAW" + bytes(500))


def test_raw_photo_without_the_extra_names_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rawpy", None)
    with pytest.raises(FormatUnsupported, match=r"egide\[raw\]"):
        fingerprint(b"II*\0\x10\0\0\0CR\2\0" + bytes(100))


# Frames


@pytest.mark.parametrize("count", [1, 2, 7, 100, 513, 5000])
def test_frames_are_chosen_evenly_with_the_first_and_the_last(count):
    limits = Limits(max_frames=7)
    chosen = positions(count, 100, limits)
    assert len(chosen) == len(set(chosen)) == min(count, 7)
    assert (chosen[0], chosen[-1]) == (0, count - 1)
    steps = np.diff(chosen)
    assert count < 2 or steps.max() - steps.min() <= 1


def test_what_must_be_decoded_to_reach_a_frame_is_bounded():
    limits = Limits(max_pixels=1000)
    assert positions(10**6, 1000, limits) == [0, 7]
    assert positions(10**6, 1000, limits, in_order=False) == [0, 999_999]


def test_animation_that_breaks_off_is_compared_up_to_there():
    images = [PICTURE.rotate(40 * k) for k in range(6)]
    data = saved(images[0], "GIF", save_all=True, append_images=images[1:])
    found = fingerprint(data[: len(data) // 2])
    assert 2 <= len(found.frames) <= 4
    assert found.frames_skipped >= 1


def test_every_format_has_a_name():
    assert len({str(kind) for kind in Format}) == len(Format)
