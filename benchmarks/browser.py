"""Fingerprints in Chromium: time, memory, and how long the page is held up.

Processor time is of all threads of the page, and includes loading the scripts and a small picture.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import statistics
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from drawings import drawings
from fingerprint_site import running_site
from machine import machine_line

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from fingerprint_site import Site

SIZES = {"12 MP": (4000, 3000), "50 MP": (8192, 6144)}
SAMPLED_S = 0.01
MEASURE = """
async (options) => {
    const { Fingerprinter } = await import('/static/js/fingerprints/client.js');
    const fingerprinter = new Fingerprinter(options);
    const file = await (await fetch('/files/photo')).blob();
    await fingerprinter.fingerprint(await (await fetch('/files/small')).blob());
    let last = performance.now(), gap = 0, going = true;
    const tick = () => {
        const now = performance.now();
        gap = Math.max(gap, now - last);
        last = now;
        if (going) setTimeout(tick);
    };
    tick();
    const start = performance.now();
    const result = await fingerprinter.fingerprint(file);
    const ms = performance.now() - start;
    tick();
    going = false;
    fingerprinter.close();
    return { ms, gap, result };
}
"""


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, and no 50 megapixels")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    sizes = dict(list(SIZES.items())[: 1 if asked.quick else None])
    with running_site() as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        site.files["small"] = photo((384, 256))
        rows: list[tuple[str, str, dict[str, float]]] = []
        for name, size in sizes.items():
            site.files["photo"] = photo(size)
            for main_thread in (False, True):
                rounds = [
                    measure(browser, site, main_thread=main_thread)
                    for _ in range(1 if asked.quick else 3)
                ]
                where = "main thread" if main_thread else "worker"
                rows.append((name, where, medians(rounds)))
        version = browser.version
        browser.close()
    if asked.json:
        print(json.dumps([{"picture": name, "in": where, **row} for name, where, row in rows]))
        return
    print(f"{machine_line()}, Chromium {version}\n")
    print(
        "| JPEG | in | s | processor, s | longest gap, ms | renderer's peak, MB | over its rest |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, where, row in rows:
        figures = f"{row['ms'] / 1000:.2f} | {row['cpu_s']:.2f} | {row['gap']:.0f}"
        print(f"| {name} | {where} | {figures} | {row['peak_mb']:.0f} | {row['rise_mb']:.0f} |")


def photo(size: tuple[int, int]) -> bytes:
    """A drawing with the noise of a camera, as a JPEG of quality 90."""
    drawing = next(iter(drawings(1, size=(384, 256))))[1].resize(size, Image.Resampling.BICUBIC)
    pixels = np.asarray(drawing).astype(np.int16)
    pixels += np.random.default_rng(5).integers(-9, 10, pixels.shape, dtype=np.int16)
    stream = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def measure(browser: Browser, site: Site, *, main_thread: bool) -> dict[str, float]:
    """Fingerprint the photo once, in a page of its own."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(site.address)
    with Renderer() as renderer:
        told: dict[str, Any] = page.evaluate(MEASURE, {"forceMainThread": main_thread})
    context.close()
    if told["result"]["pdq"] is None:
        raise SystemExit("the drawing has no PDQ")
    return {
        "ms": told["ms"],
        "gap": told["gap"],
        "cpu_s": renderer.cpu_s,
        "peak_mb": renderer.peak_mb,
        "rise_mb": renderer.rise_mb,
    }


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    return {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}


class Renderer:
    """The largest renderer among our descendants, in MB, sampled; the processor time of all."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self.rise_mb = 0.0
        self.cpu_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Renderer:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        renderers = renderer_pids()
        first = max(map(resident_mb, renderers), default=0.0)
        spent_s = sum(map(processor_s, renderers))
        while not self._stop.wait(SAMPLED_S):
            self.peak_mb = max([self.peak_mb, *map(resident_mb, renderers)])
        self.rise_mb = self.peak_mb - first
        self.cpu_s = sum(map(processor_s, renderers)) - spent_s


def renderer_pids() -> list[int]:
    """The renderers that descend from this process."""
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    ours = {int(Path("/proc/self").resolve().name)}
    while found := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= found
    return [pid for pid in ours if b"--type=renderer" in command(pid)]


def command(pid: int) -> bytes:
    """A process's command line; nothing of one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def processor_s(pid: int) -> float:
    """The processor time that a process has taken; 0 of one that has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """What a process holds in memory; 0 of one that has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * 4096 / 1e6


if __name__ == "__main__":
    main()
