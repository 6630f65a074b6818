"""Browsers that lack something, change pixels, or lose their worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from exact_mode import assert_exact, noise, see_through

from egide.hashing import fingerprint
from fingerprint_site import FINGERPRINT_ALL, HEIC, STATIC, fingerprint_all
from pictures import encoded, pictures

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from fingerprint_site import Site

pytestmark = pytest.mark.slow

WORKER = "/static/js/fingerprints/worker.js"
CANVAS_ADDS_NOISE = """
for (const name of ['CanvasRenderingContext2D', 'OffscreenCanvasRenderingContext2D']) {
    const prototype = self[name]?.prototype;
    if (!prototype) continue;
    const read = prototype.getImageData;
    prototype.getImageData = function (...box) {
        const image = read.apply(this, box);
        %s
        return image;
    };
}
"""
DISTORTIONS = {
    "one-level": "image.data[4 * 777] ^= 1;",
    "blank": "image.data.fill(255);",
    "refused": "throw new DOMException('no', 'SecurityError');",
}
FRAME_READS = """
const copy = VideoFrame.prototype.copyTo;
VideoFrame.prototype.copyTo = async function (pixels, options) {
    const { format } = this;
    const layout = await copy.call(this, pixels, options);
    %s
    return layout;
};
"""
FRAME_FAILURES = {
    "missing": "delete self.VideoFrame;",
    "forbidden": "self.VideoFrame = function () { throw new TypeError('no'); };",
    "refused": FRAME_READS % "throw new DOMException('no', 'NotSupportedError');",
    "one-level": FRAME_READS % "pixels[4 * 777] ^= 1;",
    "another-format": "Object.defineProperty(VideoFrame.prototype, 'format', { value: 'NV12' });",
    "multiplied-alpha": FRAME_READS
    % """if (format.endsWith('A')) for (let k = 0; k < pixels.length; k += 1) {
        if (k % 4 < 3) pixels[k] = Math.round(pixels[k] * pixels[k | 3] / 255);
    }""",
}


def change(page: Page, script: str) -> None:
    """Change what the page's scripts will find; they have not been loaded."""
    page.evaluate(f"() => {{ {script} }}")


def worker_with(prelude: str) -> bytes:
    return (prelude + (STATIC / "js/fingerprints/worker.js").read_text()).encode()


def assert_all_work(page: Page, site: Site, **options: bool) -> None:
    files = {str(k): encoded(picture) for k, picture in enumerate(pictures(3))}
    found = fingerprint_all(page, site, dict(files), **options)
    told = {name: one.get("pdq") for name, one in found.items()}
    assert told == {name: fingerprint(data).pdq.code.hex() for name, data in files.items()}


@pytest.mark.parametrize(
    "worker",
    [
        b"this is no script",
        b"throw new Error('no');",
        worker_with("self.OffscreenCanvas = undefined;"),
    ],
    ids=["no-module", "throws", "no-canvas"],
)
def test_a_worker_that_cannot_do_it_is_done_without(page: Page, site: Site, worker: bytes) -> None:
    site.replaced[WORKER] = worker
    assert_all_work(page, site)
    assert site.asked.count(WORKER) == 1


MISSING = {
    "worker": "delete self.Worker;",
    "leave-to-start-workers": "self.Worker = function () { throw new Error('forbidden'); };",
    "bitmaps": "delete self.Worker; delete self.createImageBitmap;",
    "offscreen-canvases": "delete self.Worker; delete self.OffscreenCanvas;",
    "options-of-bitmaps": """delete self.Worker; const real = self.createImageBitmap;
        self.createImageBitmap = function (blob, options) {
            if (options) throw new TypeError('one argument');
            return real(blob);
        };""",
}


@pytest.mark.parametrize("missing", MISSING)
def test_a_page_without(page: Page, site: Site, missing: str) -> None:
    change(page, MISSING[missing])
    assert_all_work(page, site)


def test_damage_is_told_by_image_elements_too(page: Page, site: Site) -> None:
    change(page, "delete self.Worker; delete self.createImageBitmap;")
    seven_bits = bytearray(encoded(pictures(1)[0], "PNG"))
    seven_bits[24] = 7
    found = fingerprint_all(page, site, {"png": bytes(seven_bits)})
    assert found == {"png": {"error": "damaged"}}


def fingerprint_changed(
    page: Page, site: Site, script: str, files: dict[str, bytes | Path], *, in_worker: bool
) -> dict[str, dict[str, Any]]:
    """Fingerprint files where a script has changed the browser, in the page or in its worker."""
    page.goto(site.address)
    site.asked.clear()
    site.replaced[WORKER] = worker_with(script)
    change(page, script)
    found = fingerprint_all(page, site, files, forceMainThread=not in_worker)
    assert (WORKER in site.asked) is in_worker
    return found


@pytest.mark.parametrize("in_worker", [True, False], ids=["worker", "main"])
def test_where_the_canvas_is_distorted_pixels_are_read_from_a_frame(
    page: Page, site: Site, *, in_worker: bool
) -> None:
    some = {"jpeg": encoded(pictures(1)[0]), "png": encoded(pictures(2)[1], "PNG")}
    sides = [(5, 5), (7, 9), (31, 64), (641, 479), (9000, 40), (40, 9000)]
    more = some | {f"{w}x{h}": encoded(noise(w, h), "PNG") for w, h in sides}
    more["jpeg-grey"] = encoded(noise(301, 203).convert("L"), "JPEG")
    more["webp"] = encoded(noise(301, 203), "WEBP")
    more["avif"] = encoded(noise(301, 203), "AVIF")
    more["gif"] = encoded(noise(301, 203), "GIF")
    more["see-through"] = encoded(see_through(), "PNG")
    more["see-through-webp"] = encoded(see_through(), "WEBP", lossless=True)
    for name, distortion in DISTORTIONS.items():
        files = more if name == "blank" else some
        script = CANVAS_ADDS_NOISE % distortion
        found = fingerprint_changed(page, site, script, dict(files), in_worker=in_worker)
        assert_exact(found, files)
        if "see-through" in files:
            assert found["see-through"]["notes"] == ["transparent"]
            assert found["png"]["notes"] == []


@pytest.mark.parametrize("in_worker", [True, False], ids=["worker", "main"])
def test_distorted_pixels_are_never_fingerprinted(
    page: Page, site: Site, *, in_worker: bool
) -> None:
    files: dict[str, bytes | Path] = {
        "a": encoded(pictures(1)[0]),
        "b": encoded(pictures(2)[1], "PNG"),
    }
    scripts = [CANVAS_ADDS_NOISE % DISTORTIONS["one-level"] + no for no in FRAME_FAILURES.values()]
    scripts += [
        CANVAS_ADDS_NOISE % distortion + FRAME_FAILURES["missing"]
        for distortion in DISTORTIONS.values()
    ]
    for script in scripts:
        found = fingerprint_changed(page, site, script, files, in_worker=in_worker)
        assert found == {key: {"error": "canvas-distorted"} for key in files}, script
    # HEIC goes through neither.
    found = fingerprint_changed(page, site, scripts[0], {"heic": HEIC}, in_worker=in_worker)
    assert found["heic"]["pdq"] == fingerprint(HEIC).pdq.code.hex()


@pytest.mark.parametrize("in_worker", [True, False], ids=["worker", "main"])
@pytest.mark.parametrize(
    ("thrown", "code"),
    [
        ("new TypeError('x is not a function')", "unexpected"),
        ("new RangeError('Array buffer allocation failed')", "out-of-memory"),
        ("'out of memory'", "out-of-memory"),
    ],
    ids=["mistake", "allocation", "firefox-memory"],
)
def test_what_nobody_expected_is_told_as_what_it_is(
    page: Page, site: Site, thrown: str, code: str, *, in_worker: bool
) -> None:
    data = encoded(pictures(1)[0])
    # Fingerprints are turned into text when all else is done.
    script = f"Number.prototype.toString = () => {{ throw {thrown}; }};"
    found = fingerprint_changed(page, site, script, {"a": data}, in_worker=in_worker)
    assert found == {"a": {"error": code}}


def test_heic_without_webassembly(page: Page, site: Site) -> None:
    change(page, "delete self.WebAssembly;")
    found = fingerprint_all(page, site, {"heic": HEIC}, forceMainThread=True)["heic"]
    assert found["pdq"] == fingerprint(HEIC).pdq.code.hex()
    assert "/static/vendor/libheif/libheif-plain.js" in site.asked
    site.replaced[WORKER] = worker_with("delete self.WebAssembly;")
    found = fingerprint_all(page, site, {"heic": HEIC})["heic"]
    assert found["pdq"] == fingerprint(HEIC).pdq.code.hex()


def test_a_worker_that_dies_fails_one_file(page: Page, site: Site) -> None:
    one, other = encoded(pictures(1)[0]), encoded(pictures(2)[1])
    fatal = other + b"fatal"
    dying = f"""self.addEventListener('message', (event) => {{
        if (event.data.size !== {len(fatal)}) return;
        event.stopImmediatePropagation();
        setTimeout(() => {{ throw new Error('out of memory'); }});
    }});"""
    site.replaced[WORKER] = worker_with(dying)
    found = fingerprint_all(page, site, {"a": one, "b": fatal, "c": other})
    assert found["b"] == {"error": "out-of-memory"}
    assert found["a"]["pdq"] == fingerprint(one).pdq.code.hex()
    assert found["c"]["pdq"] == fingerprint(other).pdq.code.hex()


def test_a_worker_that_goes_silent_is_given_up(own_page: Page, site: Site) -> None:
    site.replaced[WORKER] = b"self.postMessage({ ready: true });"
    own_page.clock.install()
    own_page.evaluate(
        """async () => {
            const { Fingerprinter } = await import('/static/js/fingerprints/client.js');
            self.code = null;
            new Fingerprinter().fingerprint(new Blob(['x'])).catch((e) => { self.code = e.code; });
        }"""
    )
    own_page.wait_for_timeout(300)
    own_page.clock.fast_forward(200_000)
    own_page.wait_for_function("self.code !== null")
    assert own_page.evaluate("self.code") == "out-of-memory"


@pytest.mark.parametrize("main_thread", [False, True], ids=["worker", "main"])
def test_closing_gives_up_what_is_not_done(page: Page, site: Site, *, main_thread: bool) -> None:
    site.files = {"a": encoded(pictures(1)[0].resize((3000, 2000)))}
    ends = page.evaluate(
        """async (options) => {
            const { Fingerprinter } = await import('/static/js/fingerprints/client.js');
            const file = await (await fetch('/files/a')).blob();
            const fingerprinter = new Fingerprinter({
                ...options,
                onEvent: () => fingerprinter.close(),
            });
            const turns = [file, file].map((one) => fingerprinter.fingerprint(one));
            const ends = await Promise.allSettled([...turns]);
            return ends.map((end) => end.reason?.name);
        }""",
        {"forceMainThread": main_thread},
    )
    assert ends == ["AbortError", "AbortError"]


@pytest.mark.parametrize("main_thread", [False, True], ids=["worker", "main"])
def test_progress_rises_to_the_end(page: Page, site: Site, *, main_thread: bool) -> None:
    site.files = {"a": encoded(pictures(1)[0].resize((2000, 1500)))}
    options = {"forceMainThread": main_thread}
    shares = page.evaluate(FINGERPRINT_ALL, [["a"], options])["shares"]
    assert len(shares) > 5
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] == 1


def test_nothing_is_asked_of_the_network_but_scripts(own_page: Page, site: Site) -> None:
    files = {"jpeg": encoded(pictures(1)[0]), "heic": HEIC}
    requests: list[str] = []
    own_page.context.on("request", lambda request: requests.append(request.url))
    fingerprint_all(own_page, site, files)
    assert any(url.endswith("client.js") for url in requests)
    assert all(url.startswith((site.address, f"blob:{site.address}")) for url in requests)
    others = [path for path in site.asked if not path.startswith(("/static/", "/files/"))]
    assert set(others) <= {"/", "/favicon.ico"}
