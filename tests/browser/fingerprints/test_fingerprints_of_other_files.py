"""What is said of files that are no plain pictures, and of those that nothing can be done with."""

from __future__ import annotations

import hashlib
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from egide.hashing import fingerprint
from fingerprint_site import HEIC, fingerprint_all
from pictures import encoded, pictures
from shared_folder import CORPUS, needs_shared

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from fingerprint_site import Site

HEADS = {
    "mp4": b"\0\0\0\x18ftypisom\0\0\2\0isommp42",
    "quicktime": b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
    "old-quicktime": b"\0\0\x10\0moov",
    "webm": b"\x1aE\xdf\xa3\x9fB\x86\x81\1",
    "avi": b"RIFF\0\0\1\0AVI LIST",
    "transport-stream": (b"G" + bytes(187)) * 3,
    "tiff": b"II*\0\x08\0\0\0",
    "jpeg-xl": b"\xff\x0a\0\0",
}

# What decides is the same code in both; that it runs there is seen of sound pictures.
WAYS = pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="worker"),
        pytest.param({"forceMainThread": True}, id="main", marks=pytest.mark.slow),
    ],
)


def errors_of(found: dict[str, dict[str, Any]]) -> dict[str, str | None]:
    return {name: one.get("error") for name, one in found.items()}


def bits_apart(one: str, other: bytes) -> int:
    return (int(one, 16) ^ int.from_bytes(other)).bit_count()


def animated(kind: str) -> bytes:
    first, *others = (picture.reduce(2) for picture in pictures(3))
    return encoded(first, kind, save_all=True, append_images=others, duration=100)


def test_of_an_animation_the_first_frame_is_taken(page: Page, site: Site) -> None:
    files = {kind: animated(kind) for kind in ("GIF", "WEBP", "PNG", "AVIF")}
    for kind, found in fingerprint_all(page, site, dict(files)).items():
        expected = fingerprint(files[kind]).pdq
        assert (found["kind"], found["notes"]) == ("first-frame", ["first-frame"]), kind
        assert (found["pdq"], found["quality"]) == (expected.code.hex(), expected.quality), kind


def see_through(kind: str) -> bytes:
    picture = pictures(1)[0].convert("RGBA")
    alpha = Image.radial_gradient("L").resize(picture.size)
    picture.putalpha(alpha)
    return encoded(picture, kind, **({} if kind == "PNG" else {"lossless": True}))


def test_transparent_pictures_lie_on_white(page: Page, site: Site) -> None:
    files = {kind: see_through(kind) for kind in ("PNG", "WEBP")}
    for options in ({}, {"forceMainThread": True}):
        for kind, found in fingerprint_all(page, site, dict(files), **options).items():
            assert found["notes"] == ["transparent"]
            # Browsers keep colours multiplied by their opacity, in whole levels.
            assert bits_apart(found["pdq"], fingerprint(files[kind]).pdq.code) <= 2


def test_a_transparent_gif_lies_on_white(page: Page, site: Site) -> None:
    picture = pictures(1)[0].quantize(32)
    data = encoded(picture, "GIF", transparency=picture.getpixel((5, 5)))
    found = fingerprint_all(page, site, {"gif": data})["gif"]
    assert (found["kind"], found["notes"]) == ("still", ["transparent"])
    assert found["pdq"] == fingerprint(data).pdq.code.hex()


def test_a_featureless_picture_has_no_pdq(page: Page, site: Site) -> None:
    data = encoded(Image.new("RGB", (300, 200), (120, 130, 140)), "PNG")
    found = fingerprint_all(page, site, {"flat": data})["flat"]
    assert (found["pdq"], found["quality"], found["notes"]) == (None, 0, ["low-quality"])
    assert found["sha256"] == hashlib.sha256(data).hexdigest()


@WAYS
def test_of_films_and_unread_pictures_only_the_digest(
    page: Page, site: Site, options: dict[str, Any]
) -> None:
    files = {name: head + bytes(range(256)) * 9000 for name, head in HEADS.items()}
    for name, found in fingerprint_all(page, site, dict(files), **options).items():
        digest = hashlib.sha256(files[name]).hexdigest()
        assert found == {
            "kind": "digest-only",
            "pdq": None,
            "quality": None,
            "anchored": [],
            "sha256": digest,
            "width": None,
            "height": None,
            "notes": ["digest-only"],
        }


def test_digests_of_every_length_about_a_block(page: Page, site: Site) -> None:
    head = HEADS["webm"]
    files = {str(n): head + bytes(n) for n in (0, 46, 47, 54, 55, 56, 118, 119, (1 << 20) - 8)}
    for name, found in fingerprint_all(page, site, dict(files)).items():
        assert found["sha256"] == hashlib.sha256(files[name]).hexdigest()


def test_heic_is_decoded_by_our_own_decoder(page: Page, site: Site) -> None:
    expected = fingerprint(HEIC).pdq
    for options in ({}, {"forceMainThread": True}):
        found = fingerprint_all(page, site, {"heic": HEIC}, **options)["heic"]
        assert (found["pdq"], found["quality"]) == (expected.code.hex(), expected.quality)
    assert "/static/vendor/libheif/libheif-plain.js" not in site.asked


@needs_shared
@pytest.mark.slow
def test_photographs_in_heic_and_avif(page: Page, site: Site) -> None:
    paths = [*(CORPUS / "formats/heic").glob("*"), *(CORPUS / "formats/avif").glob("*")]
    assert len(paths) >= 3
    with ThreadPoolExecutor() as pool:  # they have many pixels: while the browser is at it
        ours = pool.map(fingerprint, paths)
        found = fingerprint_all(page, site, {path.name: path for path in paths})
        expected = {path.name: one.pdq for path, one in zip(paths, ours, strict=True)}
    told = {name: (one.get("pdq"), one.get("quality")) for name, one in found.items()}
    assert told == {name: (pdq.code.hex(), pdq.quality) for name, pdq in expected.items()}


def test_the_decoder_for_heic_is_loaded_for_heic_only(page: Page, site: Site) -> None:
    fingerprint_all(page, site, {"jpeg": encoded(pictures(1)[0])})
    assert not any("libheif" in path for path in site.asked)


def test_heic_without_its_decoder_fails_alone(page: Page, site: Site) -> None:
    for name in ("libheif-wasm.js", "libheif-plain.js"):
        site.replaced["/static/vendor/libheif/" + name] = b"throw new Error('not here');"
    jpeg = encoded(pictures(1)[0])
    found = fingerprint_all(page, site, {"heic": HEIC, "jpeg": jpeg})
    assert found["heic"] == {"error": "heic-unavailable"}
    assert found["jpeg"]["pdq"] == fingerprint(jpeg).pdq.code.hex()


def bomb(width: int, height: int) -> bytes:
    """A PNG that declares a size and has next to no data."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            (b"IDAT", zlib.compress(bytes(100_000))),
            (b"IEND", b""),
        )
    )


def declared(kind: str, width: int, height: int) -> bytes:
    """A picture of 384×256 pixels whose header says something else."""
    data = encoded(pictures(1)[0], kind)
    if kind == "JPEG":
        return data.replace(struct.pack(">HH", 256, 384), struct.pack(">HH", height, width), 1)
    if kind == "GIF":
        return data[:6] + struct.pack("<HH", width, height) + data[10:]
    if kind == "AVIF":
        return data.replace(struct.pack(">II", 384, 256), struct.pack(">II", width, height))
    at = data.index(b"\x9d\x01\x2a") + 3
    return data[:at] + struct.pack("<HH", width, height) + data[at + 4 :]


def test_bombs_are_refused_by_their_header(page: Page, site: Site) -> None:
    files = {"PNG": bomb(60_000, 60_000), "WEBP": declared("WEBP", 16_000, 16_000)}
    files |= {kind: declared(kind, 60_000, 60_000) for kind in ("JPEG", "GIF", "AVIF")}
    heic = HEIC.read_bytes()
    files["HEIC"] = heic.replace(struct.pack(">II", 384, 256), struct.pack(">II", 60_000, 60_000))
    assert files["HEIC"] != heic
    found = fingerprint_all(page, site, dict(files))
    assert errors_of(found) == dict.fromkeys(files, "too-many-pixels")


def cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def test_a_jpeg_that_ends_early_is_taken_as_far_as_it_goes(page: Page, site: Site) -> None:
    picture = pictures(1)[0]
    files = {}
    for name, options in {"plain": {}, "in-scans": {"progressive": True}}.items():
        data = encoded(picture, quality=92, **options)
        files[f"{name}-without-end"] = data[:-2]
        files[f"{name}-cut"] = data[: len(data) * 98 // 100]
    found = fingerprint_all(page, site, dict(files))
    for name, data in files.items():
        expected = fingerprint(data)
        assert found[name]["pdq"] == expected.pdq.code.hex(), name
        assert found[name]["notes"] == ["truncated"]
        assert found[name]["shareRead"] == pytest.approx(expected.share_read, abs=0.01)


def broken_files() -> dict[str, bytes]:
    picture = pictures(1)[0]
    whole = {kind: encoded(picture, kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "AVIF")}
    whole["HEIC"] = HEIC.read_bytes()
    files = {f"{kind}-cut": cut(data) for kind, data in whole.items()}
    files |= {f"{kind}-head": data[:24] for kind, data in whole.items()}
    png = bytearray(whole["PNG"])
    png[len(png) // 2] ^= 0xFF
    files["PNG-wrong-byte"] = bytes(png)
    files["PNG-without-pixels"] = bomb(3000, 2000)
    return files


@WAYS
def test_damaged_files_fail_alone(page: Page, site: Site, options: dict[str, Any]) -> None:
    good = encoded(pictures(1)[0])
    broken = broken_files()
    found = fingerprint_all(page, site, {**broken, "good": good}, **options)
    assert found.pop("good")["pdq"] == fingerprint(good).pdq.code.hex()
    assert errors_of(found) == dict.fromkeys(broken, "damaged")


def test_what_is_no_picture(page: Page, site: Site) -> None:
    files = {
        "empty": b"",
        "one-byte": b"\xff",
        "text": b"Nothing to see here.\n" * 50,
        "page": b"<!doctype html><svg xmlns='http://www.w3.org/2000/svg'/>",
        "pdf": b"%PDF-1.7\n",
        "zip": b"PK\3\4" + bytes(40),
        "sound": b"RIFF\x24\0\0\0WAVEfmt ",
        "short-box": b"\0\0\0\x08ftyp",
    }
    found = fingerprint_all(page, site, dict(files))
    assert errors_of(found) == dict.fromkeys(files, "not-an-image")


def test_a_picture_of_less_than_five_pixels(page: Page, site: Site) -> None:
    files = {kind: encoded(Image.new("RGB", (4, 90), "red"), kind) for kind in ("PNG", "JPEG")}
    found = fingerprint_all(page, site, dict(files))
    assert errors_of(found) == dict.fromkeys(files, "too-small")


def test_a_file_of_too_many_bytes_is_not_read(page: Page) -> None:
    code = page.evaluate(
        """async () => {
            const { fingerprintFile } = await import('/static/js/fingerprints/fingerprint.js');
            const head = new Blob([new Uint8Array([255, 216, 255, 224])]);
            const file = { size: 300_000_000, slice: () => head };
            const pace = { progress() {}, breathe() {} };
            return fingerprintFile(file, pace).catch((error) => error.code);
        }"""
    )
    assert code == "too-large"


def test_what_phones_put_behind_a_picture_does_not_matter(page: Page, site: Site) -> None:
    plain = encoded(pictures(1)[0])
    files = {"film-behind": plain + HEADS["mp4"] * 4000, "picture-behind": plain + plain}
    for name, found in fingerprint_all(page, site, dict(files)).items():
        assert found["pdq"] == fingerprint(plain).pdq.code.hex()
        assert found["sha256"] == hashlib.sha256(files[name]).hexdigest()
