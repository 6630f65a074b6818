"""The pages as they are served, in Firefox: its worker gets what it needs under the real policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from egide.hashing import fingerprint
from pages_site import pages_site
from pictures import encoded, pictures

if TYPE_CHECKING:
    from firefox_bidi import Firefox

HEIC = Path(__file__).parents[1] / "vectors" / "drawing.heic"

CHOOSER = """() => {
    const chooser = document.createElement("input");
    document.body.append(Object.assign(chooser, { type: "file", multiple: true, id: "chooser" }));
}"""
FINGERPRINT_CHOSEN = """async () => {
    let fromWorker = 0;
    const { Worker } = window;
    window.Worker = class extends Worker {
        constructor(...args) {
            super(...args);
            this.addEventListener("message", ({ data }) => { fromWorker += "result" in data; });
        }
    };
    const [base] = document.querySelector("link[rel=stylesheet]").href.split("/css/");
    const { Fingerprinter } = await import(`${base}/js/fingerprints/client.js`);
    const fingerprinter = new Fingerprinter();
    const found = [];
    for (const file of document.querySelector("#chooser").files) {
        found.push((await fingerprinter.fingerprint(file)).pdq);
    }
    fingerprinter.close();
    return { found, fromWorker };
}"""


def test_a_worker_fingerprints_under_the_policy_of_the_site(
    firefox: Firefox, tmp_path: Path
) -> None:
    paths = [tmp_path / "drawing.jpg", HEIC]
    paths[0].write_bytes(encoded(pictures(1)[0]))
    with pages_site(tmp_path) as (address, _), firefox.page() as page:
        page.goto(f"{address}/en/register/images?adult=yes")
        page.call(CHOOSER)
        page.set_files("#chooser", paths)
        answer = page.call(FINGERPRINT_CHOSEN)
        ours = [fingerprint(path).pdq for path in paths]
        assert answer["found"] == [pdq.code.hex() for pdq in ours if pdq is not None]
        assert answer["fromWorker"] == len(paths)
        assert page.complaints() == []
        assert all(url.startswith(f"{address}/") for url in page.requests())
