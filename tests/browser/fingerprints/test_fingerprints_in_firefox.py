"""Firefox computes the fingerprints of our exact mode, from the files as they are."""

from __future__ import annotations

import csv
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from exact_mode import FIELDS, exact, noise, see_through

from egide.domain.model import MIN_MATCHABLE_QUALITY
from egide.hashing import fingerprint
from fingerprint_site import running_site
from firefox_bidi import Firefox, Page, found_firefox
from pictures import encoded, pictures
from shared_folder import CORPUS, VECTORS, needs_shared

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL.Image import Image

    from fingerprint_site import Site

HEIC = Path(__file__).parents[2] / "vectors" / "drawing.heic"

CHOOSER = """() => {
    const chooser = document.createElement("input");
    document.body.append(Object.assign(chooser, { type: "file", multiple: true }));
}"""
FINGERPRINT_CHOSEN = """async (forceMainThread) => {
    const { Fingerprinter } = await import(`${location.origin}/static/js/fingerprints/client.js`);
    const fingerprinter = new Fingerprinter({ forceMainThread });
    const results = [];
    for (const file of document.querySelector("input").files) {
        try {
            results.push(await fingerprinter.fingerprint(file));
        } catch (error) {
            results.push({ code: error.code, error: String(error) });
        }
    }
    fingerprinter.close();
    return results;
}"""

# Firefox doubles the colour samples of 4:2:0 AVIF by another rule than Pillow and Chromium: up to
# 41 levels on 13 to 34 % of a drawing's pixels, which is 0 to 2 bits of its PDQ (Firefox 153).
AVIF_420_BITS = 4

WAYS = pytest.mark.parametrize(
    "main_thread",
    [
        pytest.param(False, id="worker"),
        pytest.param(True, id="main-thread", marks=pytest.mark.slow),
    ],
)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with running_site() as running:
        running.replaced["/favicon.ico"] = b""
        yield running


@pytest.fixture
def page(firefox: Firefox, site: Site) -> Iterator[Page]:
    with opened(firefox, site) as page:
        yield page


@contextmanager
def opened(firefox: Firefox, site: Site) -> Iterator[Page]:
    with firefox.page() as page:
        page.goto(f"{site.address}/")
        page.call(CHOOSER)
        yield page


def in_firefox(
    page: Page, paths: Sequence[Path], *, main_thread: bool = False
) -> list[dict[str, Any]]:
    """Choose files as a person does, and fingerprint them."""
    page.set_files("input", paths)
    found: list[dict[str, Any]] = page.call(FINGERPRINT_CHOSEN, main_thread)
    assert len(found) == len(paths)
    return found


def assert_ours(found: dict[str, Any], path: Path) -> None:
    ours = fingerprint(path).pdq
    assert ours is not None
    expected = (ours.code.hex(), ours.quality)
    assert (found.get("pdq"), found.get("quality")) == expected, (path.name, found)


def bits_apart(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def drawn(folder: Path) -> list[Path]:
    """A drawing of an odd size in the formats that phones and applications save."""
    whole: Image = pictures(1)[0].crop((0, 0, 383, 255))
    turned = whole.getexif()
    turned[0x0112] = 6
    ways: dict[str, tuple[Image, str, dict[str, Any]]] = {
        "420.jpg": (whole, "JPEG", {"quality": 85}),
        "444.jpg": (whole, "JPEG", {"quality": 92, "subsampling": 0}),
        "progressive.jpg": (whole, "JPEG", {"progressive": True}),
        "grey.jpg": (whole.convert("L"), "JPEG", {}),
        "turned.jpg": (whole, "JPEG", {"exif": turned}),
        "tall.jpg": (whole.crop((0, 0, 97, 255)), "JPEG", {}),
        "rgb.png": (whole, "PNG", {}),
        "palette.png": (whole.quantize(64), "PNG", {}),
        "lossy.webp": (whole, "WEBP", {"quality": 80}),
        "lossless.webp": (whole, "WEBP", {"lossless": True}),
        "still.gif": (whole.quantize(64), "GIF", {}),
        "444.avif": (whole, "AVIF", {"subsampling": "4:4:4"}),
        "420.avif": (whole, "AVIF", {}),
    }
    paths = []
    for name, (image, kind, options) in ways.items():
        paths.append(folder / name)
        paths[-1].write_bytes(encoded(image, kind, **options))
    return paths


@WAYS
def test_drawings_have_the_fingerprints_of_exact_mode(
    page: Page, site: Site, tmp_path: Path, main_thread: bool
) -> None:
    paths = drawn(tmp_path)
    site.asked.clear()
    for path, found in zip(paths, in_firefox(page, paths, main_thread=main_thread), strict=True):
        ours = fingerprint(path)
        assert found.get("kind") == "still", (path.name, found)
        assert found["sha256"] == (ours.sha256 or b"").hex(), path.name
        assert (found["width"], found["height"]) == (ours.width, ours.height), path.name
        assert ours.pdq is not None
        assert ours.pdq.matchable
        if path.name == "420.avif":
            assert bits_apart(found["pdq"], ours.pdq.code.hex()) <= AVIF_420_BITS
        else:
            assert_ours(found, path)
    assert any(path.endswith("/worker.js") for path in site.asked) is not main_thread
    assert page.complaints() == []


def test_files_that_are_no_pictures_cost_no_other(page: Page, tmp_path: Path) -> None:
    good = tmp_path / "good.png"
    good.write_bytes(encoded(pictures(1)[0], "PNG"))
    text = tmp_path / "text.jpg"
    text.write_text("Not a picture.")
    cut = tmp_path / "cut.png"
    cut.write_bytes(good.read_bytes()[:2000])
    found = in_firefox(page, [text, good, cut, good])
    assert [result.get("code") for result in found] == ["not-an-image", None, "damaged", None]
    assert found[1] == found[3]


@needs_shared
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_public_photographs_have_the_reference_fingerprints(page: Page) -> None:
    with (VECTORS / "pdq.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["mode"] == "RGB"]
    assert len(rows) >= 125
    different = []
    for start in range(0, len(rows), 20):
        some = rows[start : start + 20]
        results = in_firefox(page, [CORPUS / row["file"] for row in some])
        for row, found in zip(some, results, strict=True):
            usable = int(row["quality"]) >= MIN_MATCHABLE_QUALITY
            if found.get("pdq", "") != (row["pdq_hex"] if usable else None):
                different.append((row["file"], row["pdq_hex"], found))
    assert different == []
    assert page.complaints() == []


@WAYS
def test_heic_is_decoded_by_the_vendored_libheif(page: Page, site: Site, main_thread: bool) -> None:
    site.asked.clear()
    [found] = in_firefox(page, [HEIC], main_thread=main_thread)
    assert_ours(found, HEIC)
    loaded = [url.rpartition("/")[2] for url in site.asked if "/vendor/" in url]
    assert sorted(loaded) == ["libheif-wasm.js", "libheif.wasm"]
    assert page.complaints() == []


def odd_drawings(folder: Path) -> list[Path]:
    """Sizes at which rows, tiles or pairs of colour samples do not come out even; all opacities."""
    pictures = {
        f"{w}x{h}": noise(w, h) for w, h in [(5, 5), (7, 9), (641, 479), (9000, 40), (40, 9000)]
    }
    pictures["see-through"] = see_through()
    paths = [folder / f"{name}.png" for name in pictures]
    for path, picture in zip(paths, pictures.values(), strict=True):
        path.write_bytes(encoded(picture, "PNG"))
    return paths


def way_to_pixels(page: Page) -> str:
    way: str = page.call(
        """async () => {
            const check = `${location.origin}/static/js/fingerprints/pixel_check.js`;
            return (await import(check)).wayToPixels();
        }"""
    )
    return way


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_private_window_whose_canvases_are_noisy(site: Site, tmp_path: Path) -> None:
    """As those of earlier versions were, which changed what `getImageData` reads too.

    The noise is asked for in private windows only, so that its being there shows that this is one.
    """
    preferences = {
        "browser__privatebrowsing__autostart": True,
        "privacy__fingerprintingProtection": False,
        "privacy__fingerprintingProtection__pbmode": True,
        "privacy__fingerprintingProtection__overrides": (
            "+CanvasRandomization,-EfficientCanvasRandomization"
        ),
    }
    paths = [*drawn(tmp_path), *odd_drawings(tmp_path)]
    with (
        Firefox.started(found_firefox(), **preferences) as firefox,
        opened(firefox, site) as page,
    ):
        for main_thread in (False, True):
            for path, found in zip(
                paths, in_firefox(page, paths, main_thread=main_thread), strict=True
            ):
                if path.name == "420.avif":
                    ours = fingerprint(path).pdq
                    assert ours is not None
                    assert bits_apart(found["pdq"], ours.code.hex()) <= AVIF_420_BITS
                else:
                    assert {key: found.get(key) for key in FIELDS} == exact(path.read_bytes())
            assert found["notes"] == ["transparent"]
        assert way_to_pixels(page) == "frame"
        assert page.complaints() == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_private_window_as_firefox_opens_it(site: Site, tmp_path: Path) -> None:
    paths = drawn(tmp_path)[:2]
    with (
        Firefox.started(found_firefox(), browser__privatebrowsing__autostart=True) as firefox,
        opened(firefox, site) as page,
    ):
        for path, found in zip(paths, in_firefox(page, paths), strict=True):
            assert_ours(found, path)
        assert page.complaints() == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_browser_like_tors_refuses_to_guess_and_decodes_heic_slowly(
    site: Site, tmp_path: Path
) -> None:
    """Such browsers hand out noise for a canvas's pixels, and no WebAssembly when set safer."""
    preferences = {"privacy__resistFingerprinting": True, "javascript__options__wasm": False}
    paths = drawn(tmp_path)[:2]
    site.asked.clear()
    with (
        Firefox.started(found_firefox(), **preferences) as firefox,
        opened(firefox, site) as page,
    ):
        found = in_firefox(page, paths)
        assert [result.get("code") for result in found] == ["canvas-distorted"] * 2
        [of_heic] = in_firefox(page, [HEIC])
        assert_ours(of_heic, HEIC)
        assert any(path.endswith("/libheif-plain.js") for path in site.asked)
        assert page.complaints() == []
