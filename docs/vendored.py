"""Copy from npm what the pages and the browser tests carry, and write docs/reference/vendored.md.

`npm ci && python docs/vendored.py` makes the copies anew; `make check` compares them with the page,
and with the packages where these are installed.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).parent / "reference" / "vendored.md"
MODULES = ROOT / "node_modules"
PINS = ROOT / "package.json"

LIBHEIF = "src/egide/server/pages/static/vendor/libheif"
AXE = "tests/browser/vendor"

# A browser takes these scripts as a global of a page or a module of Node.js; a module worker takes
# neither. One line at the end makes them modules; nothing else is touched.
LIBHEIF_EXPORT = b"export default libheif;\n"


@dataclass(frozen=True, slots=True)
class Copy:
    """A file of a package, and where a copy of it stands in the project."""

    source: str
    target: str
    appended: bytes = b""


@dataclass(frozen=True, slots=True)
class Package:
    """A package of which files are copied."""

    name: str
    licence: str
    copies: tuple[Copy, ...]


# Prose that whoever gets the files reads, and that has to name the version they are of.
NOTICES = {"NOTICE": "libheif-js", f"{LIBHEIF}/NOTICE.txt": "libheif-js"}

PACKAGES = (
    Package(
        "libheif-js",
        "LGPL-3.0-or-later",
        (
            Copy("libheif-wasm/libheif.js", f"{LIBHEIF}/libheif-wasm.js", LIBHEIF_EXPORT),
            Copy("libheif-wasm/libheif.wasm", f"{LIBHEIF}/libheif.wasm"),
            Copy("libheif/libheif.js", f"{LIBHEIF}/libheif-plain.js", LIBHEIF_EXPORT),
            Copy("libheif/LICENSE", f"{LIBHEIF}/LICENSE.txt"),
        ),
    ),
    Package(
        "axe-core",
        "MPL-2.0",
        (
            Copy("axe.min.js", f"{AXE}/axe.min.js"),
            Copy("LICENSE", f"{AXE}/LICENSE-axe.txt"),
            Copy("LICENSE-3RD-PARTY.txt", f"{AXE}/LICENSE-axe-3rd-party.txt"),
        ),
    ),
)

_HEAD = """\
# Vendored files

What the project carries of others. `npm ci && python docs/vendored.py` copies it from the packages
that `package.json` pins and writes this page. `make check` compares every file with its digest
here, every version with its pin, and the files with the packages where these are installed.

- **libheif-js** goes into the package that is installed: the page where a person registers images
  loads it when, and only when, someone chooses a HEIC picture, which no browser decodes in a way
  that PDQ can use. Its notice, with how to replace it, stands
  [beside it](../../src/egide/server/pages/static/vendor/libheif/NOTICE.txt).
- **axe-core** checks the pages for accessibility in tests. It is not installed with Egide.
- **typescript** checks the types of the pages' scripts. Nothing of it is copied.

A new version: change the pin, `npm install`, `python docs/vendored.py`, `make check`, which points
out what names the old one in prose, and the browser tests: libheif may not change a pixel.

"""
_ROW = re.compile(r"^\| `([^`]+)` \| (\S+) (\S+) \| (\S+) \| `([0-9a-f]{64})` \|$", re.MULTILINE)


def pins() -> dict[str, str]:
    """Return the version of each package that package.json pins."""
    document = json.loads(PINS.read_text("utf-8"))
    versions: dict[str, str] = document["devDependencies"]
    return versions


def installed() -> bool:
    """Whether npm has installed every package that something is copied from."""
    return all((MODULES / package.name / "package.json").is_file() for package in PACKAGES)


def original(package: Package, copy: Copy) -> bytes:
    """Return what the copy must hold, from the package that npm installed.

    Raises:
        ValueError: the installed package has another version than the pin.
    """
    folder = MODULES / package.name
    version = json.loads((folder / "package.json").read_text("utf-8"))["version"]
    if version != (pin := pins()[package.name]):
        raise ValueError(f"{package.name} {version} is installed, {pin} is pinned: npm ci")
    return (folder / copy.source).read_bytes() + copy.appended


def page() -> str:
    """Return the page for the copies as they are."""
    lines = ["| file | from | licence | SHA-256 |\n", "| --- | --- | --- | --- |\n"]
    for package in PACKAGES:
        for copy in package.copies:
            digest = hashlib.sha256((ROOT / copy.target).read_bytes()).hexdigest()
            origin = f"{package.name} {pins()[package.name]}"
            lines.append(f"| `{copy.target}` | {origin} | {package.licence} | `{digest}` |\n")
    return _HEAD + "".join(lines)


def problems() -> list[str]:
    """Find copies, digests and versions that do not agree with each other."""
    rows = {row[0]: row[1:] for row in _ROW.findall(PAGE.read_text("utf-8"))}
    found = []
    for package in PACKAGES:
        for copy in package.copies:
            content = (ROOT / copy.target).read_bytes()
            row = package.name, pins()[package.name], package.licence
            if rows.pop(copy.target, None) != (*row, hashlib.sha256(content).hexdigest()):
                found.append(
                    f"{copy.target}: not the file that docs/reference/vendored.md describes"
                )
            if installed() and original(package, copy) != content:
                found.append(f"{copy.target}: not the file of {package.name}")
    found += [f"docs/reference/vendored.md: nothing copies {target}" for target in rows]
    for notice, name in NOTICES.items():
        if pins()[name] not in (ROOT / notice).read_text("utf-8"):
            found.append(f"{notice}: does not name {name} {pins()[name]}")
    return found


def main() -> None:
    """Copy every file and write the page."""
    if not installed():
        sys.exit("The packages are not installed: npm ci")
    for package in PACKAGES:
        for copy in package.copies:
            target = ROOT / copy.target
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(original(package, copy))
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
