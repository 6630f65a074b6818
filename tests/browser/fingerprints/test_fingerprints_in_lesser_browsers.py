"""Browsers that lack something, change pixels, or lose their worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from egide.hashing import fingerprint
from fingerprint_site import FINGERPRINT_ALL, HEIC, STATIC, fingerprint_all
from pictures import encoded, pictures

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from fingerprint_site import Site

WORKER = "/static/js/fingerprints/worker.js"
ADD_NOISE = """
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


@pytest.mark.parametrize(
    "missing",
    [
        "delete self.Worker;",
        "self.Worker = function () { throw new Error('forbidden'); };",
        "delete self.Worker; delete self.createImageBitmap;",
        "delete self.Worker; delete self.OffscreenCanvas;",
        """delete self.Worker; const real = self.createImageBitmap;
        self.createImageBitmap = function (blob, options) {
            if (options) throw new TypeError('one argument');
            return real(blob);
        };""",
    ],
    ids=["no-worker", "worker-forbidden", "no-bitmap", "no-offscreen-canvas", "no-options"],
)
def test_a_page_without(page: Page, site: Site, missing: str) -> None:
    page.add_init_script(missing)
    page.reload()
    assert_all_work(page, site)


def test_damage_is_told_by_image_elements_too(page: Page, site: Site) -> None:
    page.add_init_script("delete self.Worker; delete self.createImageBitmap;")
    page.reload()
    seven_bits = bytearray(encoded(pictures(1)[0], "PNG"))
    seven_bits[24] = 7
    found = fingerprint_all(page, site, {"png": bytes(seven_bits)})
    assert found == {"png": {"error": "damaged"}}


@pytest.mark.parametrize("distortion", DISTORTIONS)
@pytest.mark.parametrize("in_worker", [True, False], ids=["worker", "main"])
def test_distorted_pixels_are_never_fingerprinted(
    page: Page, site: Site, distortion: str, *, in_worker: bool
) -> None:
    script = ADD_NOISE % DISTORTIONS[distortion]
    site.replaced[WORKER] = worker_with(script)
    page.add_init_script(script)
    page.reload()
    files = {"a": encoded(pictures(1)[0]), "b": encoded(pictures(2)[1], "PNG"), "c": HEIC}
    found = fingerprint_all(page, site, files, forceMainThread=not in_worker)
    assert found["a"] == found["b"] == {"error": "canvas-distorted"}
    # HEIC goes through no canvas.
    assert found["c"]["pdq"] == fingerprint(HEIC).pdq.code.hex()


def test_heic_without_webassembly(page: Page, site: Site) -> None:
    page.add_init_script("delete self.WebAssembly;")
    page.reload()
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
    assert site.asked.count(WORKER) == 2


def test_a_worker_that_goes_silent_is_given_up(page: Page, site: Site) -> None:
    site.replaced[WORKER] = b"self.postMessage({ ready: true });"
    page.clock.install()
    page.evaluate(
        """async () => {
            const { Fingerprinter } = await import('/static/js/fingerprints/client.js');
            self.code = null;
            new Fingerprinter().fingerprint(new Blob(['x'])).catch((e) => { self.code = e.code; });
        }"""
    )
    page.wait_for_timeout(300)
    page.clock.fast_forward(200_000)
    page.wait_for_function("self.code !== null")
    assert page.evaluate("self.code") == "out-of-memory"


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


def test_nothing_is_asked_of_the_network_but_scripts(page: Page, site: Site) -> None:
    files = {"jpeg": encoded(pictures(1)[0]), "heic": HEIC}
    requests: list[str] = []
    page.context.on("request", lambda request: requests.append(request.url))
    fingerprint_all(page, site, files)
    assert any(url.endswith("client.js") for url in requests)
    assert all(url.startswith((site.address, f"blob:{site.address}")) for url in requests)
    others = [path for path in site.asked if not path.startswith(("/static/", "/files/"))]
    assert set(others) <= {"/", "/favicon.ico"}
