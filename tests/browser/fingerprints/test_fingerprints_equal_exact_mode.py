"""Fingerprints in Chromium against Egide's exact mode, which is the reference's in every bit."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import pytest
from exact_mode import assert_exact, noise
from PIL import Image, ImageCms

from drawings import drawings
from fingerprint_site import fingerprint_all
from pictures import encoded, pictures
from shared_folder import CORPUS, VECTORS, needs_shared

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from fingerprint_site import Site

SIDES = [
    (5, 5), (5, 200), (200, 5), (6, 7), (31, 64), (63, 65), (64, 64), (64, 63), (65, 64), (96, 64),
    (127, 127), (128, 128), (129, 127), (130, 97), (200, 199), (199, 130), (256, 257), (258, 384),
    (511, 513), (700, 301), (33, 1200), (9000, 40),
]  # fmt: skip


def compare(page: Page, site: Site, files: dict[str, bytes], **options: Any) -> None:
    assert_exact(fingerprint_all(page, site, dict(files), **options), files)


def test_every_size_and_shape(page: Page, site: Site) -> None:
    files = {f"{w}x{h}": encoded(noise(w, h), "PNG") for w, h in SIDES}
    compare(page, site, files)


@pytest.mark.slow
def test_every_size_and_shape_on_the_main_thread(page: Page, site: Site) -> None:
    files = {f"{w}x{h}": encoded(noise(w, h), "PNG") for w, h in SIDES[::3]}
    compare(page, site, files, forceMainThread=True)
    assert not any(path.endswith("/worker.js") for path in site.asked)


def test_every_coding_of_a_drawing(page: Page, site: Site) -> None:
    picture = pictures(1)[0]
    compare(
        page,
        site,
        {
            "jpeg": encoded(picture, "JPEG", quality=90),
            "jpeg-444": encoded(picture, "JPEG", quality=80, subsampling=0),
            "jpeg-422": encoded(picture, "JPEG", quality=70, subsampling=1),
            "jpeg-progressive": encoded(picture, "JPEG", quality=85, progressive=True),
            "jpeg-restarts": encoded(picture, "JPEG", restart_marker_rows=1),
            "jpeg-grey": encoded(picture.convert("L"), "JPEG"),
            "png": encoded(picture, "PNG"),
            "png-grey": encoded(picture.convert("L"), "PNG"),
            "png-palette": encoded(picture.convert("P"), "PNG"),
            "png-two-colours": encoded(picture.convert("1"), "PNG"),
            "png-opaque-alpha": encoded(picture.convert("RGBA"), "PNG"),
            "webp-lossy": encoded(picture, "WEBP", quality=80),
            "webp-lossless": encoded(picture, "WEBP", lossless=True),
            "gif": encoded(picture, "GIF"),
            "avif": encoded(picture, "AVIF", quality=80),
            "avif-444": encoded(picture, "AVIF", quality=80, subsampling="4:4:4"),
            "bmp": encoded(picture, "BMP"),
        },
    )


def test_drawings_on_the_main_thread(page: Page, site: Site) -> None:
    files = {name: encoded(picture) for name, picture in drawings(6, size=(384, 256))}
    compare(page, site, files, forceMainThread=True)


def turned(kind: str, orientation: int, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(noise(300, 200), kind, exif=exif, **options)


def profiled(kind: str) -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return encoded(noise(300, 200), kind, icc_profile=swapped_primaries(profile))


def swapped_primaries(profile: bytes) -> bytes:
    """Make a profile in which red is blue, by exchanging two of its tags."""
    return profile.replace(b"rXYZ", b"tXYZ").replace(b"bXYZ", b"rXYZ").replace(b"tXYZ", b"bXYZ")


def test_nothing_turns_or_recolours_the_pixels(page: Page, site: Site) -> None:
    kinds = ("JPEG", "PNG", "WEBP")
    files = {f"{kind}-turned-6": turned(kind, 6) for kind in kinds}
    files |= {f"JPEG-turned-{n}": turned("JPEG", n) for n in (3, 5, 8)}
    files |= {f"{kind}-profile": profiled(kind) for kind in (*kinds, "AVIF")}
    files["PNG-gamma"] = with_gamma(encoded(noise(300, 200), "PNG"))
    compare(page, site, files)
    compare(page, site, files, forceMainThread=True)
    # Left to itself, the browser does turn and recolour them.
    plain = shown(page, site, encoded(noise(300, 200), "PNG"))
    assert plain[1:] == [300, 200]
    assert shown(page, site, files["JPEG-turned-6"])[1:] == [200, 300]
    for name in ("PNG-profile", "WEBP-profile", "PNG-gamma"):
        assert shown(page, site, files[name])[0] != plain[0], name


def shown(page: Page, site: Site, data: bytes) -> list[Any]:
    """The first pixels of a file as the browser shows it, its width and its height."""
    site.files = {"shown": data}
    told: list[Any] = page.evaluate(
        """async () => {
            const bitmap = await createImageBitmap(await (await fetch('/files/shown')).blob());
            const context = new OffscreenCanvas(9, 1).getContext('2d');
            context.drawImage(bitmap, 0, 0);
            const pixels = [...context.getImageData(0, 0, 9, 1).data];
            return [pixels, bitmap.width, bitmap.height];
        }"""
    )
    return told


def test_a_turned_avif_is_read_as_it_is_stored(page: Page, site: Site) -> None:
    files = {str(orientation): turned("AVIF", orientation) for orientation in (3, 5, 6)}
    compare(page, site, files)
    assert shown(page, site, files["6"])[1:] == [200, 300]


def with_gamma(png: bytes) -> bytes:
    import struct
    import zlib

    body = b"gAMA" + struct.pack(">I", 200_000)
    chunk = struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:33] + chunk + png[33:]


@needs_shared
@pytest.mark.timeout(600)
@pytest.mark.parametrize("step", [12, pytest.param(1, marks=pytest.mark.slow)])
def test_rgb_vectors(page: Page, site: Site, step: int) -> None:
    with (VECTORS / "pdq.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["mode"] == "RGB"][::step]
    assert len(rows) > 100 / step
    files: dict[str, bytes | Path] = {row["file"]: CORPUS / row["file"] for row in rows}
    found = fingerprint_all(page, site, files)
    told = {name: (one.get("pdq"), one.get("quality")) for name, one in found.items()}
    expected = {
        row["file"]: (row["pdq_hex"] if int(row["quality"]) >= 50 else None, int(row["quality"]))
        for row in rows
    }
    assert told == expected
