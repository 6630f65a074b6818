"""The main job from end to end, on drawings: register, withdraw, audit, purge, audit again, report.

Draws pictures (or takes yours with --photos), saves edited copies of them into a folder, a tar and
a Parquet file, registers some, withdraws one, and audits. What may go is taken out into a copy,
which is audited too. Everything stands in `demo-output/`; the commands are printed as you would
type them.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageEnhance, ImageOps

from drawings import drawings

OUTPUT = Path("demo-output")
DRAWN = 30
REGISTERED = 10
EGIDE = Path(sys.executable).with_name("egide")

Edit = Callable[[Image.Image], tuple[bytes, str]]


def encode(image: Image.Image, suffix: str, **options: object) -> tuple[bytes, str]:
    """Return the bytes of an image file, and its suffix."""
    stream = io.BytesIO()
    image.save(stream, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()), **options)
    return stream.getvalue(), suffix


EDITS: dict[str, Edit] = {
    "recompressed": lambda im: encode(im, "jpg", quality=40),
    "half-size": lambda im: encode(im.reduce(2), "webp", quality=70),
    "mirrored": lambda im: encode(ImageOps.mirror(im), "png"),
    "upside-down": lambda im: encode(im.rotate(180), "jpg", quality=80),
    "turned": lambda im: encode(im.transpose(Image.Transpose.ROTATE_90), "jpg", quality=85),
    "grey": lambda im: encode(ImageOps.grayscale(im), "tif"),
    "brighter": lambda im: encode(ImageEnhance.Brightness(im).enhance(1.2), "avif", quality=70),
    "few-colours": lambda im: encode(im.quantize(64), "gif"),
}


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--photos", type=Path, help="a folder of your own photos, used instead of drawings"
    )
    arguments = parser.parse_args()
    began = time.monotonic()
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir()
    pictures = list(own_photos(arguments.photos) if arguments.photos else draw(OUTPUT / "photos"))
    if len(pictures) < 3:
        sys.exit(f"The demo needs at least 3 photos; {arguments.photos} has {len(pictures)}.")
    registered = pictures[: min(REGISTERED, len(pictures) - 1)]
    expected = make_dataset(pictures, registered)

    print("\nA helpline registers some of the pictures. Fingerprints are stored, pictures never.\n")
    egide("bank", "create", "helpline", "--description", "demo")
    added = egide_json("bank", "add", "helpline", *(str(path) for path in registered))
    entries = {entry["file"]: entry["entry"] for entry in added}
    print("\nOne person withdraws.\n")
    gone = str(registered[-1])
    egide("bank", "withdraw", "helpline", str(entries[gone]))
    print("\nA reviewer looks at the others, and confirms all but one.\n")
    confirmed = [str(entries[str(path)]) for path in registered[1:-1]]
    egide("bank", "confirm", "helpline", *confirmed)
    egide("bank", "list")
    print("\nSomebody who trains on images audits a dataset: a folder, a tar and a Parquet file.\n")
    egide("audit", "dataset", "shard-000.tar", "train.parquet", "--out", "audit", expected_code=1)
    check(expected, registered, entries, gone)
    purge(confirmed)
    if arguments.photos:
        print(f"Edited copies of your photos are in {OUTPUT}; `make clean` removes them.")
    report = OUTPUT / "after" / "report.html"
    print(f"\nDone in {time.monotonic() - began:.0f} s. Open {report}: it shows before and after.")


def purge(confirmed: list[str]) -> None:
    """Take out what matches a confirmed entry as a whole, and look again."""
    print("\nWhat matches a confirmed entry may go. First, what would go:\n")
    # Matches of the entry that nobody confirmed, and by a part of a picture, wait for a person.
    egide("purge", "audit", "--to", "purged", expected_code=1)
    print("\nThen it goes, with its captions, into a copy that is read back.\n")
    egide("purge", "audit", "--to", "purged", "--yes", expected_code=1)
    print("\nThe copy is audited, and its report sets both audits side by side.\n")
    egide("audit", "purged", "--out", "after", expected_code=1)
    egide("report", "after", "--before", "audit")
    left = pq.read_table(OUTPUT / "after" / "matches.parquet").to_pylist()
    whole = [row for row in left if row["rectangle"] is None and str(row["entry"]) in confirmed]
    if whole:
        sys.exit(f"{len(whole)} matches of confirmed entries are left after the purge.")


def draw(folder: Path) -> Iterator[Path]:
    """Draw harmless pictures."""
    print(f"Drawing {DRAWN} pictures …")
    folder.mkdir()
    for name, image in drawings(DRAWN):
        path = folder / f"{name}.jpg"
        image.save(path, quality=92)
        yield path.relative_to(OUTPUT)


def own_photos(folder: Path) -> Iterator[Path]:
    """Find the photos in a folder; they are read where they are."""
    Image.init()
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in Image.EXTENSION and path.is_file():
            yield path.resolve()


def make_dataset(pictures: list[Path], registered: list[Path]) -> dict[Path, int]:
    """Save edited copies of every picture; return how many of each registered one there are."""
    folder = OUTPUT / "dataset"
    (folder / "more").mkdir(parents=True)
    rows: list[dict[str, object]] = []
    copies = dict.fromkeys(registered, 0)
    with tarfile.open(OUTPUT / "shard-000.tar", "w") as shard:
        for number, path in enumerate(pictures):
            with Image.open(OUTPUT / path) as opened:
                image = opened.convert("RGB")
            image.thumbnail((1024, 1024))
            edits = list(EDITS.items())
            for which in range(3):
                name, edit = edits[(number + 3 * which) % len(edits)]
                content, suffix = edit(image)
                label = f"{number:03}-{name}"
                if which == 0:
                    sub = folder / ("more" if number % 2 else "")
                    (sub / f"{label}.{suffix}").write_bytes(content)
                elif which == 1:
                    add_member(shard, f"{label}.{suffix}", content)
                    add_member(shard, f"{label}.json", json.dumps({"caption": name}).encode())
                else:
                    image_value = {"bytes": content, "path": f"{label}.{suffix}"}
                    rows.append({"image": image_value, "text": name})
                if path in copies:
                    copies[path] += 1
    (folder / "notes.jpg").write_text("This is no picture, whatever its name says.\n")
    (folder / "README.md").write_text("# A dataset\n")
    pq.write_table(pa.Table.from_pylist(rows), OUTPUT / "train.parquet")
    return copies


def add_member(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file to a tar."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def egide(*arguments: str, expected_code: int = 0) -> None:
    """Run a command, showing it and what it prints."""
    print("$ egide", shown(arguments), flush=True)
    run = subprocess.run([str(EGIDE), *arguments], cwd=OUTPUT, env=environment(), check=False)
    if run.returncode != expected_code:
        sys.exit(f"egide exited with {run.returncode}, expected {expected_code}")


def egide_json(*arguments: str) -> list[dict[str, object]]:
    """Run a command, showing it; return what it prints as JSON lines."""
    print("$ egide", shown(arguments), flush=True)
    command = [str(EGIDE), *arguments, "--json"]
    run = subprocess.run(command, cwd=OUTPUT, env=environment(), check=True, capture_output=True)
    values = [json.loads(line) for line in run.stdout.splitlines()]
    print(f"{len(values)} entries")
    return values


def environment() -> dict[str, str]:
    """Return the environment without a store of the user's own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("EGIDE_")}


def shown(arguments: tuple[str, ...]) -> str:
    """Return a command's arguments as typed, long lists shortened."""
    texts = [shlex.quote(argument) for argument in arguments]
    return " ".join(texts if len(texts) <= 8 else [*texts[:5], "…"])


def check(
    expected: dict[Path, int], registered: list[Path], entries: dict[object, object], gone: str
) -> None:
    """Compare what the audit found with what was put in."""
    found = pq.read_table(OUTPUT / "audit" / "matches.parquet").column("entry").to_pylist()
    wanted = sum(count for path, count in expected.items() if str(path) != gone)
    right = sum(entry != entries[gone] for entry in found)
    print(
        f"\nOf {wanted} edited copies of {len(registered) - 1} registered pictures, "
        f"{right} were found; of the withdrawn picture, {len(found) - right}."
    )
    if gone in entries and len(found) != right:
        sys.exit("A withdrawn picture was matched.")


if __name__ == "__main__":
    main()
