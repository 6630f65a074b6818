"""Anchored hashes in browsers: those of the vectors, and what a file's result has of them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from drawn_scenes import scene
from egide.domain.model import WHOLE_REGIONS
from egide.hashing import fingerprint
from fingerprint_site import fingerprint_all
from pictures import encoded

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from playwright.sync_api import Page

    from fingerprint_site import Site
    from firefox_bidi import Firefox

VECTORS = Path(__file__).parents[2] / "unit" / "hashing" / "anchored_vectors.json"

# Rows come in stripes that blocks of pixels do not divide.
CODES_OF = """
async ([width, height, most]) => {
    const address = `${location.origin}/static/js/fingerprints/anchored.js`;
    const { AnchoredStream } = await import(address);
    const rgba = await (await fetch(`${location.origin}/files/rgba`)).arrayBuffer();
    const stream = new AnchoredStream(width, height);
    for (let row = 0; row < height; row += 37) {
        const rowCount = Math.min(37, height - row);
        stream.push(new Uint8Array(rgba, 4 * width * row, 4 * width * rowCount), rowCount);
    }
    const hex = (bytes) => Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
    const regions = await stream.finish(() => Promise.resolve(), most);
    return regions.flatMap(({ straight, mirrored }) => [hex(straight), hex(mirrored)]);
}
"""

VECTOR = pytest.mark.parametrize(
    "vector",
    json.loads(VECTORS.read_text()),
    ids=lambda vector: f"{vector['columns']}x{vector['rows']}x{vector['enlarged']}",
)


def drawn(vector: dict[str, Any]) -> NDArray[np.uint8]:
    """The picture of a vector."""
    pixels = scene(vector["rows"], vector["columns"], seed=vector["seed"])
    return np.kron(pixels, np.ones((vector["enlarged"], vector["enlarged"], 1), np.uint8))


def serve(site: Site, vector: dict[str, Any]) -> list[int]:
    """Serve the pixels of a vector's picture, and say what is asked of them."""
    pixels = drawn(vector)
    rows, columns = pixels.shape[:2]
    opaque = np.full((rows, columns), 255, np.uint8)
    site.files = {"rgba": np.dstack([pixels, opaque]).tobytes()}
    return [columns, rows, WHOLE_REGIONS]


@VECTOR
def test_codes_are_those_of_the_vectors(page: Page, site: Site, vector: dict[str, Any]) -> None:
    assert page.evaluate(CODES_OF, serve(site, vector)) == vector["codes"]


@pytest.mark.slow
@VECTOR
def test_firefox_has_them_too(firefox: Firefox, site: Site, vector: dict[str, Any]) -> None:
    with firefox.page() as page:
        page.goto(f"{site.address}/")
        assert page.call(CODES_OF, serve(site, vector)) == vector["codes"]


def files() -> dict[str, bytes]:
    """Pictures that are averaged by blocks, or barely large enough, or have too little detail."""
    picture = Image.fromarray(scene(300, 400, seed=8))
    still = encoded(picture, "PNG")
    other = Image.fromarray(scene(300, 400, seed=9))
    moving = io.BytesIO()
    picture.quantize(64).save(moving, "GIF", save_all=True, append_images=[other.quantize(64)])
    return {
        "blocks": encoded(picture.resize((1901, 1403)), "JPEG"),
        "moving": moving.getvalue(),
        "still": still,
        "tall": encoded(picture.crop((0, 0, 29, 290)), "PNG"),
        "strip": encoded(picture.crop((0, 0, 29, 291)), "PNG"),
        "small": encoded(picture.resize((16, 16)), "PNG"),
        "too-small": encoded(picture.resize((80, 15)), "PNG"),
        "flat": encoded(Image.new("RGB", (300, 200), (120, 130, 140)), "PNG"),
    }


@pytest.mark.parametrize(
    "main_thread",
    [pytest.param(False, id="worker"), pytest.param(True, id="main", marks=pytest.mark.slow)],
)
def test_a_result_has_what_is_registered_of_the_file(
    page: Page, site: Site, *, main_thread: bool
) -> None:
    chosen = files()
    told = fingerprint_all(page, site, dict(chosen), forceMainThread=main_thread)
    for name, data in chosen.items():
        ours = fingerprint(data, anchored=True)
        kept = ours.anchored.registered() if ours.anchored else ()
        expected = [code.hex() for code in kept] if ours.pdq and ours.pdq.matchable else []
        assert told[name]["anchored"] == expected, name
    assert {name for name, one in told.items() if not one["anchored"]} >= {
        "strip", "too-small", "flat",
    }  # fmt: skip
